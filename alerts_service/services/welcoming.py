"""The welcome to who has confirmed, and what it shows of the time before.

Its latest updates are fixed when it is queued, in the transaction of the confirmation. It is no delivery of them: they
were released before the person followed their topics, so they are not owed, and no proof counts them.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.models import MailKind, SignUp, Subscriber, Topic, Update, UpdateTopic
from alerts_service.services import candidates, letters

LATEST = 3


def queue(
    session: Session, subscriber: Subscriber, sign_up: SignUp, added: Sequence[Topic], *, through: int, now: datetime
) -> None:
    """Queue the welcome, as a step of a confirmation after which what is numbered above `through` is owed."""
    topics = [topic.id for topic in added]
    letters.queue(
        session,
        MailKind.WELCOME,
        address=subscriber.address,
        address_hash=subscriber.address_hash,
        locale=sign_up.locale,
        details={"subscriber": subscriber.id, "added": topics, "latest": _latest(session, topics, through, now)},
        now=now,
    )


def _latest(session: Session, topics: Sequence[int], through: int, now: datetime) -> list[int]:
    under = select(UpdateTopic.update_id).where(UpdateTopic.topic_id.in_(topics))
    query = select(Update.id).where(*candidates.live(now), Update.seq <= through, Update.id.in_(under))
    return list(session.scalars(query.order_by(Update.seq.desc()).limit(LATEST)))
