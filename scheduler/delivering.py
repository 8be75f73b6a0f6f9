"""The sender: claim, splice, send, record; no transaction is open while the network is used.

One worker is one process with a few connections to the relay. It feeds them from its claims as they ask, notes
every 250 at once in its receipts, and writes the ledger in batches.
"""

import contextlib
import gc
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import structlog
from sqlalchemy.exc import DBAPIError

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.mail.commands import Message
from alerts_service.mail.dialogue import Broken
from alerts_service.mail.encode import EncodingRefused
from alerts_service.models import DeliveryState
from alerts_service.rules.replies import Reply
from alerts_service.services import editions, fencing, outbox, rates, suppressing
from alerts_service.services.claiming import Claimed
from alerts_service.services.outbox import Outcome
from scheduler import fates
from scheduler.claims import Claims
from scheduler.connections import Connections
from scheduler.messages import Messages
from scheduler.receipts import Receipts
from scheduler.running import IN_FLIGHT, Counts, Run

# The ledger is written when so many messages have ended, or so many seconds after.
_RECORD = 1000
_RECORD_WITHIN = 0.5
# Seconds: the longest that nothing but the relay is looked at, while all goes well.
_LOOK_AROUND = 0.02
# Objects made and not dropped, until the youngest are looked through; Python's own number is 700.
_COLLECT_EVERY = 70_000
# Seconds: for what is in hand at the end; until the database is tried again.
_TO_END = 8.0
_AFTER_TROUBLE = 1.0

log = structlog.get_logger()


