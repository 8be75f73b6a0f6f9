"""One of every mail, to be looked at by tests."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from alerts_service.config import Settings
from alerts_service.mail import compose, digests
from alerts_service.mail.encode import Words
from alerts_service.mail.items import DigestContent, Item
from tests.conftest import START

Make = Callable[..., Item]
EXPIRES = START + timedelta(days=7)
RICH = "Words, **loud** ones.\n\n## Head\n\n- one\n- two\n\n> said\n\n    code"
FOLLOWING = [("Telehealth", "weekly"), ("Policy & Programs", "immediate")]


def digest_of(items: list[Item], settings: Settings, **changes: Any) -> Words:
    """Compose a digest of some updates: weekly and in English, unless told otherwise."""
    asked: dict[str, Any] = {"frequency": "weekly", "locale": "en", "token": "D" * 32}
    return digests.digest(DigestContent(tuple(items), **(asked | changes)), settings)


def every_mail(settings: Settings, make_item: Make, locale: str = "en") -> dict[str, Words]:
    """Compose one of every mail, by what it is."""
    plain: dict[str, Any] = {"locale": locale, "settings": settings, "now": START}
    asked: dict[str, Any] = plain | {"frequency": "weekly", "expires_at": EXPIRES}
    return {
        "digest": digest_of([make_item(1, url="https://example.org/a", summary=RICH)], settings, locale=locale),
        "confirmation": compose.confirmation(sign_up_id=3, topics=["Telehealth", "Policy"], **asked),
        "adding": compose.already_subscribed(
            sign_up_id=3, following=FOLLOWING, adding=["Dementia"], subscriber_id=7, **asked
        ),
        "already": compose.already_subscribed(
            sign_up_id=None, following=FOLLOWING, adding=[], subscriber_id=7, **asked
        ),
        "reminder": compose.confirmation(sign_up_id=3, topics=["Telehealth", "Policy"], asked_at=START, **asked),
        "alert": digest_of([make_item(1, urgent=True)], settings, frequency="immediate", locale=locale),
        "welcome": compose.welcome(
            subscriber_id=7,
            following=FOLLOWING,
            next_slots={"weekly": EXPIRES, "immediate": START},
            latest=[make_item(1), make_item(2, lang="es", starts_at=EXPIRES)],
            **plain,
        ),
        "goodbye": compose.goodbye(
            subscriber_id=7, topics=["Telehealth"], ended_at=START, locale=locale, settings=settings
        ),
        "preferences": compose.preferences_link(subscriber_id=7, **plain),
        "unknown": compose.preferences_link(subscriber_id=None, **plain),
    }
