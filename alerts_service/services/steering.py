"""What operators do to a compiled edition: cancel it, or try its failed deliveries again."""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select, text, update
from sqlalchemy.orm import Session, aliased

from alerts_service.db import is_postgresql, reading, taking_turns, transaction
from alerts_service.errors import WrongState
from alerts_service.models import (
    AT_ONCE,
    Delivery,
    DeliveryState,
    Digest,
    Edition,
    Subscriber,
    Subscription,
    Suppression,
)
from alerts_service.services import editions, rates, tallying

CANCELLED = "edition cancelled"
# Short turns: sign-ups and senders wait for each.
BATCH_DELIVERIES = 5_000


def cancel(edition_id: int, *, reason: str, now: datetime, batch: int = BATCH_DELIVERIES) -> int | None:
    """End an edition: whoever was not sent to is owed its updates again. Return the deliveries that ended.

    Before its compile it can only be paused: then this does that, and returns None. What is being sent goes
    out. Repeating it goes on where a crash has ended it.
    """
    if not _stop(edition_id, reason, now):
        return None
    ended = _cancel_all(edition_id, batch)
    # Its share of the rates is free for what waits behind it.
    rates.look_again(clock=now)
    return ended


def finish_cancelling(batch: int = BATCH_DELIVERIES) -> int:
    """End what came back to the queue of a cancelled edition, or what a crash has left; return how many."""
    waiting = exists().where(Delivery.digest_id == Digest.id, Delivery.state == DeliveryState.PENDING)
    query = select(Edition.id).where(
        Edition.cancelled_at.is_not(None),
        Edition.tallied_at.is_(None),
        exists().where(Digest.edition_id == Edition.id, waiting),
    )
    with reading() as session:
        found = list(session.scalars(query))
    return sum(_cancel_all(edition_id, batch) for edition_id in found)


def retry_failed(edition_id: int, *, now: datetime) -> int:
    """Put an edition's failed deliveries back into the queue; return how many.

    They stay the same deliveries, with the same Message-ID. Suppressed addresses stay failed. Raises
    WrongState where the edition was cancelled.
    """
    with transaction() as session:
        row = editions.existing(session, edition_id, lock=True)
        if row.cancelled_at is not None:
            raise WrongState(reason=f"edition {edition_id} was cancelled.")
        failed = (
            Delivery.digest_id.in_(select(Digest.id).where(Digest.edition_id == edition_id)),
            Delivery.state == DeliveryState.FAILED,
            ~_suppressed(),
        )
        _look_again_at_people(session, failed, now)
        values = {"state": DeliveryState.PENDING, "reason": None, "attempts": 0, "due_at": AT_ONCE}
        statement = update(Delivery).where(*failed).values(**values, give_up_at=None, paced_at=None)
        result = session.execute(statement.execution_options(synchronize_session=False))
        tallying.reopen(session, row)
        return int(result.rowcount)  # type: ignore[attr-defined]


@taking_turns
def _stop(edition_id: int, reason: str, now: datetime) -> bool:
    """Hold an edition and, once it is compiled, stamp it as cancelled; say whether it is."""
    with transaction(turn=True) as session:
        row = editions.existing(session, edition_id)
        if row.paused_at is None:
            row.paused_at, row.paused_reason = now, reason[:500]
        if row.compiled_at is not None and row.cancelled_at is None:
            row.cancelled_at, row.cancelled_reason = now, reason[:500]
        return row.cancelled_at is not None


def _cancel_all(edition_id: int, batch: int) -> int:
    total = 0
    while ended := _cancel_some(edition_id, batch):
        total += ended
    return total


@taking_turns
def _cancel_some(edition_id: int, batch: int) -> int:
    """Cancel one batch of pending deliveries, and lower the marks of its people: both or neither."""
    with transaction(turn=True) as session:
        session.execute(text("DROP TABLE IF EXISTS cancelling"))
        session.execute(text("CREATE TEMPORARY TABLE cancelling (id BIGINT, subscriber_id BIGINT, mark BIGINT)"))
        session.execute(text(_TAKEN), {"edition": edition_id, "batch": batch})
        if is_postgresql():
            session.execute(text(_LOCKED))
        session.execute(text(_OWED_AGAIN))
        result = session.execute(text(_ENDED), {"reason": CANCELLED})
        return int(result.rowcount)  # type: ignore[attr-defined]


# The mark that finds all of a digest again: just below the lowest number in it. A reminder is not owed again.
_TAKEN = """
INSERT INTO cancelling
SELECT d.id, d.subscriber_id,
       (SELECT min(u.seq) - 1 FROM digest_updates h JOIN updates u ON u.id = h.update_id
        WHERE h.digest_id = g.id AND e.cause_id IS NULL)
FROM editions e JOIN digests g ON g.edition_id = e.id JOIN deliveries d ON d.digest_id = g.id
WHERE e.id = :edition AND d.state = 'pending' LIMIT :batch"""
# A change of frequency at this moment would carry the old mark over: it waits, or this begins anew.
_LOCKED = """
SELECT count(*) FROM (
  SELECT s.id FROM subscriptions s JOIN cancelling c ON c.subscriber_id = s.subscriber_id
  WHERE s.ended_at IS NULL ORDER BY s.id FOR UPDATE OF s
) AS locked"""
# A row without a mark stands where its frequency does, which may be lower than what is cancelled. SQLite takes
# CROSS JOIN as an order, and would begin with all subscriptions otherwise.
_OWED_AGAIN = """
INSERT INTO catch_ups (subscription_id, frequency, subscriber_id, from_seq)
SELECT s.id, s.frequency, s.subscriber_id, CASE WHEN c.mark < f.covered_seq THEN c.mark ELSE f.covered_seq END
FROM cancelling c CROSS JOIN subscriptions s CROSS JOIN frequencies f
WHERE c.mark IS NOT NULL AND s.subscriber_id = c.subscriber_id AND s.ended_at IS NULL AND f.frequency = s.frequency
ON CONFLICT (subscription_id) DO UPDATE SET from_seq = excluded.from_seq
WHERE catch_ups.from_seq > excluded.from_seq"""
_ENDED = "UPDATE deliveries SET state = 'cancelled', reason = :reason WHERE id IN (SELECT id FROM cancelling)"


def _suppressed() -> ColumnElement[bool]:
    person = aliased(Subscriber)
    present = select(person.address_hash).where(person.id == Delivery.subscriber_id).correlate(Delivery)
    address_hash = func.coalesce(Delivery.address_hash, present.scalar_subquery())
    return exists().where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None)).correlate(Delivery)


def _look_again_at_people(session: Session, failed: tuple[ColumnElement[bool], ...], now: datetime) -> None:
    """Who has paused, or has left something since, is settled before anything is sent."""
    changed = or_(
        Subscriber.paused_at.is_not(None),
        exists().where(Subscription.subscriber_id == Subscriber.id, Subscription.ended_at.is_not(None)),
    )
    people = select(Delivery.subscriber_id).where(*failed)
    statement = update(Subscriber).where(Subscriber.id.in_(people), changed).values(narrowed_at=now)
    session.execute(statement.execution_options(synchronize_session=False))
