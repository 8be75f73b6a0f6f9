"""Tallies: an edition's outcomes are counted once, when it has nothing left to send, and then looked up.

Counting the rows of a million deliveries takes a second; a tally answers for all of them at once. It is
made of the same rows, by update and for the edition as a whole; whatever reopens an edition drops it. Seeds
stand outside.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text
from sqlalchemy.orm import Session

from alerts_service.db import reading, transaction
from alerts_service.models import (
    MATCHED,
    REMINDER,
    Delivery,
    DeliveryState,
    Digest,
    DigestUpdate,
    Drop,
    Edition,
    Tally,
    UpdateTally,
)

# (state, reason) → recipients; the reason is empty where there is none.
Outcomes = Counter[tuple[str, str]]


def tally_finished(now: datetime) -> int:
    """Tally every compiled edition that has nothing left to send; return how many. Safe to repeat."""
    query = select(Edition.id).where(Edition.compiled_at.is_not(None), Edition.tallied_at.is_(None), ~_unfinished())
    with reading() as session:
        finished = list(session.scalars(query.order_by(Edition.id)))
    return sum(_tally(edition_id, now) for edition_id in finished)


def reopen(session: Session, edition: Edition) -> None:
    """Drop an edition's tally, as a step of a use case that changes what has ended; the edition is locked."""
    edition.tallied_at = None
    for table in (Tally, UpdateTally):
        session.execute(delete(table).where(table.edition_id == edition.id))


def of_update(session: Session, update_id: int, *, recount: bool = False) -> Outcomes:
    """Return what became of an update for those matched to it: from the tallies, or from the rows where there is none.

    A reminder of it is none of that.
    The key (MATCHED, "") says how many the compile matched. With `recount` all of it is counted from the rows.
    """
    if recount:
        return _counted(session, and_(DigestUpdate.update_id == update_id, ~_is_of_a_reminder(update_id)))
    # Read first: what is tallied from here on is counted from its rows.
    still_open = session.scalars(
        select(Edition.id).where(Edition.tallied_at.is_(None), Edition.frequency != REMINDER)
    ).all()
    found: Outcomes = Counter()
    if still_open:
        found = _counted(session, and_(DigestUpdate.update_id == update_id, Digest.edition_id.in_(still_open)))
    tallied = select(UpdateTally.state, UpdateTally.reason, func.sum(UpdateTally.recipients)).where(
        UpdateTally.update_id == update_id, UpdateTally.edition_id.not_in(still_open)
    )
    for state, reason, number in session.execute(tallied.group_by(UpdateTally.state, UpdateTally.reason)):
        found[state, reason] += number
    return found


def of_editions(session: Session, edition_id: int | None = None) -> dict[int, Outcomes]:
    """Return what became of the deliveries of every edition, or of one."""
    editions = select(Edition.id).where(Edition.tallied_at.is_(None))
    tallied = select(Tally.edition_id, Tally.state, Tally.reason, Tally.recipients)
    if edition_id is not None:
        editions, tallied = editions.where(Edition.id == edition_id), tallied.where(Tally.edition_id == edition_id)
    found = {
        row_id: _deliveries(session, Delivery.digest_id.in_(select(Digest.id).where(Digest.edition_id == row_id)))
        for row_id in session.scalars(editions).all()
    }
    for row_id, state, reason, number in session.execute(tallied):
        found.setdefault(row_id, Counter())[state, reason] = number
    return found


def counts(outcomes: Outcomes) -> dict[str, Any]:
    """Return outcomes as plain numbers: by state, and the cancelled by reason."""
    by_state: Counter[str] = Counter()
    for (state, _), number in outcomes.items():
        by_state[state] += number
    cancelled = {reason: number for (state, reason), number in outcomes.items() if state == DeliveryState.CANCELLED}
    return {
        "sent": by_state[DeliveryState.SENT],
        "pending": by_state[DeliveryState.PENDING] + by_state[DeliveryState.SENDING],
        "failed": by_state[DeliveryState.FAILED],
        "cancelled": by_state[DeliveryState.CANCELLED],
        "cancelled_by_reason": {reason: number for reason, number in sorted(cancelled.items()) if number},
    }


def _is_of_a_reminder(update_id: int) -> ColumnElement[bool]:
    reminders = select(Edition.id).where(Edition.frequency == REMINDER, Edition.cause_id == update_id)
    return Digest.edition_id.in_(reminders)


