"""Which updates can be owed at a moment, and who is away: the conditions that all questions share."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select
from sqlalchemy.orm import Session

from alerts_service.models import CatchUp, CoveredFrequency, Subscriber, Update, UpdateTopic
from alerts_service.rules.slots import Frequency
from alerts_service.services.matching import Candidate, Question


def live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What an update must be to be owed at `now`: not withdrawn, not expired, its event not over."""
    return (
        Update.withdrawn_at.is_(None),
        or_(Update.expires_at.is_(None), Update.expires_at > now),
        or_(Update.ends_at.is_(None), Update.ends_at > now),
    )


def away(now: datetime) -> ColumnElement[bool]:
    """Whose pause is in force at `now`."""
    return and_(
        Subscriber.paused_at.is_not(None),
        or_(Subscriber.paused_until.is_(None), Subscriber.paused_until > now),
    )


def released(session: Session, low: int, high: int, now: datetime) -> list[Candidate]:
    """Return the updates released in (low, high] that can still be owed, by number."""
    rows = session.execute(
        select(Update.id, Update.seq, Update.urgent, UpdateTopic.topic_id)
        .join(UpdateTopic, UpdateTopic.update_id == Update.id)
        .where(*live(now), Update.seq > low, Update.seq <= high)
        .order_by(Update.seq)
    )
    topics: dict[tuple[int, int, bool], set[int]] = {}
    for update_id, seq, urgent, topic_id in rows:
        topics.setdefault((update_id, seq or 0, urgent), set()).add(topic_id)
    return [Candidate(*key, frozenset(found)) for key, found in topics.items()]


def still_open(session: Session, row: Update, after: int, to: int, now: datetime) -> Iterator[Question]:
    """Ask who of some people still waits for a released update: the questions whose answer may be somebody.

    In the order of the frequencies, as they compile. A frequency served past the update owes it to nobody but
    those who have a mark of their own below it. Who was given it already is the caller's to take away.
    """
    assert row.seq is not None
    candidate = Candidate(row.id, row.seq, row.urgent, frozenset(topic.id for topic in row.topics))
    covered = {c.frequency: c.covered_seq for c in session.scalars(select(CoveredFrequency))}
    for frequency in Frequency:
        ahead = covered[frequency] < row.seq
        marked = exists().where(
            CatchUp.frequency == frequency,
            CatchUp.subscriber_id > after,
            CatchUp.subscriber_id <= to,
            or_(literal(ahead), CatchUp.from_seq < row.seq),
        )
        marks = bool(session.scalar(select(marked)))
        if ahead or marks:
            yield Question(frequency, covered[frequency], [candidate], after, to, marks, now, given_from=None)
