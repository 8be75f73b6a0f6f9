"""The ledger: one plain line for every delivery, with its fate."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.models import Delivery, DeliveryState, DigestUpdate, Edition, Subscriber
from alerts_service.services import mailing

_SHOWN_AS = {
    DeliveryState.PENDING: "pending",
    DeliveryState.SENDING: "pending",
    DeliveryState.SENT: "sent",
    DeliveryState.FAILED: "failed",
    DeliveryState.CANCELLED: "suppressed",
}
_PAGE = 1000


def lines(
    *,
    settings: Settings,
    edition: int | None = None,
    update: int | None = None,
    since: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield every delivery as plain values, oldest first, in pages: memory does not grow with the ledger."""
    domain = mailing.message_domain()
    contents: dict[int, list[int]] = {}
    last = 0
    while True:
        page = db.session.execute(_page(last, edition, update, since)).all()
        _read_contents(contents, {row.Delivery.digest_id for row in page if row.Delivery.digest_id})
        for row in page:
            yield _line(row.Delivery, row.Edition, row.present, contents, domain, settings)
        db.session.expunge_all()
        if len(page) < _PAGE:
            return
        last = page[-1].Delivery.id


def _page(last: int, edition: int | None, update: int | None, since: datetime | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(Delivery, Edition, Subscriber.address.label("present"))
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.id > last)
        .order_by(Delivery.id)
        .limit(_PAGE)
    )
    if edition is not None:
        query = query.where(Delivery.edition_id == edition)
    if update is not None:
        holding = select(DigestUpdate.digest_id).where(DigestUpdate.update_id == update)
        query = query.where(Delivery.digest_id.in_(holding))
    if since is not None:
        query = query.where(Delivery.created_at >= since)
    return query


def _read_contents(contents: dict[int, list[int]], digest_ids: set[int]) -> None:
    """Remember what the digests of this page hold, and forget the others."""
    for digest_id in set(contents) - digest_ids:
        del contents[digest_id]
    missing = digest_ids - set(contents)
    rows = db.session.execute(
        select(DigestUpdate.digest_id, DigestUpdate.update_id)
        .where(DigestUpdate.digest_id.in_(missing))
        .order_by(DigestUpdate.update_id)
    )
    for digest_id, update_id in rows:
        contents.setdefault(digest_id, []).append(update_id)


def _line(
    row: Delivery,
    edition: Edition | None,
    present: str | None,
    contents: dict[int, list[int]],
    domain: str,
    settings: Settings,
) -> dict[str, Any]:
    address = row.address or present or ""
    key = mailing.message_id(
        delivery_id=row.id,
        kind=row.kind,
        address=address,
        frequency=edition.frequency if edition else None,
        slot_at=edition.slot_at if edition else None,
        domain=domain,
        settings=settings,
        seed=row.subscriber_id is None,
    )
    return {
        "key": key,
        "address": address,
        "kind": row.kind,
        "edition": row.edition_id,
        "updates": contents.get(row.digest_id, []) if row.digest_id else [],
        "state": _SHOWN_AS[DeliveryState(row.state)],
        "reason": row.reason,
        "attempts": row.attempts,
        "reply": row.reply,
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
    }
