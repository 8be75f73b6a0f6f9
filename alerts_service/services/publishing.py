"""Queueing updates: add, approve, release, withdraw, list and show.

A release takes the next number of the one release count under the turnstile, so that numbers follow the
order of commits. Its topics are frozen from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import db, taking_turns, transaction
from alerts_service.errors import NotFound, UnknownTopic, UpdateRefused, WrongState
from alerts_service.models import AT_ONCE, Digest, DigestUpdate, Topic, Turnstile, Update
from alerts_service.rules import announcements
from alerts_service.rules.announcements import NewUpdate


@dataclass(frozen=True)
class Added:
    """A queued update's id, and what its author should look at."""

    id: int
    warnings: list[str]


@taking_turns
def add(new: NewUpdate, *, approve: bool, settings: Settings, now: datetime) -> Added:
    """Queue an update as a draft, or approved: released at once, or at its `release_at`.

    Raises UpdateRefused with every reason, or UnknownTopic; then nothing is written.
    """
    problems = announcements.problems(new)
    if problems:
        raise UpdateRefused(reason=" ".join(problems))
    with transaction(turn=approve) as session:
        row = Update(**_columns(new), topics=_topics(session, new.topics), created_at=now)
        if new.follow_up_of is not None:
            row.follow_up_of_id = _existing(session, new.follow_up_of).id
        session.add(row)
        session.flush()
        if approve:
            _approve(session, row, now)
        return Added(row.id, announcements.warnings(new, settings.languages))


@taking_turns
def approve(update_id: int, *, now: datetime) -> None:
    """Approve a draft: it is released at once, or at its `release_at`."""
    with transaction(turn=True) as session:
        row = _existing(session, update_id)
        if row.state not in {"draft", "submitted"}:
            raise WrongState(reason=f"update {update_id} is {row.state}.")
        _approve(session, row, now)


@taking_turns
def release_due(*, now: datetime) -> int:
    """Release every approved update whose time has come; return how many."""
    query = (
        select(Update)
        .where(Update.approved_at.is_not(None), Update.released_at.is_(None), Update.withdrawn_at.is_(None))
        .where(Update.release_at <= now)
        .order_by(Update.release_at, Update.id)
    )
    if db.session.scalar(query.limit(1)) is None:
        db.session.rollback()
        return 0
    with transaction(turn=True) as session:
        due = list(session.scalars(query.execution_options(populate_existing=True)))
        for row in due:
            _release(session, row, now)
        return len(due)


@taking_turns
def withdraw(update_id: int, *, reason: str, now: datetime) -> None:
    """Take an update back: whoever has not been sent it will not be. Repeating it changes nothing."""
    with transaction(turn=True) as session:
        row = _existing(session, update_id)
        if row.withdrawn_at is not None:
            return
        row.withdrawn_at, row.withdrawn_reason = now, reason[:500]
        holding = select(DigestUpdate.digest_id).where(DigestUpdate.update_id == update_id)
        # From now on claims pass over these digests, on whatever clock.
        session.execute(update(Digest).where(Digest.id.in_(holding)).values(recheck_at=AT_ONCE))


def listing(state: str | None = None) -> list[dict[str, Any]]:
    """Return the updates, newest first, as plain values."""
    rows = [_summary(row) for row in db.session.scalars(select(Update).order_by(Update.id.desc()))]
    return [row for row in rows if state is None or row["state"] == state]


def show(update_id: int) -> dict[str, Any]:
    """Return everything about one update, as plain values."""
    row = _existing(db.session(), update_id)
    names = [column.key for column in Update.__table__.columns]
    return {name: _plain(getattr(row, name)) for name in names} | _summary(row)


def _approve(session: Session, row: Update, now: datetime) -> None:
    row.submitted_at = row.submitted_at or now
    row.approved_at = now
    if row.release_at is None or row.release_at <= now:
        _release(session, row, now)


def _release(session: Session, row: Update, now: datetime) -> None:
    """Give the next number of the release count; the caller holds the turnstile."""
    turnstile = session.get_one(Turnstile, 1, populate_existing=True)
    turnstile.release_seq += 1
    row.seq, row.released_at = turnstile.release_seq, now
    session.flush()


def _existing(session: Session, update_id: int) -> Update:
    row = session.get(Update, update_id, populate_existing=True)
    if row is None:
        raise NotFound(what="update", key=update_id)
    return row


def _topics(session: Session, slugs: Sequence[str]) -> list[Topic]:
    found = {
        topic.slug: topic
        for topic in session.scalars(select(Topic).where(Topic.slug.in_(slugs), Topic.retired_at.is_(None)))
    }
    for slug in slugs:
        if slug not in found:
            raise UnknownTopic(slug=slug)
    return list(found.values())


def _columns(new: NewUpdate) -> dict[str, Any]:
    values = {name: getattr(new, name) for name in announcements.STORED}
    return values | {"title": new.title.strip(), "zone": new.zone}


def _summary(row: Update) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "title": row.title,
        "kind": row.kind,
        "urgent": row.urgent,
        "topics": [topic.slug for topic in row.topics],
        "release_at": _plain(row.release_at),
        "released_at": _plain(row.released_at),
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
