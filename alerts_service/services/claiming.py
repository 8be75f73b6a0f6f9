"""Claiming: taking due deliveries for one worker, with a lease.

A claim looks at the transactional mails, then at the editions that may go out, urgent ones first, and parts
what it sees: deliveries that may go out are claimed; those whose person or digest may have changed since the
compile are handed to settling; what a rate limit has no turn for is put off. Core statements, no objects.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, text, true, update
from sqlalchemy.orm import Session, aliased

from alerts_service.config import Settings
from alerts_service.db import as_stored, is_postgresql, reading, rows, transaction
from alerts_service.models import (
    AT_ONCE,
    IS_PENDING,
    Delivery,
    DeliveryState,
    Digest,
    Edition,
    Lane,
    MailKind,
    Subscriber,
    Suppression,
)
from alerts_service.rules.pacing import Waiting
from alerts_service.services import rates
from alerts_service.services.fencing import Fence

NOT_ALLOWED = "not allowed here"
_D = Delivery.__table__.c


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
    put_off: int = 0

    @property
    def found_something(self) -> bool:
        """Whether it is worth looking again."""
        return bool(self.deliveries or self.unsettled or self.not_allowed or self.put_off)


def claim(
    worker: str,
    limit: int,
    *,
    settings: Settings,
    now: datetime,
    clock: datetime,
    transactional_only: bool = False,
    fence: Fence | None = None,
) -> Claim:
    """Take up to `limit` due deliveries for one worker.

    `now` decides what has lapsed (a rehearsal may move it); `clock`, the real time, what is due and until
    when the lease runs. Addresses that this installation may not mail end cancelled here; what a rate limit
    has no turn for is put off. Raises SendingHeld through the `fence`, which is renewed for what is taken.
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
        free = _paced(session, free, found, settings, clock)
        if free:
            _take(session, worker, free, clock + timedelta(seconds=settings.lease_seconds))
            found.deliveries = [_claimed(row) for row in free]
            if fence:
                fence.renew(session, found.deliveries, clock=clock)
        return found


def anything_due(clock: datetime) -> bool:
    """Say whether anything could be claimed now: a look without a write, for those who wait."""
    with reading() as session:
        return any(
            session.execute(select(_D.id).where(*source).limit(1)).first() is not None
            for source in _sources(session, clock)
        )


def _sources(session: Session, clock: datetime, *, editions: bool = True) -> Iterator[Sequence[ColumnElement[bool]]]:
    """Yield the parts of the queue, in order: transactional mails, then each edition that may go out.

    Edition by edition: one that is paused, or held for a later day, costs a claim nothing, however long it is.
    """
    due = (IS_PENDING, _D.due_at <= clock)
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
            _D.lane,
            _D.due_at,
            _D.paced_at,
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


def _paced(session: Session, due: list[Any], found: Claim, settings: Settings, clock: datetime) -> list[Any]:
    """Return those that rate limits let go now; put the others off."""
    asking = [
        # Seeds wait for nobody, as the rest waits for them.
        Waiting(
            row.id,
            row.address.rpartition("@")[2].lower(),
            Lane.TRANSACTIONAL if row.due_at < AT_ONCE else row.lane,
            row.paced_at is not None,
        )
        for row in due
    ]
    if not asking:
        return due
    admitted = rates.admit(session, asking, settings=settings, clock=clock)
    if not admitted.later:
        return due
    rates.postpone(session, admitted.later)
    found.put_off = len(admitted.later)
    return [row for row in due if row.id not in admitted.later]


def _unchanged(now: datetime) -> ColumnElement[bool]:
    """Neither the person nor the digest has changed since the compile; and nobody who has left is welcomed."""
    digest = and_(Subscriber.narrowed_at.is_(None), or_(Digest.recheck_at.is_(None), Digest.recheck_at > now))
    welcomed = aliased(Subscriber)
    left = select(welcomed.id).where(welcomed.address_hash == _D.address_hash, welcomed.ended_at.is_not(None))
    return case((_D.kind == MailKind.WELCOME, ~left.exists()), (_D.digest_id.is_(None), true()), else_=digest)


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
