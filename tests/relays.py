"""A real SMTP server on loopback for tests: keeps every message, and answers as it is told."""

import email
import email.policy
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.databases import free_port


@dataclass
class Received:
    """One message as the relay took it."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, parsed by the standard library."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, subtype: str) -> str:
        """The text of its plain or html part."""
        found = self.message.get_body((subtype,))
        assert found is not None
        return str(found.get_content())


@dataclass
class Relay:
    """The server. `refusals` maps a recipient to the replies it is refused with, one a try.

    `meanwhile` is called with the recipient while a message is being taken, before it is answered.
    """

    received: list[Received] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    data_refusals: dict[str, list[str]] = field(default_factory=dict)
    meanwhile: Callable[[str], None] = lambda recipient: None
    _controller: Any = None

    @property
    def url(self) -> str:
        """The address to send to; asking for it starts the server."""
        if self._controller is None:
            self._controller = Controller(_Handler(self), hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
            self._controller.start()
        return f"smtp://127.0.0.1:{self._controller.port}"

    def to(self, address: str) -> list[Received]:
        """What was taken for one recipient, oldest first."""
        return [received for received in self.received if received.recipient == address]

    def stop(self) -> None:
        """End the server, if it was started."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


class _Handler:
    def __init__(self, relay: Relay) -> None:
        self.relay = relay

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        waiting = self.relay.refusals.get(address, [])
        if waiting:
            return waiting.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        for recipient in envelope.rcpt_tos:
            self.relay.meanwhile(recipient)
            waiting = self.relay.data_refusals.get(recipient, [])
            if waiting:
                return waiting.pop(0)
            self.relay.received.append(Received(envelope.mail_from, recipient, envelope.original_content))
        return f"250 2.0.0 queued as {len(self.relay.received)}"
