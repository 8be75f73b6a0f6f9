"""Words and links: one function a mail, each filling one folder under templates/mail.

A digest's words depend on its updates, its locale and its frequency, never on who reads it: where a
reader's own links belong stand the placeholders of alerts_service.mail.encode.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from alerts_service.config import Settings
from alerts_service.mail import environment, links
from alerts_service.mail.encode import PREFERENCES, UNSUBSCRIBE, Words
from alerts_service.mail.items import Item, arrange
from alerts_service.mail.lines import SUBJECT_LENGTH, cut, one_line, wrapped
from alerts_service.rules import tokens

Following = Sequence[tuple[str, str]]
_TEST_MARK = "[TEST] "


def digest(items: Iterable[Item], *, frequency: str, locale: str, digest_token: str, settings: Settings) -> Words:
    """The digest of these updates, whoever reads it."""
    arranged = arrange(items)
    return _words(
        "digest",
        locale,
        settings,
        arranged=arranged,
        first=arranged.in_full[0],
        count=len(arranged.in_full) + arranged.more,
        frequency=frequency,
        in_browser=f"{settings.base_url}/digests/{digest_token}",
        preferences=f"{settings.base_url}/preferences/{PREFERENCES}",
        unsubscribe=f"{settings.base_url}/unsubscribe/{UNSUBSCRIBE}",
    )


def confirmation(
    *,
    sign_up_id: int,
    topics: Sequence[str],
    frequency: str,
    locale: str,
    settings: Settings,
    now: datetime,
    expires_at: datetime,
) -> Words:
    """The mail that asks a new reader to press the button."""
    return _words(
        "confirmation",
        locale,
        settings,
        topics=topics,
        frequency=frequency,
        expires_at=expires_at,
        confirm=links.confirm(sign_up_id, settings, now),
        not_me=links.not_me(sign_up_id, settings, now),
    )


def already_subscribed(
    *,
    sign_up_id: int | None,
    following: Following,
    adding: Sequence[str],
    frequency: str,
    subscriber_id: int,
    locale: str,
    settings: Settings,
    now: datetime,
    expires_at: datetime,
) -> Words:
    """The mail to who signs up again: what they follow, and the new topics to confirm where there are any."""
    confirms = sign_up_id if adding else None
    return _words(
        "already_subscribed",
        locale,
        settings,
        following=following,
        adding=adding,
        frequency=frequency,
        expires_at=expires_at,
        preferences=links.preferences(subscriber_id, settings, now),
        confirm=links.confirm(confirms, settings, now) if confirms is not None else "",
        not_me=links.not_me(confirms, settings, now) if confirms is not None else "",
    )


def welcome(
    *,
    subscriber_id: int,
    following: Following,
    next_slots: Mapping[str, datetime],
    locale: str,
    settings: Settings,
    now: datetime,
) -> Words:
    """The mail after a confirmation: which topics, how often, when next, and how to change it."""
    return _words(
        "welcome",
        locale,
        settings,
        following=following,
        next_slots=next_slots,
        preferences=links.preferences(subscriber_id, settings, now),
        unsubscribe=links.unsubscribe(subscriber_id, settings),
    )


def preferences_link(*, subscriber_id: int | None, locale: str, settings: Settings, now: datetime) -> Words:
    """The link asked for; or, where the address follows nothing, the mail that says so."""
    link = links.preferences(subscriber_id, settings, now) if subscriber_id is not None else ""
    return _words("preferences_link", locale, settings, preferences=link, valid_for=tokens.LINK_LIFETIME.days)


def _words(kind: str, locale: str, settings: Settings, **values: object) -> Words:
    values |= {
        "name": settings.name,
        "home": links.home(locale, settings),
        "zone": settings.timezone,
        "contact": links.contact(settings),
        "privacy": settings.privacy_url,
        "postal_address": settings.postal_address,
    }
    headline = one_line(environment.render(f"{kind}/subject.txt", locale, **values))
    mark = _TEST_MARK if settings.mode == "staging" else ""
    subject = mark + cut(headline, SUBJECT_LENGTH - len(mark))
    values |= {"headline": headline, "subject": subject}
    text = environment.render(f"{kind}/body.txt", locale, **values)
    html = environment.render(f"{kind}/body.html", locale, **values)
    return Words(kind, locale, subject, _tidy(text), environment.inlined(html))


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return wrapped(re.sub(r"\n{4,}", "\n\n\n", lines)).strip() + "\n"
