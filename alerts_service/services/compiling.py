"""Compiling an edition: from who is owed what to digests and deliveries, in short batches of people.

Each batch is one transaction under the turnstile: compiles take turns, so that no two editions can owe
one person the same update at the same moment. Editions compile strictly in the order of their ids. A
batch that a crash undid is done again from `compiled_to`.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from alerts_service.db import is_postgresql, taking_turns, transaction
from alerts_service.models import (
    REMINDER,
    CatchUp,
    CoveredFrequency,
    Edition,
    Subscriber,
    Subscription,
    Update,
)
from alerts_service.services import candidates, issuing, reminding
from alerts_service.services.matching import Question
from alerts_service.services.seeding import Seeding

BATCH_PEOPLE = 20_000


@taking_turns
def compile_next(now: datetime, batch: int = BATCH_PEOPLE, seeding: Seeding | None = None) -> tuple[bool, int]:
    """Do one batch of the oldest uncompiled edition; return whether there was one, and the deliveries made.

    With its last batch its seeds are queued; they are not counted.
    """
    with transaction(turn=True) as session:
        query = select(Edition).where(Edition.compiled_at.is_(None)).order_by(Edition.id).limit(1)
        edition = session.scalar(query.execution_options(populate_existing=True))
        if edition is None:
            return False, 0
        to = _end_of_batch(session, edition, batch) if _has_work(session, edition, now) else None
        if to is None:
            _finish(session, edition, now)
            if seeding is not None:
                seeding.plant(session, edition)
            return True, 0
        if edition.frequency == REMINDER:
            made = reminding.compile_batch(session, edition, to, now)
        else:
            made = _match(session, edition, to, now)
            _settle_marks(session, edition, to, now)
        edition.compiled_to = to
        return True, made


def _has_work(session: Session, edition: Edition, now: datetime) -> bool:
    """Say whether anybody could be owed anything: something new is live, or somebody is behind."""
    if edition.frequency == REMINDER:
        return True
    behind = exists().where(CatchUp.frequency == edition.frequency, CatchUp.from_seq < edition.through_seq)
    new = exists().where(*candidates.live(now), Update.seq > edition.from_seq, Update.seq <= edition.through_seq)
    return bool(session.scalar(select(or_(behind, new))))


def _end_of_batch(session: Session, edition: Edition, batch: int) -> int | None:
    ids = select(Subscriber.id).where(Subscriber.id > edition.compiled_to).order_by(Subscriber.id).limit(batch)
    last: int | None = session.scalar(select(func.max(ids.subquery().c.id)))
    return last


def _match(session: Session, edition: Edition, to: int, now: datetime) -> int:
    lowest_mark = _lowest_mark(session, edition, to, now)
    low = edition.from_seq if lowest_mark is None else min(lowest_mark, edition.from_seq)
    found = candidates.released(session, low, edition.through_seq, now)
    if not found:
        return 0
    question = Question(
        frequency=edition.frequency,
        from_seq=edition.from_seq,
        candidates=found,
        after=edition.compiled_to,
        to=to,
        marks=lowest_mark is not None,
        now=now,
        given_from=_first_to_hold(session, edition, found[0].seq),
        edition_id=edition.id,
    )
    return issuing.write(session, edition, question)


def _first_to_hold(session: Session, edition: Edition, seq: int) -> int | None:
    """Return the first edition that may hold an update of this number or a later one, if there is any."""
    others = and_(Edition.id != edition.id, Edition.through_seq >= seq)
    return session.scalar(select(func.min(Edition.id)).where(or_(others, Edition.rebuilt_at.is_not(None))))


def _lowest_mark(session: Session, edition: Edition, to: int, now: datetime) -> int | None:
    """Return the lowest mark in the batch; None says that nobody in it has one."""
    return session.scalar(
        select(func.min(CatchUp.from_seq))
        .join(Subscriber, Subscriber.id == CatchUp.subscriber_id)
        .where(CatchUp.frequency == edition.frequency, ~candidates.away(now))
        .where(CatchUp.subscriber_id > edition.compiled_to, CatchUp.subscriber_id <= to)
    )


def _settle_marks(session: Session, edition: Edition, to: int, now: datetime) -> None:
    """Move the marks of those just served; keep those of the people who are away."""
    gone = select(Subscriber.id).where(candidates.away(now), Subscriber.id > edition.compiled_to, Subscriber.id <= to)
    # A mark above `through_seq` is that of someone who confirmed after the edition was opened.
    served = (
        CatchUp.frequency == edition.frequency,
        CatchUp.subscriber_id > edition.compiled_to,
        CatchUp.subscriber_id <= to,
        CatchUp.from_seq < edition.through_seq,
        CatchUp.subscriber_id.not_in(gone),
    )
    moved = update(CatchUp).where(*_free(*served)).values(from_seq=edition.through_seq)
    session.execute(moved.execution_options(synchronize_session=False))
    session.execute(
        insert(CatchUp).from_select(
            ["subscription_id", "frequency", "subscriber_id", "from_seq"],
            select(Subscription.id, Subscription.frequency, Subscription.subscriber_id, literal(edition.from_seq))
            .outerjoin(CatchUp, CatchUp.subscription_id == Subscription.id)
            .where(
                Subscription.ended_at.is_(None),
                Subscription.frequency == edition.frequency,
                Subscription.subscriber_id.in_(gone),
                CatchUp.subscription_id.is_(None),
            ),
        )
    )


def _free(*which: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    """Pass over those of some marks whose people are changing something at this moment.

    They hold some of a person's marks and want the others: to wait for them would be a deadlock. A mark that is
    passed over is too low, or needless, until the next edition.
    """
    if not is_postgresql():
        return which
    free = select(CatchUp.subscription_id).where(*which).with_for_update(skip_locked=True).correlate(None)
    return (CatchUp.subscription_id.in_(free),)


def _finish(session: Session, edition: Edition, now: datetime) -> None:
    """Close the edition: everybody without a mark of their own has now been served up to `through_seq`."""
    edition.compiled_at = now
    if edition.frequency == REMINDER:
        return
    served = (CatchUp.frequency == edition.frequency, CatchUp.from_seq == edition.through_seq)
    session.execute(delete(CatchUp).where(*_free(*served)).execution_options(synchronize_session=False))
    covered = session.get_one(CoveredFrequency, edition.frequency, populate_existing=True)
    covered.covered_seq = edition.through_seq
