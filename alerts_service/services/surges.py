"""The alarm: how many sign-ups the last hour had, what is usual, and since when it is more than that.

A job looks each minute and keeps what it found, so that whoever asks pays for one look-up. A sign-up is a mail that
asks somebody to confirm, so that these are counted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts_service.db import is_postgresql, reading, transaction
from alerts_service.models import SIGN_UP_SURGE, Fact, SignUp
from alerts_service.rules import surges

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# Sign-ups that nobody confirms are kept for a week. The last day is left out: it may be the attack itself.
_DAYS = 6


@dataclass(frozen=True)
class Look:
    """The sign-ups of the last hour, how many are no surge, since when there is one, and whether this look began it."""

    last_hour: int
    most: int
    since: datetime | None
    begun: bool = False
    ended: bool = False


def watch(*, now: datetime) -> Look:
    """Look, and keep that a surge has begun or ended."""
    seen = look(now=now)
    surge = surges.is_surge(seen.last_hour, seen.most, already=seen.since is not None)
    if surge == (seen.since is not None):
        return seen
    with transaction() as session:
        fact = session.get(Fact, SIGN_UP_SURGE, populate_existing=True)
        if surge and fact is None:
            session.add(Fact(name=SIGN_UP_SURGE, value=now.isoformat()))
        elif not surge and fact is not None:
            session.delete(fact)
    return Look(seen.last_hour, seen.most, now if surge else None, begun=surge, ended=not surge)


def look(*, now: datetime) -> Look:
    """Count; nothing is changed."""
    with reading() as session:
        last_hour = select(func.count()).where(SignUp.requested_at > now - _HOUR, SignUp.requested_at <= now)
        return Look(session.scalar(last_hour) or 0, surges.most(_busiest_hours(session, now)), _since(session))


def since_when() -> datetime | None:
    """Return since when there is a surge, as the last look found it."""
    with reading() as session:
        return _since(session)


def _since(session: Session) -> datetime | None:
    kept = session.scalar(select(Fact.value).where(Fact.name == SIGN_UP_SURGE))
    return datetime.fromisoformat(kept) if kept else None


def _busiest_hours(session: Session, now: datetime) -> list[int]:
    """Return how many sign-ups the busiest hour had, for each of the days before the last."""
    hour = func.date_trunc("hour", SignUp.requested_at)
    if not is_postgresql():
        hour = func.strftime("%Y-%m-%d %H:00:00+00:00", SignUp.requested_at)
    first, last = now - (_DAYS + 1) * _DAY, now - _DAY
    query = select(hour, func.count()).where(SignUp.requested_at > first, SignUp.requested_at <= last).group_by(hour)
    busiest = dict.fromkeys(range(_DAYS), 0)
    for at, found in session.execute(query):
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        day = min(max((moment - first) // _DAY, 0), _DAYS - 1)  # an hour may begin before the first day
        busiest[day] = max(busiest[day], found)
    return list(busiest.values())
