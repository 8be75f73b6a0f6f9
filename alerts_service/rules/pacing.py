"""How fast may be sent: turns, places in the queue for a turn, warm-up days, slow-downs.

A limit gives a turn every 1/rate seconds (the generic cell rate algorithm, ITU-T I.371, as virtual
scheduling), and so many a day. Turns are given only for the next moment: what cannot have one gets a place in
the queue, the moment at which its turn is expected, and asks again then. Nothing is counted for a place; so a
limit that is changed, a domain that recovers and an urgent message all act at once on what already waits.

Moments are seconds since the epoch, rates messages a second. Messages come in lanes: transactional ones
(0) take their turn at once, whatever waits; urgent ones (1) go before digests (2).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerts_service.rules.slots import moment

# A turn may be taken a second early, and a second late: at most two seconds' worth go out together.
AHEAD = CREDIT = 1.0
# What stands behind others takes only turns that they have let pass for so long.
YIELD = 0.5
# Places are given for a day at the most: whatever waits longer is looked at once a day.
FURTHEST = 86_400.0
# Turns taken ahead of others delay these so long at the most; what is further ahead, a wrong clock has left.
MOST_OWED = 60.0
# A queue that lets turns pass for so long is not there any more: its edition was cancelled, or nobody sent.
IDLE = 10.0
# Without a rate, a day's share is expected within its first hour.
SPREAD = 3600.0
MOST_A_DAY = 2_000_000_000
LANES = 3
TRANSACTIONAL, URGENT, DIGEST = range(LANES)

# A slow-down: its first rate, the least one, and that at which it ends.
FIRST_SLOWED, LEAST_SLOWED, RECOVERED = 8.0, 0.1, 1000.0
DOUBLES_EVERY, TROUBLE_COUNTS_EVERY = 60.0, 5.0


class Waiting(NamedTuple):
    """A delivery that is due: the domain of its address, its lane, and whether it has waited for a turn before."""

    id: int
    domain: str
    lane: int
    paced: bool


@dataclass(frozen=True)
class Quota:
    """So many a day of the service's zone; with `ramp`, that factor more each day after `since`."""

    per_day: int
    ramp: float | None
    since: date
    zone: ZoneInfo

    def of(self, day: date) -> int:
        """Return how many may be sent on a day."""
        days = max(0, (day - self.since).days)
        if self.ramp is None or not days:
            return self.per_day
        try:
            return int(min(MOST_A_DAY, self.per_day * self.ramp**days))
        except OverflowError:
            return MOST_A_DAY

    def day(self, at: float) -> date:
        """Return the day of a moment."""
        return datetime.fromtimestamp(at, self.zone).date()

    def start(self, day: date) -> float:
        """Return when a day begins."""
        return moment(day, time(0), self.zone).timestamp()


@dataclass(frozen=True)
class Slowed:
    """Our own slow-down for a domain that asked for one. It doubles each minute, until it is none."""

    per_second: float
    since: float

    def at(self, now: float) -> float | None:
        """Return the rate at a moment; None once it has recovered."""
        # Whatever lies far in the future was stamped by a wrong clock.
        doublings = abs(now - self.since) / DOUBLES_EVERY
        rate = self.per_second * 2.0 ** min(doublings, 60.0)
        return rate if rate < RECOVERED else None


def slower(slowed: Slowed | None, per_second: float | None, now: float) -> Slowed:
    """Return the slow-down after a domain asked for one: half of what it was, not more than once in 5 seconds.

    Below a limit that was set (`per_second`) it begins at half of that.
    """
    rate = slowed.at(now) if slowed else None
    if slowed and rate is not None and 0 <= now - slowed.since < TROUBLE_COUNTS_EVERY:
        return slowed
    rates = (2 * FIRST_SLOWED if rate is None else rate, per_second)
    return Slowed(max(LEAST_SLOWED, min(found for found in rates if found is not None) / 2), now)


