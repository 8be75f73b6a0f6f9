"""From a claimed delivery to the words it says: reads what it is about and calls the mail layer."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import reading
from alerts_service.errors import NotFound
from alerts_service.mail import compose, digests
from alerts_service.mail.encode import Words, stencil
from alerts_service.mail.items import DigestContent, Item
from alerts_service.mail.places import PREFERENCES, UNSUBSCRIBE
from alerts_service.models import AddressChange, Fact, MailKind, SignUp, Subscriber, Topic
from alerts_service.rules import addresses, tokens
from alerts_service.rules.slots import Frequency
from alerts_service.services import contents, following, goodbyes, readdressing
from alerts_service.services.claiming import Claimed
from alerts_service.services.installing import MESSAGE_DOMAIN


def preview(update_id: int, *, locale: str, settings: Settings) -> Words:
    """Compose the digest that one update alone would make. Raises NotFound."""
    assert settings.permanent_key, "checked at start"
    with reading() as session:
        found = tuple(contents.items(session, [update_id], locale, settings).values())
    if not found:
        raise NotFound(what="update", key=update_id)
    token = tokens.digest_token(settings.permanent_key, 0)
    return digests.digest(DigestContent(found, Frequency.WEEKLY, locale, token), settings)


def sample(words: Words, *, settings: Settings, now: datetime) -> bytes:
    """Return a mail as bytes, addressed to nobody real and with links that lead nowhere."""
    made = stencil(words, settings=settings, list_mail=True, from_address=settings.from_address)
    return made.fill(
        address="reader@example.org",
        message_id=f"sample@{settings.mail_domain}",
        date=now,
        unsubscribe="x" * len(UNSUBSCRIBE),
        preferences="x" * len(PREFERENCES),
    )


def letter_words(delivery: Claimed, *, settings: Settings, now: datetime) -> Words:
    """Compose a transactional mail from what its delivery row is about. Raises NotFound if that is gone."""
    details = delivery.details or {}
    locale = details.get("locale", settings.languages[0])
    with reading() as session:
        if delivery.kind in {MailKind.CONFIRMATION, MailKind.REMINDER, MailKind.ALREADY_SUBSCRIBED}:
            return _confirmation(session, delivery.kind, details["sign_up"], locale, settings, now)
        if delivery.kind == MailKind.WELCOME:
            return _welcome(session, details, locale, settings, now)
        if delivery.kind == MailKind.GOODBYE:
            return _goodbye(session, details, locale, settings)
        if delivery.kind in {MailKind.ADDRESS_CHANGE, MailKind.ADDRESS_CHANGED}:
            return _change_of_address(session, delivery.kind, details.get("change", 0), locale, settings, now)
    if delivery.kind == MailKind.DATA_LINK:
        return compose.data_link(link_id=details.get("link", 0), locale=locale, settings=settings, now=now)
    return compose.preferences_link(subscriber_id=details.get("subscriber"), locale=locale, settings=settings, now=now)


def _confirmation(
    session: Session, kind: str, sign_up_id: int, locale: str, settings: Settings, now: datetime
) -> Words:
    sign_up = session.get(SignUp, sign_up_id)
    if sign_up is None:
        raise NotFound(what="sign-up", key=sign_up_id)
    common: dict[str, Any] = {
        "sign_up_id": sign_up.id,
        "frequency": sign_up.frequency,
        "locale": locale,
        "settings": settings,
        "now": now,
        "expires_at": sign_up.expires_at,
    }
    query = select(Subscriber).where(Subscriber.address_hash == sign_up.address_hash)
    subscriber = session.scalar(query) if kind == MailKind.ALREADY_SUBSCRIBED else None
    if subscriber is None:
        asked_at = sign_up.requested_at if kind == MailKind.REMINDER else None
        return compose.confirmation(topics=_titles(sign_up.topics, locale), asked_at=asked_at, **common)
    followed = following.followed(session, subscriber)
    new = [topic for topic in sign_up.topics if topic.id not in followed]
    return compose.already_subscribed(
        subscriber_id=subscriber.id,
        following=_followed(session, subscriber, locale),
        adding=_titles(new, locale),
        **common,
    )


def _change_of_address(
    session: Session, kind: str, change_id: int, locale: str, settings: Settings, now: datetime
) -> Words:
    wish = session.get(AddressChange, change_id)
    if wish is None:
        raise NotFound(what="change of address", key=change_id)
    common: dict[str, Any] = {"locale": locale, "settings": settings, "now": now}
    if kind == MailKind.ADDRESS_CHANGED:
        return compose.address_changed(change_id=wish.id, address=addresses.mask(wish.address), **common)
    is_free = readdressing.is_free(session, wish)
    masked = addresses.mask(wish.former_address)
    return compose.address_change(change_id=wish.id if is_free else None, former_address=masked, **common)


def _welcome(session: Session, details: dict[str, Any], locale: str, settings: Settings, now: datetime) -> Words:
    subscriber = _subscriber(session, details)
    followed = _followed(session, subscriber, locale)
    slots = {
        frequency: settings.schedules[Frequency(frequency)].following(now, settings.timezone)
        for _, frequency in followed
    }
    latest = contents.items(session, details.get("latest", []), locale, settings).values()
    return compose.welcome(
        subscriber_id=subscriber.id,
        following=followed,
        latest=sorted((item for item in latest if not item.withdrawn), key=_newest_first),
        next_slots=slots,
        locale=locale,
        settings=settings,
        now=now,
    )


def _goodbye(session: Session, details: dict[str, Any], locale: str, settings: Settings) -> Words:
    subscriber = _subscriber(session, details)
    ended_at = datetime.fromisoformat(details["ended_at"])
    ended = goodbyes.topics_of(session, goodbyes.ended_with(session, subscriber, ended_at))
    return compose.goodbye(
        subscriber_id=subscriber.id, topics=_titles(ended, locale), ended_at=ended_at, locale=locale, settings=settings
    )


def _subscriber(session: Session, details: dict[str, Any]) -> Subscriber:
    found = session.get(Subscriber, details["subscriber"])
    if found is None:
        raise NotFound(what="subscriber", key=details["subscriber"])
    return found


def _newest_first(item: Item) -> tuple[float, int]:
    return -item.released_at.timestamp(), -item.id


def _followed(session: Session, subscriber: Subscriber, locale: str) -> list[tuple[str, str]]:
    rows = following.followed(session, subscriber)
    topics = session.scalars(select(Topic).where(Topic.id.in_(rows)).order_by(Topic.position))
    return [(topic.title_in(locale), rows[topic.id].frequency) for topic in topics]


def _titles(topics: Iterable[Topic], locale: str) -> list[str]:
    return [topic.title_in(locale) for topic in topics]


def message_id(
    *,
    delivery_id: int,
    kind: str,
    address: str,
    frequency: str | None,
    slot_at: datetime | None,
    domain: str,
    settings: Settings,
    seed: bool = False,
) -> str:
    """Return the Message-ID of a delivery, the same at every try, without its angle brackets.

    A digest's is made of frequency, slot and address, so that it can be found again in another copy of the
    database; a letter's of its kind and row. A seed differs from the copy that the same person follows.
    """
    assert settings.permanent_key, "checked at start"
    parts: tuple[object, ...] = (kind, delivery_id)
    if frequency is not None and slot_at is not None:
        parts = (frequency, _slot(slot_at), address.casefold())
        if seed:
            parts += ("seed",)
    return tokens.message_id(settings.permanent_key, domain, *parts)


@lru_cache(maxsize=64)
def _slot(at: datetime) -> str:
    """A slot is that of thousands of deliveries."""
    return at.astimezone(UTC).isoformat()


def message_domain() -> str:
    """Return the right-hand side of every Message-ID, fixed when the installation was made."""
    with reading() as session:
        return session.get_one(Fact, MESSAGE_DOMAIN).value
