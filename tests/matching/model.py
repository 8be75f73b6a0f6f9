"""The reference: who is owed which update, said as plainly as possible.

Written from the rules, not from the code: sets, and loops over people. It has no marks, no masks and no
batches. It does not foretell what a claim does to what was compiled; it watches the ledger, and refuses
each step that the rules do not allow. Where the rules leave a choice, it allows both and says why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

FREQUENCIES = ("immediate", "daily", "weekly", "monthly")
ZONE = ZoneInfo("America/New_York")
GRID = timedelta(minutes=10)


class Broken(AssertionError):
    """The service did what the rules forbid, or left out what they demand."""


def demand(truth: object, complaint: str) -> None:
    """Raise Broken unless it is true."""
    if not truth:
        raise Broken(complaint)


@dataclass
class Update:
    """One update, from its queueing on."""

    id: int
    topics: frozenset[str]
    urgent: bool
    lapses_at: datetime | None
    seq: int | None = None
    released_at: datetime | None = None
    withdrawn: bool = False
    # It was found lapsed once. If the clock is put back it lives again, and may or may not be given:
    # the rules say that what expired drops, and that a clock put back changes the slots only.
    was_lapsed: bool = False

    def live(self, now: datetime) -> bool:
        """Not withdrawn, not expired, its event not over."""
        return not self.withdrawn and not self.lapsed(now)

    def lapsed(self, now: datetime) -> bool:
        """Expired, or its event over."""
        return self.lapses_at is not None and self.lapses_at <= now


@dataclass
class Following:
    """One topic followed: how often, and the release count when it was confirmed."""

    frequency: str
    since: int


@dataclass
class Person:
    """One subscriber."""

    id: int
    follows: dict[str, Following] = field(default_factory=dict)
    past: list[tuple[str, int]] = field(default_factory=list)
    paused: bool = False
    paused_until: datetime | None = None
    # A claim found the pause over. If the clock is put back before its end it is in force again for compiles,
    # but what waits is not looked at anew: the rules say that a clock put back changes the slots only.
    pause_was_over: bool = False
    # What ended when the last of it was left, and can be brought back.
    ended: dict[str, Following] = field(default_factory=dict)
    suppressed_for: str | None = None
    # Taken out of a digest of theirs by a suppression. Promise 1 counts it as ended, the formula would owe
    # it again; nobody can be sent it twice either way, so both are allowed once the suppression is lifted.
    doubtful: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)

    def pause(self, until: datetime | None) -> None:
        """Hold all digests."""
        self.paused, self.paused_until, self.pause_was_over = True, until, False

    def away(self, now: datetime) -> bool:
        """In a pause that is in force."""
        return self.paused and (self.paused_until is None or self.paused_until > now)


@dataclass
class Edition:
    """One issue of one frequency."""

    id: int
    frequency: str
    slot_at: datetime
    low: int
    through: int
    urgent: bool
    served_to: int = 0
    compiled: bool = False
    cancelled: bool = False
    # Its failed deliveries may come back to the queue now.
    retrying: bool = False


@dataclass(frozen=True)
class Line:
    """One digest's delivery as the ledger has it."""

    id: int
    person: int
    edition: int
    state: str
    reason: str | None
    holds: frozenset[int]


@dataclass(frozen=True)
class Due:
    """An edition that is to be opened; one that is not `certain` may be opened or not."""

    frequency: str
    slot_at: datetime
    urgent: bool
    certain: bool