@dataclass
class Limit:
    """One limit while a batch asks it: what it allows, and how far its turns and its queue have come."""

    per_second: float | None = None
    quota: Quota | None = None
    slowed: Slowed | None = None
    next_at: float = 0.0
    # Until when places have been given, by lane; transactional mail needs none.
    queued: list[float] = field(default_factory=lambda: [0.0] * LANES)
    counted_on: date | None = None
    counted: int = 0
    # For the batch that asks: what may go today, and how far apart.
    _share: float = math.inf
    _every: float = 0.0

    def begin(self, clock: float) -> None:
        """Make ready for a batch that asks at this moment."""
        if self.quota is not None:
            today = self.quota.day(clock)
            self._share = self.quota.of(today)
            if self.counted_on != today:
                self.counted_on, self.counted = today, 0
        self._every = self._interval(clock)
        furthest = self._furthest_turn(clock)
        if self.next_at > furthest or (self.next_at < clock - IDLE and self.counted < self._share):
            self.next_at = min(self.next_at, furthest)
            self.queued = [0.0] * LANES

    def limits(self, clock: float) -> bool:
        """Say whether it limits anything at this moment."""
        return self.quota is not None or self.rate(clock) is not None

    def rate(self, at: float) -> float | None:
        """Return the messages a second at a moment, by the limit that was set or the slow-down; None for any number."""
        slowed = self.slowed.at(at) if self.slowed else None
        if slowed is None or self.per_second is None:
            return self.per_second or slowed
        return min(slowed, self.per_second)

    def has_turn(self, lane: int, paced: bool, clock: float) -> bool:
        """Say whether a message may go now. Who comes anew stands behind all that waits in its lane."""
        if lane == TRANSACTIONAL:
            return True
        if self.counted >= self._share:
            return False
        behind = max(self.queued[: lane + 1 - paced]) > clock + AHEAD
        return max(self.next_at, clock - CREDIT) <= (clock - YIELD if behind else clock + AHEAD)

    def take_turn(self, clock: float) -> None:
        """Count one message that goes now."""
        turn = max(self.next_at, clock - CREDIT)
        self.next_at = min(turn + self._every, self._furthest_turn(clock))
        self.counted += self.quota is not None

    def place(self, lane: int, clock: float) -> float:
        """Return when a message that has to wait may expect its turn, behind those that wait in its lane and before."""
        behind = max(self.next_at, clock, *self.queued[: lane + 1])
        if behind < clock + FURTHEST:
            behind = min(self._after(behind, clock), clock + FURTHEST)
        self.queued[lane] = behind
        return behind

    def _interval(self, at: float) -> float:
        rate = self.rate(at)
        return 1 / rate if rate else 0.0

    def _furthest_turn(self, clock: float) -> float:
        return clock + max(MOST_OWED, AHEAD + self._every)

    def _after(self, at: float, clock: float) -> float:
        """Return the place that follows the one at `at`, in today's share or that of a day to come."""
        if self.quota is None:
            return at + self._interval(at)
        day = self.quota.day(at)
        begun, share = self.quota.start(day), self.quota.of(day)
        spacing = self._interval(at) or SPREAD / share
        if begun <= clock:
            begun, share = max(self.next_at, clock) + spacing, share - self.counted
        if at + spacing - begun < share * spacing:
            return at + spacing
        return self.quota.start(day + timedelta(days=1))


def admit(
    waiting: Sequence[Waiting], limits: Mapping[str, Limit], over_all: Limit | None, clock: float
) -> tuple[list[int], dict[int, float]]:
    """Part a batch into those that go now and those that wait, with the moment at which each asks again.

    `limits` are those of domains; `over_all` is the relay's. A message goes when all its limits have a turn
    for it, and only then takes one of each.
    """
    now: list[int] = []
    later: dict[int, float] = {}
    for one in waiting:
        mine = [limit for limit in (limits.get(one.domain), over_all) if limit is not None]
        refusing = [limit for limit in mine if not limit.has_turn(one.lane, one.paced, clock)]
        if refusing:
            later[one.id] = max(limit.place(one.lane, clock) for limit in refusing)
            continue
        for limit in mine:
            limit.take_turn(clock)
        now.append(one.id)
    return now, later
