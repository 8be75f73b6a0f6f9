"""Editions: open what is due, compile it, and the operators' list, pause and resume."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, reading, taking_turns, transaction
from alerts_service.errors import NotFound, WrongState
from alerts_service.models import (
    CatchUp,
    CoveredFrequency,
    Delivery,
    Digest,
    Edition,
    Subscriber,
    Subscription,
    Turnstile,
    Update,
)
from alerts_service.rules.slots import Frequency
from alerts_service.services import candidates, compiling, publishing, reminding, tallying
from alerts_service.services.seeding import Seeding


@dataclass
class Opened:
    """What one tick did."""

    released: int = 0
    editions: list[int] = field(default_factory=list)
    deliveries: int = 0


def open_due(*, settings: Settings, now: datetime, clock: Callable[[], datetime] | None = None) -> Opened:
    """Release what is due, open the editions that are due, and compile them.

    `clock` is the real time, on which the hold after an edition's seeds runs; without it, `now` is real.
    It has no memory of its own: called late, twice, on two machines or after a crash it comes to the same.
    """
    seeding = Seeding(settings, clock or (lambda: now))
    done = Opened(released=publishing.release_due(now=now))
    # What an earlier tick left uncompiled comes first: no edition of a frequency opens while one of it is unfinished.
    done.deliveries += _compile_all(now, seeding)
    done.editions = _open(settings, now)
    done.deliveries += _compile_all(now, seeding)
    return done


def urgent_is_waiting() -> bool:
    """Say whether a released urgent update has not been in an immediate edition yet, or one waits for its compile."""
    covered = select(CoveredFrequency.covered_seq).where(CoveredFrequency.frequency == Frequency.IMMEDIATE)
    waiting = exists().where(Update.urgent, Update.withdrawn_at.is_(None), Update.seq > covered.scalar_subquery())
    found = bool(db.session.scalar(select(waiting)))
    db.session.rollback()
    return found


def next_slots(*, settings: Settings, now: datetime) -> dict[Frequency, datetime]:
    """Return, for every frequency that somebody follows, its next slot that no edition has been opened for."""
    followed = select(Subscription.frequency).where(Subscription.ended_at.is_(None)).distinct()
    last_slots = select(Edition.frequency, func.max(Edition.slot_at)).group_by(Edition.frequency)
    with reading() as session:
        last: dict[str, datetime] = {row[0]: row[1] for row in session.execute(last_slots)}
        return {
            Frequency(name): settings.schedules[Frequency(name)].following(
                max(now, last.get(name, now)), settings.timezone
            )
            for name in session.scalars(followed)
        }


def _compile_all(now: datetime, seeding: Seeding) -> int:
    total = 0
    while True:
        worked, made = compiling.compile_next(now, seeding=seeding)
        total += made
        if not worked:
            return total


@taking_turns
def _open(settings: Settings, now: datetime) -> list[int]:
    with transaction(turn=True) as session:
        through = session.scalars(select(Turnstile.release_seq)).one()
        rows = {row.frequency: row for row in session.scalars(select(CoveredFrequency))}
        due = [
            slot
            for frequency in Frequency
            if (slot := _due_slot(session, rows[frequency], settings, now, through)) is not None
        ]
        opened = []
        for slot_at, frequency, urgent in sorted(due, key=lambda slot: (slot[0], slot[1].rank)):
            edition = Edition(
                frequency=frequency,
                slot_at=slot_at,
                from_seq=rows[frequency].covered_seq,
                through_seq=through,
                urgent=urgent,
                opened_at=now,
            )
            session.add(edition)
            session.flush()
            opened.append(edition.id)
        return opened + reminding.open_due(session, settings, now)


def _due_slot(
    session: Session, row: CoveredFrequency, settings: Settings, now: datetime, through: int
) -> tuple[datetime, Frequency, bool] | None:
    """Return the slot at which an edition of a frequency is to be opened now, if any, and whether it is urgent."""
    frequency = Frequency(row.frequency)
    _keep_schedule(row, settings.schedule_texts[frequency], now)
    if session.scalar(select(exists().where(Edition.frequency == frequency, Edition.compiled_at.is_(None)))):
        return None
    slot_at = settings.schedules[frequency].latest(now, settings.timezone)
    if frequency is Frequency.IMMEDIATE:
        urgent_at = _urgent_at(session, row, now)
        if urgent_at is not None:
            return _free(session, frequency, urgent_at), frequency, True
        if not _anything_immediate(session, row, now, through):
            return None
    if slot_at <= row.since or _taken(session, frequency, slot_at):
        return None
    return slot_at, frequency, False


def _keep_schedule(row: CoveredFrequency, schedule: str, now: datetime) -> None:
    """A changed setting takes effect from now on: its older slots are not due."""
    if row.schedule != schedule:
        row.schedule, row.since = schedule, now


def _urgent_at(session: Session, row: CoveredFrequency, now: datetime) -> datetime | None:
    return session.scalar(
        select(Update.released_at)
        .where(*candidates.live(now), Update.urgent, Update.seq > row.covered_seq)
        .order_by(Update.seq)
        .limit(1)
    )


def _free(session: Session, frequency: Frequency, slot_at: datetime) -> datetime:
    """Return the moment itself, or the next one that no edition of the frequency has."""
    while _taken(session, frequency, slot_at):
        slot_at += timedelta(microseconds=1)
    return slot_at


def _taken(session: Session, frequency: Frequency, slot_at: datetime) -> bool:
    return bool(session.scalar(select(exists().where(Edition.frequency == frequency, Edition.slot_at == slot_at))))


def _anything_immediate(session: Session, row: CoveredFrequency, now: datetime, through: int) -> bool:
    """Say whether something was released since the last immediate edition, or somebody present is behind."""
    if through > row.covered_seq:
        return True
    behind = (
        select(CatchUp.subscription_id)
        .join(Subscriber, Subscriber.id == CatchUp.subscriber_id)
        .where(CatchUp.frequency == row.frequency, CatchUp.from_seq < through, ~candidates.away(now))
    )
    return session.scalar(behind.limit(1)) is not None


def listing() -> list[dict[str, Any]]:
    """Return the editions, newest first, with the deliveries of each by state."""
    session = db.session()
    outcomes = tallying.of_editions(session)
    rows = session.scalars(select(Edition).order_by(Edition.id.desc()))
    return [_plain(row) | {"deliveries": _by_state(outcomes.get(row.id, Counter()))} for row in rows]


def show(edition_id: int) -> dict[str, Any]:
    """Return one edition with its digests counted, its deliveries by state and reason, and its seeds."""
    session = db.session()
    row = existing(session, edition_id)
    digests = session.scalar(select(func.count()).where(Digest.edition_id == edition_id))
    outcomes = tallying.of_editions(session, edition_id).get(edition_id, Counter())
    listed = [
        {"state": state, "reason": reason or None, "deliveries": number}
        for (state, reason), number in sorted(outcomes.items())
    ]
    mine = (Delivery.subscriber_id.is_(None), Delivery.edition_id == edition_id)
    seeds = session.execute(select(Delivery.address, Delivery.state).where(*mine).order_by(Delivery.id))
    planted = [{"address": address, "state": state} for address, state in seeds]
    return _plain(row) | {"digests": digests, "outcomes": listed, "seeds": planted}


def pause(edition_id: int, *, reason: str, now: datetime) -> None:
    """Hold an edition's deliveries until it is resumed. Repeating it changes nothing."""
    with transaction() as session:
        row = existing(session, edition_id)
        if row.paused_at is None:
            row.paused_at, row.paused_reason = now, reason[:500]


