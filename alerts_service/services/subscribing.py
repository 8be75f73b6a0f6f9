"""Signing up: ask, look, confirm, and “this was not me”."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import UTCDateTime, db, reading, table, transaction
from alerts_service.errors import LinkAltered, LinkExpired
from alerts_service.models import MailKind, SignUp, SignUpTopic, Subscriber, Topic
from alerts_service.rules import tokens
from alerts_service.rules.addresses import Address
from alerts_service.rules.slots import Frequency
from alerts_service.services import consents, following, letters, people, suppressing
from alerts_service.services.asking import Choices, ChosenTopic
from alerts_service.services.consents import Origin

MAILS_A_DAY = 3
NOT_ME = "not me"
LONGEST_SOURCE = 200
_INSERT = insert(table(SignUp)).returning(SignUp.id)
_INSERT_TOPICS = insert(table(SignUpTopic)).inline()
# In one statement, as every sign-up asks: the mails of the day to a mailbox, and whether the address is a subscriber's.
_STANDING = text("""
SELECT (SELECT count(*) FROM sign_ups WHERE mailbox_hash = :mailbox_hash AND requested_at > :since),
       EXISTS (SELECT 1 FROM subscribers WHERE address_key = :address_key AND ended_at IS NULL)
""").bindparams(bindparam("since", type_=UTCDateTime()))


@dataclass(frozen=True)
class Asked:
    """A sign-up form as it came in: raw strings, nothing checked."""

    address: str
    topics: tuple[str, ...]
    frequency: str
    locale: str
    source: str
    page: str
    wording: str
    network: str


@dataclass(frozen=True)
class SignUpSeen:
    """What a confirmation link is about."""

    address: str
    topics: list[str]
    frequency: str
    locale: str
    confirmed: bool
    # Confirmed, and the person has left since.
    left: bool


def ask(asked: Asked, *, settings: Settings, now: datetime) -> None:
    """Take a sign-up: the request, its consent record and the mail that asks for confirmation, or nothing.

    The outcome looks the same for every well-formed address. Above the cap per mailbox nothing is written.
    Raises Invalid with every error.
    """
    with reading() as session:  # before the turn: on SQLite everybody else waits for ours
        choices = Choices(session, [])
        # In the order of the form, which is that of the error summary.
        topics, frequency = choices.topics(asked.topics), choices.frequency(asked.frequency)
        address = choices.address(asked.address)
        choices.text("source", asked.source, LONGEST_SOURCE)
        choices.check()
    address_hash, mailbox_hash = (people.hash_of(key, settings) for key in (address.key, address.mailbox_key))
    with transaction() as session:
        # The cap counts over all spellings of a mailbox, so they take turns, too.
        people.take_turn(session, address_hash, mailbox_hash)
        standing = {"mailbox_hash": mailbox_hash, "address_key": address.key, "since": now - timedelta(days=1)}
        mails, known = session.execute(_STANDING, standing).one()
        if mails >= MAILS_A_DAY:
            return
        new = {
            "address": address.address,
            "address_hash": address_hash,
            "mailbox_hash": mailbox_hash,
            "frequency": frequency,
            "locale": asked.locale,
            "source": asked.source,
            "requested_at": now,
            "expires_at": now + tokens.LINK_LIFETIME,
        }
        _keep(session, new, topics, asked, MailKind.ALREADY_SUBSCRIBED if known else MailKind.CONFIRMATION)


def look(token: str, *, settings: Settings, now: datetime) -> SignUpSeen:
    """Return what a confirmation link would confirm; changes nothing. Raises LinkAltered, LinkExpired."""
    session = db.session()
    return _seen(session, _waiting(session, tokens.read_confirm(settings.secret_keys, token, now), now))


def look_not_me(token: str, *, settings: Settings, now: datetime) -> SignUpSeen:
    """Return what a “not me” link would end; changes nothing. Raises LinkAltered, LinkExpired."""
    session = db.session()
    return _seen(session, _existing(session, tokens.read_not_me(settings.secret_keys, token, now)))


def confirm(token: str, *, wording: str, page: str, network: str, settings: Settings, now: datetime) -> SignUpSeen:
    """Confirm a sign-up: subscriber, subscriptions, consent and the welcome mail. Repeating it changes nothing."""
    sign_up_id = tokens.read_confirm(settings.secret_keys, token, now)
    with transaction() as session:
        people.take_turn(session, _existing(session, sign_up_id).address_hash)
        sign_up = _waiting(session, sign_up_id, now)
        if sign_up.confirmed_at is None:
            sign_up.confirmed_at = now
            _record(session, sign_up, "confirmed", Origin(page, wording, sign_up.locale, network), now)
            suppressing.lift_by_confirmation(session, sign_up.address_hash, now)
            _subscribe(session, sign_up, now)
        return _seen(session, sign_up)


def not_me(token: str, *, settings: Settings, now: datetime) -> None:
    """End a sign-up that the address's owner did not make. A confirmed one stays: that was a button pressed."""
    sign_up_id = tokens.read_not_me(settings.secret_keys, token, now)
    with transaction() as session:
        sign_up = _existing(session, sign_up_id)
        people.take_turn(session, sign_up.address_hash)
        session.refresh(sign_up)
        if sign_up.confirmed_at is None and sign_up.ended_at is None:
            sign_up.ended_at, sign_up.ended_reason = now, NOT_ME
            _record(session, sign_up, "denied", Origin("", "", sign_up.locale, ""), now)


