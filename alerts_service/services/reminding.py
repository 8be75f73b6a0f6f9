"""Reminders: the day before an event, once more to those who were sent it and still follow one of its topics.

A reminder is an edition of its own, one for each event, whose cause is the event's update. It is opened and
compiled like the others, under the turnstile; claims, pauses, suppressions and leaving end its deliveries like
any other's. It covers no releases, owes nobody anything, and stands outside the proof of the update, beside which
it is counted. Who is away is passed over: a reminder that comes late is none.
"""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.models import MATCHED, REMINDER, Digest, Edition, Update
from alerts_service.rules.slots import moment
from alerts_service.services import candidates, issuing, matching, tallying
from alerts_service.services.matching import Candidate, Question

# Longer than from any hour of one local day to the end of the next, whatever the clocks do.
_TWO_DAYS = timedelta(hours=49)


def due_at(event: Update, remind_at: time, zone: ZoneInfo) -> datetime:
    """Return when to remind of an event: on the local day before it, at a time of that day."""
    assert event.starts_at, "an event has a start"
    return moment(event.starts_at.astimezone(zone).date() - timedelta(days=1), remind_at, zone)


def open_due(session: Session, settings: Settings, now: datetime) -> list[int]:
    """Open the reminders that are due, as a step under the turnstile; return their editions.

    None for an event that was announced after its reminder would have been due.
    """
    if settings.remind_at is None:
        return []
    coming = [(row, due_at(row, settings.remind_at, settings.timezone)) for row in session.scalars(_coming(now)).all()]
    return [
        _open(session, row, slot_at, now)
        for row, slot_at in coming
        if row.released_at is not None and row.released_at < slot_at <= now
    ]


def compile_batch(session: Session, edition: Edition, to: int, now: datetime) -> int:
    """Make the deliveries of a reminder for the people up to `to`; return how many."""
    row = session.get_one(Update, edition.cause_id, populate_existing=True) if edition.cause_id else None
    if row is None or row.starts_at is None or not _is_ahead(row, now):
        return 0
    question = _question(edition, row, to, now)
    made = issuing.write(session, edition, question, _to_remind(row, question))
    # Not once the event has begun: from then on a claim has them settled.
    ahead = update(Digest).where(Digest.edition_id == edition.id)
    session.execute(ahead.values(recheck_at=min(filter(None, (row.starts_at, row.expires_at)))))
    return made


def of_update(session: Session, update_id: int) -> dict[str, Any] | None:
    """Return what became of the reminder of an update, and whether that adds up; None where there was none."""
    which = (Edition.frequency == REMINDER, Edition.cause_id == update_id)
    edition_id = session.scalar(select(Edition.id).where(*which))
    if edition_id is None:
        return None
    matched = session.scalar(select(func.sum(Digest.recipients)).where(Digest.edition_id == edition_id)) or 0
    outcomes = tallying.of_editions(session, edition_id).get(edition_id, tallying.Outcomes())
    counts = tallying.counts(outcomes)
    return {"edition": edition_id, MATCHED: matched, **counts, "adds_up": matched == sum(outcomes.values())}


def _coming(now: datetime) -> Select[Update]:
    reminded = exists().where(Edition.frequency == REMINDER, Edition.cause_id == Update.id)
    soon = (Update.starts_at > now, Update.starts_at < now + _TWO_DAYS, Update.seq.is_not(None))
    return select(Update).where(*soon, *candidates.live(now), ~reminded).order_by(Update.starts_at, Update.id)


def _open(session: Session, row: Update, slot_at: datetime, now: datetime) -> int:
    # Message-IDs are made of the slot: that of another event at the same hour is the next moment.
    while session.scalar(select(exists().where(Edition.frequency == REMINDER, Edition.slot_at == slot_at))):
        slot_at += timedelta(microseconds=1)
    edition = Edition(
        frequency=REMINDER, slot_at=slot_at, cause_id=row.id, from_seq=0, through_seq=0, urgent=False, opened_at=now
    )
    session.add(edition)
    session.flush()
    return edition.id


def _is_ahead(row: Update, now: datetime) -> bool:
    lapsed = row.expires_at is not None and row.expires_at <= now
    return row.withdrawn_at is None and not lapsed and row.starts_at is not None and row.starts_at > now


def _question(edition: Edition, row: Update, to: int, now: datetime) -> Question:
    assert row.seq is not None
    only = Candidate(row.id, row.seq, row.urgent, frozenset())
    return Question(REMINDER, edition.from_seq, [only], edition.compiled_to, to, False, now, edition_id=edition.id)


def _to_remind(row: Update, question: Question) -> str:
    """Return the SELECT of who is reminded, in the form of matching.statement(); made of numbers of our own only.

    IS TRUE keeps PostgreSQL from joining with the digests that held the update: they are many, it may take them
    for few so soon after they were made, and would go through them for each person.
    """
    (mask,) = question.masks(question.candidates)
    return f"""
SELECT DISTINCT p.id, p.locale, CAST({mask} AS BIGINT) AS w0
FROM deliveries d CROSS JOIN subscribers p
WHERE d.subscriber_id > :after AND d.subscriber_id <= :to AND d.state = 'sent' AND d.edition_id <> :edition
  AND (d.digest_id IN (SELECT h.digest_id FROM digest_updates h WHERE h.update_id = {row.id})) IS TRUE
  AND p.id = d.subscriber_id AND NOT {matching.AWAY}
  AND EXISTS (
    SELECT 1 FROM subscriptions s JOIN update_topics t ON t.topic_id = s.topic_id
    WHERE s.subscriber_id = p.id AND s.ended_at IS NULL AND s.since_seq < {row.seq} AND t.update_id = {row.id})
  AND NOT EXISTS (SELECT 1 FROM deliveries g WHERE g.subscriber_id = p.id AND g.edition_id = :edition)"""  # noqa: S608 - numbers of our own
