"""After a restore: what the journal knows and the database has forgotten is done again, then mail may go out.

First the people who left or were erased, and the addresses that were suppressed; then the deliveries; at the end
the base URL is adopted and a new nonce begun. Until then nothing is sent, and doing it again does no harm. The
journal is read as a stream, some turns of the sender to a transaction.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from alerts_service import journal
from alerts_service.config import Settings
from alerts_service.db import reading, taking_turns, transaction
from alerts_service.errors import BaseUrlChanged, HostsAwaited, HostUnknown, NotFound, SendingHeld
from alerts_service.journal import Entry, Journal
from alerts_service.models import (
    CoveredFrequency,
    Delivery,
    DeliveryState,
    Edition,
    Fact,
    Host,
    Turnstile,
)
from alerts_service.rules.slots import Frequency
from alerts_service.services import compiling, fencing
from alerts_service.services.installing import BASE_URL
from alerts_service.services.restore import departed, unfinished
from alerts_service.services.restore.rebuilding import Rebuilding, Rebuilt
from alerts_service.services.restore.returned import Returned
from alerts_service.services.seeding import Seeding

_TURNS, _PEOPLE = 10, 200

Progress = Callable[[int], None]


@dataclass
class Plan:
    """Why nothing is sent now, what the journal would add, and what would go out then."""

    reasons: list[str] = field(default_factory=list)
    unsubscribes: int = 0
    suppressions: int = 0
    erasures: int = 0
    turns: int = 0
    messages: int = 0
    sending: int = 0
    waiting: int = 0
    base_url: str | None = None
    other_hosts: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Done:
    """What was done again, and how many deliveries wait to be sent now."""

    unsubscribes: int = 0
    suppressions: int = 0
    erasures: int = 0
    counted_as_sent: int = 0
    unknown: int = 0
    waiting: int = 0
    awaited: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """How the database and this host's journal stand to each other."""

    reasons: list[SendingHeld]
    since: str | None
    hosts: list[dict[str, str]]

    @property
    def base_url_changed(self) -> bool:
        return any(isinstance(reason, BaseUrlChanged) for reason in self.reasons)

    @property
    def apart(self) -> bool:
        """Whether the journal was not written beside this database as it is now."""
        return any(not isinstance(reason, BaseUrlChanged | HostsAwaited) for reason in self.reasons)

    @property
    def is_new(self) -> bool:
        return any(isinstance(reason, HostUnknown) for reason in self.reasons)


def plan(settings: Settings) -> Plan:
    """Say what `reconcile` would do; changes nothing."""
    own = Journal(settings.state_dir)
    with reading() as session:
        state = _state(session, settings, own)
        found = Plan([str(reason) for reason in state.reasons], other_hosts=state.hosts)
        found.base_url = settings.base_url if state.base_url_changed else None
        found.sending = _count(session, DeliveryState.SENDING) if state.apart else 0
        found.waiting = _count(session, DeliveryState.PENDING)
    if state.apart:
        for entry in own.entries(state.since):
            found.unsubscribes += entry.kind == journal.LEFT
            found.suppressions += entry.kind == journal.SUPPRESSED
            found.erasures += entry.kind == journal.ERASED
        for entry in _turns(own, state.since):
            found.turns += 1
            found.messages += sum(1 for _ in unfinished.short_ids(entry))
    return found


def reconcile(
    settings: Settings, *, without: Collection[str] = (), now: datetime, clock: datetime, progress: Progress
) -> Done:
    """Do again what the journal knows, and let mail go out. `without` names hosts that are gone for good.

    `now` is the moment it is done at, `clock` the real time. Raises NotFound for an unknown host. What a crash
    breaks off is done again by the next call.
    """
    own, done = Journal(settings.state_dir), Done()
    with reading() as session:
        state = _state(session, settings, own)
    if state.apart:
        _people(own, state.since, now, done)
        while compiling.compile_next(now, seeding=Seeding(settings, lambda: clock))[0]:
            pass
        with contextlib.closing(Returned()) as returned:
            unfinished.suspect_taken_back(settings, returned)
            unfinished.note_returned(own, state.since, returned)
            # To a host that is new, a lease that runs may be that of another one at work.
            lapsed = clock if state.is_new else None
            done.counted_as_sent += unfinished.finish_sending(settings, returned, lapsed=lapsed, clock=clock)
            rebuilt = _deliveries(own, state.since, settings, returned, now, progress)
        done.counted_as_sent += rebuilt.marked + rebuilt.added
        done.unknown += rebuilt.unknown
        _open_leftovers(rebuilt.slots, settings, now)
    if state.reasons:
        _adopt(settings, state, without, clock)
    with reading() as session:
        done.waiting = _count(session, DeliveryState.PENDING)
        done.awaited = sorted(session.scalars(select(Host.id).where(Host.held_at.is_not(None))))
    return done


