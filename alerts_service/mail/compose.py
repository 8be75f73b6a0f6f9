"""Words and links: one function a mail, each filling one folder under templates/mail.

A digest's are in alerts_service.mail.digests.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alerts_service.config import Settings
from alerts_service.mail import environment, links
from alerts_service.mail.encode import Words
from alerts_service.mail.items import Item
from alerts_service.mail.lines import tidy
from alerts_service.rules import tokens

Following = Sequence[tuple[str, str]]


def confirmation(
    *,
    sign_up_id: int,
    topics: Sequence[str],
    frequency: str,
    locale: str,
    settings: Settings,
    now: datetime,
    expires_at: datetime,
    asked_at: datetime | None = None,
) -> Words:
    """The mail that asks a new reader to press the button; with `asked_at`, the reminder of it."""
    return _words(
        "reminder" if asked_at else "confirmation",
        locale,
        settings,
        asked_at=asked_at,
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
    latest: Sequence[Item],
    locale: str,
    settings: Settings,
    now: datetime,
) -> Words:
    """The mail after a confirmation: which topics, how often, when next, how to change it; the `latest` of before."""
    return _words(
        "welcome",
        locale,
        settings,
        following=following,
        next_slots=next_slots,
        latest=latest,
        preferences=links.preferences(subscriber_id, settings, now),
        unsubscribe=links.unsubscribe(subscriber_id, settings),
    )


def goodbye(*, subscriber_id: int, topics: Sequence[str], ended_at: datetime, locale: str, settings: Settings) -> Words:
    """The mail to who has left everything: that it has ended, and for how long it can be undone."""
    return _words(
        "goodbye",
        locale,
        settings,
        topics=topics,
        undo=links.undo(subscriber_id, ended_at, settings),
        undo_until=ended_at + tokens.UNDO_LIFETIME,
    )


def preferences_link(*, subscriber_id: int | None, locale: str, settings: Settings, now: datetime) -> Words:
    """The link asked for; or, where the address follows nothing, the mail that says so."""
    link = links.preferences(subscriber_id, settings, now) if subscriber_id is not None else ""
    return _words("preferences_link", locale, settings, preferences=link, valid_for=tokens.LINK_LIFETIME.days)


def data_link(*, link_id: int, locale: str, settings: Settings, now: datetime) -> Words:
    """The link to one's own data: to change the address, to download, to be erased."""
    link = links.own_data(link_id, settings, now)
    return _words("data_link", locale, settings, own_data=link, expires_at=now + tokens.FRESH_FOR)


def address_change(
    *, change_id: int | None, former_address: str, locale: str, settings: Settings, now: datetime
) -> Words:
    """The mail that asks a new address to confirm; or, without a change, the one that says it has its own e-alerts."""
    link = links.new_address(change_id, settings, now) if change_id is not None else ""
    values = {"confirm": link, "former_address": former_address, "expires_at": now + tokens.LINK_LIFETIME}
    return _words("address_change", locale, settings, **values)


def address_changed(*, change_id: int, address: str, locale: str, settings: Settings, now: datetime) -> Words:
    """The notice to the former address, with the link that undoes the change. `address` is masked."""
    link = links.former_address(change_id, settings, now)
    values = {"undo": link, "address": address, "expires_at": now + tokens.LINK_LIFETIME}
    return _words("address_changed", locale, settings, **values)


def _words(kind: str, locale: str, settings: Settings, **values: object) -> Words:
    headline, subject = environment.headings(kind, locale, settings, **values)
    values |= {"headline": headline, "subject": subject}
    text = environment.render(f"{kind}/body.txt", locale, settings, **values)
    html = environment.render(f"{kind}/body.html", locale, settings, **values)
    return Words(kind, locale, subject, tidy(text), environment.inlined(html))
