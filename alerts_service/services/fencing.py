"""The restore fence: a database put back from a backup sends nothing until it has been reconciled.

Each turn of a sender commits a fresh nonce in the database together with its claims, then writes the nonce and
what it is about to send into the host's journal, and only then sends. The database is the one the journal was
written beside if the journal's last nonce is in it, as the present one or as the one before (a crash may fall
between the two writes). The statement that renews the nonce checks this, the base URL, and whether any other
host waits to be reconciled, so that a turn costs one statement and one fsync.

In demo mode there is no fence: no mail leaves the machine.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from alerts_service import journal
from alerts_service.config import Settings
from alerts_service.db import UTCDateTime, transaction, upsert
from alerts_service.errors import BaseUrlChanged, HostsAwaited, HostUnknown, JournalAhead, JournalMissing, SendingHeld
from alerts_service.journal import Journal
from alerts_service.models import AT_ONCE, Fact, Host
from alerts_service.services import noting
from alerts_service.services.installing import BASE_URL

RENEW_EVERY = timedelta(seconds=10)
# Two looks at another host's nonce, no further apart than this, show that it is renewing.
_LOOKS_APART = timedelta(seconds=60)
# `previous` becomes the journal's last, not the present one: turns that crashed before their line may follow one
# another. Written once, as every turn runs it.
_RENEWAL = text("""
UPDATE hosts SET nonce = :nonce, previous = :last, renewed_at = :clock
WHERE id = :host AND (nonce = :last OR previous = :last)
  AND EXISTS (SELECT 1 FROM installation WHERE name = 'base_url' AND value = :base_url)
  AND NOT EXISTS (SELECT 1 FROM hosts o WHERE o.held_at IS NOT NULL)""").bindparams(
    bindparam("clock", type_=UTCDateTime())
)


def enter(settings: Settings, *, clock: datetime) -> str:
    """Renew this host's nonce if all is well, and return the host's name: at a worker's start."""
    idle(settings, clock=clock)
    return Journal(settings.state_dir).host()


def idle(settings: Settings, *, clock: datetime) -> None:
    """Renew the nonce without sending: every RENEW_EVERY, so that any older copy of the database is known as such.

    A new host joins here, once it sees another one renew. A host whose journal is ahead says so to the others.
    """
    if settings.mode == "demo":
        return
    own = Journal(settings.state_dir)
    own.trim(clock)
    try:
        with turn(settings) as fence:
            with transaction() as session:
                fence.renew(session, (), clock=clock)
                hosts = list(session.scalars(select(Host.id)))
            fence.note_idle(hosts)
    except JournalAhead:
        _announce(own.host(), clock)
    except HostUnknown:
        _look_around(settings, clock)
    except SendingHeld:
        return  # whoever wants to send is told why


def held(session: Session, settings: Settings) -> str | None:
    """Return, as a sentence, why nothing may be sent now; None if it may. It changes nothing."""
    if settings.mode == "demo":
        return None
    own = Journal(settings.state_dir)
    with own.lock():
        if not session.info.get("writing"):
            session.rollback()  # a snapshot older than the journal would look like an older database
        try:
            check(session, settings, own)
        except SendingHeld as reason:
            return str(reason)
    return None


def returned(settings: Settings, message_ids: Sequence[str], *, clock: datetime) -> None:
    """Note that deliveries of a turn were not sent after all and wait in the queue again (recorded before)."""
    if settings.mode != "demo" and message_ids:
        facts = {"ids": [noting.short(each) for each in message_ids]}
        Journal(settings.state_dir).write(journal.BACK, facts, clock, durable=False)


@contextlib.contextmanager
def turn(settings: Settings) -> Iterator["Fence"]:
    """Give the fence of one turn; the host's lock, if `renew` took it, ends with the block."""
    with contextlib.ExitStack() as held_lock:
        yield Fence(settings, held_lock)