def _keep(session: Session, new: dict[str, Any], topics: Sequence[ChosenTopic], asked: Asked, mail: MailKind) -> None:
    """Write the request, its consent record and the mail, without objects: this is what a crowd does at once."""
    connection, now = session.connection(), new["requested_at"]
    sign_up_id = connection.execute(_INSERT, new).scalar_one()
    connection.execute(_INSERT_TOPICS, [{"sign_up_id": sign_up_id, "topic_id": topic.id} for topic in topics])
    whose = {"address": new["address"], "address_hash": new["address_hash"]}
    facts = _facts([topic.slug for topic in topics], new["frequency"], asked.source)
    origin = Origin(asked.page, asked.wording, asked.locale, asked.network)
    consents.append(session, **whose, kind="asked", facts=facts, origin=origin, now=now)
    letters.queue(session, mail, **whose, locale=asked.locale, details={"sign_up": sign_up_id}, now=now)


def _existing(session: Session, sign_up_id: int) -> SignUp:
    sign_up = session.get(SignUp, sign_up_id)
    if sign_up is None:
        raise LinkAltered
    return sign_up


def _waiting(session: Session, sign_up_id: int, now: datetime) -> SignUp:
    sign_up = session.get(SignUp, sign_up_id, populate_existing=True)
    if sign_up is None:
        raise LinkAltered
    if sign_up.ended_at or (sign_up.confirmed_at is None and sign_up.expires_at <= now):
        raise LinkExpired
    return sign_up


def _seen(session: Session, sign_up: SignUp) -> SignUpSeen:
    ended = select(Subscriber.ended_at).where(Subscriber.address_hash == sign_up.address_hash)
    confirmed = sign_up.confirmed_at is not None
    return SignUpSeen(
        sign_up.address,
        [topic.title_in(sign_up.locale) for topic in sign_up.topics],
        sign_up.frequency,
        sign_up.locale,
        confirmed=confirmed,
        left=confirmed and session.scalar(ended) is not None,
    )


def _record(session: Session, sign_up: SignUp, kind: str, origin: Origin, now: datetime) -> None:
    consents.append(
        session,
        address_hash=sign_up.address_hash,
        address=sign_up.address,
        kind=kind,
        facts=_facts([topic.slug for topic in sign_up.topics], sign_up.frequency, sign_up.source),
        origin=origin,
        now=now,
    )


def _facts(topics: list[str], frequency: str, source: str) -> dict[str, Any]:
    return {"topics": topics, "frequency": frequency, "source": source}


def _subscribe(session: Session, sign_up: SignUp, now: datetime) -> None:
    subscriber = _subscriber(session, sign_up, now)
    followed = following.followed(session, subscriber)
    added = [topic for topic in sign_up.topics if topic.id not in followed and topic.retired_at is None]
    for topic in added:
        following.start(session, subscriber, topic.id, Frequency(sign_up.frequency), now)
    if added or not followed:
        _queue_welcome(session, subscriber, sign_up, added, now)


def _subscriber(session: Session, sign_up: SignUp, now: datetime) -> Subscriber:
    address = Address(sign_up.address, sign_up.address.casefold())
    subscriber = people.find(session, address)
    if subscriber is None:
        subscriber = Subscriber(
            address=address.address,
            address_key=address.key,
            address_hash=sign_up.address_hash,
            locale=sign_up.locale,
            confirmed_at=now,
        )
        session.add(subscriber)
    elif subscriber.ended_at is not None:
        subscriber.ended_at = subscriber.ended_reason = None
        subscriber.paused_at = subscriber.paused_until = None
        subscriber.confirmed_at, subscriber.locale = now, sign_up.locale
    session.flush()
    return subscriber


def _queue_welcome(
    session: Session, subscriber: Subscriber, sign_up: SignUp, added: list[Topic], now: datetime
) -> None:
    letters.queue(
        session,
        MailKind.WELCOME,
        address=subscriber.address,
        address_hash=subscriber.address_hash,
        locale=sign_up.locale,
        details={"subscriber": subscriber.id, "added": [topic.id for topic in added]},
        now=now,
    )
