"""What a digest holds: its updates as plain values, and their order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter

from alerts_service.rules.slots import Frequency

IN_FULL = 12
# Characters of summaries: Gmail clips a mail of more than 102 KB, its way to unsubscribe with it.
ROOM = 48_000


@dataclass(frozen=True)
class Item:
    """One update as it is shown in one locale.

    `lang` is the language its texts really are in; `summary` is Markdown; `topics` are titles in
    catalogue order and `topic_positions` their places there; `url` leads to the thing itself,
    `page_url` to the update's page; `follow_up_of` is the title of an earlier update, with
    its language and its page.
    """

    id: int
    kind: str
    title: str
    summary: str
    lang: str
    page_url: str
    url: str | None
    topics: tuple[str, ...]
    topic_positions: tuple[int, ...]
    released_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    registration_url: str | None = None
    credit: str | None = None
    follow_up_of: str | None = None
    follow_up_lang: str = "en"
    follow_up_url: str | None = None
    withdrawn: bool = False
    urgent: bool = False

    @property
    def stands_under_its_topic(self) -> bool:
        """Whether the heading above it says all of its topics."""
        return self.starts_at is None and len(self.topics) == 1

    @property
    def calendar_url(self) -> str:
        """Where an event's calendar entry is."""
        return f"{self.page_url}.ics"

    @cached_property
    def place(self) -> tuple[bool, float, str, float, int]:
        """Where it stands in a digest, to be sorted by."""
        if self.starts_at is not None:
            return (False, self.starts_at.timestamp(), "", -self.released_at.timestamp(), -self.id)
        return (True, self.topic_positions[0], self.topics[0], -self.released_at.timestamp(), -self.id)


@dataclass(frozen=True)
class DigestContent:
    """What a digest is made of: its updates, and what its recipients share. `token` leads to its page."""

    items: tuple[Item, ...]
    frequency: str
    locale: str
    token: str

    @property
    def urgent(self) -> Item | None:
        """The update for whose sake it comes at once, if there is one. Later, in a digest, it is like any other."""
        if self.frequency != Frequency.IMMEDIATE:
            return None
        return min((item for item in self.items if item.urgent), key=attrgetter("place"), default=None)


@dataclass(frozen=True)
class Section:
    """The updates shown under one topic."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Arranged:
    """A digest's updates in reading order: `coming` events, then sections; `more` are only counted."""

    coming: tuple[Item, ...]
    sections: tuple[Section, ...]
    more: int

    @cached_property
    def in_full(self) -> tuple[Item, ...]:
        """The updates shown in full, in order."""
        return self.coming + tuple(item for section in self.sections for item in section.items)


def ordered(items: Iterable[Item]) -> list[Item]:
    """Return coming events, soonest first; then the rest by first topic in catalogue order, newest first."""
    return sorted(items, key=attrgetter("place"))


def arrange(items: Iterable[Item], *, in_full: int | None = IN_FULL) -> Arranged:
    """Put updates in order and under their first topics; at most `in_full` of them that fit ROOM (None: all)."""
    everything = ordered(items)
    shown = everything if in_full is None else _fitting(everything[:in_full])
    rest = [item for item in shown if item.starts_at is None]
    return Arranged(
        coming=tuple(item for item in shown if item.starts_at is not None),
        sections=tuple(Section(title, tuple(under)) for title, under in groupby(rest, _first_topic)),
        more=len(everything) - len(shown),
    )


def _fitting(items: list[Item]) -> list[Item]:
    """Return the first items whose summaries have room together; one always has."""
    taken = 0
    for number, item in enumerate(items):
        taken += len(item.summary)
        if number and taken > ROOM:
            return items[:number]
    return items


def _first_topic(item: Item) -> str:
    return item.topics[0]
