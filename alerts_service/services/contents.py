"""What digests hold, as their readers see it: plain values for mails and pages."""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from alerts_service.config import Settings
from alerts_service.db import reading
from alerts_service.mail.items import DigestContent, Item
from alerts_service.models import Digest, DigestUpdate, Edition, Topic, Update, UpdateTopic
from alerts_service.rules import tokens

# What is shown of an update's own row.
_OWN = (
    *("id", "kind", "title", "title_es", "summary", "summary_es", "url", "registration_url", "credit"),
    *("created_at", "released_at", "starts_at", "ends_at", "withdrawn_at"),
)


def of_digests(ids: Collection[int], *, settings: Settings) -> dict[int, DigestContent]:
    """Return what digests are made of, in two queries however many they are. Unknown ones are left out."""
    with reading() as session:
        return _of_digests(session, ids, settings)


def _of_digests(session: Session, ids: Collection[int], settings: Settings) -> dict[int, DigestContent]:
    assert settings.permanent_key, "checked at start"
    held = [(key, list(rows)) for key, rows in groupby(session.execute(_held(ids)), lambda row: row[:3])]
    locales = {locale for (_, locale, _), _ in held}
    shown = items(session, {row.update_id for _, rows in held for row in rows}, locales, settings)
    return {
        digest_id: DigestContent(
            tuple(shown[row.update_id, locale] for row in rows),
            frequency,
            locale,
            tokens.digest_token(settings.permanent_key, digest_id),
        )
        for (digest_id, locale, frequency), rows in held
    }


def items(
    session: Session, updates: Collection[int], locales: Iterable[str], settings: Settings
) -> dict[tuple[int, str], Item]:
    """Return updates as mails and pages show them, by id and language. Unknown ones are left out.

    An update without a text in a language is given in English.
    """
    found = [list(rows) for _, rows in groupby(session.execute(_shown(updates)), attrgetter("id"))]
    return {(rows[0].id, locale): _item(rows, locale, settings) for locale in locales for rows in found}


def _held(ids: Collection[int]) -> Select[*tuple[Any, ...]]:
    return (
        select(Digest.id, Digest.locale, Edition.frequency, DigestUpdate.update_id)
        .join(Edition, Edition.id == Digest.edition_id)
        .join(DigestUpdate, DigestUpdate.digest_id == Digest.id)
        .where(Digest.id.in_(ids))
        .order_by(Digest.id)
    )


def _shown(updates: Collection[int]) -> Select[*tuple[Any, ...]]:
    """One row for each topic of each update, in catalogue order."""
    earlier = aliased(Update)
    return (
        select(
            *(getattr(Update, name) for name in _OWN),
            earlier.title.label("earlier_title"),
            earlier.title_es.label("earlier_title_es"),
            Topic.title.label("topic_title"),
            Topic.title_es.label("topic_title_es"),
            Topic.position.label("topic_position"),
        )
        .join(UpdateTopic, UpdateTopic.update_id == Update.id)
        .join(Topic, Topic.id == UpdateTopic.topic_id)
        .outerjoin(earlier, earlier.id == Update.follow_up_of_id)
        .where(Update.id.in_(updates))
        .order_by(Update.id, Topic.position)
    )


def _item(rows: Sequence[Any], locale: str, settings: Settings) -> Item:
    row = rows[0]
    return Item(
        id=row.id,
        kind=row.kind,
        title=_in(locale, row.title, row.title_es),
        summary=_in(locale, row.summary, row.summary_es),
        lang=locale if locale == "es" and row.title_es else "en",
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
        withdrawn=row.withdrawn_at is not None,
    )


def _in(locale: str, english: str, spanish: str | None) -> str:
    return (spanish if locale == "es" else None) or english
