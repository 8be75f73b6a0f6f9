"""What digests hold, as their readers see it: plain values for mails and pages.

On a hot path: the statements are made once, of tables, and rows are read by place.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import Base, reading
from alerts_service.mail.items import DigestContent, Item
from alerts_service.models import Digest, DigestUpdate, Edition, Topic, Update, UpdateTopic
from alerts_service.rules import tokens

# For so long a sender may say what an update said before it was changed.
FRESH_FOR = timedelta(seconds=5)
_Known = dict[str, dict[int, Item]]

_digests, _held, _editions, _updates, _under, _topics = (
    Base.metadata.tables[model.__tablename__] for model in (Digest, DigestUpdate, Edition, Update, UpdateTopic, Topic)
)
_earlier = _updates.alias("earlier")

# What each digest holds: one row an update.
_HOLDINGS = (
    select(_digests.c.id, _digests.c.locale, _editions.c.frequency, _held.c.update_id)
    .join_from(_digests, _editions, _editions.c.id == _digests.c.edition_id)
    .join(_held, _held.c.digest_id == _digests.c.id)
    .where(_digests.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_digests.c.id)
)

_OWN = (
    *("id", "kind", "title", "title_es", "summary", "summary_es", "url", "registration_url", "credit"),
    *("created_at", "released_at", "starts_at", "ends_at", "withdrawn_at", "urgent"),
)
# What is shown of updates: one row for each topic of each, in catalogue order.
_SHOWN = (
    select(
        *(_updates.c[name] for name in _OWN),
        _earlier.c.id.label("earlier_id"),
        _earlier.c.title.label("earlier_title"),
        _earlier.c.title_es.label("earlier_title_es"),
        _topics.c.title.label("topic_title"),
        _topics.c.title_es.label("topic_title_es"),
        _topics.c.position.label("topic_position"),
    )
    .join_from(_updates, _under, _under.c.update_id == _updates.c.id)
    .join(_topics, _topics.c.id == _under.c.topic_id)
    # Nobody is told of what has not been released.
    .outerjoin(_earlier, and_(_earlier.c.id == _updates.c.follow_up_of_id, _earlier.c.seq.is_not(None)))
    .where(_updates.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_updates.c.id, _topics.c.position)
)


class Contents:
    """What digests are made of, for one sender. Updates that it has read are not read again for FRESH_FOR."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: _Known = {}
        self._known_since = datetime.min.replace(tzinfo=UTC)

    def of_digests(self, ids: Collection[int], *, now: datetime) -> dict[int, DigestContent]:
        """Return what digests are made of, in two queries at most, however many they are. Unknown ones are left out."""
        if not self._known_since <= now < self._known_since + FRESH_FOR:
            self._known.clear()
            self._known_since = now
        with reading() as session:
            return _of_digests(session, ids, self._settings, self._known)


def of_digest(digest_id: int, settings: Settings) -> DigestContent | None:
    """Return what one digest is made of, as of now; None if there is no such digest."""
    with reading() as session:
        return _of_digests(session, [digest_id], settings, {}).get(digest_id)


def items(session: Session, updates: Collection[int], locale: str, settings: Settings) -> dict[int, Item]:
    """Return updates as mails and pages show them, by id. Unknown ones are left out.

    An update without a text in the language is given in English.
    """
    rows = session.execute(_SHOWN, {"ids": list(updates)})
    found = (list(of_one) for _, of_one in groupby(rows, itemgetter(0)))
    return {of_one[0].id: _item(of_one, locale, settings) for of_one in found}


def _of_digests(session: Session, ids: Collection[int], settings: Settings, known: _Known) -> dict[int, DigestContent]:
    assert settings.permanent_key, "checked at start"
    holdings = session.execute(_HOLDINGS, {"ids": list(ids)}).all()
    for locale in {locale for _, locale, _, _ in holdings}:
        shown = known.setdefault(locale, {})
        missing = {update_id for _, of, _, update_id in holdings if of == locale and update_id not in shown}
        if missing:
            shown |= items(session, missing, locale, settings)
    found = {}
    for (digest_id, locale, frequency), rows in groupby(holdings, itemgetter(0, 1, 2)):
        shown = known[locale]
        held = tuple([shown[update_id] for *_, update_id in rows])
        token = tokens.digest_token(settings.permanent_key, digest_id)
        found[digest_id] = DigestContent(held, frequency, locale, token)
    return found


def _item(rows: Sequence[Any], locale: str, settings: Settings) -> Item:
    row = rows[0]
    return Item(
        id=row.id,
        kind=row.kind,
        title=_in(locale, row.title, row.title_es),
        summary=_in(locale, row.summary, row.summary_es),
        lang=_language(locale, row.title_es),
        page_url=f"{settings.base_url}/updates/{row.id}",
        url=row.url,
        topics=tuple(_in(locale, each.topic_title, each.topic_title_es) for each in rows),
        topic_positions=tuple(each.topic_position for each in rows),
        released_at=row.released_at or row.created_at,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        registration_url=row.registration_url,
        credit=row.credit,
        follow_up_of=_in(locale, row.earlier_title, row.earlier_title_es),
        follow_up_lang=_language(locale, row.earlier_title_es),
        follow_up_url=f"{settings.base_url}/updates/{row.earlier_id}" if row.earlier_id else None,
        withdrawn=row.withdrawn_at is not None,
        urgent=row.urgent,
    )


def _language(locale: str, spanish: str | None) -> str:
    return "es" if locale == "es" and spanish else "en"


def _in(locale: str, english: str, spanish: str | None) -> str:
    return (spanish if locale == "es" else None) or english
