"""What is known about an address: one word, or everything kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.models import AddressChange, Delivery, SignUp, Subscriber, Subscription, Topic
from alerts_service.rules import addresses
from alerts_service.services import consents, people, preferences, suppressing


def state(address: str, *, settings: Settings, now: datetime) -> str:
    """Return the first that holds: suppressed, paused, active, pending, unsubscribed, none."""
    session = db.session()
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    if suppressing.standing(session, address_hash) is not None:
        return "suppressed"
    subscriber = people.find(session, found)
    if subscriber is not None and subscriber.ended_at is None:
        return "paused" if preferences.is_away(subscriber, now) else "active"
    if _pending(session, address_hash, now):
        return "pending"
    return "unsubscribed" if subscriber is not None else "none"


def show(address: str, *, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return everything kept about an address, as plain values."""
    session = db.session()
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    subscriber = people.find(session, found)
    hashes = people.hashes_of(session, subscriber) if subscriber else [address_hash]
    suppression = suppressing.standing(session, address_hash)
    return {
        "address": subscriber.address if subscriber else found.address,
        "state": state(address, settings=settings, now=now),
        "language": subscriber.locale if subscriber else None,
        "confirmed_at": _plain(subscriber.confirmed_at) if subscriber else None,
        "paused_until": _plain(subscriber.paused_until) if subscriber else None,
        "suppression": {"reason": suppression.reason, "at": _plain(suppression.suppressed_at)} if suppression else None,
        "address_changes": _address_changes(session, subscriber) if subscriber else [],
        "sign_ups": [_sign_up(row) for each in hashes for row in _sign_ups(session, each)],
        "subscriptions": _subscriptions(session, people.rows_of(session, subscriber)) if subscriber else [],
        "consents": [_consent(row) for each in hashes for row in consents.history(session, each)],
        "consent_chain_is_whole": all(consents.verify(session, each) for each in hashes),
        "deliveries": _deliveries(session, people.rows_of(session, subscriber) if subscriber else [], hashes),
    }


def _pending(session: Session, address_hash: str, now: datetime) -> bool:
    return any(
        row.confirmed_at is None and row.ended_at is None and row.expires_at > now
        for row in _sign_ups(session, address_hash)
    )


def _sign_ups(session: Session, address_hash: str) -> list[SignUp]:
    query = select(SignUp).where(SignUp.address_hash == address_hash).order_by(SignUp.requested_at)
    return list(session.scalars(query))


def _sign_up(row: SignUp) -> dict[str, Any]:
    return {
        "requested_at": _plain(row.requested_at),
        "topics": [topic.slug for topic in row.topics],
        "frequency": row.frequency,
        "source": row.source,
        "expires_at": _plain(row.expires_at),
        "confirmed_at": _plain(row.confirmed_at),
        "ended_reason": row.ended_reason,
    }


def _address_changes(session: Session, subscriber: Subscriber) -> list[dict[str, Any]]:
    query = select(AddressChange).where(AddressChange.subscriber_id == subscriber.id).order_by(AddressChange.id)
    return [
        {
            "from": row.former_address,
            "to": row.address,
            "asked_at": _plain(row.asked_at),
            "confirmed_at": _plain(row.confirmed_at),
            "undone_at": _plain(row.undone_at),
        }
        for row in session.scalars(query)
    ]


def _subscriptions(session: Session, rows: Sequence[int]) -> list[dict[str, Any]]:
    query = (
        select(Subscription, Topic.slug)
        .join(Topic, Topic.id == Subscription.topic_id)
        .where(Subscription.subscriber_id.in_(rows))
        .order_by(Subscription.started_at, Topic.position)
    )
    return [
        {
            "topic": slug,
            "frequency": row.frequency,
            "followed_since": _plain(row.followed_since),
            "started_at": _plain(row.started_at),
            "ended_at": _plain(row.ended_at),
            "ended_reason": row.ended_reason,
        }
        for row, slug in session.execute(query)
    ]


def _consent(row: Any) -> dict[str, Any]:
    return {
        "number": row.number,
        "kind": row.kind,
        "at": _plain(row.at),
        "wording": row.wording_version,
        "facts": row.facts,
        "personal": row.personal,
        "hash": row.hash,
    }


def _deliveries(session: Session, subscribers: Sequence[int], hashes: Sequence[str]) -> list[dict[str, Any]]:
    mine = Delivery.address_hash.in_(hashes) | Delivery.subscriber_id.in_(subscribers)
    rows = session.scalars(select(Delivery).where(mine).order_by(Delivery.id))
    return [
        {
            "kind": row.kind,
            "edition": row.edition_id,
            "state": row.state,
            "reason": row.reason,
            "reply": row.reply,
            "attempts": row.attempts,
            "created_at": _plain(row.created_at),
            "sent_at": _plain(row.sent_at),
        }
        for row in rows
    ]


def _plain(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