def _counted(session: Session, which: ColumnElement[bool]) -> Outcomes:
    """Count the rows: the deliveries as they stand, what was taken away, and what the compile matched."""
    held = select(DigestUpdate.digest_id).join(Digest, Digest.id == DigestUpdate.digest_id).where(which)
    dropped = (
        select(Drop.reason, func.sum(Drop.recipients))
        .join(DigestUpdate, and_(DigestUpdate.digest_id == Drop.digest_id, DigestUpdate.update_id == Drop.update_id))
        .join(Digest, Digest.id == Drop.digest_id)
        .where(which)
        .group_by(Drop.reason)
    )
    matched = session.scalar(select(func.sum(Digest.recipients)).where(Digest.id.in_(held))) or 0
    found = _deliveries(session, Delivery.digest_id.in_(held))
    found[MATCHED, ""] = matched
    for reason, number in session.execute(dropped):
        found[DeliveryState.CANCELLED, reason] += number
    return found


def _deliveries(session: Session, which: ColumnElement[bool]) -> Outcomes:
    """Count deliveries by state and reason, without the seeds.

    All of them by state, which the index of a digest's deliveries answers alone; the rows are read for those
    that have a reason, and for seeds, which are few.
    """
    reason = func.coalesce(Delivery.reason, "")
    by_state = select(Delivery.state, func.count()).where(which).group_by(Delivery.state)
    reasoned = (
        select(Delivery.state, reason, func.count())
        .where(which, Delivery.state.in_([DeliveryState.FAILED, DeliveryState.CANCELLED]), Delivery.reason.is_not(None))
        .group_by(Delivery.state, reason)
    )
    seeds = (
        select(Delivery.state, reason, func.count())
        .where(which, Delivery.subscriber_id.is_(None), Delivery.edition_id.in_(select(Edition.id)))
        # What goes to nobody at all is no seed: it shows, as a sum that does not add up.
        .where(Delivery.address.is_not(None))
        .group_by(Delivery.state, reason)
    )
    found: Outcomes = Counter({(state, ""): number for state, number in session.execute(by_state)})
    for state, why, number in session.execute(reasoned):
        found[state, why] += number
        found[state, ""] -= number
    for state, why, number in session.execute(seeds):
        found[state, why] -= number
    return +found


def _unfinished() -> ColumnElement[bool]:
    """Something of an edition is pending or being sent."""
    left = exists().where(
        Delivery.digest_id == Digest.id, Delivery.state.in_([DeliveryState.PENDING, DeliveryState.SENDING])
    )
    return exists().where(Digest.edition_id == Edition.id, left)


def _tally(edition_id: int, now: datetime) -> bool:
    """Count one edition, unless it was reopened meanwhile."""
    with transaction() as session:
        edition = session.get_one(Edition, edition_id, populate_existing=True, with_for_update=True)
        if edition.tallied_at is not None or session.scalar(select(_unfinished()).where(Edition.id == edition_id)):
            return False
        reopen(session, edition)
        # What a reminder came to says nothing of its update.
        for statement in _OF_EDITION if edition.frequency == REMINDER else (*_OF_EDITION, _OF_UPDATES):
            session.execute(text(statement), {"edition": edition_id})
        edition.tallied_at = now
        return True


_OF_EDITION = (
    "DROP TABLE IF EXISTS counted",
    "CREATE TEMPORARY TABLE counted (digest_id BIGINT, state VARCHAR(10), reason VARCHAR(200), number BIGINT)",
    """
INSERT INTO counted
SELECT d.digest_id, d.state, coalesce(d.reason, ''), count(*) FROM digests g JOIN deliveries d ON d.digest_id = g.id
WHERE g.edition_id = :edition AND (d.subscriber_id IS NOT NULL OR d.address IS NULL)
GROUP BY d.digest_id, d.state, d.reason""",
    """
INSERT INTO tallies (edition_id, state, reason, recipients)
SELECT :edition, state, reason, sum(number) FROM counted GROUP BY state, reason""",
)
_OF_UPDATES = f"""
INSERT INTO update_tallies (update_id, edition_id, state, reason, recipients)
SELECT update_id, :edition, state, reason, sum(number) FROM (
  SELECT h.update_id, c.state, c.reason, c.number FROM counted c JOIN digest_updates h ON h.digest_id = c.digest_id
  UNION ALL
  SELECT h.update_id, '{MATCHED}', '', g.recipients FROM digests g JOIN digest_updates h ON h.digest_id = g.id
  WHERE g.edition_id = :edition
  UNION ALL
  SELECT x.update_id, 'cancelled', x.reason, x.recipients FROM drops x JOIN digests g ON g.id = x.digest_id
  WHERE g.edition_id = :edition
) AS outcomes GROUP BY update_id, state, reason"""  # noqa: S608 - a name of our own
