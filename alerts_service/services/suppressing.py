"""Suppressions: addresses that no mail goes to, kept as keyed hashes so that they outlive the person."""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import NotFound, WrongState
from alerts_service.models import SignUp, Subscriber, Suppression
from alerts_service.rules import addresses
from alerts_service.services import noting, people

BOUNCE = "bounce"
COMPLAINT = "complaint"
OPERATOR = "operator"
# What the person's own new confirmation lifts: pressing a button in a mail shows that mail arrives and is wanted.
_LIFTED_BY_CONFIRMATION = (BOUNCE, COMPLAINT)


def suppress(address: str, reason: str, detail: str, *, settings: Settings, now: datetime) -> None:
    """Stop all mail to an address. Repeating it changes nothing; a complaint takes the place of a lesser reason."""
    found = addresses.parse(address)
    address_hash = people.hash_of(found.key, settings)
    with transaction() as session:
        people.take_turn(session, address_hash)
        before = standing(session, address_hash)
        if before is not None and (reason != COMPLAINT or before.reason == COMPLAINT):
            return
        if before is not None:
            before.lifted_at, before.lifted_reason = now, "a complaint followed"
            session.flush()
        session.add(Suppression(address_hash=address_hash, reason=reason, detail=detail[:500], suppressed_at=now))
    noting.suppressed(address_hash, reason, settings=settings, now=now)


def suppress_again(session: Session, *, address_hash: str, reason: str, at: datetime) -> bool:
    """Suppress an address as it was at a moment, as a step; say whether the database had not known it."""
    people.take_turn(session, address_hash)
    since = select(Suppression.id).where(Suppression.address_hash == address_hash, Suppression.suppressed_at >= at)
    if session.scalar(since.limit(1)) is not None or standing(session, address_hash) is not None:
        return False
    detail = "done again after a restore"
    session.add(Suppression(address_hash=address_hash, reason=reason, detail=detail, suppressed_at=at))
    session.flush()
    return True


def lift(address: str, reason: str, *, settings: Settings, now: datetime) -> None:
    """Let mail go to an address again. A complaint is never lifted by an operator (WrongState)."""
    address_hash = people.hash_of(addresses.parse(address).key, settings)
    with transaction() as session:
        people.take_turn(session, address_hash)
        suppression = standing(session, address_hash)
        if suppression is None:
            raise NotFound(what="suppression for", key=address)
        if suppression.reason == COMPLAINT:
            raise WrongState(reason="after a complaint only the person's own new confirmation lifts it")
        suppression.lifted_at, suppression.lifted_reason = now, reason[:200]


def lift_domain(domain: str, reason: str, *, since: datetime, until: datetime, now: datetime) -> int:
    """Lift what stopped mail to a domain's addresses from `since` to before `until`; return how many.

    For a server that refused everybody for a while. Complaints stay. Known are the addresses of subscribers and
    sign-ups only: of any other nothing but its hash is kept. Raises AddressRefused for what is no domain.
    """
    values = {"lifted_at": now, "lifted_reason": reason[:200]}
    with transaction() as session:
        result = session.execute(update(Suppression).where(*_of_domain(domain, since, until)).values(**values))
        return int(result.rowcount)  # type: ignore[attr-defined]


def count_of_domain(domain: str, *, since: datetime, until: datetime) -> int:
    """Return how many suppressions `lift_domain` would lift."""
    query = select(func.count()).select_from(Suppression).where(*_of_domain(domain, since, until))
    return db.session.scalar(query) or 0


def _of_domain(domain: str, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    at_domain = "@" + addresses.parse(f"anybody@{domain}").key.rpartition("@")[2]
    known = [
        exists().where(table.address_hash == Suppression.address_hash, func.lower(table.address).endswith(at_domain))
        for table in (Subscriber, SignUp)
    ]
    made = (Suppression.suppressed_at >= since, Suppression.suppressed_at < until)
    return (*made, Suppression.lifted_at.is_(None), Suppression.reason != COMPLAINT, or_(*known))


def lift_by_confirmation(session: Session, address_hash: str, now: datetime) -> None:
    """Lift a bounce or a complaint because the person has just confirmed."""
    session.execute(
        update(Suppression)
        .where(
            Suppression.address_hash == address_hash,
            Suppression.lifted_at.is_(None),
            Suppression.reason.in_(_LIFTED_BY_CONFIRMATION),
        )
        .values(lifted_at=now, lifted_reason="confirmed anew")
    )


def standing(session: Session, address_hash: str) -> Suppression | None:
    """Return the suppression in force for an address, if any."""
    return session.scalar(
        select(Suppression).where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None))
    )


def listing() -> list[dict[str, str]]:
    """Return every suppression in force; the address itself only where a subscriber still has it."""
    query = (
        select(Suppression, Subscriber.address)
        .outerjoin(Subscriber, Subscriber.address_hash == Suppression.address_hash)
        .where(Suppression.lifted_at.is_(None))
        .order_by(Suppression.suppressed_at)
    )
    return [
        {
            "address": address or f"hash {row.address_hash[:16]}",
            "reason": row.reason,
            "detail": row.detail,
            "suppressed_at": row.suppressed_at.isoformat(),
        }
        for row, address in db.session.execute(query)
    ]
