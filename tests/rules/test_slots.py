"""Slots over zones, clock changes and short months."""

import contextlib
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts_service.rules.slots import BadScheduleError, Days, Frequency, Grid, Schedule, moment, parse

ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
NEW_YORK = ZoneInfo("America/New_York")

moments = st.datetimes(min_value=datetime(2005, 1, 1), max_value=datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(ZONES).map(ZoneInfo)
clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
every_day = st.builds(Days, clock_times)
some_days = st.builds(Days, clock_times, st.frozensets(st.integers(0, 6), min_size=1))
monthly = st.builds(Days, clock_times, st.just(frozenset(range(7))), st.integers(1, 31))
grids = st.sampled_from((1, 5, 10, 60, 1440)).map(lambda minutes: Grid(timedelta(minutes=minutes)))
schedules = st.one_of(every_day, some_days, monthly, grids)


def slots_between(schedule: Schedule, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Every slot after `start` up to `end`, as the scheduler would meet them."""
    found = []
    while (start := schedule.following(start, zone)) <= end:
        found.append(start)
    return found


def local_year(schedule: Schedule, zone: ZoneInfo, year: int) -> list[datetime]:
    """Every slot of a local year."""
    first = moment(date(year, 1, 1), time(0), zone) - timedelta(microseconds=1)
    last = moment(date(year + 1, 1, 1), time(0), zone) - timedelta(microseconds=1)
    return [slot.astimezone(zone) for slot in slots_between(schedule, zone, first, last)]


@given(schedules, moments, zones)
@example(Days(time(9)), datetime(2011, 12, 30, 9, 59, tzinfo=UTC), ZoneInfo("Pacific/Apia"))
@example(Days(time(2, 15)), datetime(2026, 10, 3, 15, 30, tzinfo=UTC), ZoneInfo("Australia/Lord_Howe"))
def test_the_latest_slot_is_not_after_now_and_the_following_one_is(
    schedule: Schedule, now: datetime, zone: ZoneInfo
) -> None:
    assert schedule.latest(now, zone) <= now < schedule.following(now, zone)


@given(schedules, moments, zones)
@example(Days(time(9)), datetime(2011, 12, 29, 10, tzinfo=UTC), ZoneInfo("Pacific/Apia"))
def test_a_slot_is_its_own_latest_and_the_next_one_follows_without_a_gap(
    schedule: Schedule, now: datetime, zone: ZoneInfo
) -> None:
    slot = schedule.following(now, zone)
    assert schedule.latest(slot, zone) == slot
    after = schedule.following(slot, zone)
    assert after > slot
    assert schedule.latest(after - timedelta(microseconds=1), zone) == slot


@settings(max_examples=30)
@given(every_day, st.sampled_from(ZONES[:4]).map(ZoneInfo), st.integers(2007, 2036))
def test_a_daily_schedule_has_exactly_one_slot_on_each_local_date(schedule: Days, zone: ZoneInfo, year: int) -> None:
    slots = local_year(schedule, zone, year)
    dates = [slot.date() for slot in slots]
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    assert dates == [date(year, 1, 1) + timedelta(days=day) for day in range(days)]


def test_a_date_that_the_zone_left_out_has_no_slot_of_its_own() -> None:
    slots = local_year(Days(time(9)), ZoneInfo("Pacific/Apia"), 2011)
    assert len(slots) == len({slot.date() for slot in slots}) == 364
    assert date(2011, 12, 30) not in {slot.date() for slot in slots}


@pytest.mark.parametrize(
    ("zone", "at", "day", "in_utc"),
    [
        ("America/New_York", time(2, 30), date(2026, 3, 8), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        ("Europe/London", time(1, 30), date(2026, 3, 29), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", time(2, 15), date(2026, 10, 4), datetime(2026, 10, 3, 15, 45, tzinfo=UTC)),
    ],
)
def test_a_time_that_does_not_exist_occurs_once_as_if_the_clock_had_not_changed(
    zone: str, at: time, day: date, in_utc: datetime
) -> None:
    found = [slot for slot in local_year(Days(at), ZoneInfo(zone), day.year) if slot.date() == day]
    assert [slot.astimezone(UTC) for slot in found] == [in_utc]


@pytest.mark.parametrize(
    ("zone", "at", "day", "in_utc"),
    [
        ("America/New_York", time(1, 30), date(2026, 11, 1), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("Europe/London", time(1, 30), date(2026, 10, 25), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", time(1, 45), date(2026, 4, 5), datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
    ],
)
def test_a_time_that_comes_twice_occurs_once_the_first_time(zone: str, at: time, day: date, in_utc: datetime) -> None:
    found = [slot for slot in local_year(Days(at), ZoneInfo(zone), day.year) if slot.date() == day]
    assert [slot.astimezone(UTC) for slot in found] == [in_utc]


@pytest.mark.parametrize("day_of_month", [1, 28, 29, 30, 31])
@pytest.mark.parametrize("year", [2026, 2028])
def test_a_month_too_short_for_its_day_has_its_slot_on_its_last_day(day_of_month: int, year: int) -> None:
    slots = local_year(Days(time(9), day_of_month=day_of_month), NEW_YORK, year)
    assert [slot.month for slot in slots] == list(range(1, 13))
    for slot in slots:
        last = (slot.date().replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        assert slot.day == min(day_of_month, last.day)
        assert slot.time() == time(9)


def test_weekday_ranges_name_their_days_and_may_run_over_the_weekend() -> None:
    workdays = parse(Frequency.DAILY, "mon-fri 09:00")
    assert {slot.weekday() for slot in local_year(workdays, NEW_YORK, 2026)} == {0, 1, 2, 3, 4}
    assert len(local_year(workdays, NEW_YORK, 2026)) == 261
    assert parse(Frequency.DAILY, "sat-mon 7:05") == Days(time(7, 5), frozenset({5, 6, 0}))


def test_a_weekly_slot_keeps_its_local_time_over_the_clock_changes() -> None:
    slots = local_year(parse(Frequency.WEEKLY, "Tue 09:00"), NEW_YORK, 2026)
    assert len(slots) == 52
    assert {(slot.weekday(), slot.time()) for slot in slots} == {(1, time(9))}
    in_utc = {slot.astimezone(UTC).hour for slot in slots}
    assert in_utc == {13, 14}
    steps = {(after.astimezone(UTC) - before.astimezone(UTC)) for before, after in pairwise(slots)}
    assert steps == {timedelta(days=7), timedelta(days=7, hours=1), timedelta(days=7, hours=-1)}


def test_immediate_slots_stand_on_a_grid_that_a_restart_cannot_move() -> None:
    grid = parse(Frequency.IMMEDIATE, "10 min")
    for minute in range(20, 30):
        assert grid.latest(datetime(2026, 5, 1, 7, minute, 59, tzinfo=UTC), NEW_YORK) == datetime(
            2026, 5, 1, 7, 20, tzinfo=UTC
        )


@pytest.mark.parametrize(
    ("frequency", "text"),
    [
        ("immediate", "7 min"),
        ("immediate", "0 min"),
        ("immediate", "2000 min"),
        ("immediate", "10 hours"),
        ("immediate", "-10 min"),
        ("immediate", ""),
        ("daily", "noon"),
        ("daily", "24:00"),
        ("daily", "9:60"),
        ("daily", "mon-fri"),
        ("daily", "mon-xyz 09:00"),
        ("daily", "mon tue 09:00"),
        ("daily", ""),
        ("weekly", "09:00"),
        ("weekly", "tuesday 09:00"),
        ("weekly", "mon-fri 09:00"),
        ("monthly", "0 09:00"),
        ("monthly", "32 09:00"),
        ("monthly", "tue 09:00"),
        ("monthly", "１ 09:00"),
        ("monthly", "1 09:00 10:00"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_was_written(frequency: str, text: str) -> None:
    with pytest.raises(BadScheduleError) as refused:
        parse(Frequency(frequency), text)
    assert f"“{text.partition(' ')[0]}" in str(refused.value)


@given(st.sampled_from(list(Frequency)), st.text(max_size=20))
def test_any_text_is_read_or_refused(frequency: Frequency, text: str) -> None:
    with contextlib.suppress(BadScheduleError):
        parse(frequency, text)
