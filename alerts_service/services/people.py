"""How addresses are known: keyed hashes, and the turn that use cases about one address take."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import is_postgresql
from alerts_service.models import AddressChange, Subscriber
from alerts_service.rules import tokens
from alerts_service.rules.addresses import Address


def hash_of(address_key: str, settings: Settings) -> str:
    """Return the keyed hash of an address (its casefolded key)."""
    assert settings.permanent_key, "checked at start"
    return tokens.address_hash(settings.permanent_key, address_key)


def take_turn(session: Session, *hashes: str) -> None:
    """Let use cases about one address run one after the other (SQLite's writers do so anyway)."""
    if is_postgresql():
        session.connection().exec_driver_sql(turn_of(len(hashes)), hashes)


def turn_of(number: int) -> str:
    """Return the statement by which PostgreSQL gives the turn of so many hashes; the driver's own spelling."""
    return f"SELECT {', '.join(['pg_advisory_xact_lock(hashtextextended(%s, 0))'] * number)}"


def find(session: Session, address: Address) -> Subscriber | None:
    """Return the subscriber with this address, active or ended."""
    return session.scalar(select(Subscriber).where(Subscriber.address_key == address.key))


def lock(session: Session, subscriber: Subscriber) -> None:
    """Take the turn of a person already loaded, and see them as they are now."""
    take_turn(session, subscriber.address_hash)
    session.refresh(subscriber)


def present(session: Session, subscriber_id: int) -> Subscriber | None:
    """Return the person that a link is about: who has the address now, where it has passed to another row."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is not None and subscriber.moved_to_id is not None:
        return session.get(Subscriber, subscriber.moved_to_id)
    return subscriber


def rows_of(session: Session, subscriber: Subscriber) -> list[int]:
    """Return the ids of a person's rows: their own, and those whose address has passed to it."""
    return [subscriber.id, *session.scalars(select(Subscriber.id).where(Subscriber.moved_to_id == subscriber.id))]


def hashes_of(session: Session, subscriber: Subscriber) -> list[str]:
    """Return the hashes of a person's address and of their former ones, as far as nobody else has these now."""
    changes = session.execute(
        select(AddressChange.former_hash, AddressChange.address_hash)
        .where(AddressChange.subscriber_id == subscriber.id, AddressChange.confirmed_at.is_not(None))
        .order_by(AddressChange.id)
    )
    found = dict.fromkeys([subscriber.address_hash, *(each for change in changes for each in change)])
    others = select(Subscriber.address_hash).where(Subscriber.address_hash.in_(found), Subscriber.id != subscriber.id)
    taken = set(session.scalars(others))
    return [each for each in found if each not in taken]
