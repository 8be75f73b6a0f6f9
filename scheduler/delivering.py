"""The sender: claim, splice, send, record; no transaction is open while the network is used.

One worker is one process with a few connections to the relay. It claims a second's worth of deliveries at a
time, so that a confirmation waits for no more than that; feeds them to the connections as these ask; notes every
250 at once in its receipts; and writes the ledger in batches. Leases, retries and back-off run on the real
clock; `rehearsal` decides only what has lapsed.
"""

import os
import random
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.mail.dialogue import Broken, Message
from alerts_service.mail.encode import EncodingRefused
from alerts_service.models import DeliveryState
from alerts_service.rules.replies import Reply
from alerts_service.services import editions, outbox, settling, suppressing
from alerts_service.services.outbox import Claimed, Outcome
from scheduler import fates, receipts
from scheduler.connections import Connections
from scheduler.messages import Messages
from scheduler.receipts import Receipts

# Promise: no more messages than this are on their way from one scheduler without a receipt.
IN_FLIGHT = 8
_BATCH = 500
_FIRST_BATCH = 32
# Seconds: a batch is worth so many; between looks at the queue; until the ledger is written; to end.
_BATCH_SECONDS = 1.0
_LOOK_EVERY = 1.0
_RECORD_WITHIN = 0.5
_TO_END = 8.0
_AFTER_TROUBLE = 1.0

log = structlog.get_logger()


