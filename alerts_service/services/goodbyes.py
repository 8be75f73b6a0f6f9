"""The goodbye to who has left everything, and the undo that it carries.

The undo lifts the end that it was mailed for and no other: the subscriptions that ended then are followed again as if
they never had, with a consent record of its own. A suppression stays in force. Whoever came back by confirming has
nothing left to undo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import LinkAltered, LinkExpired
from alerts_service.models import MailKind, Subscriber, Subscription, Topic
from alerts_service.rules import addresses, tokens
from alerts_service.services import consents, following, letters, people
from alerts_service.services.consents import Origin

CAME_BACK = "came back"


@dataclass(frozen=True)
class Ended:
    """What an undo link would bring back; where the person is `back`, what they follow now."""

    masked_address: str
    topics: list[str]
    locale: str
    back: bool


def queue(session: Session, subscriber: Subscriber, *, settings: Settings, now: datetime) -> None:
    """Queue the goodbye to who has just left everything, as a step of that; at most letters.A_DAY."""
    if not settings.goodbye or subscriber.ended_at != now:
        return
    if letters.enough_for_today(session, MailKind.GOODBYE, subscriber.address_hash, now):
        return
    letters.queue(
        session,
        MailKind.GOODBYE,
        address=subscriber.address,
        address_hash=subscriber.address_hash,
        locale=subscriber.locale,
        details={"subscriber": subscriber.id, "ended_at": now.isoformat()},
        now=now,
    )


def revive(session: Session, subscriber: Subscriber) -> None:
    """Let a person who has left be a subscriber again, as a step; a goodbye that waits is not sent."""
    subscriber.ended_at = subscriber.ended_reason = None
    letters.call_off(session, MailKind.GOODBYE, subscriber.address_hash, CAME_BACK)


def look(token: str, *, settings: Settings, now: datetime) -> Ended:
    """Return what an undo link would bring back; changes nothing. Raises LinkAltered, LinkExpired."""
    session = db.session()
    subscriber, second = _behind(session, token, settings, now)
    rows: Sequence[Subscription] = list(following.followed(session, subscriber).values())
    back = subscriber.ended_at is None
    if not back:
        rows = _to_undo(session, subscriber, second)
    if not rows:
        raise LinkExpired
    titles = [topic.title_in(subscriber.locale) for topic in topics_of(session, rows)]
    return Ended(addresses.mask(subscriber.address), titles, subscriber.locale, back=back)


def undo(token: str, *, wording: str, page: str, network: str, settings: Settings, now: datetime) -> None:
    """Follow again what the end behind a link has ended. Repeating it changes nothing.

    Raises LinkAltered, LinkExpired.
    """
    with transaction() as session:
        subscriber, second = _behind(session, token, settings, now)
        people.lock(session, subscriber)
        rows = _to_undo(session, subscriber, second)
        if not rows:
            return
        following.restore(session, subscriber, rows, now)
        revive(session, subscriber)
        consents.append(
            session,
            address_hash=subscriber.address_hash,
            address=subscriber.address,
            kind="undone",
            facts={"restored": [topic.slug for topic in topics_of(session, rows)]},
            origin=Origin(page, wording, subscriber.locale, network),
            now=now,
        )


def ended_with(session: Session, subscriber: Subscriber, ended_at: datetime) -> list[Subscription]:
    """Return the subscriptions to topics still offered that a person left at a moment, when they left the last."""
    query = (
        select(Subscription)
        .join(Topic, Topic.id == Subscription.topic_id)
        .where(Subscription.subscriber_id == subscriber.id, Subscription.ended_at == ended_at)
        .where(Subscription.ended_reason == subscriber.ended_reason, Topic.retired_at.is_(None))
        .order_by(Subscription.id)
    )
    # Of a topic left twice at the very same moment, the newest.
    return list({row.topic_id: row for row in session.scalars(query)}.values())


def topics_of(session: Session, rows: Sequence[Subscription]) -> list[Topic]:
    """Return the topics of subscriptions, in catalogue order."""
    query = select(Topic).where(Topic.id.in_([row.topic_id for row in rows])).order_by(Topic.position)
    return list(session.scalars(query))


def _to_undo(session: Session, subscriber: Subscriber, second: datetime) -> list[Subscription]:
    """Return what ended with the end that a link names by its second: nothing, if that is not how things stand."""
    if subscriber.ended_at is None or subscriber.ended_at.replace(microsecond=0) != second:
        return []
    return ended_with(session, subscriber, subscriber.ended_at)


def _behind(session: Session, token: str, settings: Settings, now: datetime) -> tuple[Subscriber, datetime]:
    subscriber_id, second = tokens.read_undo(settings.secret_keys, token, now)
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise LinkAltered
    return subscriber, second
