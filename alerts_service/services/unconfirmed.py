"""Sign-ups that nobody has confirmed: reminded of once, deleted when their link has long expired.

Both go by what the rows say, a batch in one transaction, so they may run twice, on two machines or late: a row
that another has in hand is passed over. Only the newest sign-up of a mailbox is reminded of, and the reminder counts
among the mailbox's mails of the day (services.requests).
"""

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, exists, select
from sqlalchemy.orm import aliased

from alerts_service.db import transaction
from alerts_service.models import Delivery, DeliveryState, MailKind, SignUp, Subscriber
from alerts_service.rules import tokens
from alerts_service.services import letters, stopping

REMIND_AFTER = timedelta(hours=48)
# A reminder that comes later than this before the link expires helps nobody.
USEFUL_FOR = timedelta(days=1)
# An expired link offers a new one for so long; then nothing is kept of what nobody wanted.
KEPT_FOR = timedelta(days=7)
BATCH = 500


def remind(*, now: datetime) -> int:
    """Queue a reminder of sign-ups that have waited for REMIND_AFTER, BATCH at most; return how many.

    While sign-ups are stopped nobody is reminded: those that wait may be the attack's own.
    """
    with transaction() as session:
        if stopping.stopped(session):
            return 0
        rows = session.scalars(_forgotten(now)).all()
        for row in rows:
            row.reminded_at = now
            letters.queue(
                session,
                MailKind.REMINDER,
                address=row.address,
                address_hash=row.address_hash,
                locale=row.locale,
                details={"sign_up": row.id},
                now=now,
            )
        return len(rows)


def purge(*, now: datetime) -> int:
    """Delete sign-ups that were not confirmed, KEPT_FOR after their links expired, BATCH at most; return how many."""
    expired = select(SignUp.id).where(SignUp.confirmed_at.is_(None), SignUp.expires_at <= now - KEPT_FOR)
    with transaction() as session:
        ids = list(session.scalars(expired.limit(BATCH).with_for_update(skip_locked=True)))
        session.execute(delete(SignUp).where(SignUp.id.in_(ids)), execution_options={"synchronize_session": False})
        return len(ids)


def _forgotten(now: datetime) -> Select[SignUp]:
    """Whose confirmation mail was sent, who has not answered it, and has not asked or been asked again since."""
    newer = aliased(SignUp)
    follows = exists().where(Subscriber.address_hash == SignUp.address_hash, Subscriber.ended_at.is_(None))
    asked_again = exists().where(newer.mailbox_hash == SignUp.mailbox_hash, newer.id > SignUp.id)
    was_sent = exists().where(
        Delivery.address_hash == SignUp.address_hash,
        Delivery.created_at == SignUp.requested_at,
        Delivery.kind == MailKind.CONFIRMATION,
        Delivery.state == DeliveryState.SENT,
    )
    return (
        select(SignUp)
        .where(SignUp.confirmed_at.is_(None), SignUp.ended_at.is_(None), SignUp.reminded_at.is_(None))
        .where(SignUp.expires_at > now + USEFUL_FOR, SignUp.expires_at <= now + tokens.LINK_LIFETIME - REMIND_AFTER)
        .where(~follows, ~asked_again, was_sent)
        .order_by(SignUp.expires_at)
        .limit(BATCH)
        .with_for_update(of=SignUp, skip_locked=True)
    )
