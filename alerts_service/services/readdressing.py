"""Change of address: asked by a fresh link, confirmed from the new address, undone from the former one.

The mail to a new address is queued whoever has it, so that the page tells nothing about other people: a suppressed
one gets none, and one that gets e-alerts of its own is told so. Digests that have not been tried yet go to the
present address, others where they went before (models/delivery.py). A new address that belongs to somebody who
left is taken over, with the links in their old mails. Both chains of consent say what happened.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import AddressTaken, LinkAltered, LinkExpired, SameAddress
from alerts_service.models import AddressChange, FreshLink, MailKind, Subscriber
from alerts_service.rules import addresses, erasure, tokens
from alerts_service.rules.addresses import Address
from alerts_service.services import consents, following, letters, noting, own_data, people
from alerts_service.services.asking import read_address
from alerts_service.services.consents import Origin


@dataclass(frozen=True)
class ChangeSeen:
    """What a link about a change of address is about."""

    address: str
    former_address: str
    locale: str
    done: bool


def ask(token: str, address: str, *, sure_of: str, settings: Settings, now: datetime) -> None:
    """Use a fresh link up; mail a link to the new address. Raises Refused, and then the link is not used up."""
    found = read_address(address, sure_of)
    address_hash = people.hash_of(found.key, settings)
    with transaction() as session:
        person = own_data.use(session, token, settings, now)
        if person.address_key == found.key:
            raise SameAddress
        wish = AddressChange(
            subscriber_id=person.id,
            address=found.address,
            address_hash=address_hash,
            former_address=person.address,
            former_hash=person.address_hash,
            asked_at=now,
        )
        session.add(wish)
        session.flush()
        if not letters.enough_for_today(session, MailKind.ADDRESS_CHANGE, address_hash, now):
            _queue(session, MailKind.ADDRESS_CHANGE, wish, found.address, address_hash, person.locale, now)


def look(token: str, *, settings: Settings, now: datetime) -> ChangeSeen:
    """Return what the link in the new address's inbox would confirm; changes nothing."""
    session = db.session()
    wish, person = _existing(session, tokens.read_new_address(settings.secret_keys, token, now))
    _check(session, wish, person)
    return ChangeSeen(wish.address, addresses.mask(wish.former_address), person.locale, wish.confirmed_at is not None)


def confirm(token: str, *, page: str, network: str, settings: Settings, now: datetime) -> None:
    """Mail a person at their new address from now on, and tell the former one. Repeating it changes nothing."""
    change_id = tokens.read_new_address(settings.secret_keys, token, now)
    with transaction() as session:
        wish, person = _existing(session, change_id)
        _take_turns(session, wish, person)
        _check(session, wish, person)
        if wish.confirmed_at is not None:
            return
        wish.confirmed_at = now
        _take_over(session, person, wish.address, wish.address_hash)
        origin = Origin(page, "", person.locale, network)
        _record(session, person, (wish.former_address, wish.former_hash), origin, now)
        _queue(session, MailKind.ADDRESS_CHANGED, wish, wish.former_address, wish.former_hash, person.locale, now)
    noting.moved(wish.former_hash, wish.address_hash, settings=settings, now=now)


def look_undo(token: str, *, settings: Settings, now: datetime) -> ChangeSeen:
    """Return what the link in the former address's inbox would undo; changes nothing."""
    wish, person = _existing(db.session(), tokens.read_former_address(settings.secret_keys, token, now))
    return _undoable(wish, person)


def undo(token: str, *, page: str, network: str, settings: Settings, now: datetime) -> None:
    """Give a person their former address back, whatever came after. Repeating it changes nothing."""
    change_id = tokens.read_former_address(settings.secret_keys, token, now)
    with transaction() as session:
        wish, person = _existing(session, change_id)
        _take_turns(session, wish, person)
        if _undoable(wish, person).done:
            return
        if _holder(session, wish.former_address, person):
            raise AddressTaken
        left = (person.address, person.address_hash)
        _end_wishes(session, wish, now)
        _take_over(session, person, wish.former_address, wish.former_hash)
        _record(session, person, left, Origin(page, "", person.locale, network), now)
    noting.moved(left[1], wish.former_hash, settings=settings, now=now)


