"""The connections of one worker to the relay: opened as needed, waited for together, given up when idle.

Opening one takes a thread, as the way to a relay blocks; what is said on open ones does not. A relay that cannot
be reached is left alone for a while (rules.breaker).
"""

import contextlib
import os
import random
import select
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

import structlog

from alerts_service.mail import relay
from alerts_service.mail.commands import Message
from alerts_service.mail.dialogue import Broken, Dialogue
from alerts_service.mail.relay import Opened, RelayDown
from alerts_service.rules.breaker import Breaker, State
from alerts_service.rules.replies import CLOSING, Reply, Stage

_IDLE_SECONDS = 30.0
# Between looks at what waits for too long.
_EXPIRE_EVERY = 1.0

log = structlog.get_logger()


class Connections:
    """At most `most` connections; each asks `supply` for messages and tells `report` of their fate."""

    def __init__(
        self,
        url: str,
        most: int,
        *,
        supply: Callable[[], Message | None],
        report: Callable[[Message, Reply | Broken], None],
        may_send: Callable[[Message], bool],
        chance: random.Random,
    ) -> None:
        # What went wrong with the last connection that could not be made.
        self.trouble: str | None = None
        self._url, self._most = url, most
        self._supply, self._tell, self._may_send = supply, report, may_send
        self._breaker, self._chance = Breaker(), chance
        self._open: dict[int, Dialogue] = {}
        self._opening = 0
        self._ended = False
        self._opened: SimpleQueue[Opened | RelayDown] = SimpleQueue()
        # Rung by the threads, so that the wait below ends when a connection is there.
        self._bell, self._ring = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._writing: set[int] = set()
        self._last_busy = self._expired_at = time.monotonic()

    @property
    def in_hand(self) -> int:
        """How many messages are begun and not ended."""
        return sum(len(dialogue.in_hand) for dialogue in self._open.values())

    @property
    def usable(self) -> bool:
        """Whether messages can be begun now, or soon."""
        return bool(self._open) or self._opening > 0 or self._breaker.state(time.monotonic()) is not State.OPEN

    def want(self, messages: int) -> None:
        """Have as many connections as that many waiting messages need; begin messages on those that are free."""
        now = time.monotonic()
        for dialogue in list(self._open.values()):
            dialogue.begin(now)
            self._look_after(dialogue)
        missing = min(self._most, messages) - len(self._open) - self._opening
        for _ in range(missing):
            if self._breaker.wait(now):
                break
            self._breaker = self._breaker.trying(now)
            self._opening += 1
            threading.Thread(target=self._connect, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait for the relay, up to `seconds`, and go on with whatever it says."""
        for fileno, event in self._poll.poll(max(0.0, seconds) * 1000):
            now = time.monotonic()
            dialogue = self._open.get(fileno)
            if dialogue is None:
                self._welcome(now)
                continue
            self._last_busy = now
            if event & select.POLLOUT:
                dialogue.write(now)
            if event & ~select.POLLOUT:
                dialogue.read(now)
            self._look_after(dialogue)

    def expire(self) -> None:
        """Give up connections whose relay does not answer, and all of them after a while without work."""
        now = time.monotonic()
        if now < self._expired_at + _EXPIRE_EVERY:
            return
        self._expired_at = now
        for dialogue in list(self._open.values()):
            dialogue.expire(now)
            self._look_after(dialogue)
        if now - self._last_busy > _IDLE_SECONDS and not self.in_hand:
            self.close("idle")

    def close(self, reason: str) -> None:
        """End every connection; what is in hand is told of as broken."""
        for dialogue in list(self._open.values()):
            dialogue.close(reason)
            self._look_after(dialogue)

    def end(self, reason: str) -> None:
        """End every connection, and those that are still being opened as soon as they are."""
        self.close(reason)
        self._ended = True
        self._let_go()

    def _connect(self) -> None:
        try:
            self._opened.put(relay.connect(self._url))
        except RelayDown as error:
            self._opened.put(error)
        if self._ended:
            self._let_go()
        os.write(self._ring, b".")

    def _let_go(self) -> None:
        """Close what was opened and nobody waits for any more."""
        with contextlib.suppress(Empty):
            while True:
                opened = self._opened.get_nowait()
                if isinstance(opened, Opened):
                    opened.sock.close()

    def _welcome(self, now: float) -> None:
        os.read(self._bell, 4096)
        while True:
            try:
                opened = self._opened.get_nowait()
            except Empty:
                return
            self._opening -= 1
            self._last_busy = now
            if isinstance(opened, RelayDown):
                self._failed(opened, now)
                continue
            dialogue = Dialogue(
                opened.sock, opened.extensions, supply=self._supply, report=self._report, may_send=self._may_send
            )
            self._open[dialogue.number] = dialogue
            self._poll.register(dialogue.number, select.POLLIN)
            dialogue.begin(now)
            self._look_after(dialogue)

    def _failed(self, error: RelayDown, now: float) -> None:
        log.warning("the relay cannot be used; mail waits", reason=str(error))
        self.trouble = str(error)
        breaker = self._breaker
        self._breaker = breaker.turned_away(now) if error.turned_away else breaker.failed(now, self._chance)

    def _report(self, message: Message, fate: Reply | Broken) -> None:
        """Pass a fate on, and learn from it how the relay is."""
        if isinstance(fate, Reply):
            turned_away = fate.code == CLOSING and fate.stage is Stage.MAIL
            self._breaker = self._breaker.turned_away(time.monotonic()) if turned_away else self._breaker.answered()
        self._tell(message, fate)

    def _look_after(self, dialogue: Dialogue) -> None:
        """Wait for what a dialogue now waits for; forget one that has ended."""
        number, writing = dialogue.number, dialogue.wants_write
        if dialogue.closed:
            self._poll.unregister(number)
            del self._open[number]
            self._writing.discard(number)
        elif writing != (number in self._writing):
            self._poll.modify(number, select.POLLIN | (select.POLLOUT if writing else 0))
            (self._writing.add if writing else self._writing.discard)(number)
