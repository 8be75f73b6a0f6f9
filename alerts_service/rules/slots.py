"""When each frequency is due: pure arithmetic on local wall-clock times.

A slot is one due time of a frequency. Daily, weekly and monthly slots stand at a local time of the
service's zone; a time that does not exist on a day (clocks forward) becomes the moment the clock would
have shown it without the change, a time that comes twice (clocks back) counts once, the first time.
Immediate slots stand on the grid of whole intervals since midnight UTC, so that a restart cannot move them.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Frequency(StrEnum):
    """How often a subscription is served; the order is that of compiling within one tick."""

    IMMEDIATE = "immediate"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def rank(self) -> int:
        """Position in the order immediate, daily, weekly, monthly."""
        return list(Frequency).index(self)


class BadScheduleError(ValueError):
    """A schedule that cannot be read; the message says what is expected."""


@dataclass(frozen=True)
class Grid:
    """Slots at every whole multiple of `every` since the epoch."""

    every: timedelta

    def latest(self, now: datetime, zone: ZoneInfo) -> datetime:  # noqa: ARG002 - one signature for all
        """Return the newest slot at or before `now`."""
        return _EPOCH + (now - _EPOCH) // self.every * self.every

    def following(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the first slot after `now`."""
        return self.latest(now, zone) + self.every


@dataclass(frozen=True)
class Days:
    """Slots at local time `at` on the weekdays given (0 = Monday), or on one day of each month.

    A month that is too short for `day_of_month` has its slot on its last day.
    """

    at: time
    weekdays: frozenset[int] = frozenset(range(7))
    day_of_month: int | None = None

    def latest(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the newest slot at or before `now`, in UTC."""
        return next(slot for slot in self._walk(now, zone, step=-1) if slot <= now)

    def following(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the first slot after `now`, in UTC."""
        return next(slot for slot in self._walk(now, zone, step=1) if slot > now)

    def _walk(self, now: datetime, zone: ZoneInfo, step: int) -> Iterator[datetime]:
        # Start a day beyond today: near midnight a slot shifted by a clock change can belong to the next date.
        day = now.astimezone(zone).date() - timedelta(days=step)
        while True:
            if self._falls_on(day):
                yield moment(day, self.at, zone)
            day += timedelta(days=step)

    def _falls_on(self, day: date) -> bool:
        if self.day_of_month is not None:
            return day.day == min(self.day_of_month, monthrange(day.year, day.month)[1])
        return day.weekday() in self.weekdays


Schedule = Grid | Days


def moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the UTC moment of a local wall-clock time, each day exactly once (PEP 495, fold 0)."""
    return datetime.combine(day, at, tzinfo=zone).replace(fold=0).astimezone(UTC)


def parse(frequency: Frequency, text: str) -> Schedule:
    """Read a setting such as `10 min`, `09:00`, `mon-fri 09:00`, `tue 09:00` or `1 09:00`.

    Raises BadScheduleError with a sentence that shows the form expected.
    """
    words = text.strip().lower().split()
    if frequency is Frequency.IMMEDIATE:
        return _grid(text)
    daily = frequency is Frequency.DAILY
    if len(words) not in ({1, 2} if daily else {2}):
        raise BadScheduleError(f"“{text}” is not a schedule; write it like {_EXAMPLES[frequency]}")
    at = _clock_time(words[-1], text, frequency)
    if frequency is Frequency.MONTHLY:
        if not re.fullmatch(r"[1-9]|[12]\d|3[01]", words[0]):
            raise BadScheduleError(f"“{words[0]}” is not a day of the month (1 to 31)")
        return Days(at, day_of_month=int(words[0]))
    if frequency is Frequency.WEEKLY and words[0] not in WEEKDAYS:
        raise BadScheduleError(f"“{words[0]}” is not a weekday; use one of {', '.join(WEEKDAYS)}")
    return Days(at, _weekdays(words[0], frequency) if len(words) > 1 else frozenset(range(7)))


_EXAMPLES = {
    Frequency.DAILY: "09:00 or mon-fri 09:00",
    Frequency.WEEKLY: "tue 09:00",
    Frequency.MONTHLY: "1 09:00",
}


def _grid(text: str) -> Grid:
    found = re.fullmatch(r"(\d{1,4})\s*(?:m|min|minutes?)?", text.strip().lower())
    minutes = int(found[1]) if found else 0
    if not minutes or 1440 % minutes:
        raise BadScheduleError(f"“{text}” is not an interval: write minutes that divide a day, like 10 min")
    return Grid(timedelta(minutes=minutes))


def _clock_time(word: str, text: str, frequency: Frequency) -> time:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", word)
    if not found:
        raise BadScheduleError(f"“{text}” has no time of day; write it like {_EXAMPLES[frequency]}")
    return time(int(found[1]), int(found[2]))


def _weekdays(word: str, frequency: Frequency) -> frozenset[int]:
    first, _, last = word.partition("-")
    if first not in WEEKDAYS or (last and last not in WEEKDAYS):
        raise BadScheduleError(f"“{word}” is not a weekday; write it like {_EXAMPLES[frequency]}")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return frozenset((start + offset) % 7 for offset in range((end - start) % 7 + 1))
