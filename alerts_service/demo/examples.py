"""The demo's example updates, and the button that sends the next digest now.

The button is a rehearsal: an example is released, and the editions of the next slots are opened as if
their time had come. A slot used so stays used, so every press takes the slots after.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from alerts_service.config import Settings
from alerts_service.rules.announcements import NewUpdate
from alerts_service.services import editions, publishing

_FILE = Path(__file__).with_name("examples.yaml")
_RELEASED_AT_FIRST = 3


@dataclass(frozen=True)
class Released:
    """What a press of the button did."""

    title: str
    update: int
    deliveries: int


def load(settings: Settings, now: datetime) -> None:
    """Queue the examples in an installation that has no update: the first are released, the rest wait."""
    if publishing.listing():
        return
    for number, example in enumerate(_examples()):
        new = _update(example, settings, now)
        publishing.add(new, approve=number < _RELEASED_AT_FIRST, settings=settings, now=now)


def release_and_open(settings: Settings, now: datetime) -> Released:
    """Release an example, and open the next edition of every frequency that somebody follows."""
    update_id, title = _release_one(settings, now)
    made = editions.open_due(settings=settings, now=now).deliveries
    for slot in sorted(editions.next_slots(settings=settings, now=now).values()):
        made += editions.open_due(settings=settings, now=slot, clock=lambda: now).deliveries
    return Released(title, update_id, made)


def summary(done: dict[str, Any]) -> str:
    """Say what a press of the button did."""
    if done["deliveries"]:
        number = done["deliveries"]
        coming = "1 message is on its way" if number == 1 else f"{number} messages are on their way"
        return f"Released “{done['title']}”; {coming} to the inbox."
    return f"Released “{done['title']}”. Nobody follows its topics yet: sign up on the site and confirm first."


def _release_one(settings: Settings, now: datetime) -> tuple[int, str]:
    drafts = publishing.listing("draft")
    if drafts:
        oldest = drafts[-1]
        publishing.approve(oldest["id"], now=now)
        return oldest["id"], oldest["title"]
    known = _examples()
    again = known[len(publishing.listing()) % len(known)]
    added = publishing.add(_update(again, settings, now), approve=True, settings=settings, now=now)
    return added.id, again["title"]


def _examples() -> list[dict[str, Any]]:
    found = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


def _update(example: dict[str, Any], settings: Settings, now: datetime) -> NewUpdate:
    fields = dict(example) | {"topics": tuple(example["topics"])}
    weeks, at, minutes = fields.pop("in_weeks", None), fields.pop("at", None), fields.pop("minutes", None)
    if weeks is not None:
        day = (now.astimezone(settings.timezone) + timedelta(weeks=weeks)).date()
        day += timedelta(days=(2 - day.weekday()) % 7)  # a Wednesday
        starts_at = datetime.combine(day, datetime.strptime(at, "%H:%M").time(), settings.timezone)  # noqa: DTZ007
        fields |= {"starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=minutes)}
    return NewUpdate(**fields)