class Worker:
    """One worker: claims, connections, receipts. It is used by one thread, in an application context."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self.settings, self._run = settings, run
        self.counts = Counts()
        self.name = f"{socket.gethostname()[:16]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._receipts = Receipts(settings.state_dir, self.name)
        self._messages = Messages(settings)
        self._claims = Claims(settings, run, self.name, self._messages, self.counts)
        # What is to be recorded, and the claims it is about.
        self._outcomes: list[tuple[Claimed, Outcome]] = []
        # What is to be done for others than the delivery: not while a reply is being read.
        self._follow_ups: list[tuple[Claimed, fates.Fate]] = []
        self._recorded_at = 0.0
        self._record_at_once = False
        self._ending = False
        self._connections = Connections(
            settings.smtp_url,
            min(run.connections, settings.smtp_connections, IN_FLIGHT),
            supply=self._supply,
            report=self._report,
            may_send=lambda message: self._claims.may_send(message.key),
            chance=run.chance,
        )

    def run(self) -> Counts:
        """Work until told to stop, or until a drain is done."""
        with _seldom_collecting():
            try:
                self._work()
                self._end()
            finally:
                self._connections.end("the worker ends")
        return self.counts

    def _work(self) -> None:
        while not self._run.stop():
            try:
                if self._turn():
                    return
            except DBAPIError as error:
                if self._run.drain or self._run.once:
                    raise
                self._wait_for_the_database(error)

    def _turn(self) -> bool:
        """Do one turn of the loop; say whether a drain is done."""
        if self._connections.usable:
            self._claims.refill(in_hand=self._connections.in_hand)
        else:
            self._put_back(self._claims.give_back(), self._connections.trouble)
        self._connections.want(len(self._claims.waiting))
        busy = bool(self._claims.waiting or self._connections.in_hand)
        self._connections.wait(self._patience(busy))
        self._go_on_sending()
        self._connections.expire()
        self._follow_up()
        waited = time.monotonic() - self._recorded_at > _RECORD_WITHIN
        if waited or self._record_at_once or len(self._outcomes) >= _RECORD or not busy:
            self._record()
        self._claims.keep(in_hand=self._connections.in_hand)
        return self._is_done()

    def _go_on_sending(self) -> None:
        """Serve the relay as long as there is nothing else to do."""
        until = time.monotonic() + _LOOK_AROUND
        while self._claims.waiting and not (self._follow_ups or self._record_at_once):
            left = until - time.monotonic()
            if left <= 0 or len(self._outcomes) >= _RECORD or self._claims.are_to_be_kept(self._run.clock()):
                return
            if not self._connections.in_hand:
                return
            self._connections.wait(left)

    def _patience(self, busy: bool) -> float:
        if busy or not self._connections.usable:
            return _RECORD_WITHIN
        if self._outcomes or self._run.drain or self._run.once or not self._claims.quiet:
            return 0.0
        return self._claims.until_next_look()

    def _is_done(self) -> bool:
        if not (self._run.drain or self._run.once):
            return False
        idle = not (self._claims.waiting or self._connections.in_hand or self._outcomes)
        return idle and (self._claims.quiet or not self._connections.usable)

    def _supply(self) -> Message | None:
        """Return the next message, for a connection that is free."""
        clock = self._run.clock()
        while not (self._ending or self._run.stop()) and (delivery := self._claims.next(clock)):
            try:
                return self._messages.make(delivery, clock)
            except (EncodingRefused, NotFound) as error:
                self._outcomes.append((delivery, Outcome(delivery, DeliveryState.FAILED, reason=str(error)[:200])))
                self.counts.failed += 1
        return None

    def _report(self, message: Message, fate: Reply | Broken) -> None:
        """Take the fate of a message; a 250 is durable when this returns."""
        delivery: Claimed = message.key
        clock = self._run.clock()
        found = fates.of(delivery, fate, settings=self.settings, clock=clock, chance=self._run.chance)
        outcome = found.outcome
        self._outcomes.append((delivery, outcome))
        if outcome.state is DeliveryState.SENT:
            self._receipts.note(delivery, outcome.reply or "", clock)
            self.counts.sent += 1
            return
        if found.outcome.state is DeliveryState.FAILED:
            self.counts.failed += 1
        else:
            self.counts.retrying += 1
        if found.we_are_refused:
            self._put_back(self._claims.refuse(delivery.edition_id))
        if found.address_is_dead or found.we_are_refused or found.slow_down:
            self._follow_ups.append((delivery, found))

    def _follow_up(self) -> None:
        """Do what fates ask for beyond their own delivery."""
        while self._follow_ups:
            delivery, found = self._follow_ups[-1]
            reply, clock = found.outcome.reply or "", self._run.clock()
            if found.we_are_refused and delivery.edition_id is not None:
                log.error("the relay refuses us; the edition is paused", edition=delivery.edition_id, reply=reply)
                editions.pause(delivery.edition_id, reason=f"The relay said: {reply}", now=clock)
                rates.look_again(clock=clock)
            if found.slow_down:
                self._slow_down(delivery.address.rpartition("@")[2].lower(), clock)
            if found.address_is_dead:
                suppressing.suppress(delivery.address, suppressing.BOUNCE, reply, settings=self.settings, now=clock)
            self._follow_ups.pop()

    def _slow_down(self, domain: str, clock: datetime) -> None:
        """What was claimed for a domain that asks for less gets its turn anew, at the new rate."""
        rates.slow_down(domain, clock=clock)
        self._put_back(self._claims.give_back(lambda each: each.address.rpartition("@")[2].lower() == domain))

    def _record(self) -> None:
        """Write the ledger; then the receipts may go."""
        self._recorded_at, self._record_at_once = time.monotonic(), False
        if not self._outcomes:
            return
        clock = self._run.clock()
        outbox.record(self.name, [outcome for _, outcome in self._outcomes], clock=clock)
        returned = [delivery for delivery, outcome in self._outcomes if outcome.state is DeliveryState.PENDING]
        self._outcomes = []
        self._receipts.clear()
        fencing.returned(self.settings, [self._messages.id_of(delivery) for delivery in returned], clock=clock)

    def _put_back(self, deliveries: Sequence[Claimed], reply: str | None = None) -> None:
        """Let what was claimed and not begun be claimed again, no attempt charged."""
        self._messages.forget(deliveries)
        self._outcomes += [(each, Outcome(each, DeliveryState.PENDING, reply)) for each in deliveries]
        if deliveries:
            # Before the next look at the queue, which is not quiet then.
            self._record_at_once, self._claims.quiet = True, False

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
            self._connections.wait(left)
            self._connections.expire()
        self._connections.close("the worker ends")
        self._follow_up()
        self._put_back(self._claims.give_back())
        self._record()
        self._receipts.close()


@contextlib.contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage in cycles less often: a batch makes many rows, and hardly any cycle."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def deliver(
    settings: Settings,
    clock: Callable[[], datetime],
    *,
    drain: bool = False,
    rehearsal: datetime | None = None,
    stop: Callable[[], bool] = lambda: False,
    connections: int = IN_FLIGHT,
) -> Counts:
    """Send what is due, lane by lane: one batch, or with `drain` until nothing due is left or the relay is gone."""
    run = Run(clock, stop, drain=drain, once=not drain, rehearsal=rehearsal, connections=connections)
    return Worker(settings, run).run()
