"""Why people leave: an answer from a short list, counted by day, with nothing that says whose it was."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, upsert
from alerts_service.models import LeaveReason

# In the order in which they are offered; what a form says besides is passed over.
REASONS = ("too_many", "not_relevant", "never_asked", "other_source", "something_else")


def count(session: Session, reason: str, *, settings: Settings, now: datetime) -> None:
    """Count a reason, as a step of leaving; nothing where the question is not asked or the answer is none of ours."""
    if not settings.ask_reason or reason not in REASONS:
        return
    day = now.astimezone(settings.timezone).date()
    one = upsert(LeaveReason).values(given_on=day, reason=reason, people=1)
    again = {"people": LeaveReason.people + 1}
    session.execute(one.on_conflict_do_update(index_elements=[LeaveReason.given_on, LeaveReason.reason], set_=again))


def totals() -> list[dict[str, Any]]:
    """Return how many people gave each reason, in the order of the list."""
    rows = db.session.execute(select(LeaveReason.reason, func.sum(LeaveReason.people)).group_by(LeaveReason.reason))
    found = {reason: int(people) for reason, people in rows}
    return [{"reason": reason, "people": found.get(reason, 0)} for reason in REASONS]
