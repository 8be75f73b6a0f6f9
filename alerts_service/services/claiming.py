"""Claiming: taking due deliveries for one worker, with a lease.

A claim parts what stands at the head of the queue: deliveries that may go out are claimed; those whose person or
digest may have changed since the compile are handed to settling; what a rate limit has no turn for is put off.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, text, update
from sqlalchemy.orm import Session

from alerts_service.batches import rows
from alerts_service.config import Settings
from alerts_service.db import as_stored, is_postgresql, transaction
from alerts_service.models import Delivery, DeliveryState, Lane
from alerts_service.rules.pacing import Waiting
from alerts_service.services import queueing, rates
from alerts_service.services.fencing import Fence
from alerts_service.services.queueing import OWN, Source

NOT_ALLOWED = "not allowed here"
_Rows = list[Row[Any]]


class Claimed(NamedTuple):
    """A delivery in the hands of one worker until its lease ends."""

    # As queueing.head selects them.
    id: int
    claim_number: int
    kind: str
    address: str
    subscriber_id: int | None
    edition_id: int | None
    digest_id: int | None
    details: dict[str, Any] | None
    attempts: int
    give_up_at: datetime | None
    # Of its edition, where it has one.
    frequency: str | None
    slot_at: datetime | None


@dataclass
class Claim:
    """What one look at the queue gave: deliveries to send, and ids that have to be settled first."""

    deliveries: list[Claimed] = field(default_factory=list)
    unsettled: list[int] = field(default_factory=list)
    not_allowed: int = 0
    put_off: int = 0

    @property
    def found_something(self) -> bool:
        """Whether it is worth looking again."""
        return bool(self.deliveries or self.unsettled or self.not_allowed or self.put_off)


def claim(
    worker: str,
    limit: int,
    *,
    settings: Settings,
    now: datetime,
    clock: datetime,
    transactional_only: bool = False,
    fence: Fence | None = None,
) -> Claim:
    """Take up to `limit` due deliveries for one worker.

    `now` decides what has lapsed (a rehearsal may move it); `clock`, the real time, what is due and until
    when the lease runs. Addresses that this installation may not mail end cancelled here; what a rate limit
    has no turn for is put off. Raises SendingHeld through the `fence`, which is renewed for what is taken.
    """
    with transaction() as session:
        found = Claim()
        for source in queueing.sources(session, clock, transactional_only=transactional_only):
            seen = queueing.head(session, source, limit, now)
            found.unsettled += [row.id for row in seen if not row.settled]
            free = _allowed(session, [row for row in seen if row.settled], found, settings)
            free = _paced(session, source, free, found, settings, clock)
            found.deliveries += [Claimed._make((*row[:OWN], source.frequency, source.slot_at)) for row in free]
            limit -= len(seen)
            if limit <= 0:
                break
        if found.deliveries:
            _take(session, worker, found.deliveries, clock + timedelta(seconds=settings.lease_seconds))
            if fence:
                fence.renew(session, found.deliveries, clock=clock)
        return found


def _allowed(session: Session, settled: _Rows, found: Claim, settings: Settings) -> _Rows:
    """Return those that this installation may mail; the others end here."""
    refused = [row.id for row in settled if not settings.may_mail(row.address)]
    if not refused:
        return settled
    found.not_allowed += len(refused)
    values = {"state": DeliveryState.CANCELLED, "reason": NOT_ALLOWED}
    session.execute(update(Delivery).where(Delivery.id.in_(refused)).values(**values))
    return [row for row in settled if settings.may_mail(row.address)]


def _paced(session: Session, source: Source, due: _Rows, found: Claim, settings: Settings, clock: datetime) -> _Rows:
    """Return those that rate limits let go now; put the others off."""
    if not due or not rates.are_limited(session, settings):
        return due
    asking = [
        # Seeds wait for nobody, as the rest waits for them.
        Waiting(
            row.id,
            row.address.rpartition("@")[2].lower(),
            row.lane if row.subscriber_id or source.edition_id is None else Lane.TRANSACTIONAL,
            row.paced,
        )
        for row in due
    ]
    admitted = rates.admit(session, asking, settings=settings, clock=clock)
    if not admitted.later:
        return due
    rates.postpone(session, admitted.later)
    found.put_off += len(admitted.later)
    return [row for row in due if row.id not in admitted.later]


def _take(session: Session, worker: str, found: Iterable[Claimed], lease_until: datetime) -> None:
    statement = text(
        f"""
UPDATE deliveries SET state = 'sending', claimed_by = :worker, claim_number = claim_number + 1,
  lease_until = {"CAST(:lease_until AS timestamptz)" if is_postgresql() else ":lease_until"}, address = taken.address
FROM {rows("taken", id="bigint", address="text")} WHERE deliveries.id = taken.id"""  # noqa: S608 - names of our own
    )
    taken = json.dumps([{"id": row.id, "address": row.address} for row in found])
    session.execute(statement, {"taken": taken, "worker": worker, "lease_until": as_stored(lease_until)})