def is_free(session: Session, wish: AddressChange) -> bool:
    """Say whether nobody else is mailed at the new address of a wish, as a step."""
    person = session.get_one(Subscriber, wish.subscriber_id)
    return _holder(session, wish.address, person) is None


def _queue(
    session: Session, kind: MailKind, wish: AddressChange, address: str, address_hash: str, locale: str, now: datetime
) -> None:
    whose = {"address": address, "address_hash": address_hash, "locale": locale}
    letters.queue(session, kind, **whose, details={"change": wish.id}, now=now)


def _existing(session: Session, change_id: int) -> tuple[AddressChange, Subscriber]:
    wish = session.get(AddressChange, change_id, populate_existing=True)
    person = session.get(Subscriber, wish.subscriber_id, populate_existing=True) if wish else None
    if wish is None or person is None:
        raise LinkAltered
    return wish, person


def _take_turns(session: Session, wish: AddressChange, person: Subscriber) -> None:
    """In one order, so that two changes at once do not wait for each other."""
    people.take_turn(session, *sorted({wish.address_hash, wish.former_hash, person.address_hash}))
    session.refresh(wish)
    session.refresh(person)


def _check(session: Session, wish: AddressChange, person: Subscriber) -> None:
    """Refuse a wish that was overtaken, or whose address has come to be somebody's."""
    overtaken = wish.confirmed_at is None and person.address_hash != wish.former_hash
    if wish.undone_at is not None or overtaken or person.ended_at is not None:
        raise LinkExpired
    if wish.confirmed_at is None and _holder(session, wish.address, person):
        raise AddressTaken


def _undoable(wish: AddressChange, person: Subscriber) -> ChangeSeen:
    if wish.confirmed_at is None:
        raise LinkAltered
    done = wish.undone_at is not None
    if done and person.address_hash != wish.former_hash:
        raise LinkExpired
    return ChangeSeen(addresses.mask(wish.address), wish.former_address, person.locale, done)


def _holder(session: Session, address: str, person: Subscriber) -> Subscriber | None:
    """Return who else is mailed at an address."""
    other = people.find(session, Address(address, address.casefold()))
    return other if other is not None and other is not person and other.ended_at is None else None


def _take_over(session: Session, person: Subscriber, address: str, address_hash: str) -> None:
    """Give a person an address; who left under it steps aside, and the links of their old mails are the person's."""
    other = people.find(session, Address(address, address.casefold()))
    if other is not None and other is not person:
        other.address = other.address_key = erasure.placeholder(other.id)
        other.address_hash, other.moved_to_id = erasure.placeholder(other.id), person.id
        session.flush()
    person.address, person.address_key, person.address_hash = address, address.casefold(), address_hash
    session.flush()


def _end_wishes(session: Session, wish: AddressChange, now: datetime) -> None:
    """Undo a change with all later ones, and the links that whoever made them may hold."""
    theirs = AddressChange.subscriber_id == wish.subscriber_id
    later = update(AddressChange).where(theirs, AddressChange.id >= wish.id, AddressChange.undone_at.is_(None))
    session.execute(later.values(undone_at=now))
    links = update(FreshLink).where(FreshLink.subscriber_id == wish.subscriber_id, FreshLink.used_at.is_(None))
    session.execute(links.values(used_at=now))


def _record(session: Session, person: Subscriber, left: tuple[str, str], origin: Origin, now: datetime) -> None:
    """Say in both chains what became of the address: each names the other."""
    address, address_hash = left
    followed = sorted(session.scalars(following.slugs(person)))
    for whose, kind, facts in (
        ({"address": address, "address_hash": address_hash}, "address left", {"to": person.address_hash}),
        (
            {"address": person.address, "address_hash": person.address_hash},
            "address taken",
            {"from": address_hash, "topics": followed},
        ),
    ):
        consents.append(session, **whose, kind=kind, facts=facts, origin=origin, now=now)
