"""What one worker has claimed and not begun: taken a second's worth at a time, held by renewed leases, given back.

So a confirmation waits for no more than a second's worth of digests; and while a slow relay is served, the
transactional lane is looked at every second all the same.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import SendingHeld
from alerts_service.services import claiming, fencing, outbox, queueing, settling
from alerts_service.services.claiming import Claimed
from scheduler import receipts
from scheduler.messages import Messages
from scheduler.running import IN_FLIGHT, Counts, Run

_MOST = 1000
FIRST_BATCH = 32
# Seconds: a batch is worth so many; between looks at a quiet queue, or at the transactional lane of a busy one.
_WORTH = 1.0
LOOK_EVERY = 1.0

log = structlog.get_logger()


@dataclass
class Claims:
    """The claims of one worker, by its name."""

    settings: Settings
    run: Run
    worker: str
    messages: Messages
    counts: Counts

    def __post_init__(self) -> None:
        # Nothing due was found at the last look.
        self.quiet = False
        self.waiting: deque[Claimed] = deque()
        self._lease = timedelta(seconds=self.settings.lease_seconds)
        self._lease_until = self.run.clock()
        self._size = FIRST_BATCH
        self._claimed_at: float | None = None
        self._looked_at = self._recovered_at = 0.0
        # Editions that the relay has refused: nothing of them is begun until they are claimed anew.
        self._refused: set[int | None] = set()
        fencing.enter(self.settings, clock=self.run.clock())
        # Why the fence lets nothing be sent; said once.
        self._held = fencing.held(db.session(), self.settings) or ""
        if self._held:
            log.warning("nothing is sent", reason=self._held)

    def may_send(self, delivery: Claimed) -> bool:
        """Say whether a delivery that was begun may go out: its lease runs, and the relay has not refused its like.

        The lease may be over in a process that was stopped for a while.
        """
        return self.run.clock() < self._lease_until and delivery.edition_id not in self._refused

    def next(self, clock: datetime) -> Claimed | None:
        """Return the next delivery to begin. `clock` is the real time."""
        if clock >= self._lease_until:
            self.messages.forget(self.waiting)
            self.waiting.clear()
        return self.waiting.popleft() if self.waiting else None

    def until_next_look(self) -> float:
        """Return how long, in seconds, a quiet queue is left alone."""
        return max(0.0, self._looked_at + LOOK_EVERY - time.monotonic())

    def refill(self, *, in_hand: int) -> None:
        """Claim the next batch when the last is used up; look for transactional mail meanwhile."""
        rested = not self.until_next_look()
        if self.waiting:
            if rested and not self.run.once:
                self._look(IN_FLIGHT, in_hand, transactional_only=True)
        elif not self.quiet or (rested and not (self.run.drain or self.run.once)):
            self._recover()
            due = not self.quiet or queueing.anything_due(self.run.clock())
            self.quiet = not (due and self._look(self._next_size(), in_hand)) or self.run.once
            self._looked_at = time.monotonic()

    def _recover(self) -> None:
        """Take back what others have let lie: once a second, as a busy queue is looked at more often."""
        # In a database put back from a backup, nothing is taken back before it is reconciled.
        if not self._held and time.monotonic() - self._recovered_at >= LOOK_EVERY:
            self._recovered_at = time.monotonic()
            receipts.recover(self.settings.state_dir, self.run.clock())

    def keep(self, *, in_hand: int) -> None:
        """Renew the leases when half of their time is over, as while a reply is waited for."""
        clock = self.run.clock()
        if (self.waiting or in_hand) and self.are_to_be_kept(clock):
            outbox.renew(self.worker, clock + self._lease)
            self._lease_until = clock + self._lease

    def are_to_be_kept(self, clock: datetime) -> bool:
        """Say whether half of the leases' time is over, and not all of it."""
        return self._lease_until - self._lease / 2 <= clock < self._lease_until

    def give_back(self, which: Callable[[Claimed], bool] = lambda _: True) -> list[Claimed]:
        """Return what was not begun, all or some of it: the caller records it."""
        returned = [each for each in self.waiting if which(each)]
        self.waiting = deque(each for each in self.waiting if not which(each))
        return returned

    def refuse(self, edition_id: int | None) -> list[Claimed]:
        """Begin nothing more of an edition; return what was not begun."""
        self._refused.add(edition_id)
        return self.give_back(lambda each: each.edition_id == edition_id)

    def _next_size(self) -> int:
        """Size the batch by how long the last one took."""
        now, before = time.monotonic(), self._claimed_at
        self._claimed_at = now
        if before is not None and not self.quiet:
            took = max(now - before, 0.001)
            self._size = max(IN_FLIGHT, min(_MOST, self._size * 4, int(self._size * _WORTH / took)))
        return self._size

    def _look(self, limit: int, in_hand: int, *, transactional_only: bool = False) -> bool:
        """Claim up to `limit`; say whether it is worth looking again."""
        self._looked_at = time.monotonic()
        try:
            found = self._claim(limit, in_hand, transactional_only)
        except SendingHeld as reason:
            if str(reason) != self._held:
                log.warning("nothing is sent", reason=str(reason))
            self._held = str(reason)
            return False
        self._held = ""
        return found

    def _claim(self, limit: int, in_hand: int, transactional_only: bool) -> bool:
        clock = self.run.clock()
        now = self.run.rehearsal or clock
        with fencing.turn(self.settings) as fence:
            found = claiming.claim(
                self.worker,
                limit,
                settings=self.settings,
                now=now,
                clock=clock,
                transactional_only=transactional_only,
                fence=fence,
            )
            fence.note(self.messages.announce(found.deliveries, clock))
        if found.deliveries:
            if not (self.waiting or in_hand):
                self._lease_until = clock + self._lease
            self._refused -= {each.edition_id for each in found.deliveries}
            (self.waiting.extendleft if transactional_only else self.waiting.extend)(found.deliveries)
        self.counts.cancelled += found.not_allowed
        if found.unsettled:
            self.counts.cancelled += settling.settle(found.unsettled, now=now)
        return found.found_something
