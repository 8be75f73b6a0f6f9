"""Moments in words: in one zone, which is named, and in the reader's language.

The forms are CLDR's (babel). Pages use them too.
"""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale, dates

# CLDR's English of the United States writes “PM”; that of Canada writes the “p.m.” of public bodies'
# style guides, and is otherwise the same here. Spanish is that of the United States: a 12-hour clock.
_REGIONS = {"en": "en_CA", "es": "es_US"}
# Narrow spaces, which the fonts of many mail programs lack.
_NARROW = str.maketrans({"\u202f": " ", "\u2009": ""})


def event_times(starts_at: datetime, ends_at: datetime | None, zone: ZoneInfo, locale: str) -> str:
    """Return when an event is: its day or days, hours, and the zone by name and abbreviation."""
    start, end = starts_at.astimezone(zone), (ends_at or starts_at).astimezone(zone)
    if start.date() == end.date():
        return f"{day(start, zone, locale)}, {_hours(start, end, locale)} {_zone_name(start, zone, locale)}"
    first = f"{day(start, zone, locale)}, {_hours(start, start, locale)}"
    last = f"{day(end, zone, locale)}, {_hours(end, end, locale)}"
    return f"{first} – {last} {_zone_name(end, zone, locale)}"


def moment(at: datetime, zone: ZoneInfo, locale: str) -> str:
    """Return one moment: “Tuesday, December 8, 2026, 9:00 a.m. Eastern Time (EST)”."""
    return event_times(at, None, zone, locale)


def day(at: datetime, zone: ZoneInfo, locale: str) -> str:
    """Return the day of a moment: “Tuesday, December 8, 2026”."""
    return dates.format_date(at.astimezone(zone), "full", locale=_region(locale))


def _hours(start: datetime, end: datetime, locale: str) -> str:
    region = _region(locale)
    if start == end:
        return dates.format_skeleton("hm", start, start.tzinfo, locale=region).translate(_NARROW)
    return dates.format_interval(start, end, "hm", start.tzinfo, locale=region).translate(_NARROW)


def _zone_name(at: datetime, zone: ZoneInfo, locale: str) -> str:
    region = _region(locale)
    name = dates.get_timezone_name(zone, width="long", locale=region, zone_variant="generic")
    # Where a zone has no general name CLDR gives its place's; the name of its present time says more.
    if name == dates.get_timezone_location(zone, locale=region):
        name = dates.get_timezone_name(at, width="long", locale=region)
    short = at.tzname() or ""
    return f"{name} ({short if short.isalpha() else dates.get_timezone_gmt(at, locale=region)})"


@cache
def _region(locale: str) -> Locale:
    return Locale.parse(_REGIONS.get(locale, locale))
