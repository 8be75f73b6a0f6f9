"""The outbox: record what became of claimed deliveries, renew their leases, take stale claims back.

Core statements, no objects, one statement a batch. A record is fenced by owner and claim number: who lost the
lease writes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from alerts_service.batches import update_each
from alerts_service.db import db, reading, storing, transaction
from alerts_service.models import IS_PENDING, IS_SENDING, Delivery, DeliveryState
from alerts_service.rules.replies import relay_id

_D = Delivery.__table__.c


class Fenced(Protocol):
    """What a record is about: a delivery, and which claim of it."""

    @property
    def id(self) -> int:
        """The delivery."""

    @property
    def claim_number(self) -> int:
        """How often it had been claimed."""


class Outcome(NamedTuple):
    """What became of a claimed delivery: its next state, and what goes into the record."""

    delivery: Fenced
    state: DeliveryState
    reply: str | None = None
    reason: str | None = None
    attempts: int = 0
    due_at: datetime | None = None
    give_up_at: datetime | None = None
    sent_at: datetime | None = None


class _Change(NamedTuple):
    """What is written of one kind of outcome, from which columns of the rows given."""

    values: str
    columns: dict[str, str]


_FENCE = {"id": "bigint", "number": "int", "worker": "text"}
_SENT = _Change(
    "state = 'sent', reply = given.reply, reason = NULL, relay_id = given.relay_id, sent_at = given.sent_at",
    _FENCE | {"reply": "text", "relay_id": "text", "sent_at": "timestamptz"},
)
_OTHERS = _Change(
    """state = given.state, reply = coalesce(given.reply, deliveries.reply), reason = given.reason,
  attempts = deliveries.attempts + given.attempts, due_at = coalesce(given.due_at, deliveries.due_at),
  give_up_at = coalesce(given.give_up_at, deliveries.give_up_at),
  paced_at = CASE WHEN given.attempts > 0 THEN NULL ELSE deliveries.paced_at END""",
    _FENCE
    | {"state": "text", "reply": "text", "reason": "text"}
    | {"attempts": "int", "due_at": "timestamptz", "give_up_at": "timestamptz"},
)


def count() -> int:
    """Return how many deliveries have not ended."""
    return db.session.scalar(select(func.count()).select_from(Delivery).where(or_(IS_PENDING, IS_SENDING))) or 0


def record(worker: str, outcomes: Sequence[Outcome], *, clock: datetime) -> int:
    """Write what became of claimed deliveries; return how many were still this worker's."""
    if not outcomes:
        return 0
    stored = storing()
    sent = [_sent(each, worker, clock, stored) for each in outcomes if each.state is DeliveryState.SENT]
    others = [_other(each, worker, stored) for each in outcomes if each.state is not DeliveryState.SENT]
    with transaction() as session:
        return _write(session, _SENT, sent) + _write(session, _OTHERS, others)


def _write(session: Session, change: _Change, given: list[tuple[object, ...]]) -> int:
    statement = f"""
UPDATE deliveries SET {change.values}, claimed_by = NULL, lease_until = NULL {{table}}
WHERE deliveries.id = given.id AND deliveries.state = 'sending' AND deliveries.claimed_by = given.worker
  AND deliveries.claim_number = given.number"""  # noqa: S608 - names of our own
    return update_each(session, statement, change.columns, given)


def renew(worker: str, lease_until: datetime) -> None:
    """Hold everything a worker has for longer."""
    with transaction() as session:
        mine = (IS_SENDING, Delivery.claimed_by == worker)
        session.execute(update(Delivery).where(*mine).values(lease_until=lease_until))


def owners_of_stale_claims(clock: datetime) -> list[str]:
    """Return the workers whose leases have run out."""
    with reading() as session:
        query = select(_D.claimed_by).where(IS_SENDING, _D.lease_until < clock).distinct()
        return [owner for owner in session.scalars(query) if owner]


def take_back(clock: datetime) -> int:
    """Return stale claims to the queue; no attempt is charged. `clock` is the real time."""
    return _take_back(Delivery.lease_until < clock)


def take_back_from(worker: str) -> int:
    """Return to the queue what a worker held that is known to have ended."""
    return _take_back(Delivery.claimed_by == worker)


def _take_back(which: ColumnElement[bool]) -> int:
    with transaction() as session:
        stale = and_(IS_SENDING, which)
        values = {"state": DeliveryState.PENDING, "claimed_by": None, "lease_until": None}
        return int(session.execute(update(Delivery).where(stale).values(**values)).rowcount)  # type: ignore[attr-defined]


def _sent(outcome: Outcome, worker: str, clock: datetime, stored: Callable[[datetime], str]) -> tuple[object, ...]:
    """Return a row of _SENT's columns."""
    delivery, reply = outcome.delivery, outcome.reply
    known_as = relay_id(reply) if reply else None
    return (delivery.id, delivery.claim_number, worker, reply, known_as, stored(outcome.sent_at or clock))


def _other(outcome: Outcome, worker: str, stored: Callable[[datetime], str]) -> tuple[object, ...]:
    """Return a row of _OTHERS' columns."""
    return (
        outcome.delivery.id,
        outcome.delivery.claim_number,
        worker,
        outcome.state,
        outcome.reply,
        outcome.reason,
        outcome.attempts,
        stored(outcome.due_at) if outcome.due_at else None,
        stored(outcome.give_up_at) if outcome.give_up_at else None,
    )