def _state(session: Session, settings: Settings, own: Journal) -> _State:
    with own.lock():
        session.rollback()
        found = fencing.reasons(session, settings, own)
        rows = list(session.scalars(select(Host).order_by(Host.renewed_at)))
    mine = next((row for row in rows if row.id == own.host()), None)
    others = [{"host": row.id, "renewed_at": row.renewed_at.isoformat()} for row in rows if row is not mine]
    return _State(found, mine.nonce if mine else None, others)


def _people(own: Journal, since: str | None, now: datetime, done: Done) -> None:
    former: dict[str, str] = {}
    for entries in unfinished.chunks((e for e in own.entries(since) if e.kind in departed.KINDS), _PEOPLE):
        found = departed.do_again(entries, former, now)
        done.unsubscribes += found[journal.LEFT]
        done.suppressions += found[journal.SUPPRESSED]
        done.erasures += found[journal.ERASED]


def _deliveries(
    own: Journal, since: str | None, settings: Settings, returned: Returned, now: datetime, progress: Progress
) -> Rebuilt:
    rebuilt = Rebuilt()
    for entries in unfinished.chunks(_turns(own, since), _TURNS):
        rebuilt.take_in(_rebuild(entries, settings, returned, now))
        progress(len(entries))
    return rebuilt


@taking_turns
def _rebuild(entries: list[Entry], settings: Settings, returned: Returned, now: datetime) -> Rebuilt:
    with transaction(turn=True) as session:
        rebuilding = Rebuilding(session, settings, was_returned=returned.holds, now=now)
        for entry in entries:
            rebuilding.turn(entry)
        return rebuilding.rebuilt


@taking_turns
def _open_leftovers(slots: dict[str, datetime], settings: Settings, now: datetime) -> None:
    """A slot whose edition was broken off is taken: who had not got theirs gets it in an edition of this moment."""
    with transaction(turn=True) as session:
        through = session.scalars(select(Turnstile.release_seq)).one()
        for frequency, slot_at in sorted(slots.items()):
            # An immediate edition opens within minutes anyway, and so does one of a slot that is due and free.
            if frequency == Frequency.IMMEDIATE or slot_at < _newest_slot(frequency, settings, now):
                continue
            covered = session.get_one(CoveredFrequency, frequency, populate_existing=True).covered_seq
            if covered < through:
                seqs = {"from_seq": covered, "through_seq": through}
                session.add(Edition(frequency=frequency, slot_at=now, opened_at=now, **seqs))


def _newest_slot(frequency: str, settings: Settings, now: datetime) -> datetime:
    return settings.schedules[Frequency(frequency)].latest(now, settings.timezone)


def _adopt(settings: Settings, state: _State, without: Collection[str], clock: datetime) -> None:
    """Make the database this host's own: base URL and nonce. A copy of another installation has no other hosts."""
    with fencing.turn(settings) as fence:
        with transaction() as session:
            hosts = set(session.scalars(select(Host.id)))
            for host in without:
                if host not in hosts:
                    raise NotFound(what="host", key=host)
            gone = hosts if state.base_url_changed and state.apart else set(without)
            session.execute(delete(Host).where(Host.id.in_(gone)))
            session.merge(Fact(name=BASE_URL, value=settings.base_url))
            fence.start(session, clock=clock)
        fence.note_idle(sorted(hosts - gone))


def _count(session: Session, state: DeliveryState) -> int:
    return session.scalar(select(func.count()).where(Delivery.state == state)) or 0


def _turns(own: Journal, since: str | None) -> Iterator[Entry]:
    """Yield the turns after the copy. That of its own nonce is in it: what of it waits there was put back before."""
    first = journal.count_of(since) if since else -1
    return (e for e in own.entries(since) if e.kind == journal.TURN and journal.count_of(e.nonce) > first)
