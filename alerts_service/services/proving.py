"""The proof of an update: everyone it was matched to, against what became of each.

Matched is what the compile counted into its digests; the outcomes are counted from the deliveries as
they stand. The two are written by different statements, so that the sum can fail.
"""

from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.models import (
    CoveredFrequency,
    Delivery,
    DeliveryState,
    Digest,
    DigestUpdate,
    Drop,
    Subscriber,
    Update,
)
from alerts_service.rules.slots import Frequency
from alerts_service.services import candidates, matching
from alerts_service.services.matching import Candidate, Question


def proof(update_id: int, *, now: datetime) -> dict[str, Any]:
    """Return matched, sent, pending, failed and cancelled (by reason), who still waits, and whether it adds up."""
    session = db.session()
    row = session.get(Update, update_id)
    if row is None:
        raise NotFound(what="update", key=update_id)
    holding = select(DigestUpdate.digest_id).where(DigestUpdate.update_id == update_id)
    matched = session.scalar(select(func.sum(Digest.recipients)).where(Digest.id.in_(holding))) or 0
    counts = _outcomes(session, update_id)
    cancelled = counts.pop("cancelled")
    return {
        "update": update_id,
        "title": row.title,
        "matched": matched,
        **counts,
        "cancelled": sum(cancelled.values()),
        "cancelled_by_reason": cancelled,
        "waiting_for_their_slot": _waiting(session, row, now),
        "adds_up": matched == sum(counts.values()) + sum(cancelled.values()),
    }


def _outcomes(session: Session, update_id: int) -> dict[str, Any]:
    counts: dict[str, Any] = {"sent": 0, "pending": 0, "failed": 0, "cancelled": {}}
    by_state = (
        select(Delivery.state, Delivery.reason, func.count())
        .join(DigestUpdate, DigestUpdate.digest_id == Delivery.digest_id)
        .where(DigestUpdate.update_id == update_id)
        .group_by(Delivery.state, Delivery.reason)
    )
    for state, reason, number in session.execute(by_state):
        if state == DeliveryState.CANCELLED:
            counts["cancelled"][reason] = counts["cancelled"].get(reason, 0) + number
        else:
            counts["pending" if state == DeliveryState.SENDING else state] += number
    dropped = select(Drop.reason, func.sum(Drop.recipients)).where(Drop.update_id == update_id).group_by(Drop.reason)
    for reason, number in session.execute(dropped):
        counts["cancelled"][reason] = counts["cancelled"].get(reason, 0) + number
    return counts


def _waiting(session: Session, row: Update, now: datetime) -> dict[str, int]:
    """Count, by frequency, who is owed the update at their next slot."""
    if row.seq is None or not any(c.id == row.id for c in candidates.released(session, row.seq - 1, row.seq, now)):
        return {}
    highest = session.scalar(select(func.max(Subscriber.id))) or 0
    candidate = Candidate(row.id, row.seq, row.urgent, frozenset(topic.id for topic in row.topics))
    covered = {c.frequency: c.covered_seq for c in session.scalars(select(CoveredFrequency))}
    # The working table gives each person to the frequency that compiles first.
    session.execute(text("DROP TABLE IF EXISTS waiting"))
    session.execute(text("CREATE TEMPORARY TABLE waiting (subscriber_id BIGINT PRIMARY KEY, frequency VARCHAR(10))"))
    for frequency, behind in product(Frequency, (False, True)):
        question = Question(frequency, covered[frequency], [candidate], 0, highest, behind, now)
        session.execute(
            matching.with_moment(
                "INSERT INTO waiting SELECT q.subscriber_id, :frequency"  # noqa: S608 - no outside text
                f" FROM ({matching.statement(question)}) AS q WHERE true ON CONFLICT DO NOTHING"
            ),
            question.parameters,
        )
    rows = session.execute(text("SELECT frequency, count(*) FROM waiting GROUP BY frequency"))
    numbers: dict[str, int] = {row[0]: row[1] for row in rows}
    session.rollback()
    return {str(frequency): numbers[frequency] for frequency in Frequency if frequency in numbers}
