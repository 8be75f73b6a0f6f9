"""The proof of an update: everyone it was matched to, against what became of each.

Matched is what the compile counted into its digests; the outcomes are counted from the deliveries as
they stand. The two are written by different statements, so that the sum can fail.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from alerts_service.db import is_postgresql, reading
from alerts_service.errors import NotFound
from alerts_service.models import MATCHED, Subscriber, Update
from alerts_service.rules.slots import Frequency
from alerts_service.services import candidates, matching, reminding, tallying


def proof(update_id: int, *, now: datetime, recount: bool = False) -> dict[str, Any]:
    """Return matched, sent, pending, failed and cancelled (by reason), who still waits, and whether it adds up.

    Editions that have ended are looked up in their tallies; `recount` counts the deliveries of all of them, and
    says whether the tallies agree. Raises NotFound.
    """
    with reading() as session:
        # One snapshot, so that what moves meanwhile is counted once.
        session.rollback()
        if is_postgresql():
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        return _proof(session, update_id, now, recount)


def _proof(session: Session, update_id: int, now: datetime, recount: bool) -> dict[str, Any]:
    row = session.get(Update, update_id)
    if row is None:
        raise NotFound(what="update", key=update_id)
    outcomes = tallying.of_update(session, update_id)
    agree: dict[str, bool] = {}
    if recount:
        looked_up, outcomes = outcomes, tallying.of_update(session, update_id, recount=True)
        agree = {"tallies_agree": looked_up == outcomes}
    matched = outcomes[MATCHED, ""]
    counts = tallying.counts(outcomes)
    return {
        "update": update_id,
        "title": row.title,
        "matched": matched,
        **counts,
        "waiting_for_their_slot": _waiting(session, row, now),
        "adds_up": matched == sum(counts[name] for name in ("sent", "pending", "failed", "cancelled")),
        **agree,
        **({"reminder": reminder} if (reminder := reminding.of_update(session, update_id)) else {}),
    }


# By edition: few hold the update, and a person has one delivery in each.
_GIVEN = """
DELETE FROM waiting WHERE EXISTS (
  SELECT 1 FROM deliveries d JOIN digest_updates h ON h.digest_id = d.digest_id AND h.update_id = :update
  WHERE d.subscriber_id = waiting.subscriber_id AND d.state <> 'cancelled' AND d.edition_id IN (
    SELECT g.edition_id FROM digest_updates u JOIN digests g ON g.id = u.digest_id WHERE u.update_id = :update
  )
)"""


def _waiting(session: Session, row: Update, now: datetime) -> dict[str, int]:
    """Count, by frequency, who is owed the update at their next slot."""
    if row.seq is None or not any(c.id == row.id for c in candidates.released(session, row.seq - 1, row.seq, now)):
        return {}
    highest = session.scalar(select(func.max(Subscriber.id))) or 0
    questions = list(candidates.still_open(session, row, 0, highest, now))
    if not questions:
        return {}
    # The working table gives each person to the frequency that compiles first.
    session.execute(text("DROP TABLE IF EXISTS waiting"))
    session.execute(text("CREATE TEMPORARY TABLE waiting (subscriber_id BIGINT PRIMARY KEY, frequency VARCHAR(10))"))
    for question in questions:
        session.execute(
            matching.with_moment(
                "INSERT INTO waiting SELECT q.subscriber_id, :frequency"  # noqa: S608 - no outside text
                f" FROM ({matching.statement(question)}) AS q WHERE true ON CONFLICT DO NOTHING"
            ),
            question.parameters,
        )
    session.execute(text(_GIVEN), {"update": row.id})
    rows = session.execute(text("SELECT frequency, count(*) FROM waiting GROUP BY frequency"))
    numbers: dict[str, int] = {row[0]: row[1] for row in rows}
    return {str(frequency): numbers[frequency] for frequency in Frequency if frequency in numbers}
