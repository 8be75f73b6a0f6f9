"""Signing up: ask, look, confirm, and “this was not me”."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, driving, reading, transaction
from alerts_service.errors import LinkAltered, LinkExpired, Refused
from alerts_service.models import MailKind, SignUp, Subscriber, Topic
from alerts_service.rules import tokens
from alerts_service.rules.addresses import Address
from alerts_service.rules.slots import Frequency
from alerts_service.services import consents, following, letters, people, requests, suppressing
from alerts_service.services.asking import Choices, ChosenTopic, open_topics, read_address
from alerts_service.services.consents import Origin

MAILS_A_DAY = 3
NOT_ME = "not me"
LONGEST_SOURCE = 200


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
    # The domain that the person was asked about, and is sure of.
    sure_of: str = ""


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
    address = _readable(asked)
    keys = {
        "address_key": address.key,
        "address_hash": people.hash_of(address.key, settings),
        "mailbox_hash": people.hash_of(address.mailbox_key, settings),
    }
    origin = Origin(asked.page, asked.wording, asked.locale, asked.network)
    with driving() as driver:
        since = now - timedelta(days=1)
        before = requests.standing(driver, **keys, wanted=asked.topics, version=consents.version(origin), since=since)
        topics, frequency = _choose(asked, before.topics, address)
        if before.mails >= MAILS_A_DAY:
            return
        if asked.wording and not before.last.words_known:
            requests.keep_words(driver, consents.words(origin, now))
        whose = {"address": address.address, "address_hash": keys["address_hash"]}
        facts = _facts([topic.slug for topic in topics], frequency, asked.source)
        consent = consents.link(before.last, **whose, kind="asked", facts=facts, origin=origin, now=now)
        sign_up = {
            "sign_up": before.next_id,
            "address": address.address,
            "mailbox_hash": keys["mailbox_hash"],
            "frequency": frequency,
            "locale": asked.locale,
            "source": asked.source,
            "expires_at": now + tokens.LINK_LIFETIME,
            "mail": MailKind.ALREADY_SUBSCRIBED if before.known else MailKind.CONFIRMATION,
            "details": {"sign_up": before.next_id, "locale": asked.locale},
        }
        requests.write(driver, consent | sign_up, topics)


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


def _readable(asked: Asked) -> Address:
    """Read the address before the turn that it takes. Raises Invalid, with all that is wrong with the form."""
    try:
        return read_address(asked.address, asked.sure_of)
    except Refused:
        with reading() as session:
            _choose(asked, open_topics(session), None)
        raise


def _choose(
    asked: Asked, topics: Sequence[ChosenTopic], address: Address | None
) -> tuple[list[ChosenTopic], Frequency]:
    """Read the form, in its order, which is that of the error summary. Raises Invalid with every error."""
    choices = Choices(topics, [])
    chosen, frequency = choices.topics(asked.topics), choices.frequency(asked.frequency)
    if address is None:
        choices.address(asked.address, asked.sure_of)
    choices.text("source", asked.source, LONGEST_SOURCE)
    choices.check()
    return chosen, frequency


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
    followed = following.followed(session, subscriber, lock=True)
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
