"""What the public pages read: one released update, and a digest as it was sent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import LinkAltered, NotFound
from alerts_service.mail.items import Item
from alerts_service.models import Digest, Edition, Update
from alerts_service.rules import tokens
from alerts_service.services import contents

_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class DigestSeen:
    """A digest as its readers got it: per content, nobody's own."""

    items: list[Item]
    frequency: str
    locale: str
    slot_at: datetime


def update(update_id: int, locale: str, settings: Settings) -> Item:
    """Return a released update, in a language. Raises NotFound where nothing of that number was released."""
    session = db.session()
    row = session.get(Update, update_id) if update_id <= _LARGEST_ID else None
    if row is None or row.released_at is None:
        raise NotFound(what="update", key=update_id)
    return contents.items(session, [update_id], locale, settings)[update_id]


def digest(token: str, settings: Settings) -> DigestSeen:
    """Return the digest behind a “view in browser” link. Raises LinkAltered."""
    assert settings.permanent_key, "checked at start"
    digest_id = tokens.read_digest(settings.permanent_key, token)
    found = contents.of_digest(digest_id, settings)
    if found is None:
        raise LinkAltered
    slot_at = db.session.scalars(select(Edition.slot_at).join(Digest).where(Digest.id == digest_id)).one()
    return DigestSeen(list(found.items), found.frequency, found.locale, slot_at)
