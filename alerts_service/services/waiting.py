"""What waits for one person: when their next digests come, and how many updates each would bring.

It puts the compile's own question (matching.py) about one person and the moment of their next slot, so that the
page and the mail say the same. A pause in force is looked past: what it holds is what the first slot after it
brings. It changes nothing, and leaves to the compile what is released or changed until then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.models import (
    CatchUp,
    CoveredFrequency,
    Delivery,
    DeliveryState,
    DigestUpdate,
    Subscriber,
    Subscription,
)
from alerts_service.rules.slots import Frequency
from alerts_service.services import candidates, following, matching
from alerts_service.services.matching import Candidate, Question


@dataclass(frozen=True)
class NextDigest:
    """The next digest at one frequency. Without a slot it waits for the end of a pause that has none."""

    frequency: Frequency
    slot_at: datetime | None
    updates: int


def next_digests(
    session: Session, person: Subscriber, rows: Iterable[Subscription], *, settings: Settings, now: datetime
) -> list[NextDigest]:
    """Return a person's next digests, the first to come first; an update that two would bring is in the first."""
    endless = person.paused_at is not None and person.paused_until is None
    back = max(now, person.paused_until) if person.paused_at and person.paused_until else now
    frequencies = sorted({Frequency(row.frequency) for row in rows}, key=lambda frequency: frequency.rank)
    slots = {each: settings.schedules[each].following(back, settings.timezone) for each in frequencies}
    found: list[NextDigest] = []
    before: set[int] = set()
    for frequency in sorted(frequencies, key=lambda each: slots[each]):
        slot_at = None if endless else slots[frequency]
        owed = _owed(session, person, frequency, slot_at or now) - before
        before |= owed
        found.append(NextDigest(frequency, slot_at, len(owed)))
    return found


def _owed(session: Session, person: Subscriber, frequency: Frequency, at: datetime) -> set[int]:
    """Return the updates that a person is owed in an edition of a frequency that opens at a moment."""
    covered = session.scalars(select(CoveredFrequency.covered_seq).where(CoveredFrequency.frequency == frequency)).one()
    mine = (CatchUp.frequency == frequency, CatchUp.subscriber_id == person.id)
    mark = session.scalar(select(func.min(CatchUp.from_seq)).where(*mine))
    low = covered if mark is None else min(covered, mark)
    question = Question(
        frequency=frequency,
        from_seq=covered,
        candidates=candidates.released(session, low, following.release_count(session), at),
        after=person.id - 1,
        to=person.id,
        marks=mark is not None,
        now=at,
        given_from=None,
        away_too=True,
    )
    owed = [candidate for _, found in matching.owed(session, question) for candidate in found]
    return {candidate.id for candidate in owed} - _given(session, person, owed)


def _given(session: Session, person: Subscriber, owed: Sequence[Candidate]) -> set[int]:
    """Return which of some updates a person's own deliveries hold: few, where an edition has many digests."""
    query = select(DigestUpdate.update_id).join(Delivery, Delivery.digest_id == DigestUpdate.digest_id)
    live = (Delivery.subscriber_id == person.id, Delivery.state != DeliveryState.CANCELLED)
    return set(session.scalars(query.where(*live, DigestUpdate.update_id.in_([each.id for each in owed]))))
