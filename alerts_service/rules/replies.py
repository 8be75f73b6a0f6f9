"""What a relay's reply means for a delivery (RFC 5321, 4.2; RFC 3463 for enhanced codes)."""

import re
from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """Where in the dialogue the reply was given."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


class Meaning(StrEnum):
    """What is to be done with the delivery."""

    SENT = "sent"
    RETRY = "retry"
    # Back to the queue, and no attempt is charged: it says nothing about this recipient.
    REQUEUE = "requeue"
    ADDRESS_DEAD = "address dead"
    ADDRESS_REFUSED = "address refused"
    # The relay refuses us, or what we say: every other message would meet the same.
    WE_ARE_REFUSED = "we are refused"


class Reply(NamedTuple):
    """One reply: where, the three-digit code, and the text with its enhanced status code."""

    stage: Stage
    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code, such as 5.1.1, where the text begins with one."""
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?!\d)", self.text)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


_OK = range(200, 300)
_TRANSIENT = range(400, 500)
CLOSING = 421
# RFC 3463: bad destination mailbox, system or syntax; mailbox disabled; moved.
_DEAD = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}


# How relays name what they queued: Postfix and those that imitate it, Exim, Amazon. The first is looked for by
# itself, as a fixed beginning is found many times faster.
_QUEUED_AS = re.compile(r"queued as <?([A-Za-z0-9._@-]{1,200})>?")
_RELAY_ID = re.compile(r"(?:\bqueued as |\bid=|\bOk )<?([A-Za-z0-9._@-]{1,200})>?", re.IGNORECASE)


def relay_id(said: str) -> str | None:
    """Return the relay's own name for what it took, where its reply tells."""
    found = _QUEUED_AS.search(said) or _RELAY_ID.search(said)
    return found[1] if found else None


def meaning(reply: Reply) -> Meaning:
    """Read one reply."""
    if reply.code in _OK:
        return Meaning.SENT
    if reply.code == CLOSING or reply.stage is Stage.CONNECT:
        return Meaning.REQUEUE
    if reply.code in _TRANSIENT:
        return Meaning.RETRY
    enhanced = reply.enhanced or ""
    if reply.stage is not Stage.RCPT or enhanced.startswith("5.7."):
        return Meaning.WE_ARE_REFUSED
    return Meaning.ADDRESS_DEAD if enhanced in _DEAD else Meaning.ADDRESS_REFUSED
