"""Until when a pause lasts: a day on a form becomes the moment that day begins in the service's zone.

The first digest of that day brings what was held. No day means that the person ends the pause.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts_service.errors import PauseRefused

LONGEST_DAYS = 366


def end_of(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the moment at which a pause ends. Raises PauseRefused for a day that is none, past or too far."""
    if not text.strip():
        return None
    today = now.astimezone(zone).date()
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise PauseRefused from None
    if not today < day <= today + timedelta(days=LONGEST_DAYS):
        raise PauseRefused
    return datetime.combine(day, time(0), zone)


def days(zone: ZoneInfo, now: datetime) -> tuple[str, str]:
    """Return the first and the last day that may be chosen, as forms write them (ISO 8601)."""
    today = now.astimezone(zone).date()
    return (today + timedelta(days=1)).isoformat(), (today + timedelta(days=LONGEST_DAYS)).isoformat()
