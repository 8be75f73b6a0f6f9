"""Moments in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts_service.mail.moments import day, event_times, moment

NOON_IN_NEW_YORK = datetime(2026, 12, 8, 17, 0, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def test_an_event_is_told_with_its_day_its_hours_and_its_zone_by_name():
    told = event_times(NOON_IN_NEW_YORK, NOON_IN_NEW_YORK + timedelta(minutes=90), NEW_YORK, "en")
    assert told == "Tuesday, December 8, 2026, 12:00–1:30 p.m. Eastern Time (EST)"


def test_morning_to_afternoon_names_both_halves_of_the_day():
    told = event_times(NOON_IN_NEW_YORK - timedelta(hours=1), NOON_IN_NEW_YORK, NEW_YORK, "en")
    assert "11:00 a.m.–12:00 p.m." in told


def test_summer_has_its_own_abbreviation():
    assert moment(datetime(2026, 7, 7, 16, 0, tzinfo=UTC), NEW_YORK, "en").endswith("12:00 p.m. Eastern Time (EDT)")


def test_an_event_over_two_days_names_both():
    told = event_times(NOON_IN_NEW_YORK, NOON_IN_NEW_YORK + timedelta(days=1), NEW_YORK, "en")
    assert told.startswith("Tuesday, December 8, 2026, 12:00 p.m. – Wednesday, December 9, 2026, 12:00 p.m.")


def test_an_event_without_an_end_has_one_time():
    assert event_times(NOON_IN_NEW_YORK, None, NEW_YORK, "en").count(":00") == 1


def test_spanish_is_told_in_spanish():
    told = event_times(NOON_IN_NEW_YORK, NOON_IN_NEW_YORK + timedelta(minutes=90), NEW_YORK, "es")
    assert told == "martes, 8 de diciembre de 2026, 12:00–1:30 p.m. hora oriental (EST)"


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("UTC", "Coordinated Universal Time (UTC)"),
        ("America/Phoenix", "Mountain Time (MST)"),
        ("Asia/Dubai", "Gulf Standard Time (GMT+04:00)"),
        ("Europe/London", "Greenwich Mean Time (GMT)"),
    ],
)
def test_every_zone_has_a_name(zone: str, name: str):
    assert moment(NOON_IN_NEW_YORK, ZoneInfo(zone), "en").endswith(name)


def test_a_day_is_that_of_the_zone():
    assert day(datetime(2026, 12, 9, 3, 0, tzinfo=UTC), NEW_YORK, "en") == "Tuesday, December 8, 2026"
