"""Why one person did, or did not, get one update: a walk by person, under a few indexed look-ups.

The answer is a key (ANSWERS) with its facts; entry points and templates put it into words.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.models import (
    REMINDER,
    Delivery,
    DeliveryState,
    Digest,
    DigestUpdate,
    Drop,
    Edition,
    Subscriber,
    Subscription,
    Topic,
    Update,
)
from alerts_service.rules import addresses
from alerts_service.services import candidates, consents, matching, people, preferences, suppressing

ANSWERS = {
    "sent": "It was sent.",
    "pending": "It is on its way.",
    "failed": "It was tried and failed; see the reply.",
    "cancelled": "It was matched and then cancelled; see the reason.",
    "dropped": "It was matched, then taken out before sending: it lapsed, was withdrawn, or the topic was left.",
    "waiting": "It is owed and waits for the next slot.",
    "paused": "It is held: the person has paused.",
    "not_released": "The update has not been released.",
    "withdrawn": "The update was withdrawn before it was owed.",
    "expired": "The update expired, or its event was over, before it was owed.",
    "unknown_address": "Nobody with this address has ever confirmed.",
    "followed_later": "The topic was followed only after the release.",
    "left_before": "The topic had been left before it could be sent.",
    "not_followed": "None of its topics was followed.",
    "not_owed": "It is not owed.",
}


def explain(address: str, update_id: int, *, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the answer with what it rests on: subscriptions, consent, editions, deliveries, suppression."""
    session = db.session()
    row = session.get(Update, update_id)
    if row is None:
        raise NotFound(what="update", key=update_id)
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    person = people.find(session, found)
    suppression = suppressing.standing(session, address_hash)
    subscriptions = _subscriptions(session, person, row) if person else []
    given = _deliveries(session, person, update_id) if person else []
    deliveries = [pair for pair in given if pair[1].frequency != REMINDER]
    reminders = [pair for pair in given if pair[1].frequency == REMINDER]
    answer = _answer(session, row, person, subscriptions, deliveries, now)
    return {
        "address": found.address,
        "update": {"id": row.id, "title": row.title, "state": row.state, "release": row.seq},
        "answer": answer,
        "because": ANSWERS[answer],
        "subscriptions": [_plain_subscription(*pair) for pair in subscriptions],
        "deliveries": [_plain_delivery(*pair) for pair in deliveries],
        "reminders": [_plain_delivery(*pair) for pair in reminders],
        "consents": [{"kind": c.kind, "at": c.at.isoformat()} for c in consents.history(session, address_hash)],
        "suppression": suppression.reason if suppression else None,
    }


def _answer(
    session: Session,
    row: Update,
    person: Subscriber | None,
    subscriptions: list[tuple[Subscription, str]],
    deliveries: list[tuple[Delivery, Edition]],
    now: datetime,
) -> str:
    if person is None:
        return "unknown_address"
    given = next((d for d, _ in deliveries if d.state != DeliveryState.CANCELLED), None)
    if given is not None:
        return "pending" if given.state == DeliveryState.SENDING else given.state
    if row.seq is None:
        return "not_released"
    if row.withdrawn_at is None and _is_owed(session, row, person, now):
        return "waiting"
    if deliveries:
        return "cancelled"
    return _unmatched(session, row, person, [subscription for subscription, _ in subscriptions], now)


def _unmatched(
    session: Session, row: Update, person: Subscriber, subscriptions: list[Subscription], now: datetime
) -> str:
    assert row.seq is not None
    followed = [s for s in subscriptions if s.since_seq < row.seq]
    if followed and _was_dropped(session, row, person):
        return "dropped"
    if row.withdrawn_at is not None:
        return "withdrawn"
    if row.lapses_at is not None and row.lapses_at <= now:
        return "expired"
    if not followed:
        return "followed_later" if subscriptions else "not_followed"
    if all(s.ended_at is not None for s in followed):
        return "left_before"
    return "paused" if preferences.is_away(person, now) else "not_owed"


def _was_dropped(session: Session, row: Update, person: Subscriber) -> bool:
    """Say whether this update was taken out of what the person was given: drops are counted, without names.

    A delivery that lost an update stays in its edition and locale, with a part of what it held.
    """
    dropped_from, rest, before = aliased(Digest), aliased(DigestUpdate), aliased(DigestUpdate)
    lacking = (
        select(rest.update_id)
        .outerjoin(before, (before.digest_id == dropped_from.id) & (before.update_id == rest.update_id))
        .where(rest.digest_id == Digest.id, before.update_id.is_(None))
    )
    query = (
        select(Delivery.id)
        .join(Digest, Digest.id == Delivery.digest_id)
        .join(dropped_from, (dropped_from.edition_id == Digest.edition_id) & (dropped_from.locale == Digest.locale))
        .join(Drop, (Drop.digest_id == dropped_from.id) & (Drop.update_id == row.id))
        .where(Delivery.subscriber_id == person.id, ~lacking.exists())
    )
    return session.scalar(query.limit(1)) is not None


def _is_owed(session: Session, row: Update, person: Subscriber, now: datetime) -> bool:
    if row.lapses_at is not None and row.lapses_at <= now:
        return False
    questions = candidates.still_open(session, row, person.id - 1, person.id, now)
    return any(matching.owed(session, question) for question in questions)


def _subscriptions(session: Session, person: Subscriber, row: Update) -> list[tuple[Subscription, str]]:
    query = (
        select(Subscription, Topic.slug)
        .join(Topic, Topic.id == Subscription.topic_id)
        .where(Subscription.subscriber_id == person.id, Topic.id.in_([topic.id for topic in row.topics]))
        .order_by(Subscription.started_at)
    )
    return [(subscription, slug) for subscription, slug in session.execute(query)]


def _deliveries(session: Session, person: Subscriber, update_id: int) -> list[tuple[Delivery, Edition]]:
    query = (
        select(Delivery, Edition)
        .join(Edition, Edition.id == Delivery.edition_id)
        .join(DigestUpdate, DigestUpdate.digest_id == Delivery.digest_id)
        .where(Delivery.subscriber_id == person.id, DigestUpdate.update_id == update_id)
        .order_by(Delivery.id)
    )
    return [(delivery, edition) for delivery, edition in session.execute(query)]


def _plain_subscription(row: Subscription, slug: str) -> dict[str, Any]:
    return {
        "topic": slug,
        "frequency": row.frequency,
        "followed_after_release": row.since_seq,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "ended_reason": row.ended_reason,
    }


def _plain_delivery(row: Delivery, edition: Edition) -> dict[str, Any]:
    return {
        "edition": edition.id,
        "frequency": edition.frequency,
        "slot_at": edition.slot_at.isoformat(),
        "state": row.state,
        "reason": row.reason,
        "reply": row.reply,
        "attempts": row.attempts,
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
    }