class Fence:
    """One turn: `renew` inside the claim's transaction, as its last step; `note` after it, before anything is sent."""

    def __init__(self, settings: Settings, lock: contextlib.ExitStack) -> None:
        self._settings = settings
        self._lock = lock
        self._journal = Journal(settings.state_dir)
        self._nonce = ""
        self._clock = AT_ONCE
        self._noting = noting.Noting()

    def renew(self, session: Session, deliveries: Sequence[noting.Sending], *, clock: datetime) -> None:
        """Renew the nonce for these deliveries. Raises SendingHeld where nothing may be sent.

        The lock of the host is held from here to the end of the turn. `clock` is the real time.
        """
        if self._settings.mode == "demo":
            return
        self._noting = noting.gather(session, deliveries)
        self._lock.enter_context(self._journal.lock())
        host, last = self._journal.host(), self._journal.last()
        if last is not None:
            self._nonce, self._clock = journal.fresh_nonce(last.nonce), clock
            if _renew(session, self._settings, host, last.nonce, self._nonce, clock):
                return
        self._nonce = ""
        check(session, self._settings, self._journal)
        self._start(session, clock)  # the first host of all

    def note(self, message_ids: Sequence[str]) -> None:
        """Write the Message-IDs of the deliveries, in their order, into the journal, durably."""
        if self._nonce:
            self._journal.write_turn(self._nonce, self._noting.facts(message_ids), self._clock)

    def note_idle(self, hosts: Sequence[str]) -> None:
        """Note a renewal without deliveries, and which hosts there are."""
        if self._nonce:
            self._journal.write_idle(journal.TURN, self._nonce, {"hosts": list(hosts)}, self._clock)

    def join(self, session: Session, *, clock: datetime) -> None:
        """Make a new host known if another one is seen renewing between two looks; else keep what is seen."""
        self._lock.enter_context(self._journal.lock())
        seen = {row.id: [row.nonce, row.renewed_at.isoformat()] for row in session.scalars(select(Host))}
        earlier = self._journal.idle()
        if earlier and earlier.kind == journal.WATCH and _somebody_renewed(earlier.facts, seen, clock):
            self._start(session, clock)
        else:
            self._journal.write_idle(journal.WATCH, "", {"hosts": seen}, clock)

    def start(self, session: Session, *, clock: datetime) -> None:
        """Make this host known, or known anew after a reconciliation."""
        self._lock.enter_context(self._journal.lock())
        self._start(session, clock)

    def _start(self, session: Session, clock: datetime) -> None:
        last = self._journal.last()
        before = last.nonce if last else journal.fresh_nonce()
        if last is None:
            # Without it, a crash after the commit would look like a missing journal.
            self._journal.write_idle(journal.START, before, {}, clock)
        self._nonce, self._clock = journal.fresh_nonce(before), clock
        values = {"nonce": self._nonce, "previous": before, "renewed_at": clock, "held_at": None}
        statement = upsert(Host).values(id=self._journal.host(), **values)
        session.execute(statement.on_conflict_do_update(index_elements=[Host.id], set_=values))


def check(session: Session, settings: Settings, own: Journal) -> None:
    """Raise SendingHeld where nothing may be sent. The caller holds the lock of the host."""
    for reason in reasons(session, settings, own):
        raise reason


def reasons(session: Session, settings: Settings, own: Journal) -> list[SendingHeld]:
    """Return every reason why nothing may be sent, the first to be told first."""
    found: list[SendingHeld] = []
    remembered = session.scalar(select(Fact.value).where(Fact.name == BASE_URL))
    if remembered != settings.base_url:
        found.append(BaseUrlChanged(remembered=remembered or "no base URL", present=settings.base_url))
    rows = {row.id: row for row in session.execute(select(Host.id, Host.nonce, Host.previous, Host.held_at))}
    mine, last = rows.pop(own.host(), None), own.last()
    if mine is None:
        if last is not None and last.kind == journal.TURN:
            found.append(JournalAhead())
        elif rows:
            found.append(HostUnknown())
    elif last is None:
        found.append(JournalMissing())
    elif last.nonce not in {mine.nonce, mine.previous}:
        found.append(JournalAhead())
    awaited = sorted(row.id for row in rows.values() if row.held_at is not None)
    if awaited:
        found.append(HostsAwaited(hosts=", ".join(awaited)))
    return found


def _renew(session: Session, settings: Settings, host: str, last: str, nonce: str, clock: datetime) -> bool:
    """Commit to a fresh nonce, if all is well: one statement."""
    bound = {"host": host, "last": last, "nonce": nonce, "base_url": settings.base_url, "clock": clock}
    result = session.connection().execute(_RENEWAL, bound)
    return result.rowcount == 1


def _somebody_renewed(earlier: dict[str, Any], seen: dict[str, list[str]], clock: datetime) -> bool:
    """Say whether a host has a new nonce and a later moment than at a look shortly before.

    A database put back meanwhile has other nonces, too, but earlier moments.
    """
    if not timedelta(0) <= clock - datetime.fromisoformat(earlier["at"]) <= _LOOKS_APART:
        return False
    before: dict[str, list[str]] = earlier["hosts"]
    return any(
        host in before
        and nonce != before[host][0]
        and datetime.fromisoformat(at) > datetime.fromisoformat(before[host][1])
        for host, (nonce, at) in seen.items()
    )


def _look_around(settings: Settings, clock: datetime) -> None:
    with turn(settings) as fence:
        with transaction() as session:
            fence.join(session, clock=clock)
        fence.note_idle(())


def _announce(host: str, clock: datetime) -> None:
    """Let the other hosts wait for this one: only its journal knows what it has sent."""
    with transaction() as session:
        values = {"id": host, "nonce": journal.fresh_nonce(), "renewed_at": clock, "held_at": clock}
        statement = upsert(Host).values(**values)
        keep = {"held_at": statement.excluded.held_at}
        session.execute(
            statement.on_conflict_do_update(index_elements=[Host.id], set_=keep, where=Host.held_at.is_(None))
        )
