"""Queueing transactional mails: a delivery row each, written by the use case that causes it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from alerts_service.db import table
from alerts_service.models import AT_ONCE, IS_PENDING, Delivery, DeliveryState, Lane, MailKind

# Of each kind that people can ask for again and again.
A_DAY = 3

_INSERT = insert(table(Delivery)).inline()
_QUIETLY = {"synchronize_session": False}


def queue(
    session: Session,
    kind: MailKind,
    *,
    address: str,
    address_hash: str,
    locale: str,
    details: dict[str, Any],
    now: datetime,
) -> None:
    """Put one mail in the outbox, within the caller's transaction."""
    session.connection().execute(
        _INSERT,
        {
            "kind": kind,
            "lane": Lane.TRANSACTIONAL,
            "address": address,
            "address_hash": address_hash,
            "details": details | {"locale": locale},
            "created_at": now,
            "due_at": AT_ONCE,
        },
    )


def call_off(session: Session, kind: MailKind, address_hash: str, reason: str) -> None:
    """Cancel the mails of a kind to an address that still wait, within the caller's transaction."""
    waiting = (IS_PENDING, Delivery.address_hash == address_hash, Delivery.kind == kind)
    values = {"state": DeliveryState.CANCELLED, "reason": reason}
    session.execute(update(Delivery).where(*waiting).values(**values), execution_options=_QUIETLY)


def enough_for_today(session: Session, kind: MailKind, address_hash: str, now: datetime) -> bool:
    """Say whether an address has had A_DAY mails of a kind, or has them to come, within a day."""
    since = now - timedelta(days=1)
    query = select(func.count()).where(
        Delivery.address_hash == address_hash, Delivery.kind == kind, Delivery.created_at > since
    )
    return (session.scalar(query) or 0) >= A_DAY