@dataclass
class Counts:
    """What a run of the sender did."""

    sent: int = 0
    retrying: int = 0
    failed: int = 0
    cancelled: int = 0

    def add(self, other: "Counts") -> None:
        """Take another run's counts in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Run:
    """How a worker is to run: `drain`, until nothing due is left or the relay is gone; `once`, for one batch."""

    clock: Callable[[], datetime]
    stop: Callable[[], bool] = lambda: False
    drain: bool = False
    once: bool = False
    rehearsal: datetime | None = None
    connections: int | None = None
    chance: random.Random = field(default_factory=random.Random)


class Worker:
    """One worker: claims, connections, receipts. It is used by one thread, in an application context."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self.settings, self.run_as = settings, run
        self.counts = Counts()
        self.name = f"{socket.gethostname()[:16]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._receipts = Receipts(settings.state_dir, self.name)
        self._messages = Messages(settings)
        self._waiting: deque[Claimed] = deque()
        self._outcomes: list[Outcome] = []
        # What is to be done for others than the delivery: not while a reply is being read.
        self._follow_ups: list[tuple[Claimed, fates.Fate]] = []
        self._lease_until = run.clock()
        self._batch = _FIRST_BATCH
        self._claimed_at = self._recorded_at = self._looked_at = 0.0
        self._quiet = False
        self._ending = False
        self._connections = Connections(
            settings.smtp_url,
            min(run.connections or settings.smtp_connections, IN_FLIGHT),
            supply=self._supply,
            report=self._report,
            may_send=self._may_send,
            chance=run.chance,
        )

    def run(self) -> Counts:
        """Work until told to stop, or until a drain is done."""
        try:
            while not self.run_as.stop():
                try:
                    if not self._turn():
                        break
                except DBAPIError as error:
                    self._wait_for_the_database(error)
            self._end()
        finally:
            self._connections.close("the worker ends")
        return self.counts

    def _turn(self) -> bool:
        """Do one turn of the loop; say whether there is to be another."""
        now = time.monotonic()
        self._refill(now)
        self._connections.want(len(self._waiting))
        busy = bool(self._waiting or self._connections.in_hand)
        self._connections.wait(self._patience(now, busy))
        self._connections.expire()
        self._follow_up()
        now = time.monotonic()
        if self._outcomes and (len(self._outcomes) >= _BATCH or now - self._recorded_at > _RECORD_WITHIN or not busy):
            self._record()
        self._keep_leases()
        return not self._is_done()

    def _patience(self, now: float, busy: bool) -> float:
        if busy or not self._connections.usable:
            return _RECORD_WITHIN
        return max(0.0, self._looked_at + _LOOK_EVERY - now) if self._quiet and not self._outcomes else 0.0

    def _is_done(self) -> bool:
        """Say whether a drain is: nothing is left, or the relay is gone."""
        if not (self.run_as.drain or self.run_as.once):
            return False
        idle = not (self._waiting or self._connections.in_hand or self._outcomes)
        return idle and (self._quiet or not self._connections.usable)

    def _refill(self, now: float) -> None:
        """Claim the next batch when the last is used up; look for transactional mail meanwhile."""
        rested = now - self._looked_at > _LOOK_EVERY
        if not self._connections.usable:
            self._put_back()
        elif self._waiting:
            if rested and not self.run_as.once:
                self._looked_at = now
                self._claim(IN_FLIGHT, transactional_only=True)
        elif not self._quiet or (rested and not (self.run_as.drain or self.run_as.once)):
            self._looked_at = now
            clock = self.run_as.clock()
            receipts.recover(self.settings.state_dir, clock)
            due = not self._quiet or outbox.anything_due(clock)
            self._quiet = not (due and self._claim(self._next_batch(now))) or self.run_as.once

    def _next_batch(self, now: float) -> int:
        """Size the batch by how long the last one took: about a second's worth."""
        took = max(now - self._claimed_at, 0.001)
        self._claimed_at = now
        self._batch = max(IN_FLIGHT, min(_BATCH, self._batch * 4, int(self._batch * _BATCH_SECONDS / took)))
        return self._batch

    def _claim(self, limit: int, *, transactional_only: bool = False) -> bool:
        """Claim up to `limit`; say whether anything was found."""
        clock = self.run_as.clock()
        now = self.run_as.rehearsal or clock
        found = outbox.claim(
            self.name,
            limit,
            settings=self.settings,
            now=now,
            clock=clock,
            transactional_only=transactional_only,
        )
        self.counts.cancelled += found.not_allowed
        if found.deliveries:
            if not (self._waiting or self._connections.in_hand):
                self._lease_until = clock + timedelta(seconds=self.settings.lease_seconds)
            (self._waiting.extendleft if transactional_only else self._waiting.extend)(found.deliveries)
        if found.unsettled:
            self.counts.cancelled += settling.settle(found.unsettled, now=now)
        return bool(found.deliveries or found.unsettled or found.not_allowed)

    def _supply(self) -> Message | None:
        """Return the next message, for a connection that is free."""
        while self._waiting and not self._ending:
            clock = self.run_as.clock()
            if clock >= self._lease_until:
                self._waiting.clear()
                return None
            delivery = self._waiting.popleft()
            try:
                return self._messages.make(delivery, clock)
            except (EncodingRefused, NotFound) as error:
                self._outcomes.append(Outcome(delivery, DeliveryState.FAILED, reason=str(error)[:200]))
                self.counts.failed += 1
        return None

    def _may_send(self, _message: Message) -> bool:
        """Hold the content back when the lease was lost meanwhile, as in a process that was stopped."""
        return self.run_as.clock() < self._lease_until

    def _report(self, message: Message, fate: Reply | Broken) -> None:
        """Take the fate of a message; a 250 is durable when this returns."""
        delivery: Claimed = message.key
        clock = self.run_as.clock()
        found = fates.of(delivery, fate, settings=self.settings, clock=clock, chance=self.run_as.chance)
        outcome = found.outcome
        self._outcomes.append(outcome)
        if outcome.state is DeliveryState.SENT:
            self._receipts.note(delivery, outcome.reply or "", clock)
            self.counts.sent += 1
            return
        if outcome.state is DeliveryState.FAILED:
            self.counts.failed += 1
        else:
            self.counts.retrying += 1
        if found.address_is_dead or found.we_are_refused or found.slow_down:
            self._follow_ups.append((delivery, found))

    def _follow_up(self) -> None:
        """Do what fates ask for beyond their own delivery."""
        while self._follow_ups:
            delivery, found = self._follow_ups[-1]
            reply, clock = found.outcome.reply or "", self.run_as.clock()
            if found.we_are_refused and delivery.edition_id is not None:
                log.error("the relay refuses us; the edition is paused", edition=delivery.edition_id, reply=reply)
                editions.pause(delivery.edition_id, reason=f"The relay said: {reply}", now=clock)
                self._put_back(of_edition=delivery.edition_id)
            if found.address_is_dead:
                suppressing.suppress(delivery.address, suppressing.BOUNCE, reply, settings=self.settings, now=clock)
            self._follow_ups.pop()

    def _record(self) -> None:
        """Write the ledger; then the receipts may go."""
        outcomes = self._outcomes
        outbox.record(self.name, outcomes, clock=self.run_as.clock())
        self._outcomes = []
        self._receipts.clear()
        self._recorded_at = time.monotonic()

    def _keep_leases(self) -> None:
        """Hold what is in hand for longer when half of the lease is over, as while a reply is waited for."""
        clock = self.run_as.clock()
        lease = timedelta(seconds=self.settings.lease_seconds)
        if (self._waiting or self._connections.in_hand) and self._lease_until - lease / 2 < clock < self._lease_until:
            outbox.renew(self.name, clock + lease)
            self._lease_until = clock + lease

    def _put_back(self, of_edition: int | None = None) -> None:
        """Give back what was claimed and not begun."""
        returned = [d for d in self._waiting if of_edition is None or d.edition_id == of_edition]
        self._waiting = deque(d for d in self._waiting if of_edition is not None and d.edition_id != of_edition)
        self._outcomes += [Outcome(delivery, DeliveryState.PENDING) for delivery in returned]

    def _wait_for_the_database(self, error: DBAPIError) -> None:
        """Begin nothing more until the database is back; what was sent is in the receipts."""
        log.error("the database cannot be used; nothing more is begun", error=str(error.orig or error))
        db.session.rollback()
        self._ending = True
        until = time.monotonic() + _AFTER_TROUBLE
        while (left := until - time.monotonic()) > 0:
            self._connections.wait(left)
            self._connections.expire()
        self._ending = False

    def _end(self) -> None:
        """Let what is in hand come to its end, then write what became of everything."""
        self._ending = True
        until = time.monotonic() + _TO_END
        while self._connections.in_hand and (left := until - time.monotonic()) > 0:
            self._connections.wait(min(left, _RECORD_WITHIN))
        self._connections.close("the worker ends")
        self._follow_up()
        self._put_back()
        self._record()
        self._receipts.close()


def deliver(
    settings: Settings,
    clock: Callable[[], datetime],
    *,
    drain: bool = False,
    rehearsal: datetime | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Counts:
    """Send what is due, lane by lane: one batch, or with `drain` until nothing due is left or the relay is gone."""
    return Worker(settings, Run(clock, stop, drain=drain, once=not drain, rehearsal=rehearsal)).run()
