"""Amending deliveries after a restore: steps under the turnstile that keep proofs, marks and tallies true."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from alerts_service.db import upsert
from alerts_service.models import (
    CatchUp,
    CoveredFrequency,
    Delivery,
    DeliveryState,
    Digest,
    DigestUpdate,
    Drop,
    Edition,
    Subscriber,
    Subscription,
    Tally,
    Update,
    UpdateTally,
)
from alerts_service.services import digests

GIVEN = "sent before restore"
BY_JOURNAL = "The journal says that it was sent."


def mark_sent(session: Session, ids: Sequence[int], at: datetime) -> None:
    """Let deliveries count as sent."""
    present = select(Subscriber.address).where(Subscriber.id == Delivery.subscriber_id).scalar_subquery()
    values = {
        "state": DeliveryState.SENT,
        "sent_at": at,
        "reply": BY_JOURNAL,
        "reason": None,
        "claimed_by": None,
        "lease_until": None,
        "address": func.coalesce(Delivery.address, present),
    }
    _change(session, ids, values)


def cancel(session: Session, ids: Sequence[int]) -> None:
    """End deliveries that would bring nothing new."""
    _change(session, ids, {"state": DeliveryState.CANCELLED, "reason": GIVEN})


def move(session: Session, ids: Sequence[int], digest_id: int, other_id: int, people: int) -> None:
    """Give deliveries another digest, into which their `people` have been counted."""
    _change(session, ids, {"digest_id": other_id})
    # They are matched to the other one now, so that the proof of every update still adds up.
    fewer = {"recipients": Digest.recipients - people}
    session.execute(_quietly(update(Digest).where(Digest.id == digest_id).values(**fewer)))


def matched(session: Session, edition_id: int, locale: str, updates: frozenset[int], people: int) -> int:
    """Return the id of an edition's digest with these updates, into which so many more people are counted."""
    digest_id = _digest(session, edition_id, locale, updates)
    more = {"recipients": Digest.recipients + people}
    session.execute(_quietly(update(Digest).where(Digest.id == digest_id).values(**more)))
    return digest_id


def take_out(session: Session, people: Collection[int], updates: frozenset[int], *, except_in: int) -> None:
    """Take what people have been given out of whatever else waits for them, one edition apart."""
    if not people or not updates:
        return
    holding = select(DigestUpdate.digest_id).where(DigestUpdate.update_id.in_(updates))
    rows = session.execute(
        select(Delivery.id, Delivery.digest_id)
        .where(Delivery.subscriber_id.in_(people), Delivery.state == DeliveryState.PENDING)
        .where(Delivery.edition_id != except_in, Delivery.digest_id.in_(holding))
    )
    by_digest: dict[int, list[int]] = {}
    for delivery_id, digest_id in rows:
        by_digest.setdefault(digest_id or 0, []).append(delivery_id)
    for digest_id, ids in by_digest.items():
        _reduce(session, digest_id, ids, updates)


def _reduce(session: Session, digest_id: int, ids: list[int], given: frozenset[int]) -> None:
    digest = session.get_one(Digest, digest_id)
    held = frozenset(session.scalars(select(DigestUpdate.update_id).where(DigestUpdate.digest_id == digest_id)))
    if held <= given:
        cancel(session, ids)
        return
    reduced = _digest(session, digest.edition_id, digest.locale, held - given)
    _change(session, ids, {"digest_id": reduced})
    values = [
        {"digest_id": digest_id, "update_id": each, "reason": GIVEN, "recipients": len(ids)} for each in held & given
    ]
    statement = upsert(Drop).values(values)
    more = {"recipients": Drop.recipients + statement.excluded.recipients}
    session.execute(
        statement.on_conflict_do_update(index_elements=[Drop.digest_id, Drop.update_id, Drop.reason], set_=more)
    )


def _digest(session: Session, edition_id: int, locale: str, updates: frozenset[int]) -> int:
    unreleased = select(Update.id).where(Update.id.in_(updates), Update.seq.is_(None))
    if session.scalar(unreleased.limit(1)) is None:
        return digests.ensure(session, edition_id, locale, updates)
    # It was released after the copy: without a number its set has no key yet, and so one of its own.
    words = ",".join(map(str, sorted(updates)))
    key = hashlib.sha256(f"unreleased {words}".encode()).hexdigest()[: digests.KEY_LENGTH]
    same = {"edition_id": edition_id, "locale": locale, "set_key": key}
    known = session.scalar(select(Digest.id).filter_by(**same))
    if known is not None:
        return known
    digest = Digest(**same, recipients=0)
    session.add(digest)
    session.flush()
    session.execute(insert(DigestUpdate), [{"digest_id": digest.id, "update_id": each} for each in sorted(updates)])
    return digest.id


def owe_again(session: Session, people: Collection[int], updates: frozenset[int]) -> None:
    """Lower the marks of people so that updates are found again; a mark may only err low."""
    lowest = session.scalar(select(func.min(Update.seq)).where(Update.id.in_(updates))) if people else None
    if lowest is None:
        return
    theirs = (Subscription.subscriber_id.in_(people), Subscription.ended_at.is_(None))
    # Locked: a change of frequency at this moment would carry the old mark over.
    session.execute(select(Subscription.id).where(*theirs).with_for_update())
    covered = CoveredFrequency.covered_seq
    # A row without a mark stands where its frequency does, which may be lower.
    mark = case((covered < lowest - 1, covered), else_=lowest - 1)
    rows = select(Subscription.id, Subscription.frequency, Subscription.subscriber_id, mark)
    rows = rows.join(CoveredFrequency, CoveredFrequency.frequency == Subscription.frequency).where(*theirs)
    statement = upsert(CatchUp).from_select(["subscription_id", "frequency", "subscriber_id", "from_seq"], rows)
    lower = statement.excluded.from_seq
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[CatchUp.subscription_id], set_={"from_seq": lower}, where=CatchUp.from_seq > lower
        )
    )


def _change(session: Session, ids: Sequence[int], values: dict[str, Any]) -> None:
    if ids:
        session.execute(_quietly(update(Delivery).where(Delivery.id.in_(ids)).values(**values)))


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)


def forget_tallies(session: Session, edition_id: int) -> None:
    """An edition that was counted has to be counted again."""
    session.execute(_quietly(update(Edition).where(Edition.id == edition_id).values(tallied_at=None)))
    for model in (Tally, UpdateTally):
        session.execute(_quietly(delete(model).where(model.edition_id == edition_id)))
