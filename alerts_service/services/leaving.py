"""Leaving by link: everything, or only the topics of the digest the link came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import LinkAltered, NotFound
from alerts_service.mail import links
from alerts_service.models import DigestUpdate, Subscriber, Subscription, Topic, UpdateTopic
from alerts_service.rules import addresses, tokens
from alerts_service.services import consents, following, goodbyes, noting, people, reasons
from alerts_service.services.consents import Origin

BY_LINK = "unsubscribed"
BY_PREFERENCES = "left in preferences"


@dataclass(frozen=True)
class Leaving:
    """What an unsubscribe link would end."""

    masked_address: str
    following: list[str]
    these: list[str]
    locale: str


def look(token: str, *, settings: Settings) -> Leaving:
    """Return what a link would end; changes nothing. Raises LinkAltered."""
    session = db.session()
    subscriber, digest_id = _behind(session, token, settings)
    rows = following.followed(session, subscriber)
    topics = session.scalars(select(Topic).where(Topic.id.in_(rows)).order_by(Topic.position)).all()
    of_digest = _topics_of(session, digest_id)
    return Leaving(
        masked_address=addresses.mask(subscriber.address),
        following=[topic.title_in(subscriber.locale) for topic in topics],
        these=[topic.title_in(subscriber.locale) for topic in topics if topic.id in of_digest],
        locale=subscriber.locale,
    )


def leave(
    token: str, *, only_these: bool, page: str, network: str, settings: Settings, now: datetime, reason: str = ""
) -> str | None:
    """End every subscription, or only those to the digest's topics, with a goodbye to who follows nothing any more.

    Returns the link that undoes it, if this has ended the last: whoever holds an old mail gets none by repeating it.
    Repeating it changes nothing. A reason is counted where everything ends.
    """
    with transaction() as session:
        subscriber, digest_id = _behind(session, token, settings)
        origin = Origin(page, "", subscriber.locale, network)
        if only_these:
            left = _end_these(session, subscriber, _topics_of(session, digest_id), origin, now)
        else:
            left = end_all(session, subscriber, origin, now)
        if left:
            goodbyes.queue(session, subscriber, settings=settings, now=now)
        if left and not only_these:
            reasons.count(session, reason, settings=settings, now=now)
        ended = subscriber.ended_at == now
    noting.left(subscriber.address_hash, left, settings=settings, now=now)
    return links.undo(subscriber.id, now, settings) if left and ended else None


def leave_address(address: str, *, settings: Settings, now: datetime) -> None:
    """End every subscription of an address, for an operator. Raises NotFound where nobody has it."""
    found = addresses.parse(address)
    with transaction() as session:
        subscriber = people.find(session, found)
        if subscriber is None:
            raise NotFound(what="subscriber", key=found.address)
        left = end_all(session, subscriber, Origin("command", "", subscriber.locale, ""), now)
    noting.left(subscriber.address_hash, left, settings=settings, now=now)


def end_all(session: Session, subscriber: Subscriber, origin: Origin, now: datetime) -> list[str]:
    """End every subscription of a person, as a step of a use case; return the topics left."""
    people.lock(session, subscriber)
    return _end(session, subscriber, following.followed(session, subscriber, lock=True).values(), origin, now)


def end_older(
    session: Session, subscriber: Subscriber, topics: Sequence[str], origin: Origin, *, than: datetime, now: datetime
) -> list[str]:
    """End the subscriptions to some topics that began before a moment, as a step; return the topics left."""
    people.lock(session, subscriber)
    named = set(session.scalars(select(Topic.id).where(Topic.slug.in_(topics))))
    rows = following.followed(session, subscriber, lock=True).values()
    return _end(
        session, subscriber, [row for row in rows if row.topic_id in named and row.started_at < than], origin, now
    )


def _end_these(session: Session, subscriber: Subscriber, topics: set[int], origin: Origin, now: datetime) -> list[str]:
    people.lock(session, subscriber)
    rows = following.followed(session, subscriber, lock=True).values()
    return _end(session, subscriber, [row for row in rows if row.topic_id in topics], origin, now)


def _end(
    session: Session, subscriber: Subscriber, rows: Iterable[Subscription], origin: Origin, now: datetime
) -> list[str]:
    rows = list(rows)
    if not rows:
        return []
    topics = session.scalars(select(Topic).where(Topic.id.in_([row.topic_id for row in rows])).order_by(Topic.position))
    left = [topic.slug for topic in topics]
    for row in rows:
        following.end(session, row, BY_LINK, now)
    subscriber.narrowed_at = now
    if not following.followed(session, subscriber):
        subscriber.ended_at, subscriber.ended_reason = now, BY_LINK
    consents.append(
        session,
        address_hash=subscriber.address_hash,
        address=subscriber.address,
        kind="withdrawn",
        facts={"ended": left},
        origin=origin,
        now=now,
    )
    return left


def _behind(session: Session, token: str, settings: Settings) -> tuple[Subscriber, int]:
    assert settings.permanent_key, "checked at start"
    subscriber_id, digest_id = tokens.read_unsubscribe(settings.permanent_key, token)
    subscriber = people.present(session, subscriber_id)
    if subscriber is None:
        raise LinkAltered
    return subscriber, digest_id


def _topics_of(session: Session, digest_id: int) -> set[int]:
    query = (
        select(UpdateTopic.topic_id)
        .join(DigestUpdate, DigestUpdate.update_id == UpdateTopic.update_id)
        .where(DigestUpdate.digest_id == digest_id)
    )
    return set(session.scalars(query))
