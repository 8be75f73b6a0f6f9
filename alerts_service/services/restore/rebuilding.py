"""Deliveries made again from the journal, in a database that has forgotten them: steps under the turnstile.

What the journal says was sent counts as sent, whatever the older database makes of it. A delivery that waits
there is marked; one that is not there is added to its edition, which is added, too, if need be. So the ledger
says again what everybody has been given, and the matching owes nobody the same update twice, in whatever
edition it compiles next. A Message-ID is never used for anything else: what else its delivery was to bring is
owed again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, literal, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import UTCDateTime, table
from alerts_service.journal import Entry
from alerts_service.models import (
    AT_ONCE,
    REMINDER,
    CoveredFrequency,
    Delivery,
    DeliveryState,
    DigestUpdate,
    Edition,
    Lane,
    MailKind,
    Subscriber,
    Update,
)
from alerts_service.services import mailing, noting
from alerts_service.services.restore import amending

_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass
class Rebuilt:
    """What a part of the journal came to. `slots` are those whose edition had to be added, by frequency."""

    marked: int = 0
    added: int = 0
    unknown: int = 0
    slots: dict[str, datetime] = field(default_factory=dict)

    def take_in(self, other: "Rebuilt") -> None:
        """Add what another part came to."""
        self.marked += other.marked
        self.added += other.added
        self.unknown += other.unknown
        for frequency, slot_at in other.slots.items():
            self.slots[frequency] = max(slot_at, self.slots.get(frequency, slot_at))


@dataclass(frozen=True)
class _Group:
    """The deliveries of one digest in one turn: the updates that this database still knows, and when it was."""

    edition_id: int
    frequency: str
    slot_at: datetime
    locale: str
    updates: frozenset[int]
    at: datetime


class Rebuilding:
    """One pass over some turns of the journal, within one transaction."""

    def __init__(self, session: Session, settings: Settings, *, was_returned: Callable[[str], bool], now: datetime):
        self._session, self._settings, self._now = session, settings, now
        self._was_returned = was_returned
        self.rebuilt = Rebuilt()

    def turn(self, entry: Entry) -> None:
        """Make the deliveries of one turn again."""
        at = datetime.fromisoformat(entry.facts["at"])
        known = self._known_updates(entry.facts.get("updates", {}))
        for frequency, slot, locale, held, people in entry.facts.get("digests", []):
            given = {short: who for who, short in people if not self._was_returned(short)}
            if given:
                slot_at = datetime.fromisoformat(slot)
                updates = known.intersection(held)
                edition_id = (
                    self._reminder(slot_at, updates) if frequency == REMINDER else self._edition(frequency, slot_at)
                )
                group = _Group(edition_id, frequency, slot_at, locale, updates, at)
                self._digest(group, given)
        self._letters([(number, short) for number, short in entry.facts.get("letters", [])], at)

    def _known_updates(self, fingerprints: dict[str, str]) -> frozenset[int]:
        """Leave out the updates made after the copy, and any other that was given the number of one since."""
        rows = self._session.execute(select(Update.id, Update.created_at).where(Update.id.in_(map(int, fingerprints))))
        return frozenset(row.id for row in rows if noting.fingerprint(row.created_at) == fingerprints[str(row.id)])

    def _edition(self, frequency: str, slot_at: datetime) -> int:
        """Return the edition of a slot; one that is added covers nothing and is closed."""
        session = self._session
        found = session.scalar(select(Edition).where(Edition.frequency == frequency, Edition.slot_at == slot_at))
        if found is not None:
            found.rebuilt_at = found.rebuilt_at or self._now
            return found.id
        covered = session.get_one(CoveredFrequency, frequency, populate_existing=True).covered_seq
        moments = {"slot_at": slot_at, "opened_at": self._now, "compiled_at": self._now, "rebuilt_at": self._now}
        edition = Edition(frequency=frequency, from_seq=covered, through_seq=covered, **moments)
        session.add(edition)
        session.flush()
        self.rebuilt.take_in(Rebuilt(slots={frequency: slot_at}))
        return edition.id

    def _reminder(self, slot_at: datetime, updates: frozenset[int]) -> int:
        """Return the reminder that was opened for a slot; one that is added is still to be compiled for the others."""
        session, cause = self._session, next(iter(updates), None)
        which = (Edition.cause_id == cause) if cause else (Edition.slot_at == slot_at)
        found = session.scalar(select(Edition.id).where(Edition.frequency == REMINDER, which))
        if found is not None:
            return found
        edition = Edition(
            frequency=REMINDER, slot_at=slot_at, cause_id=cause, from_seq=0, through_seq=0, opened_at=self._now
        )
        session.add(edition)
        session.flush()
        return edition.id

    def _digest(self, group: _Group, given: dict[str, int]) -> None:
        people = [row for row in self._people(group, given.values()) if self._is_among(row, group, given)]
        self.rebuilt.unknown += len(given) - len(people)
        waiting = [row for row in people if row.id is not None and row.state != DeliveryState.SENT]
        self._add(group, [row for row in people if row.id is None])
        by_digest: dict[int, list[int]] = {}
        for row in waiting:
            by_digest.setdefault(row.digest_id, []).append(row.id)
        for digest_id, ids in by_digest.items():
            self._mark(group, digest_id, ids)
        if waiting or any(row.id is None for row in people):
            amending.forget_tallies(self._session, group.edition_id)

    def _people(self, group: _Group, subscriber_ids: Iterable[int]) -> list[Any]:
        columns = (Delivery.id, Delivery.state, Delivery.digest_id, Delivery.address)
        own = and_(Delivery.subscriber_id == Subscriber.id, Delivery.edition_id == group.edition_id)
        ids = set(subscriber_ids)
        query = select(*columns, Subscriber.id.label("subscriber_id"), Subscriber.address.label("present"))
        rows: list[Any] = list(self._session.execute(query.outerjoin(Delivery, own).where(Subscriber.id.in_(ids))))
        if 0 not in ids:
            return rows
        seeds = select(*columns, literal(None).label("subscriber_id"), Delivery.address.label("present"))
        seeds = seeds.where(Delivery.edition_id == group.edition_id, Delivery.subscriber_id.is_(None))
        return [*rows, *self._session.execute(seeds)]

    def _is_among(self, row: Any, group: _Group, given: dict[str, int]) -> bool:
        """Say whether a Message-ID of theirs is among those given: a number alone may be somebody else's by now."""
        return any(
            self._short(0, MailKind.DIGEST, address, group.frequency, group.slot_at, seed=row.subscriber_id is None)
            in given
            for address in {row.address, row.present} - {None}
        )

    def _add(self, group: _Group, rows: Sequence[Any]) -> None:
        if not rows or not group.updates:
            return
        fixed = {
            "kind": MailKind.DIGEST,
            "lane": Lane.DIGEST,
            "edition_id": group.edition_id,
            "digest_id": amending.matched(self._session, group.edition_id, group.locale, group.updates, len(rows)),
            "state": DeliveryState.SENT,
            "reply": amending.BY_JOURNAL,
            "created_at": self._now,
            "due_at": AT_ONCE,
            "sent_at": group.at,
        }
        added = [row.subscriber_id for row in rows]
        moments = {name: literal(value, UTCDateTime()) for name, value in fixed.items() if isinstance(value, datetime)}
        values = {name: literal(value) for name, value in fixed.items()} | moments
        people = select(Subscriber.id, Subscriber.address, *values.values()).where(Subscriber.id.in_(added))
        self._session.execute(insert(table(Delivery)).from_select(["subscriber_id", "address", *values], people))
        amending.take_out(self._session, added, group.updates, except_in=group.edition_id)
        self.rebuilt.added += len(rows)

    def _mark(self, group: _Group, digest_id: int, ids: list[int]) -> None:
        """Let deliveries that wait with one digest count as sent, with what was really in them."""
        session = self._session
        held = frozenset(session.scalars(select(DigestUpdate.update_id).where(DigestUpdate.digest_id == digest_id)))
        people = list(session.scalars(select(Delivery.subscriber_id).where(Delivery.id.in_(ids))))
        subscribers = [each for each in people if each is not None]
        amending.owe_again(session, subscribers, held - group.updates)
        amending.take_out(session, subscribers, group.updates - held, except_in=group.edition_id)
        if not group.updates:
            amending.cancel(session, ids)
            return
        if held != group.updates:
            other = amending.matched(session, group.edition_id, group.locale, group.updates, len(subscribers))
            amending.move(session, ids, digest_id, other, len(subscribers))
        amending.mark_sent(session, ids, group.at)
        self.rebuilt.marked += len(ids)

    def _letters(self, letters: list[tuple[int, str]], at: datetime) -> None:
        """Mark the letters that still wait. One made after it was noted is another that was given the number."""
        noted = {number: short for number, short in letters if not self._was_returned(short)}
        rows = self._session.execute(
            select(Delivery.id, Delivery.kind, Delivery.address).where(
                Delivery.id.in_(noted),
                Delivery.digest_id.is_(None),
                Delivery.state.in_(_OPEN),
                Delivery.created_at <= at,
            )
        ).all()
        ids = [row.id for row in rows if self._short(row.id, row.kind, row.address, None, None) == noted[row.id]]
        amending.mark_sent(self._session, ids, at)
        self.rebuilt.marked += len(ids)

    def _short(
        self,
        number: int,
        kind: str,
        address: str,
        frequency: str | None,
        slot_at: datetime | None,
        *,
        seed: bool = False,
    ) -> str:
        message_id = mailing.message_id(
            delivery_id=number,
            kind=kind,
            address=address,
            frequency=frequency,
            slot_at=slot_at,
            domain="",
            settings=self._settings,
            seed=seed,
        )
        return noting.short(message_id)
