"""The outbox: claim deliveries with a lease, record what became of them, take back stale claims.

A claim looks at the head of the queue, lane by lane, and parts what it sees: deliveries that may go out
are claimed; those whose person or digest may have changed since the compile are handed to settling.
Core statements, no objects. A record is fenced by owner and claim number: who lost the lease writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true, update
from sqlalchemy.orm import Session, aliased

from alerts_service.config import Settings
from alerts_service.db import db, is_postgresql, transaction
from alerts_service.models import Delivery, DeliveryState, Digest, Edition, MailKind, Subscriber, Suppression

NOT_ALLOWED = "not allowed here"
_D = Delivery.__table__.c


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Outcome:
    """What became of a claimed delivery: its next state, and what goes into the record."""

    delivery: Claimed
    state: DeliveryState
    reply: str | None = None
    reason: str | None = None
    relay_id: str | None = None
    attempts: int = 0
    due_at: datetime | None = None
    give_up_at: datetime | None = None


def count() -> int:
    """Return how many deliveries have not ended."""
    ended_not = Delivery.state.in_([DeliveryState.PENDING, DeliveryState.SENDING])
    return db.session.scalar(select(func.count()).select_from(Delivery).where(ended_not)) or 0


def take_back(clock: datetime) -> int:
    """Return stale claims to the queue; no attempt is charged. `clock` is the real time."""
    stale = and_(Delivery.state == DeliveryState.SENDING, Delivery.lease_until < clock)
    if db.session.scalar(select(Delivery.id).where(stale).limit(1)) is None:
        db.session.rollback()
        return 0
    with transaction() as session:
        result = session.execute(update(Delivery).where(stale).values(**_QUEUED))
        return int(result.rowcount)  # type: ignore[attr-defined]


_QUEUED = {"state": DeliveryState.PENDING, "claimed_by": None, "lease_until": None}


def claim(worker: str, limit: int, *, settings: Settings, now: datetime, clock: datetime) -> Claim:
    """Take up to `limit` due deliveries for one worker.

    `now` decides what has lapsed (a rehearsal may move it); `clock`, the real time, what is due and until
    when the lease runs. Addresses that this installation may not mail end cancelled here.
    """
    with transaction() as session:
        rows = session.execute(_head_of_queue(limit, now, clock)).all()
        found = Claim(unsettled=[row.id for row in rows if not row.settled])
        free = [row for row in rows if row.settled]
        allowed = [row.id for row in free if settings.may_mail(row.address)]
        refused = [row.id for row in free if not settings.may_mail(row.address)]
        if refused:
            found.not_allowed = len(refused)
            values = {"state": DeliveryState.CANCELLED, "reason": NOT_ALLOWED}
            session.execute(update(Delivery).where(Delivery.id.in_(refused)).values(**values))
        if allowed:
            lease_until = clock + timedelta(seconds=settings.lease_seconds)
            found.deliveries = _take(session, worker, allowed, lease_until)
        return found


def record(worker: str, outcomes: Sequence[Outcome], *, clock: datetime) -> int:
    """Write what became of claimed deliveries; return how many were still this worker's."""
    written = 0
    with transaction() as session:
        for outcome in outcomes:
            mine = (
                Delivery.id == outcome.delivery.id,
                Delivery.state == DeliveryState.SENDING,
                Delivery.claimed_by == worker,
                Delivery.claim_number == outcome.delivery.claim_number,
            )
            result = session.execute(update(Delivery).where(*mine).values(**_values(outcome, clock)))
            written += int(result.rowcount)  # type: ignore[attr-defined]
    return written


def next_due(clock: datetime) -> bool:
    """Say whether anything is due now, held editions apart."""
    due = (
        select(Delivery.id)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.state == DeliveryState.PENDING, Delivery.due_at <= clock, Edition.paused_at.is_(None))
    )
    found = db.session.scalar(due.limit(1)) is not None
    db.session.rollback()
    return found


def _head_of_queue(limit: int, now: datetime, clock: datetime) -> Select[*tuple[Any, ...]]:
    address = func.coalesce(_D.address, Subscriber.address)
    address_hash = func.coalesce(_D.address_hash, Subscriber.address_hash)
    suppressed = select(Suppression.id).where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None))
    query = (
        select(_D.id, address.label("address"), and_(~suppressed.exists(), _unchanged(now)).label("settled"))
        .select_from(Delivery)
        .outerjoin(Subscriber, Subscriber.id == _D.subscriber_id)
        .outerjoin(Edition, Edition.id == _D.edition_id)
        .outerjoin(Digest, Digest.id == _D.digest_id)
        .where(_D.state == DeliveryState.PENDING, _D.due_at <= clock, Edition.paused_at.is_(None))
        .order_by(_D.lane, _D.due_at, _D.id)
        .limit(limit)
    )
    return query.with_for_update(of=Delivery, skip_locked=True) if is_postgresql() else query


def _unchanged(now: datetime) -> ColumnElement[bool]:
    """Neither the person nor the digest has changed since the compile; and nobody who has left is welcomed."""
    digest = and_(Subscriber.narrowed_at.is_(None), or_(Digest.recheck_at.is_(None), Digest.recheck_at > now))
    welcomed = aliased(Subscriber)
    left = select(welcomed.id).where(welcomed.address_hash == _D.address_hash, welcomed.ended_at.is_not(None))
    return case((_D.kind == MailKind.WELCOME, ~left.exists()), (_D.digest_id.is_(None), true()), else_=digest)


def _take(session: Session, worker: str, ids: list[int], lease_until: datetime) -> list[Claimed]:
    present = select(Subscriber.address).where(Subscriber.id == Delivery.subscriber_id).scalar_subquery()
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(
            state=DeliveryState.SENDING,
            claimed_by=worker,
            claim_number=Delivery.claim_number + 1,
            lease_until=lease_until,
            address=func.coalesce(Delivery.address, present),
        )
        .execution_options(synchronize_session=False)
    )
    own = [_D[name] for name in Claimed.__dataclass_fields__ if name in _D]
    rows = session.execute(
        select(*own, Edition.frequency, Edition.slot_at)
        .select_from(Delivery)
        .outerjoin(Edition, Edition.id == _D.edition_id)
        .where(_D.id.in_(ids))
        .order_by(_D.lane, _D.due_at, _D.id)
    )
    return [Claimed(**row) for row in rows.mappings()]


def _values(outcome: Outcome, clock: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": outcome.state,
        "reply": outcome.reply,
        "reason": outcome.reason,
        "relay_id": outcome.relay_id,
        "attempts": Delivery.attempts + outcome.attempts,
        "claimed_by": None,
        "lease_until": None,
    }
    if outcome.state is DeliveryState.SENT:
        values["sent_at"] = clock
    if outcome.due_at is not None:
        values |= {"due_at": outcome.due_at, "give_up_at": outcome.give_up_at}
    return values
