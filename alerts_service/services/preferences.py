"""Preferences: ask for the link, read, change, pause, resume, leave everything."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import LinkAltered
from alerts_service.models import MailKind, Subscriber, Subscription, Topic
from alerts_service.rules import addresses, tokens
from alerts_service.rules.slots import Frequency
from alerts_service.services import consents, following, goodbyes, leaving, letters, noting, people, stopping, waiting
from alerts_service.services.asking import Choices, ChosenTopic, open_topics
from alerts_service.services.consents import Origin
from alerts_service.services.waiting import NextDigest


@dataclass(frozen=True)
class Preferences:
    """What a person has chosen, as the preferences page shows it."""

    masked_address: str
    locale: str
    frequency: str
    followed: dict[str, str]
    paused: bool
    paused_until: datetime | None
    next: list[NextDigest]


def ask_link(address: str, *, locale: str, settings: Settings, now: datetime) -> None:
    """Mail a preferences link to an address, known or not; at most letters.A_DAY. Raises AddressRefused.

    While sign-ups are stopped, nobody is written to who is no subscriber.
    """
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    with transaction() as session:
        people.take_turn(session, address_hash)
        if letters.enough_for_today(session, MailKind.PREFERENCES_LINK, address_hash, now):
            return
        subscriber = people.find(session, found)
        known = subscriber is not None and subscriber.ended_at is None
        if not known and stopping.stopped(session):
            return
        letters.queue(
            session,
            MailKind.PREFERENCES_LINK,
            address=subscriber.address if subscriber and known else found.address,
            address_hash=address_hash,
            locale=locale,
            details={"subscriber": subscriber.id if subscriber and known else None},
            now=now,
        )


def read(token: str, *, settings: Settings, now: datetime) -> Preferences:
    """Return what the person behind a link has chosen. Raises LinkAltered, LinkExpired."""
    session = db.session()
    subscriber = behind(session, token, settings, now)
    slugs = {topic.id: topic.slug for topic in session.scalars(select(Topic))}
    rows = following.followed(session, subscriber)
    return Preferences(
        masked_address=addresses.mask(subscriber.address),
        locale=subscriber.locale,
        frequency=_usual(rows),
        followed={slugs[row.topic_id]: row.frequency for row in rows.values()},
        paused=is_away(subscriber, now),
        paused_until=subscriber.paused_until,
        next=waiting.next_digests(session, subscriber, rows.values(), settings=settings, now=now),
    )


def change(
    token: str,
    *,
    topics: Sequence[str],
    frequency: str | None,
    frequencies: Mapping[str, str] = MappingProxyType({}),
    locale: str,
    page: str,
    network: str,
    settings: Settings,
    now: datetime,
) -> None:
    """Follow exactly `topics`, each as `frequencies` says of it, else at `frequency`. Raises Invalid.

    Without either, a kept topic stays as it is, and a new one comes as often as most of the others.
    """
    with transaction() as session:
        subscriber = behind(session, token, settings, now)
        people.lock(session, subscriber)
        choices = Choices(open_topics(session), [])
        chosen = choices.topics(topics)
        wanted = choices.frequency(frequency) if frequency is not None else None
        own = {each.slug: choices.frequency(frequencies[each.slug]) for each in chosen if each.slug in frequencies}
        choices.check()
        changed = _apply(session, subscriber, [(each, own.get(each.slug, wanted)) for each in chosen], now)
        if locale in settings.languages:
            subscriber.locale = locale
        if changed:
            goodbyes.revive(session, subscriber)
            _record(session, subscriber, "changed", changed, Origin(page, "", subscriber.locale, network), now)
    noting.left(subscriber.address_hash, changed.get("ended", []), settings=settings, now=now)


def pause(token: str, *, until: datetime | None, settings: Settings, now: datetime) -> None:
    """Hold all digests until a moment, or until the person ends the pause; nothing is forgiven."""
    with transaction() as session:
        subscriber = behind(session, token, settings, now)
        people.lock(session, subscriber)
        subscriber.paused_at, subscriber.paused_until = now, until
        subscriber.narrowed_at = now


def resume(token: str, *, settings: Settings, now: datetime) -> None:
    """End a pause: the next digest brings what was held."""
    with transaction() as session:
        subscriber = behind(session, token, settings, now)
        subscriber.paused_at = subscriber.paused_until = None


def leave_all(token: str, *, page: str, network: str, settings: Settings, now: datetime) -> None:
    """End every subscription of the person behind a link. Repeating it changes nothing."""
    with transaction() as session:
        subscriber = behind(session, token, settings, now)
        left = leaving.end_all(session, subscriber, Origin(page, "", subscriber.locale, network), now)
        if left:
            goodbyes.queue(session, subscriber, settings=settings, now=now)
    noting.left(subscriber.address_hash, left, settings=settings, now=now)


def is_away(subscriber: Subscriber, now: datetime) -> bool:
    """Say whether a person's pause is in force."""
    if subscriber.paused_at is None:
        return False
    return subscriber.paused_until is None or subscriber.paused_until > now


def behind(session: Session, token: str, settings: Settings, now: datetime) -> Subscriber:
    """Return the person that a preferences link is about, as a step. Raises LinkAltered, LinkExpired."""
    subscriber = people.present(session, tokens.read_preferences(settings.secret_keys, token, now))
    if subscriber is None:
        raise LinkAltered
    return subscriber


def _apply(
    session: Session, subscriber: Subscriber, chosen: list[tuple[ChosenTopic, Frequency | None]], now: datetime
) -> dict[str, list[str]]:
    """Make the open subscriptions those chosen; return what changed, by topic slug."""
    rows = following.followed(session, subscriber, lock=True)
    slugs = {topic.id: topic.slug for topic in session.scalars(select(Topic))}
    usual = _usual(rows)
    changed: dict[str, list[str]] = {"added": [], "ended": [], "moved": []}
    for topic, frequency in chosen:
        row = rows.pop(topic.id, None)
        if row is None:
            following.start(session, subscriber, topic.id, frequency or usual, now)
            changed["added"].append(topic.slug)
        elif frequency and row.frequency != frequency:
            following.change_frequency(session, row, frequency, now)
            changed["moved"].append(topic.slug)
    for row in rows.values():
        following.end(session, row, leaving.BY_PREFERENCES, now)
        changed["ended"].append(slugs[row.topic_id])
        subscriber.narrowed_at = now
    return {name: found for name, found in changed.items() if found}


def _usual(rows: dict[int, Subscription]) -> Frequency:
    frequencies = Counter(row.frequency for row in rows.values())
    return Frequency(frequencies.most_common(1)[0][0]) if frequencies else Frequency.WEEKLY


def _record(
    session: Session,
    subscriber: Subscriber,
    kind: str,
    facts: dict[str, list[str]],
    origin: Origin,
    now: datetime,
) -> None:
    consents.append(
        session,
        address_hash=subscriber.address_hash,
        address=subscriber.address,
        kind=kind,
        facts=facts,
        origin=origin,
        now=now,
    )
