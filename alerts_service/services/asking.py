"""Reading what a person chose on a form: topics and frequency, with all errors at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service.errors import Invalid, NoTopic, Refused, TextRefused, UnknownFrequency, UnknownTopic
from alerts_service.models import Topic
from alerts_service.rules import addresses, near_misses
from alerts_service.rules.addresses import Address
from alerts_service.rules.slots import Frequency

_SHOWN = 64
# How many unknown topics are named: nobody reads three thousand.
_NAMED = 3

_TOPICS = select(Topic.id, Topic.slug).where(Topic.retired_at.is_(None)).order_by(Topic.position)


@dataclass(frozen=True)
class ChosenTopic:
    """A topic that somebody chose."""

    id: int
    slug: str


def open_topics(session: Session) -> list[ChosenTopic]:
    """Return the topics that can be chosen, in catalogue order."""
    return [ChosenTopic(*row) for row in session.execute(_TOPICS)]


def read_address(text: str, sure_of: str) -> Address:
    """Return an address as it was meant. Raises AddressMissing, AddressRefused or NearMiss."""
    address = addresses.parse(text)
    near_misses.check(address.address, sure_of)
    return address


@dataclass
class Choices:
    """Collects what was chosen and what is wrong with it; `check()` raises all of it together."""

    open: Sequence[ChosenTopic]
    errors: list[Refused]

    def address(self, text: str, sure_of: str) -> Address:
        """Read the address; one at nearly a well-known domain is asked about, unless the person is sure of it."""
        try:
            return read_address(text, sure_of)
        except Refused as error:
            self.errors.append(error)
            return Address("", "")

    def frequency(self, text: str) -> Frequency:
        """Read the frequency."""
        try:
            return Frequency(text)
        except ValueError:
            self.errors.append(UnknownFrequency())
            return Frequency.WEEKLY

    def topics(self, slugs: Sequence[str]) -> list[ChosenTopic]:
        """Read the topics, in catalogue order; a retired one is unknown."""
        wanted = set(slugs)
        if not wanted:
            self.errors.append(NoTopic())
            return []
        found = [topic for topic in self.open if topic.slug in wanted]
        for slug in sorted(wanted - {topic.slug for topic in found})[:_NAMED]:
            self.errors.append(UnknownTopic(slug=_shown(slug)))
        return found

    def text(self, name: str, value: str, most: int) -> str:
        """Refuse a text that is too long or cannot be printed."""
        if len(value) > most or not value.isprintable():
            self.errors.append(TextRefused(name=name))
        return value

    def check(self) -> None:
        """Raise Invalid if anything was wrong."""
        if self.errors:
            raise Invalid(self.errors)


def _shown(slug: str) -> str:
    clean = "".join(character if character.isprintable() else "?" for character in slug)
    return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}…"
