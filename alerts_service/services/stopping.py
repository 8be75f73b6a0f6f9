"""The switch that stops confirmations. It is kept in the database, so that all processes of the site obey at once.

While it is set, whoever asks is answered as ever, nothing is written or mailed, and nobody is reminded: what comes in
during an attack is mostly not wanted by those it names, and a pile of it would be mailed at the end. Confirming,
changing and leaving by links already mailed goes on, and subscribers are mailed the link they ask for.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from alerts_service.db import reading, transaction
from alerts_service.models import IS_PENDING, SIGN_UPS_STOPPED, Delivery, DeliveryState, Fact, MailKind

CANCELLED = "sign-ups stopped"
LONGEST_REASON = 150
_CONFIRMATIONS = (MailKind.CONFIRMATION, MailKind.ALREADY_SUBSCRIBED, MailKind.REMINDER)


@dataclass(frozen=True)
class Stopped:
    """Since when sign-ups are stopped, and why."""

    since: datetime
    reason: str


def stop(reason: str, *, now: datetime) -> int:
    """Stop sign-ups, and cancel the confirmations that no worker has claimed yet; return how many.

    Repeating it keeps the moment of the first time.
    """
    with transaction() as session:
        kept = stopped(session)
        since = kept.since if kept else now
        session.merge(Fact(name=SIGN_UPS_STOPPED, value=f"{since.isoformat()} {reason[:LONGEST_REASON]}"))
        waiting = (IS_PENDING, Delivery.edition_id.is_(None), Delivery.kind.in_(_CONFIRMATIONS))
        ended = {"state": DeliveryState.CANCELLED, "reason": CANCELLED}
        return len(session.scalars(update(Delivery).where(*waiting).values(ended).returning(Delivery.id)).all())


def resume() -> bool:
    """Take sign-ups again; say whether they were stopped."""
    with transaction() as session:
        gone = delete(Fact).where(Fact.name == SIGN_UPS_STOPPED).returning(Fact.name)
        return session.scalar(gone) is not None


def since_when() -> Stopped | None:
    """Return since when sign-ups are stopped, if they are."""
    with reading() as session:
        return stopped(session)


def stopped(session: Session) -> Stopped | None:
    """Return the same within the caller's transaction."""
    fact = session.get(Fact, SIGN_UPS_STOPPED, populate_existing=True)
    if fact is None:
        return None
    since, _, reason = fact.value.partition(" ")
    return Stopped(datetime.fromisoformat(since), reason)
