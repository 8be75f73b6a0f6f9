"""The public archive: topics, what was released under each of them, and events; as plain values.

A topic's updates come newest release first, a page at a time, from a cursor: the number of the last release
seen. A withdrawn update stays in its place and says so. Nothing unreleased is ever read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.mail.items import Item
from alerts_service.models import Topic, Update, UpdateTopic
from alerts_service.services import contents, mailing, reading

A_PAGE = 20
IN_A_FEED = 50
HIGHEST_CURSOR = 2**63 - 1
_SLUG = re.compile("[a-z0-9-]{1,64}")


@dataclass(frozen=True)
class TopicSeen:
    """A topic and a page of its updates. `older` is the cursor of the next page, if there is one.

    A retired topic keeps its archive and takes no new followers.
    """

    slug: str
    title: str
    description: str
    retired: bool
    items: list[Item]
    older: int | None


@dataclass(frozen=True)
class Changed:
    """An update and when it was last changed; `key` stays the same whatever the site's address is."""

    item: Item
    key: str
    changed_at: datetime


@dataclass(frozen=True)
class FeedSeen:
    """A topic and its newest updates."""

    slug: str
    title: str
    description: str
    entries: list[Changed]


@dataclass(frozen=True)
class EventSeen:
    """An event: the update it is, and the zone its times were given in."""

    update: Changed
    zone: ZoneInfo


def topic(slug: str, locale: str, settings: Settings, *, before: int | None = None) -> TopicSeen:
    """Return a topic with a page of its updates, those released before the number `before`. Raises NotFound."""
    session = db.session()
    row = _topic(session, slug)
    rows = _released_under(session, row.id, A_PAGE + 1, before)
    shown = rows[:A_PAGE]
    return TopicSeen(
        slug=row.slug,
        title=row.title_in(locale),
        description=row.description_in(locale),
        retired=row.retired_at is not None,
        items=_items(session, [each.id for each in shown], locale, settings),
        older=shown[-1].seq if len(rows) > A_PAGE else None,
    )


def feed(slug: str, locale: str, settings: Settings) -> FeedSeen:
    """Return a topic with its newest updates. Raises NotFound."""
    session = db.session()
    row = _topic(session, slug)
    rows = _released_under(session, row.id, IN_A_FEED)
    items = _items(session, [each.id for each in rows], locale, settings)
    domain = mailing.message_domain()
    entries = [
        Changed(item, _key(domain, item.id, each.released_at), each.withdrawn_at or each.released_at)
        for item, each in zip(items, rows, strict=True)
    ]
    return FeedSeen(row.slug, row.title_in(locale), row.description_in(locale), entries)


def event(update_id: int, locale: str, settings: Settings) -> EventSeen:
    """Return the event of a released update. Raises NotFound where there is none."""
    session = db.session()
    row = reading.released(session, update_id)
    if row.starts_at is None or row.released_at is None:
        raise NotFound(what="event", key=update_id)
    item = contents.items(session, [row.id], locale, settings)[row.id]
    key = _key(mailing.message_domain(), item.id, row.released_at)
    zone = ZoneInfo(row.zone) if row.zone else settings.timezone
    return EventSeen(Changed(item, key, row.withdrawn_at or row.released_at), zone)


def _topic(session: Session, slug: str) -> Topic:
    row = session.scalar(select(Topic).where(Topic.slug == slug)) if _SLUG.fullmatch(slug) else None
    if row is None:
        raise NotFound(what="topic", key=slug)
    return row


def _released_under(session: Session, topic_id: int, most: int, before: int | None = None) -> Sequence[Any]:
    query = (
        select(Update.id, Update.seq, Update.released_at, Update.withdrawn_at)
        .join(UpdateTopic, UpdateTopic.update_id == Update.id)
        .where(UpdateTopic.topic_id == topic_id, Update.seq < (HIGHEST_CURSOR if before is None else before))
        .order_by(Update.seq.desc())
        .limit(most)
    )
    return session.execute(query).all()


def _items(session: Session, ids: list[int], locale: str, settings: Settings) -> list[Item]:
    found = contents.items(session, ids, locale, settings)
    return [found[update_id] for update_id in ids]


def _key(domain: str, update_id: int, released_at: datetime) -> str:
    """Name an update for ever, in the words of RFC 4151: whose it is, since when, and which."""
    return f"tag:{domain},{released_at:%Y-%m-%d}:update-{update_id}"
