"""What the public pages read: one released update, and a digest as it was sent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import LinkAltered, NotFound
from alerts_service.mail.items import Item
from alerts_service.models import Digest, Edition, Topic, Update, UpdateTopic
from alerts_service.rules import tokens
from alerts_service.services import contents

_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class Under:
    """A topic of an update. A retired one has an archive, and takes no new followers."""

    slug: str
    title: str
    retired: bool


@dataclass(frozen=True)
class UpdateSeen:
    """A released update, what follows up on it, and its topics. `is_over` is about its event."""

    item: Item
    follow_ups: list[Item]
    topics: list[Under]
    is_over: bool


@dataclass(frozen=True)
class DigestSeen:
    """A digest as its readers got it: per content, nobody's own."""

    items: list[Item]
    frequency: str
    locale: str
    slot_at: datetime


def update(update_id: int, locale: str, settings: Settings, *, now: datetime) -> UpdateSeen:
    """Return a released update, in a language. Raises NotFound where nothing of that number was released."""
    session = db.session()
    row = released(session, update_id)
    later = _released_follow_ups(session, row.id)
    found = contents.items(session, [row.id, *later], locale, settings)
    ends_at = row.ends_at or row.starts_at
    return UpdateSeen(
        item=found[row.id],
        follow_ups=[found[each] for each in later],
        topics=_topics(session, row.id, locale),
        is_over=ends_at is not None and ends_at <= now,
    )


def released(session: Session, update_id: int) -> Update:
    """Return an update that has been released, as a step of a use case. Raises NotFound."""
    row = session.get(Update, update_id) if update_id <= _LARGEST_ID else None
    if row is None or row.released_at is None:
        raise NotFound(what="update", key=update_id)
    return row


def digest(token: str, settings: Settings) -> DigestSeen:
    """Return the digest behind a “view in browser” link. Raises LinkAltered."""
    assert settings.permanent_key, "checked at start"
    digest_id = tokens.read_digest(settings.permanent_key, token)
    found = contents.of_digest(digest_id, settings)
    if found is None:
        raise LinkAltered
    slot_at = db.session.scalars(select(Edition.slot_at).join(Digest).where(Digest.id == digest_id)).one()
    return DigestSeen(list(found.items), found.frequency, found.locale, slot_at)


def _released_follow_ups(session: Session, update_id: int) -> list[int]:
    query = select(Update.id).where(Update.follow_up_of_id == update_id, Update.seq.is_not(None))
    return list(session.scalars(query.where(Update.withdrawn_at.is_(None)).order_by(Update.seq.desc())))


def _topics(session: Session, update_id: int, locale: str) -> list[Under]:
    query = select(Topic).join(UpdateTopic, UpdateTopic.topic_id == Topic.id).order_by(Topic.position)
    rows = session.scalars(query.where(UpdateTopic.update_id == update_id))
    return [Under(row.slug, row.title_in(locale), row.retired_at is not None) for row in rows]
