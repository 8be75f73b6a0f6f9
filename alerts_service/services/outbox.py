"""The outbox: claim deliveries with a lease, record what became of them, take back stale claims.

A claim looks at the transactional mails, then at the editions that may go out, urgent ones first, and parts
what it sees: deliveries that may go out are claimed; those whose person or digest may have changed since the
compile are handed to settling. Core statements, no objects, one statement a batch. A record is fenced by owner
and claim number: who lost the lease writes nothing.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, text, true, update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import as_stored, db, is_postgresql, reading, rows, transaction
from alerts_service.models import AT_ONCE, Delivery, DeliveryState, Digest, Edition, Subscriber, Suppression

NOT_ALLOWED = "not allowed here"
_D = Delivery.__table__.c
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


class Fenced(Protocol):
    """What a record is about: a delivery, and which claim of it."""

    @property
    def id(self) -> int:
        """The delivery."""

    @property
    def claim_number(self) -> int:
        """How often it had been claimed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in the hands of one worker until its lease ends."""

    id: int
    claim_number: int
    kind: str
    address: str
    subscriber_id: int | None
    edition_id: int | None
    digest_id: int | None
    details: dict[str, Any] | None
    attempts: int
    give_up_at: datetime | None
    # Of its edition, where it has one.
    frequency: str | None
    slot_at: datetime | None


@dataclass
class Claim:
    """What one look at the queue gave: deliveries to send, and ids that have to be settled first."""

    deliveries: list[Claimed] = field(default_factory=list)
    unsettled: list[int] = field(default_factory=list)
    not_allowed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claimed delivery: its next state, and what goes into the record."""

    delivery: Fenced
    state: DeliveryState
    reply: str | None = None
    reason: str | None = None
    relay_id: str | None = None
    attempts: int = 0
    due_at: datetime | None = None
    give_up_at: datetime | None = None
    sent_at: datetime | None = None


def count() -> int:
    """Return how many deliveries have not ended."""
    return db.session.scalar(select(func.count()).select_from(Delivery).where(Delivery.state.in_(_OPEN))) or 0


def claim(
    worker: str,
    limit: int,
    *,
    settings: Settings,
    now: datetime,
    clock: datetime,
    transactional_only: bool = False,
) -> Claim:
    """Take up to `limit` due deliveries for one worker.

    `now` decides what has lapsed (a rehearsal may move it); `clock`, the real time, what is due and until
    when the lease runs. Addresses that this installation may not mail end cancelled here.
    """
    with transaction() as session:
        found = Claim()
        seen = list(_head_of_queue(session, limit, now, clock, transactional_only))
        found.unsettled = [row.id for row in seen if not row.settled]
        free = [row for row in seen if row.settled]
        refused = [row.id for row in free if not settings.may_mail(row.address)]
        if refused:
            found.not_allowed = len(refused)
            values = {"state": DeliveryState.CANCELLED, "reason": NOT_ALLOWED}
            session.execute(update(Delivery).where(Delivery.id.in_(refused)).values(**values))
            free = [row for row in free if settings.may_mail(row.address)]
        if free:
            _take(session, worker, free, clock + timedelta(seconds=settings.lease_seconds))
            found.deliveries = [_claimed(row) for row in free]
        return found


def anything_due(clock: datetime) -> bool:
    """Say whether anything could be claimed now: a look without a write, for those who wait."""
    with reading() as session:
        return any(
            session.execute(select(_D.id).where(*source).limit(1)).first() is not None
            for source in _sources(session, clock)
        )


def record(worker: str, outcomes: Sequence[Outcome], *, clock: datetime) -> int:
    """Write what became of claimed deliveries; return how many were still this worker's."""
    if not outcomes:
        return 0
    given = rows(
        "given",
        id="bigint",
        number="int",
        state="text",
        reply="text",
        reason="text",
        relay_id="text",
        attempts="int",
        due_at="timestamptz",
        give_up_at="timestamptz",
        sent_at="timestamptz",
    )
    statement = text(
        f"""
UPDATE deliveries SET state = given.state, reply = given.reply, reason = given.reason, relay_id = given.relay_id,
  attempts = deliveries.attempts + given.attempts, sent_at = given.sent_at, claimed_by = NULL, lease_until = NULL,
  due_at = coalesce(given.due_at, deliveries.due_at), give_up_at = coalesce(given.give_up_at, deliveries.give_up_at),
  paced_at = CASE WHEN given.attempts > 0 THEN NULL ELSE deliveries.paced_at END
FROM {given}
WHERE deliveries.id = given.id AND deliveries.state = 'sending' AND deliveries.claimed_by = :worker
  AND deliveries.claim_number = given.number"""  # noqa: S608 - names of our own
    )
    plain = json.dumps([_plain(outcome, clock) for outcome in outcomes])
    with transaction() as session:
        result = session.execute(statement, {"given": plain, "worker": worker})
        return int(result.rowcount)  # type: ignore[attr-defined]


def renew(worker: str, lease_until: datetime) -> None:
    """Hold everything a worker has for longer."""
    with transaction() as session:
        mine = (Delivery.state == DeliveryState.SENDING, Delivery.claimed_by == worker)
        session.execute(update(Delivery).where(*mine).values(lease_until=lease_until))


