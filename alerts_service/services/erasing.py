"""Erasing a person: nothing stays by which they could be known, and every count stays right.

The rows that others count keep their places under a placeholder: the person, their subscriptions, their deliveries.
What is on its way is cancelled. The consent records lose their personal fields, whose salted digests the chain
covers, so that it still verifies; a suppression stays, as it is a keyed hash only. It runs under the turnstile, so
that no compile is half-way through the person. What a sender has in hand at that moment still goes out.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Update, delete, null, select, update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import taking_turns, transaction
from alerts_service.errors import NotFound
from alerts_service.models import (
    AddressChange,
    Consent,
    Delivery,
    DeliveryState,
    FreshLink,
    MailKind,
    SignUp,
    Subscriber,
)
from alerts_service.rules import addresses, erasure
from alerts_service.services import consents, following, noting, own_data, people
from alerts_service.services.consents import Origin

ERASED = "erased"


@taking_turns
def erase(token: str, *, page: str, network: str, settings: Settings, now: datetime) -> None:
    """Use a fresh link up, and erase its person. Raises LinkAltered, LinkExpired, LinkUsed."""
    with transaction(turn=True) as session:
        person = own_data.use(session, token, settings, now)
        hashes = _person(session, person, Origin(page, "", person.locale, network), now)
    _note(hashes, settings, now)


@taking_turns
def erase_address(address: str, *, settings: Settings, now: datetime) -> None:
    """Erase whoever has an address, or asked under it, for an operator. Raises NotFound where nothing is kept."""
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    with transaction(turn=True) as session:
        people.take_turn(session, address_hash)
        person = people.find(session, found)
        known = select(SignUp.id).where(SignUp.address_hash == address_hash).limit(1)
        if person is None and session.scalar(known) is None and not _has_letters(session, address_hash):
            raise NotFound(what="person with the address", key=found.address)
        origin = Origin("command", "", person.locale if person else "", "")
        if person is not None:
            hashes = _person(session, person, origin, now)
        else:
            hashes = [address_hash]
            _traces(session, hashes, [], origin, now)
    _note(hashes, settings, now)


def erase_again(session: Session, address_hash: str, *, at: datetime, now: datetime) -> bool:
    """Erase, as a step after a restore, whoever had an address before a moment; say whether anybody did."""
    person = session.scalar(select(Subscriber).where(Subscriber.address_hash == address_hash))
    origin = Origin("journal", "", "", "")
    if person is not None and person.confirmed_at <= at:
        people.lock(session, person)
        _person(session, person, origin, now)
        return True
    asked = select(SignUp.id).where(SignUp.address_hash == address_hash, SignUp.requested_at <= at)
    if person is not None or session.scalar(asked.limit(1)) is None:
        return False
    _traces(session, [address_hash], [], origin, now)
    return True


def _note(hashes: list[str], settings: Settings, now: datetime) -> None:
    for each in hashes:
        noting.erased(each, settings=settings, now=now)


def _person(session: Session, person: Subscriber, origin: Origin, now: datetime) -> list[str]:
    """Erase a person with all that refers to them; return the hashes they were known under."""
    hashes, rows = people.hashes_of(session, person), people.rows_of(session, person)
    for row in following.followed(session, person, lock=True).values():
        following.end(session, row, ERASED, now)
    _traces(session, hashes, rows, origin, now)
    session.execute(delete(AddressChange).where(AddressChange.subscriber_id.in_(rows)))
    session.execute(delete(FreshLink).where(FreshLink.subscriber_id.in_(rows)))
    person.address = person.address_key = person.address_hash = erasure.placeholder(person.id)
    person.paused_at = person.paused_until = None
    person.ended_at, person.ended_reason = now, ERASED
    # What comes back from a sender meanwhile is looked at again before it could be claimed.
    person.narrowed_at = now
    session.flush()
    return hashes


def _traces(session: Session, hashes: list[str], rows: list[int], origin: Origin, now: datetime) -> None:
    """Erase what stands under the hashes and rows of a person: mails, sign-ups, the personal part of consents."""
    for place in (Delivery.subscriber_id.in_(rows), Delivery.address_hash.in_(hashes), _to_new_addresses(rows)):
        _deliveries(session, place)
    session.execute(delete(SignUp).where(SignUp.address_hash.in_(hashes)))
    for each in hashes:
        consents.append(session, address_hash=each, address="", kind=ERASED, facts={}, origin=origin, now=now)
    _quietly(session, update(Consent).where(Consent.address_hash.in_(hashes)).values(personal=null(), salt=None))


def _to_new_addresses(rows: list[int]) -> ColumnElement[bool]:
    """The mails that asked other addresses of the person's to confirm."""
    wished = select(AddressChange.address_hash).where(AddressChange.subscriber_id.in_(rows))
    return (Delivery.kind == MailKind.ADDRESS_CHANGE) & Delivery.address_hash.in_(wished)


def _deliveries(session: Session, which: ColumnElement[bool]) -> None:
    """Cancel what waits, and take the address from all: a letter must have one, a digest has its person's."""
    waiting = update(Delivery).where(which, Delivery.state == DeliveryState.PENDING)
    _quietly(session, waiting.values(state=DeliveryState.CANCELLED, reason=ERASED))
    of_digest = Delivery.digest_id.is_not(None)
    _quietly(session, update(Delivery).where(which, of_digest).values(address=None))
    _quietly(session, update(Delivery).where(which, ~of_digest).values(address=erasure.placeholder(0), details=null()))
    _quietly(session, update(Delivery).where(which).values(address_hash=None, reply=None, relay_id=None))


def _quietly(session: Session, statement: Update) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


def _has_letters(session: Session, address_hash: str) -> bool:
    query = select(Delivery.id).where(Delivery.address_hash == address_hash).limit(1)
    return session.scalar(query) is not None
