"""What is said to a relay, and which replies it asks for (RFC 5321; RFC 2920 for saying much at once)."""

import re
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

GO_AHEAD = 354
OK = range(200, 300)
REFUSED = range(400, 600)


@dataclass(slots=True)
class Message:
    """One message to one recipient. `data` ends with CRLF and has its dots doubled; `key` is the caller's own."""

    key: Any
    sender: str
    recipient: str
    data: bytes


class Step(IntEnum):
    """What a reply is expected to. EMPTY is a lone dot: 354 came though the recipient was refused (RFC 2920, 3.1)."""

    RESET = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    CONTENT = 4
    EMPTY = 5


# What is said in one go, in pieces, and the replies it asks for.
Part = tuple[tuple[Step, ...], tuple[bytes, ...]]

_FINAL_DOT = b".\r\n"
CONTENT = (Step.CONTENT,)
_ENVELOPE = (Step.MAIL, Step.RCPT, Step.DATA)
RESET: Part = ((Step.RESET,), (b"RSET\r\n",))
EMPTY: Part = ((Step.EMPTY,), (_FINAL_DOT,))

# Expected while a content is on its way, and an envelope behind it; and how nearly every relay answers that.
USUAL = deque([Step.CONTENT, *_ENVELOPE])
USUAL_ANSWER = re.compile(rb"(2\d\d) ([^\r\n]*)\r\n2\d\d [^\r\n]*\r\n2\d\d [^\r\n]*\r\n354 [^\r\n]*\r\n")


def envelope(message: Message, *, pipelined: bool, with_size: bool) -> list[Part]:
    """Return MAIL, RCPT and DATA for a message: in one go, or one by one."""
    size = f" SIZE={len(message.data)}" if with_size else ""
    international = "" if message.recipient.isascii() else " SMTPUTF8 BODY=8BITMIME"
    sender = f"MAIL FROM:<{message.sender}>{size}{international}\r\n"
    recipient = f"RCPT TO:<{message.recipient}>\r\n"
    if pipelined:
        return [(_ENVELOPE, (f"{sender}{recipient}DATA\r\n".encode(),))]
    said = (sender, recipient, "DATA\r\n")
    return [((step,), (words.encode(),)) for step, words in zip(_ENVELOPE, said, strict=True)]


def content(message: Message) -> Part:
    """Return the content and its dot, to be written at once: in two, the dot would wait for an acknowledgement."""
    return CONTENT, (message.data, _FINAL_DOT)


def fits(step: Step, code: int) -> bool:
    """Say whether a reply can be one to this step; a 250 to DATA, say, cannot."""
    if step is Step.DATA:
        return code == GO_AHEAD or code in REFUSED
    if step is Step.RESET:
        return code in OK
    return code in OK or code in REFUSED