def owners_of_stale_claims(clock: datetime) -> list[str]:
    """Return the workers whose leases have run out."""
    with reading() as session:
        query = select(_D.claimed_by).where(_D.state == DeliveryState.SENDING, _D.lease_until < clock).distinct()
        return [owner for owner in session.scalars(query) if owner]


def take_back(clock: datetime) -> int:
    """Return stale claims to the queue; no attempt is charged. `clock` is the real time."""
    return _take_back(Delivery.lease_until < clock)


def take_back_from(worker: str) -> int:
    """Return to the queue what a worker held that is known to have ended."""
    return _take_back(Delivery.claimed_by == worker)


def _take_back(which: ColumnElement[bool]) -> int:
    with transaction() as session:
        stale = and_(Delivery.state == DeliveryState.SENDING, which)
        values = {"state": DeliveryState.PENDING, "claimed_by": None, "lease_until": None}
        return int(session.execute(update(Delivery).where(stale).values(**values)).rowcount)  # type: ignore[attr-defined]


def _sources(session: Session, clock: datetime, *, editions: bool = True) -> Iterator[Sequence[ColumnElement[bool]]]:
    """Yield the parts of the queue, in order: transactional mails, then each edition that may go out.

    Edition by edition: one that is paused, or held for a later day, costs a claim nothing, however long it is.
    """
    due = (_D.state == DeliveryState.PENDING, _D.due_at <= clock)
    yield (_D.edition_id.is_(None), *due)
    if not editions:
        return
    going = (
        select(Edition.id, Edition.held_until)
        .where(Edition.paused_at.is_(None), Edition.tallied_at.is_(None))
        .order_by(Edition.urgent.desc(), Edition.id)
    )
    for edition_id, held_until in session.execute(going).all():
        # Its seeds are due before all others.
        held = held_until is not None and held_until > clock
        yield (_D.edition_id == edition_id, *due, *([_D.due_at < AT_ONCE] if held else []))


def _head_of_queue(
    session: Session, limit: int, now: datetime, clock: datetime, transactional_only: bool
) -> Iterator[Any]:
    for source in _sources(session, clock, editions=not transactional_only):
        found = session.execute(_head(source, limit, now)).all()
        yield from found
        limit -= len(found)
        if limit <= 0:
            return


def _head(source: Sequence[ColumnElement[bool]], limit: int, now: datetime) -> Select[*tuple[Any, ...]]:
    address = func.coalesce(_D.address, Subscriber.address)
    address_hash = func.coalesce(_D.address_hash, Subscriber.address_hash)
    suppressed = select(Suppression.id).where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None))
    own = [_D[name] for name in Claimed.__dataclass_fields__ if name in _D and name != "address"]
    query = (
        select(
            *own,
            address.label("address"),
            Edition.frequency,
            Edition.slot_at,
            and_(~suppressed.exists(), _unchanged(now)).label("settled"),
        )
        .select_from(Delivery)
        .outerjoin(Subscriber, Subscriber.id == _D.subscriber_id)
        .outerjoin(Edition, Edition.id == _D.edition_id)
        .outerjoin(Digest, Digest.id == _D.digest_id)
        .where(*source)
        .order_by(_D.due_at, _D.id)
        .limit(limit)
    )
    return query.with_for_update(of=Delivery, skip_locked=True) if is_postgresql() else query


def _unchanged(now: datetime) -> ColumnElement[bool]:
    """Neither the person nor the digest has changed since the compile."""
    digest = and_(Subscriber.narrowed_at.is_(None), or_(Digest.recheck_at.is_(None), Digest.recheck_at > now))
    return case((_D.digest_id.is_(None), true()), else_=digest)


def _take(session: Session, worker: str, found: Iterable[Any], lease_until: datetime) -> None:
    statement = text(
        f"""
UPDATE deliveries SET state = 'sending', claimed_by = :worker, claim_number = claim_number + 1,
  lease_until = {"CAST(:lease_until AS timestamptz)" if is_postgresql() else ":lease_until"}, address = taken.address
FROM {rows("taken", id="bigint", address="text")} WHERE deliveries.id = taken.id"""  # noqa: S608 - names of our own
    )
    taken = json.dumps([{"id": row.id, "address": row.address} for row in found])
    session.execute(statement, {"taken": taken, "worker": worker, "lease_until": as_stored(lease_until)})


def _claimed(row: Any) -> Claimed:
    return Claimed(
        row.id,
        row.claim_number + 1,
        row.kind,
        row.address,
        row.subscriber_id,
        row.edition_id,
        row.digest_id,
        row.details,
        row.attempts,
        row.give_up_at,
        row.frequency,
        row.slot_at,
    )


def _plain(outcome: Outcome, clock: datetime) -> dict[str, object]:
    sent = outcome.sent_at or clock if outcome.state is DeliveryState.SENT else None
    moments = {"due_at": outcome.due_at, "give_up_at": outcome.give_up_at, "sent_at": sent}
    return {
        "id": outcome.delivery.id,
        "number": outcome.delivery.claim_number,
        "state": outcome.state,
        "reply": outcome.reply,
        "reason": outcome.reason,
        "relay_id": outcome.relay_id,
        "attempts": outcome.attempts,
        **{name: as_stored(moment) if moment else None for name, moment in moments.items()},
    }
