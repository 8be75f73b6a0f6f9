"""The life of a subscription: start, change of frequency, end; and the marks that go with it.

All are steps within a use case's transaction. What they keep true: `since_seq` is the release count at
the confirmation and survives a change of frequency; a mark (the row in `catch_ups`, else the frequency's
`covered_seq`) is never above what the person has been served. A mark may be too low: that costs time
only. A starting row always gets a mark of its own, because the edition that is compiling now may finish
before this transaction does.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from alerts_service.models import (
    CatchUp,
    CoveredFrequency,
    Delivery,
    DeliveryState,
    DigestUpdate,
    Subscriber,
    Subscription,
    Topic,
    Turnstile,
    Update,
)


def release_count(session: Session) -> int:
    """Return the number of the last release. Reading does not wait for a compile."""
    return session.scalars(select(Turnstile.release_seq)).one()


def followed(session: Session, subscriber: Subscriber, *, lock: bool = False) -> dict[int, Subscription]:
    """Return a person's open subscriptions by topic.

    Whoever changes them locks them first, in the order of their numbers, as everybody does who lowers marks.
    """
    query = select(Subscription).where(Subscription.subscriber_id == subscriber.id, Subscription.ended_at.is_(None))
    query = query.order_by(Subscription.id)
    return {row.topic_id: row for row in session.scalars(query.with_for_update() if lock else query)}


def start(session: Session, subscriber: Subscriber, topic_id: int, frequency: str, now: datetime) -> int:
    """Follow a topic from now on: what was released before is not owed. Return the number of the last that was."""
    count = release_count(session)
    _open(session, subscriber, topic_id, frequency, since_seq=count, followed_since=now, mark=count, now=now)
    return count


def restore(session: Session, subscriber: Subscriber, rows: Sequence[Subscription], now: datetime) -> None:
    """Follow topics again as if they had not been left: what was released meanwhile is owed.

    The mark is that of the end, or lies below whatever was compiled for the person and may not have been given: it may
    have been cancelled because they left, or be at this very moment.
    """
    lowest = _lowest_not_given(session, subscriber)
    for row in rows:
        mark = row.since_seq if row.ended_seq is None else row.ended_seq
        _open(
            session,
            subscriber,
            row.topic_id,
            row.frequency,
            since_seq=row.since_seq,
            followed_since=row.followed_since,
            mark=mark if lowest is None else min(mark, lowest - 1),
            now=now,
        )


def change_frequency(session: Session, row: Subscription, frequency: str, now: datetime) -> None:
    """Serve a subscription at another frequency, carrying over what it has been served."""
    subscriber = session.get_one(Subscriber, row.subscriber_id)
    mark = end(session, row, "frequency changed", now)
    _open(
        session,
        subscriber,
        row.topic_id,
        frequency,
        since_seq=row.since_seq,
        followed_since=row.followed_since,
        mark=mark,
        now=now,
    )


def end(session: Session, row: Subscription, reason: str, now: datetime) -> int:
    """End a subscription, keeping its mark so that an undo can give it back; return the mark."""
    row.ended_at = now
    row.ended_reason = reason
    # The row is ours from here on, before its mark is read: a settling that lowers marks waits, or begins anew.
    session.flush()
    row.ended_seq = _mark(session, row)
    session.execute(delete(CatchUp).where(CatchUp.subscription_id == row.id))
    session.flush()
    return row.ended_seq


def _lowest_not_given(session: Session, subscriber: Subscriber) -> int | None:
    query = (
        select(func.min(Update.seq))
        .join(DigestUpdate, DigestUpdate.update_id == Update.id)
        .join(Delivery, Delivery.digest_id == DigestUpdate.digest_id)
        .where(Delivery.subscriber_id == subscriber.id)
        .where(Delivery.state.not_in([DeliveryState.SENT, DeliveryState.FAILED]))
    )
    return session.scalar(query)


def _mark(session: Session, row: Subscription) -> int:
    """Return how far a subscription was served: one statement, so that no compile ends half-way through it."""
    query = (
        select(func.coalesce(CatchUp.from_seq, CoveredFrequency.covered_seq))
        .select_from(CoveredFrequency)
        .outerjoin(CatchUp, CatchUp.subscription_id == row.id)
        .where(CoveredFrequency.frequency == row.frequency)
    )
    return int(session.scalars(query).one())


def _open(
    session: Session,
    subscriber: Subscriber,
    topic_id: int,
    frequency: str,
    *,
    since_seq: int,
    followed_since: datetime,
    mark: int,
    now: datetime,
) -> None:
    row = Subscription(
        subscriber_id=subscriber.id,
        topic_id=topic_id,
        frequency=frequency,
        since_seq=since_seq,
        followed_since=followed_since,
        started_at=now,
    )
    session.add(row)
    session.flush()
    session.add(CatchUp(subscription_id=row.id, frequency=frequency, subscriber_id=subscriber.id, from_seq=mark))
    session.flush()


def slugs(subscriber: Subscriber) -> Select[str]:
    """Ask for the topics that a person follows."""
    query = select(Topic.slug).join(Subscription, Subscription.topic_id == Topic.id)
    return query.where(Subscription.subscriber_id == subscriber.id, Subscription.ended_at.is_(None))