class Model:
    """Everybody's life, and what they are owed."""

    def __init__(self, installed_at: datetime) -> None:
        self.installed_at = installed_at
        self.count = 0
        self.covered = dict.fromkeys(FREQUENCIES, 0)
        self.people: dict[int, Person] = {}
        self.updates: dict[int, Update] = {}
        self.editions: dict[int, Edition] = {}
        self.ledger: dict[int, Line] = {}
        self.matched: dict[int, int] = {}

    # Updates

    def release(self, update_id: int, seq: int, now: datetime) -> None:
        """Give the next number of the one count."""
        update = self.updates[update_id]
        demand(update.seq is None and not update.withdrawn, f"update {update_id} was released against the rules")
        demand(seq == self.count + 1, f"update {update_id} got number {seq} after {self.count}")
        update.seq, update.released_at = seq, now
        self.count = seq

    # People

    def follow(self, person: Person, topics: Iterable[str], frequency: str) -> None:
        """Confirm topics: those followed already stay as they are."""
        person.ended = {}
        for topic in topics:
            if topic not in person.follows:
                person.follows[topic] = Following(frequency, since=self.count)
                person.past.append((topic, self.count))

    def leave(self, person: Person, topics: Iterable[str]) -> None:
        """Stop following; who leaves the last topics can undo that."""
        left = {topic: person.follows.pop(topic) for topic in topics if topic in person.follows}
        if left and not person.follows:
            person.ended = left

    def undo(self, person: Person) -> None:
        """Follow again what ended last, from when it was followed first."""
        person.follows, person.ended = person.ended, {}

    # Who is owed what

    def follows(self, person: Person, update: Update) -> list[Following]:
        """Return the followings that the update falls under."""
        if update.seq is None:
            return []
        return [f for topic, f in person.follows.items() if topic in update.topics and f.since < update.seq]

    def given(self, person: Person, update_id: int) -> list[Line]:
        """Return the live deliveries that gave a person an update; a failed one counts."""
        return [
            line
            for line in self.ledger.values()
            if line.person == person.id and line.state != "cancelled" and update_id in line.holds
        ]

    def lacks(self, person: Person, now: datetime) -> set[int]:
        """Return what a person present follows, is live and was not given, at whatever frequency."""
        if person.away(now):
            return set()
        return {
            update.id
            for update in self.updates.values()
            if update.live(now) and self.follows(person, update) and not self.given(person, update.id)
        }

    def owed(self, person: Person, edition: Edition, now: datetime) -> tuple[set[int], set[int]]:
        """Return what an edition must give a person, and what it may."""
        found = {
            update_id
            for update_id in self.lacks(person, now)
            if self._falls_in(person, self.updates[update_id], edition)
        }
        unsure = {u for u in found if u in person.doubtful or self.updates[u].was_lapsed}
        return found - unsure, found

    def _falls_in(self, person: Person, update: Update, edition: Edition) -> bool:
        assert update.seq is not None
        if update.seq > edition.through:
            return False
        if any(f.frequency == edition.frequency for f in self.follows(person, update)):
            return True
        return edition.frequency == "immediate" and update.urgent and update.seq > edition.low

    # Editions

    def due(self, now: datetime) -> list[Due]:
        """Return the editions that a tick opens, in the order of their numbers."""
        found = [due for frequency in FREQUENCIES if (due := self._due(frequency, now))]
        return sorted(found, key=lambda due: (due.slot_at, FREQUENCIES.index(due.frequency)))

    def _due(self, frequency: str, now: datetime) -> Due | None:
        mine = [edition for edition in self.editions.values() if edition.frequency == frequency]
        if any(not edition.compiled for edition in mine):
            return None
        certain = True
        if frequency == "immediate":
            at_once = self._urgent_at(now)
            if at_once is not None:
                while any(edition.slot_at == at_once for edition in mine):
                    at_once += timedelta(microseconds=1)
                return Due(frequency, at_once, urgent=True, certain=True)
            certain = self.count > self.covered[frequency] or self._somebody_behind(now)
        slot_at = latest_slot(frequency, now)
        if slot_at <= self.installed_at or any(edition.slot_at == slot_at for edition in mine):
            return None
        # A mark may err low, which costs an edition that finds nobody.
        return Due(frequency, slot_at, urgent=False, certain=certain)

    def _urgent_at(self, now: datetime) -> datetime | None:
        waiting = [u for u in self.updates.values() if u.urgent and u.seq and u.seq > self.covered["immediate"]]
        first = min((u for u in waiting if u.live(now)), key=lambda u: u.seq or 0, default=None)
        return first.released_at if first else None

    def _somebody_behind(self, now: datetime) -> bool:
        probe = Edition(0, "immediate", now, self.count, self.count, urgent=False)
        return any(self.owed(person, probe, now)[0] for person in self.people.values())

    def open(self, edition: Edition) -> None:
        """Take note of an opened edition."""
        demand(edition.low == self.covered[edition.frequency], f"{edition} starts elsewhere than the last one ended")
        demand(edition.through == self.count, f"{edition} does not end at the release count {self.count}")
        self.editions[edition.id] = edition

    @property
    def oldest_uncompiled(self) -> Edition | None:
        """The edition whose turn it is."""
        waiting = [edition for edition in self.editions.values() if not edition.compiled]
        return min(waiting, key=lambda edition: edition.id, default=None)

    def compile(self, edition: Edition, to: int | None, lines: dict[int, Line], now: datetime) -> None:
        """Take note of a compile up to a person (None: to its end), checking each against what they are owed.

        `lines` are the deliveries it made, by person.
        """
        demand(edition is self.oldest_uncompiled, f"{edition} was compiled out of turn")
        for person in self.people.values():
            if person.id > edition.served_to and (to is None or person.id <= to):
                self._compile_for(person, edition, lines, now)
        demand(not lines, f"deliveries to people outside the batch: {lines}")
        edition.served_to = edition.served_to if to is None else to
        for update in self.updates.values():
            update.was_lapsed |= update.lapsed(now)
        if to is None:
            edition.compiled = True
            self.covered[edition.frequency] = edition.through

    def _compile_for(self, person: Person, edition: Edition, lines: dict[int, Line], now: datetime) -> None:
        must, may = self.owed(person, edition, now)
        line = lines.pop(person.id, None)
        got = set(line.holds) if line else set()
        demand(line is None or got, f"an empty digest: {line}")
        demand(must <= got, f"{person} lost {must - got} in {edition}")
        demand(got <= may, f"{person} was given {got - may}, not owed, in {edition}")
        if line:
            self.ledger[line.id] = line
            for update_id in got:
                self.matched[update_id] = self.matched.get(update_id, 0) + 1

    # Deliveries

    def watch(self, lines: Mapping[int, Line], now: datetime) -> None:
        """Compare the ledger with what it was, and refuse each step that is not allowed."""
        demand(lines.keys() == self.ledger.keys(), f"deliveries came or went: {lines.keys() ^ self.ledger.keys()}")
        for line in lines.values():
            before = self.ledger[line.id]
            if line != before:
                self._step(before, line, now)
                self.ledger[line.id] = line
        for person in self.people.values():
            for update_id in self.updates:
                demand(len(self.given(person, update_id)) <= 1, f"{person} has update {update_id} twice")

    def claims(self, now: datetime) -> None:
        """Take note that a claim looked at everybody."""
        for person in self.people.values():
            person.pause_was_over |= person.paused and not person.away(now)

    def _step(self, before: Line, line: Line, now: datetime) -> None:
        person = self.people[line.person]
        step = (before.state, line.state)
        if step == ("pending", "cancelled"):
            self._cancelled(person, before, line, now)
        elif step == ("pending", "pending"):
            self._reduced(person, before, line, now)
        elif step == ("pending", "sending"):
            demand(before.holds == line.holds, f"changed while it was claimed: {line}")
            self._sendable(person, line, now)
        elif step == ("failed", "pending"):
            demand(self.editions[line.edition].retrying and before.holds == line.holds, f"{before} became {line}")
            demand(not person.suppressed_for, f"{person} is suppressed, yet tried again: {line}")
        else:
            allowed = {("sending", "sent"), ("sending", "failed"), ("sending", "pending")}
            demand(step in allowed and before.holds == line.holds, f"{before} became {line}")

    def _sendable(self, person: Person, line: Line, now: datetime) -> None:
        demand(not person.away(now) or person.pause_was_over, f"{person} is paused, yet claimed: {line}")
        demand(not person.suppressed_for, f"{person} is suppressed, yet claimed: {line}")
        gone = {u for u in line.holds if self._gone(person, u, now)}
        demand(not gone, f"claimed with {gone}, lapsed or left: {line}")

    def _gone(self, person: Person, update_id: int, now: datetime) -> bool:
        update = self.updates[update_id]
        return not update.live(now) or not self.follows(person, update)

    def _reduced(self, person: Person, before: Line, line: Line, now: datetime) -> None:
        lost = before.holds - line.holds
        demand(line.holds and line.holds < before.holds, f"{before} became {line}")
        kept = {u for u in lost if not self._gone(person, u, now)}
        demand(not kept, f"{kept} were taken out without a reason: {line}")
        self._forget(person, lost, now)

    def _cancelled(self, person: Person, before: Line, line: Line, now: datetime) -> None:
        if before.holds != line.holds:
            # Reduced first, then ended, in one settling.
            self._reduced(person, before, line, now)
        match line.reason:
            case "paused":
                demand(person.away(now), f"{person} is not paused: {line}")
            case "suppressed":
                demand(person.suppressed_for, f"{person} is not suppressed: {line}")
                person.doubtful |= line.holds
            case "left" | "withdrawn" | "expired":
                demand(all(self._gone(person, u, now) for u in line.holds), f"cancelled without a reason: {line}")
                self._forget(person, line.holds, now)
            case "edition cancelled":
                demand(self.editions[line.edition].cancelled, f"its edition goes on: {line}")
            case _:
                raise Broken(f"cancelled without a reason: {line}")

    def _forget(self, person: Person, lost: Iterable[int], now: datetime) -> None:
        person.dropped |= set(lost)
        for update_id in lost:
            self.updates[update_id].was_lapsed |= self.updates[update_id].lapsed(now)


def latest_slot(frequency: str, now: datetime) -> datetime:
    """Return the newest slot at or before a moment: 09:00 in New York, Tuesdays, the first of a month."""
    if frequency == "immediate":
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + (now - midnight) // GRID * GRID
    day = now.astimezone(ZONE).replace(hour=9, minute=0, second=0, microsecond=0, fold=0)
    while day > now or not _falls_on(frequency, day):
        day -= timedelta(days=1)
    return day.astimezone(ZoneInfo("UTC"))


def _falls_on(frequency: str, day: datetime) -> bool:
    return {"daily": True, "weekly": day.weekday() == 1, "monthly": day.day == 1}[frequency]
