"""One's own data by a fresh link: ask for the link by mail, look, download.

A link is mailed to the person's own address, is good for an hour, and works once: whichever use case takes it
first has it. What it may do besides, readdressing and erasing do.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import LinkAltered, LinkUsed
from alerts_service.models import FreshLink, MailKind, Subscriber
from alerts_service.rules import tokens
from alerts_service.services import letters, people, preferences, subscribers


@dataclass(frozen=True)
class Owner:
    """Whose data a link leads to. The address stands in full: the link came to it within the hour."""

    address: str
    locale: str


def ask_link(preferences_token: str, *, settings: Settings, now: datetime) -> None:
    """Mail a fresh link to the person behind a preferences link; at most letters.A_DAY."""
    with transaction() as session:
        person = preferences.behind(session, preferences_token, settings, now)
        people.lock(session, person)
        if letters.enough_for_today(session, MailKind.DATA_LINK, person.address_hash, now):
            return
        link = FreshLink(subscriber_id=person.id, asked_at=now)
        session.add(link)
        session.flush()
        letters.queue(
            session,
            MailKind.DATA_LINK,
            address=person.address,
            address_hash=person.address_hash,
            locale=person.locale,
            details={"link": link.id},
            now=now,
        )


def look(token: str, *, settings: Settings, now: datetime) -> Owner:
    """Return whose data a link leads to; changes nothing. Raises LinkAltered, LinkExpired, LinkUsed."""
    link, person = _behind(db.session(), token, settings, now)
    if link.used_at is not None:
        raise LinkUsed
    return Owner(person.address, person.locale)


def download(token: str, *, settings: Settings, now: datetime) -> dict[str, Any]:
    """Use a link up; return everything kept about its person."""
    with transaction() as session:
        person = use(session, token, settings, now)
        return subscribers.show(person.address, settings=settings, now=now)


def use(session: Session, token: str, settings: Settings, now: datetime) -> Subscriber:
    """Use a link up, as a step; return its person, whose turn is taken. Raises LinkUsed."""
    link, person = _behind(session, token, settings, now)
    people.lock(session, person)
    session.refresh(link)
    if link.used_at is not None:
        raise LinkUsed
    link.used_at = now
    return person


def _behind(session: Session, token: str, settings: Settings, now: datetime) -> tuple[FreshLink, Subscriber]:
    link = session.get(FreshLink, tokens.read_own_data(settings.secret_keys, token, now))
    person = session.get(Subscriber, link.subscriber_id) if link else None
    if link is None or person is None:
        raise LinkAltered
    return link, person
