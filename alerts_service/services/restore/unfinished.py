"""Deliveries that were with a sender when the copy of the database was made: what the journal says of them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from alerts_service import journal
from alerts_service.config import Settings
from alerts_service.db import reading, taking_turns, transaction
from alerts_service.journal import Entry, Journal
from alerts_service.models import Delivery, DeliveryState, Edition, Subscriber
from alerts_service.services import mailing, noting
from alerts_service.services.restore import amending
from alerts_service.services.restore.returned import Returned

_PAGE = 500

T = TypeVar("T")


def note_returned(own: Journal, since: str | None, returned: Returned) -> None:
    """Read what came back to the queue."""
    # What was taken back from a sender that is gone was noted before the copy was made.
    for entry in own.entries(None if returned.suspects else since):
        if entry.kind == journal.BACK:
            returned.add(entry.facts["ids"])
        elif entry.kind == journal.TURN:
            returned.discard(short_ids(entry))


@taking_turns
def finish_sending(settings: Settings, returned: Returned, *, lapsed: datetime | None, clock: datetime) -> int:
    """Count as sent what was with a sender when the copy was made, unless the journal says that it came back.

    With `lapsed`, only where the lease was over by then. Return how many were counted.
    """
    total, last = 0, 0
    with transaction(turn=True) as session:
        while rows := _sending(session, last, lapsed):
            last = rows[-1].id
            ids = [row.id for row in rows if not returned.holds(_short_id(row, settings))]
            amending.mark_sent(session, ids, clock)
            total += len(ids)
        for taken_back in chunks(returned.guilty(), _PAGE):
            amending.mark_sent(session, taken_back, clock)
            total += len(taken_back)
    return total


def suspect_taken_back(settings: Settings, returned: Returned) -> None:
    """Ask about what waits after a claim without a word of the relay: it may have been taken back since the copy."""
    last = 0
    with reading() as session:
        claimed = (Delivery.state == DeliveryState.PENDING, Delivery.claim_number > 0, Delivery.reply.is_(None))
        while rows := _page(session, last, *claimed):
            last = rows[-1].id
            returned.suspect([(_short_id(row, settings), row.id) for row in rows])


def _sending(session: Session, last: int, lapsed: datetime | None) -> list[Any]:
    sending = Delivery.state == DeliveryState.SENDING
    return _page(session, last, sending, *([Delivery.lease_until < lapsed] if lapsed else []))


def _page(session: Session, last: int, *which: ColumnElement[bool]) -> list[Any]:
    address = func.coalesce(Delivery.address, Subscriber.address).label("address")
    query = select(Delivery.id, Delivery.kind, Delivery.subscriber_id, address, Edition.frequency, Edition.slot_at)
    query = query.outerjoin(Edition, Edition.id == Delivery.edition_id)
    query = query.outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id).where(*which, Delivery.id > last)
    return list(session.execute(query.order_by(Delivery.id).limit(_PAGE)))


def _short_id(row: Any, settings: Settings) -> str:
    about = {"delivery_id": row.id, "kind": row.kind, "address": row.address or ""}
    slot = {"frequency": row.frequency, "slot_at": row.slot_at}
    return noting.short(
        mailing.message_id(**about, **slot, domain="", settings=settings, seed=row.subscriber_id is None)
    )


def short_ids(entry: Entry) -> Iterator[str]:
    """Yield the Message-IDs that a turn noted, as the journal has them."""
    for *_, people in entry.facts.get("digests", []):
        yield from (short for _, short in people)
    yield from (short for _, short in entry.facts.get("letters", []))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield a stream in lists of up to `size`."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk
