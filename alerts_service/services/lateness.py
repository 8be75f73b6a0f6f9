"""What of the scheduler's work is late: for machines that watch it. A few look-ups, whatever the size of the ledger."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import reading
from alerts_service.models import IS_PENDING, IS_SENDING, CoveredFrequency, Delivery, Edition, Update
from alerts_service.rules.slots import Frequency
from alerts_service.services import candidates

PATIENCE = timedelta(minutes=5)
# Deliveries go out about in the order of their ids: how far around the next one to look for one just sent.
_NEAR = 500


def late(*, settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """Return what should have been done five minutes ago: what it is, which, and since when. Empty if all is well."""
    before = now - PATIENCE
    with reading() as session:
        return [
            *_unreleased(session, before),
            *_unopened(session, settings, before, now),
            *_uncompiled(session, before),
            *_stuck(session, before, now),
        ]


def _unreleased(session: Session, before: datetime) -> Iterator[dict[str, Any]]:
    query = (
        select(Update.id, Update.release_at)
        .where(Update.approved_at.is_not(None), Update.released_at.is_(None), Update.withdrawn_at.is_(None))
        .where(Update.release_at <= before)
        .order_by(Update.release_at)
        .limit(1)
    )
    for update_id, release_at in session.execute(query):
        assert release_at is not None
        yield {"late": "release", "update": update_id, "since": release_at.isoformat()}


def _unopened(session: Session, settings: Settings, before: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    for row in session.scalars(select(CoveredFrequency)).all():
        frequency = Frequency(row.frequency)
        slot_at = settings.schedules[frequency].latest(before, settings.timezone)
        # A changed schedule takes effect with the next tick: its slots are not due before.
        if row.schedule != settings.schedule_texts[frequency] or slot_at <= row.since:
            continue
        since_then = (Edition.slot_at.between(slot_at, now), Edition.frequency == frequency)
        waits_for_compile = (Edition.compiled_at.is_(None), Edition.frequency == frequency)
        if any(session.scalar(select(exists().where(*which))) for which in (since_then, waits_for_compile)):
            continue
        if frequency is Frequency.IMMEDIATE and not _something_to_send(session, row, slot_at, now):
            continue
        yield {"late": "slot", "frequency": frequency.value, "since": slot_at.isoformat()}


def _something_to_send(session: Session, row: CoveredFrequency, slot_at: datetime, now: datetime) -> bool:
    """Say whether an immediate slot found something released."""
    released = (Update.seq > row.covered_seq, Update.released_at <= slot_at)
    return bool(session.scalar(select(exists().where(*candidates.live(now), *released))))


def _uncompiled(session: Session, before: datetime) -> Iterator[dict[str, Any]]:
    query = select(Edition).where(Edition.compiled_at.is_(None), Edition.opened_at <= before).order_by(Edition.id)
    for row in session.scalars(query).all():
        yield {"late": "compile", "edition": row.id, "frequency": row.frequency, "since": row.opened_at.isoformat()}


def _stuck(session: Session, before: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    """Editions that may go out, with something due, of which nothing goes out."""
    sending = exists().where(IS_SENDING, Delivery.lease_until > now)
    if session.scalar(select(sending)):
        return
    going = (
        select(Edition)
        .where(Edition.compiled_at <= before, Edition.tallied_at.is_(None), Edition.paused_at.is_(None))
        .where(or_(Edition.held_until.is_(None), Edition.held_until <= before))
        .order_by(Edition.id)
    )
    for row in session.scalars(going).all():
        assert row.compiled_at is not None
        next_one = _next_due(session, row.id, before)
        if next_one is not None and not _just_sent(session, next_one, before):
            since = max(row.compiled_at, row.held_until or row.compiled_at)
            yield {"late": "sending", "edition": row.id, "frequency": row.frequency, "since": since.isoformat()}


def _next_due(session: Session, edition_id: int, before: datetime) -> int | None:
    due = (Delivery.edition_id == edition_id, IS_PENDING, Delivery.due_at <= before)
    return session.scalar(select(Delivery.id).where(*due).order_by(Delivery.due_at, Delivery.id).limit(1))


def _just_sent(session: Session, delivery_id: int, before: datetime) -> bool:
    near = Delivery.id.between(delivery_id - _NEAR, delivery_id + _NEAR)
    newest = session.scalar(select(func.max(Delivery.sent_at)).where(near))
    return newest is not None and newest > before
