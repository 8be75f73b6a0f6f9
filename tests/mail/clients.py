"""A client that sends one message at a time and waits: what a worker does with many, for tests of the dialogue."""

import select
import time

from alerts_service.mail import relay
from alerts_service.mail.commands import Message
from alerts_service.mail.dialogue import Broken, Dialogue
from alerts_service.rules.replies import Reply


class Client:
    """One connection, made when it is needed and made anew when it has ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fates: list[Reply | Broken] = []
        self._next: list[Message] = []
        self._dialogue: Dialogue | None = None

    def send(self, sender: str, recipient: str, data: bytes) -> Reply | Broken:
        """Send one message, its dots doubled already; return its fate. Raises RelayDown where there is no relay."""
        return self.send_all([Message(None, sender, recipient, data)])[0]

    def send_all(self, messages: list[Message]) -> list[Reply | Broken]:
        """Send messages one behind the other on one connection; return their fates, in order."""
        self.fates = []
        self._next = list(messages)
        while self._next:
            dialogue = self._opened()
            while not dialogue.closed and (self._next or dialogue.in_hand):
                self._serve(dialogue)
        return self.fates

    def settle(self) -> None:
        """Let the dialogue see that its relay has hung up."""
        time.sleep(0.05)
        if self._dialogue and not self._dialogue.closed:
            self._dialogue.read(time.monotonic())

    def close(self) -> None:
        """End the connection."""
        if self._dialogue:
            self._dialogue.close("the test ends")

    def _opened(self) -> Dialogue:
        if self._dialogue is None or self._dialogue.closed:
            opened = relay.connect(self.url)
            self._dialogue = Dialogue(
                opened.sock,
                opened.extensions,
                supply=lambda: self._next.pop(0) if self._next else None,
                report=lambda _, fate: self.fates.append(fate),
                may_send=lambda _: True,
            )
        return self._dialogue

    def _serve(self, dialogue: Dialogue) -> None:
        dialogue.begin(time.monotonic())
        if dialogue.closed or not dialogue.in_hand:
            return
        poll = select.poll()
        poll.register(dialogue.number, select.POLLIN | (select.POLLOUT if dialogue.wants_write else 0))
        for _, event in poll.poll(20_000):
            if event & select.POLLOUT:
                dialogue.write(time.monotonic())
            if event & ~select.POLLOUT:
                dialogue.read(time.monotonic())
