"""Settling: pending deliveries whose person or digest has changed since the compile.

A lapsed digest (an update withdrawn, expired, its event over) is settled as a whole: its pending
deliveries move to the reduced digest, or end cancelled where nothing is left. A person who left, paused or was
suppressed is settled alone. All of it runs under the turnstile, so that no compile can be half-way
through the same people. What an update loses here is counted in `drops`, which keeps its proof exact.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from alerts_service.db import taking_turns, transaction, upsert
from alerts_service.models import (
    REMINDER,
    CatchUp,
    CoveredFrequency,
    Delivery,
    DeliveryState,
    Digest,
    DigestUpdate,
    Drop,
    Edition,
    MailKind,
    Subscriber,
    Subscription,
    Update,
    UpdateTopic,
)
from alerts_service.services import digests, preferences, suppressing

SUPPRESSED = "suppressed"
PAUSED = "paused"
LEFT = "left"
WITHDRAWN = "withdrawn"
EXPIRED = "expired"


@taking_turns
def settle(delivery_ids: Sequence[int], *, now: datetime) -> int:
    """Settle the deliveries a claim passed over; return how many ended cancelled."""
    with transaction(turn=True) as session:
        rows = session.scalars(
            select(Delivery).where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.PENDING)
        ).all()
        cancelled = 0
        for digest_id in sorted({row.digest_id for row in rows if row.digest_id is not None}):
            cancelled += _settle_digest(session, session.get_one(Digest, digest_id), now)
        for row in rows:
            if row.subscriber_id is None:
                cancelled += _settle_letter(session, row)
        for subscriber_id in sorted({row.subscriber_id for row in rows if row.subscriber_id is not None}):
            cancelled += _settle_person(session, session.get_one(Subscriber, subscriber_id), now)
        return cancelled


def _settle_letter(session: Session, row: Delivery) -> int:
    if row.address_hash is None:
        return 0
    if suppressing.standing(session, row.address_hash) is not None:
        row.reason = SUPPRESSED
    elif row.kind == MailKind.WELCOME and _has_left(session, row.address_hash):
        row.reason = LEFT
    else:
        return 0
    row.state = DeliveryState.CANCELLED
    return 1


def _has_left(session: Session, address_hash: str) -> bool:
    query = select(Subscriber.id).where(Subscriber.address_hash == address_hash, Subscriber.ended_at.is_not(None))
    return session.scalar(query) is not None


def _settle_digest(session: Session, digest: Digest, now: datetime) -> int:
    if digest.recheck_at is None or digest.recheck_at > now:
        return 0
    updates = _updates_of(session, digest.id)
    reminds = _reminds(session, digest)
    dropped = {row.id: _lapse(row) for row in updates if not _is_live(row, now, reminds=reminds)}
    kept = frozenset(row.id for row in updates) - dropped.keys()
    pending = (Delivery.digest_id == digest.id, Delivery.state == DeliveryState.PENDING)
    if not dropped:
        return 0
    if not kept:
        return _change(session, pending, {"state": DeliveryState.CANCELLED, "reason": min(dropped.values())})
    reduced = digests.ensure(session, digest.edition_id, digest.locale, kept)
    # Seeds move along, and stand outside the proof.
    _change(session, (*pending, Delivery.subscriber_id.is_(None)), {"digest_id": reduced})
    moved = _change(session, pending, {"digest_id": reduced})
    _count_drops(session, digest.id, dropped, moved)
    return 0


def _settle_person(session: Session, person: Subscriber, now: datetime) -> int:
    """Look again at everything a person has pending; then the mark of the change can go."""
    suppressed = suppressing.standing(session, person.address_hash) is not None
    if person.narrowed_at is None and not suppressed:
        return 0
    away = preferences.is_away(person, now)
    pending = session.scalars(
        select(Delivery).where(
            Delivery.subscriber_id == person.id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.digest_id.is_not(None),
        )
    ).all()
    cancelled = 0
    for row in pending:
        if suppressed or away:
            row.state, row.reason = DeliveryState.CANCELLED, SUPPRESSED if suppressed else PAUSED
            cancelled += 1
            if not suppressed and not _reminds(session, session.get_one(Digest, row.digest_id)):
                _owe_again(session, person, _updates_of(session, row.digest_id or 0))
        else:
            cancelled += _narrow(session, person, row)
    session.flush()
    busy_until = _busy_until(session, person)
    if busy_until is None:
        person.narrowed_at = None
    else:
        # What is being sent may come back to the queue: keep the mark, and come again when it is known.
        _defer(session, person, busy_until)
    return cancelled


def _narrow(session: Session, person: Subscriber, row: Delivery) -> int:
    """Take out of one delivery what its person no longer follows."""
    digest = session.get_one(Digest, row.digest_id)
    updates = _updates_of(session, digest.id)
    kept = frozenset(u.id for u in updates if _still_follows(session, person, u))
    dropped = {u.id: LEFT for u in updates if u.id not in kept}
    if not dropped:
        return 0
    if not kept:
        row.state, row.reason = DeliveryState.CANCELLED, LEFT
        return 1
    row.digest_id = digests.ensure(session, digest.edition_id, digest.locale, kept)
    _count_drops(session, digest.id, dropped, 1)
    return 0


def _still_follows(session: Session, person: Subscriber, row: Update) -> bool:
    query = (
        select(Subscription.id)
        .join(UpdateTopic, UpdateTopic.topic_id == Subscription.topic_id)
        .where(
            Subscription.subscriber_id == person.id,
            Subscription.ended_at.is_(None),
            Subscription.since_seq < row.seq,
            UpdateTopic.update_id == row.id,
        )
    )
    return session.scalar(query.limit(1)) is not None


def _owe_again(session: Session, person: Subscriber, updates: Iterable[Update]) -> None:
    """Lower every mark of a person so that the updates are found again; marks may only err low."""
    mark = min(row.seq or 0 for row in updates) - 1
    # Locked: a change of frequency at this moment would carry the old mark over.
    rows = session.scalars(
        select(Subscription)
        .where(Subscription.subscriber_id == person.id, Subscription.ended_at.is_(None))
        .order_by(Subscription.id)
        .with_for_update()
    )
    # A row without a mark stands where its frequency does, which may be lower than what was cancelled.
    covered = {row.frequency: row.covered_seq for row in session.scalars(select(CoveredFrequency))}
    values = [
        {
            "subscription_id": row.id,
            "frequency": row.frequency,
            "subscriber_id": person.id,
            "from_seq": min(mark, covered[row.frequency]),
        }
        for row in rows
    ]
    if not values:
        return
    statement = upsert(CatchUp).values(values)
    lower = statement.excluded.from_seq
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[CatchUp.subscription_id], set_={"from_seq": lower}, where=CatchUp.from_seq > lower
        )
    )


def _busy_until(session: Session, person: Subscriber) -> datetime | None:
    """Return when the last lease on something being sent to a person ends."""
    query = select(func.max(Delivery.lease_until)).where(
        Delivery.subscriber_id == person.id, Delivery.state == DeliveryState.SENDING
    )
    return session.scalar(query)


def _defer(session: Session, person: Subscriber, due_at: datetime) -> None:
    _change(session, (Delivery.subscriber_id == person.id, Delivery.state == DeliveryState.PENDING), {"due_at": due_at})


def _updates_of(session: Session, digest_id: int) -> list[Update]:
    query = select(Update).join(DigestUpdate, DigestUpdate.update_id == Update.id)
    return list(session.scalars(query.where(DigestUpdate.digest_id == digest_id)))


def _reminds(session: Session, digest: Digest) -> bool:
    """Say whether a digest is a reminder: who loses one is not owed it again."""
    return session.get_one(Edition, digest.edition_id).frequency == REMINDER


def _is_live(row: Update, now: datetime, *, reminds: bool) -> bool:
    """Say whether an update can still be given; a reminder is of no use once the event has begun."""
    ends = [row.lapses_at, row.starts_at if reminds else None]
    return row.withdrawn_at is None and all(at is None or at > now for at in ends)


def _lapse(row: Update) -> str:
    return WITHDRAWN if row.withdrawn_at is not None else EXPIRED


def _change(session: Session, which: tuple[object, ...], values: dict[str, object]) -> int:
    statement = update(Delivery).where(*which).values(**values)  # type: ignore[arg-type]
    result = session.execute(statement.execution_options(synchronize_session="fetch"))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _count_drops(session: Session, digest_id: int, dropped: dict[int, str], recipients: int) -> None:
    for update_id, reason in dropped.items():
        row = session.get(Drop, (digest_id, update_id, reason))
        if row is None:
            session.add(Drop(digest_id=digest_id, update_id=update_id, reason=reason, recipients=recipients))
        else:
            row.recipients += recipients
    session.flush()
