"""Calendar entries (RFC 5545) of events: one event a file, with the zone that its times are in."""

from datetime import MAXYEAR, date

from flask import render_template
from icalendar import STATUS, Calendar, Event

from alerts_service.config import Settings
from alerts_service.rules.characters import printable
from alerts_service.services.archive import EventSeen


def calendar(seen: EventSeen, language: str, settings: Settings) -> bytes:
    """Return an event as a calendar file; a withdrawn one as cancelled, so that a calendar that has it takes it out.

    The UID stays, and the stamp is that of the last change: the same event is always the same bytes.
    """
    item, zone = seen.update.item, seen.zone
    assert item.starts_at, "an event has a start"
    event = Event.new(
        uid=seen.update.key,
        stamp=seen.update.changed_at,
        sequence=int(item.withdrawn),
        status=STATUS.CANCELLED if item.withdrawn else STATUS.CONFIRMED,
        summary=printable(item.title),
        start=item.starts_at.astimezone(zone),
        end=item.ends_at.astimezone(zone) if item.ends_at else None,
        description=_description(seen),
        location=item.registration_url,
        url=f"{item.page_url}?lang={language}",
    )
    program = f"-//{printable(settings.name)}//E-alerts//{language.upper()}"
    made = Calendar.new(prodid=program, method="PUBLISH", uid=seen.update.key, subcomponents=[event])
    year = min(item.starts_at.year, MAXYEAR - 2)
    made.add_missing_timezones(date(year, 1, 1), date(year + 2, 1, 1))
    return bytes(made.to_ical())


def _description(seen: EventSeen) -> str:
    return printable(render_template("feeds/event.txt", item=seen.update.item).strip())