def resume(edition_id: int) -> None:
    """Let a paused edition go on. Raises WrongState where it was cancelled."""
    with transaction() as session:
        row = existing(session, edition_id)
        if row.cancelled_at is not None:
            raise WrongState(reason=f"edition {edition_id} was cancelled.")
        row.paused_at = row.paused_reason = None


def existing(session: Session, edition_id: int, *, lock: bool = False) -> Edition:
    """Return an edition as it is now, as a step of a use case. Raises NotFound."""
    row = session.get(Edition, edition_id, populate_existing=True, with_for_update=lock or None)
    if row is None:
        raise NotFound(what="edition", key=edition_id)
    return row


def _by_state(outcomes: tallying.Outcomes) -> dict[str, int]:
    found: dict[str, int] = {}
    for (state, _), number in sorted(outcomes.items()):
        found[state] = found.get(state, 0) + number
    return found


def _plain(row: Edition) -> dict[str, Any]:
    stamps = ("slot_at", "opened_at", "compiled_at", "paused_at", "held_until", "cancelled_at")
    moments = {name: moment.isoformat() if (moment := getattr(row, name)) else None for name in stamps}
    own = {"id": row.id, "frequency": row.frequency}
    return own | moments | {"paused_reason": row.paused_reason, "cancelled_reason": row.cancelled_reason}
