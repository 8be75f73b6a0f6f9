"""How addresses are known: keyed hashes, and the turn that use cases about one address take."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import is_postgresql
from alerts_service.models import Subscriber
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
