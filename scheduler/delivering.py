"""The sender: claim, splice, send, record; no transaction is open while the network is used.

A digest is composed and encoded once, then spliced for each recipient. Every 250 is recorded before the
next message begins, so that a kill can double one message at the most. Leases and retries run on the real
clock; `now` decides only what has lapsed.
"""

import os
import random
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr
from functools import cached_property

import structlog

from alerts_service.config import Settings
from alerts_service.errors import NotFound
from alerts_service.mail.encode import EncodingRefused, Stencil, Words, stencil
from alerts_service.mail.relay import Relay, RelayDown
from alerts_service.models import DeliveryState, MailKind
from alerts_service.rules import replies, retries, tokens
from alerts_service.rules.replies import Meaning, Reply
from alerts_service.services import editions, mailing, outbox, settling, suppressing
from alerts_service.services.outbox import Claimed, Outcome

BATCH = 50
_STENCILS_KEPT = 200
_LIST_MAIL = {MailKind.DIGEST, MailKind.WELCOME}
_RELAY_DOWN_WAIT = timedelta(seconds=15)

log = structlog.get_logger()


@dataclass
class Counts:
    """What one run of the sender did."""

    sent: int = 0
    retrying: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass
class Sender:
    """One worker: its connection to the relay, and the stencils of the digests it is sending."""

    settings: Settings
    clock: Callable[[], datetime]
    rehearsal: datetime | None = None
    chance: random.Random = field(default_factory=random.Random)
    counts: Counts = field(default_factory=Counts)
    name: str = field(default_factory=lambda: f"{socket.gethostname()[:20]}-{os.getpid()}-{secrets.token_hex(4)}")
    _stencils: dict[int, Stencil] = field(default_factory=dict)
    # Editions paused in this round because the relay refuses us: what was claimed of them goes back.
    _held: set[int] = field(default_factory=set)

    @cached_property
    def relay(self) -> Relay:
        """The connection, made when the first message goes out."""
        return Relay(self.settings.smtp_url)

    @cached_property
    def domain(self) -> str:
        """The right-hand side of every Message-ID."""
        return mailing.message_domain()

    def now(self) -> datetime:
        """The moment at which things lapse: the rehearsal's, or the real one."""
        return self.rehearsal or self.clock()

    def round(self, stop: Callable[[], bool]) -> bool:
        """Claim one batch and see it through; return whether there was anything to do and the relay was there."""
        clock = self.clock()
        outbox.take_back(clock)
        claim = outbox.claim(self.name, BATCH, settings=self.settings, now=self.now(), clock=clock)
        self.counts.cancelled += claim.not_allowed
        if claim.unsettled:
            self.counts.cancelled += settling.settle(claim.unsettled, now=self.now())
        # Whoever was kept longer than that, by a slow relay or a stopped process, no longer owns the rest.
        lease_until = clock + timedelta(seconds=self.settings.lease_seconds)
        waiting = list(claim.deliveries)
        usable = True
        self._held.clear()
        while waiting and usable and not stop() and self.clock() < lease_until:
            usable = self._see_through(waiting.pop(0))
            if self._held:
                waiting = self._without_held(waiting)
        self._put_back(waiting)
        return usable and not stop() and bool(claim.deliveries or claim.unsettled or claim.not_allowed)

    def _see_through(self, delivery: Claimed) -> bool:
        """Send one message and record its fate; return False when the relay cannot be used now."""
        try:
            message = self._message(delivery)
        except (EncodingRefused, NotFound) as error:
            self._record(delivery, DeliveryState.FAILED, reason=str(error)[:200])
            self.counts.failed += 1
            return True
        sender = parseaddr(self._from(delivery))[1]
        try:
            reply = self.relay.send(sender, delivery.address, message)
        except RelayDown as error:
            log.warning("relay cannot be used; mail waits", reason=str(error), uncertain=error.uncertain)
            self._requeue(delivery, str(error), wait=timedelta(0) if error.uncertain else _RELAY_DOWN_WAIT)
            return False
        self._act(delivery, reply)
        return True

    def _act(self, delivery: Claimed, reply: Reply) -> None:
        """Do what a reply means."""
        match replies.meaning(reply):
            case Meaning.SENT:
                self._record(delivery, DeliveryState.SENT, reply=str(reply), relay_id=reply.text[:200])
                self.counts.sent += 1
            case Meaning.REQUEUE:
                self._requeue(delivery, str(reply), wait=timedelta(seconds=1))
            case Meaning.RETRY:
                self._retry(delivery, reply)
            case Meaning.WE_ARE_REFUSED if delivery.edition_id is not None:
                self._hold(delivery, reply)
            case meaning:
                self._fail(delivery, reply, dead=meaning is Meaning.ADDRESS_DEAD)

    def _retry(self, delivery: Claimed, reply: Reply) -> None:
        clock = self.clock()
        give_up_at = delivery.give_up_at or clock + retries.GIVE_UP_AFTER
        if clock >= give_up_at:
            self._fail(delivery, reply, dead=False)
            return
        first = timedelta(seconds=self.settings.retry_seconds)
        due_at = retries.next_try(delivery.attempts + 1, first, clock, self.chance)
        self._record(
            delivery,
            DeliveryState.PENDING,
            reply=str(reply),
            attempts=1,
            due_at=due_at,
            give_up_at=give_up_at,
        )
        self.counts.retrying += 1

    def _hold(self, delivery: Claimed, reply: Reply) -> None:
        """The relay refuses us or our words: every other message of the edition would meet the same."""
        assert delivery.edition_id is not None
        log.error("the relay refuses us; the edition is paused", edition=delivery.edition_id, reply=str(reply))
        editions.pause(delivery.edition_id, reason=f"The relay said: {reply}", now=self.clock())
        self._held.add(delivery.edition_id)
        self._requeue(delivery, str(reply), wait=timedelta(0))

    def _fail(self, delivery: Claimed, reply: Reply, *, dead: bool) -> None:
        self._record(delivery, DeliveryState.FAILED, reply=str(reply), attempts=1)
        self.counts.failed += 1
        if dead:
            suppressing.suppress(
                delivery.address, suppressing.BOUNCE, str(reply), settings=self.settings, now=self.clock()
            )

    def _requeue(self, delivery: Claimed, reply: str, *, wait: timedelta) -> None:
        """Back to the queue, no attempt charged."""
        due_at = self.clock() + wait
        self._record(delivery, DeliveryState.PENDING, reply=reply, due_at=due_at, give_up_at=delivery.give_up_at)
        self.counts.retrying += 1

    def _without_held(self, waiting: list[Claimed]) -> list[Claimed]:
        """Give back what belongs to an edition paused meanwhile; return the rest."""
        self._put_back([delivery for delivery in waiting if delivery.edition_id in self._held])
        return [delivery for delivery in waiting if delivery.edition_id not in self._held]

    def _put_back(self, deliveries: list[Claimed]) -> None:
        """Give back what was claimed and not begun."""
        outcomes = [Outcome(delivery, DeliveryState.PENDING) for delivery in deliveries]
        if outcomes:
            outbox.record(self.name, outcomes, clock=self.clock())

    def _record(
        self,
        delivery: Claimed,
        state: DeliveryState,
        *,
        reply: str | None = None,
        reason: str | None = None,
        relay_id: str | None = None,
        attempts: int = 0,
        due_at: datetime | None = None,
        give_up_at: datetime | None = None,
    ) -> None:
        outcome = Outcome(delivery, state, reply, reason, relay_id, attempts, due_at, give_up_at)
        outbox.record(self.name, [outcome], clock=self.clock())

    def _message(self, delivery: Claimed) -> bytes:
        settings, clock = self.settings, self.clock()
        assert settings.permanent_key, "checked at start"
        subscriber = delivery.subscriber_id or (delivery.details or {}).get("subscriber") or 0
        return self._stencil(delivery, clock).fill(
            address=delivery.address,
            message_id=mailing.message_id(
                delivery_id=delivery.id,
                kind=delivery.kind,
                address=delivery.address,
                frequency=delivery.frequency,
                slot_at=delivery.slot_at,
                domain=self.domain,
                settings=settings,
            ),
            date=clock,
            unsubscribe=tokens.unsubscribe_token(settings.permanent_key, subscriber, delivery.digest_id or 0),
            preferences=tokens.preferences_token(settings.secret_keys[0], subscriber, clock),
        )

    def _stencil(self, delivery: Claimed, clock: datetime) -> Stencil:
        if delivery.digest_id is None:
            words = mailing.letter_words(delivery, settings=self.settings, now=clock)
            return self._encode(delivery, words)
        made = self._stencils.get(delivery.digest_id)
        if made is None:
            words = mailing.digest_words(delivery.digest_id, settings=self.settings)
            made = self._encode(delivery, words)
            if len(self._stencils) >= _STENCILS_KEPT:
                self._stencils.pop(next(iter(self._stencils)))
            self._stencils[delivery.digest_id] = made
        return made

    def _encode(self, delivery: Claimed, words: Words) -> Stencil:
        list_mail = delivery.kind in _LIST_MAIL
        return stencil(words, settings=self.settings, list_mail=list_mail, from_address=self._from(delivery))

    def _from(self, delivery: Claimed) -> str:
        return self.settings.from_address if delivery.kind in _LIST_MAIL else self.settings.service_from

    def close(self) -> None:
        """End the session with the relay."""
        self.relay.close()


def deliver(
    settings: Settings,
    clock: Callable[[], datetime],
    *,
    drain: bool = False,
    rehearsal: datetime | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Counts:
    """Send what is due, lane by lane: one batch, or with `drain` until nothing due is left or the relay is gone."""
    sender = Sender(settings, clock, rehearsal)
    try:
        while sender.round(stop) and drain:
            pass
    finally:
        sender.close()
    return sender.counts
