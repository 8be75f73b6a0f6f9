"""What one worker has claimed and not begun: taken a second's worth at a time, held by renewed leases, given back.

So a confirmation waits for no more than a second's worth of digests; and while a slow relay is served, the
transactional lane is looked at every second all the same.
"""

import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

import structlog

from alerts_service.config import Settings
from alerts_service.errors import SendingHeld
from alerts_service.services import claiming, fencing, outbox, settling
from alerts_service.services.claiming import Claimed
from scheduler import receipts
from scheduler.messages import Messages
from scheduler.running import IN_FLIGHT, Counts, Run

_MOST = 500
_FIRST = 32
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
        self._size = _FIRST
        self._claimed_at = self._looked_at = 0.0
        # Why the fence lets nothing be sent; said once.
        self._held = ""

    @property
    def ours(self) -> bool:
        """Whether the leases still run: they may not, in a process that was stopped for a while."""
        return self.run.clock() < self._lease_until

    def next(self) -> Claimed | None:
        """Return the next delivery to begin."""
        if not self.ours:
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
            receipts.recover(self.settings.state_dir, self.run.clock())
            due = not self.quiet or claiming.anything_due(self.run.clock())
            self.quiet = not (due and self._look(self._next_size(), in_hand)) or self.run.once
            self._looked_at = time.monotonic()

    def keep(self, *, in_hand: int) -> None:
        """Renew the leases when half of their time is over, as while a reply is waited for."""
        clock = self.run.clock()
        if (self.waiting or in_hand) and self._lease_until - self._lease / 2 < clock < self._lease_until:
            outbox.renew(self.worker, clock + self._lease)
            self._lease_until = clock + self._lease

    def give_back(self, of_edition: int | None = None) -> list[Claimed]:
        """Return what was not begun, of one edition or all: the caller records it."""
        returned = [each for each in self.waiting if of_edition in {None, each.edition_id}]
        self.waiting = deque(each for each in self.waiting if of_edition not in {None, each.edition_id})
        return returned

    def _next_size(self) -> int:
        """Size the batch by how long the last one took."""
        now = time.monotonic()
        took = max(now - self._claimed_at, 0.001)
        self._claimed_at = now
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
            fence.note(self.messages.announce(found.deliveries))
        if found.deliveries:
            if not (self.waiting or in_hand):
                self._lease_until = clock + self._lease
            (self.waiting.extendleft if transactional_only else self.waiting.extend)(found.deliveries)
        self.counts.cancelled += found.not_allowed
        if found.unsettled:
            self.counts.cancelled += settling.settle(found.unsettled, now=now)
        return found.found_something
