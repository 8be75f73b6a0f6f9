"""What makes an update fit to be queued: refusals and warnings, before anything is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts_service.rules import markup

KINDS = ("news", "webinar", "webinar-replay", "brief", "tip-sheet", "tool", "spotlight", "blog", "data")
TITLE_LENGTH = 200
SUMMARY_LENGTH = 20_000
LINK_LENGTH = 2_000
CREDIT_LENGTH = 200

# The fields that are stored as they are given.
STORED = (
    "kind",
    "summary",
    "title_es",
    "summary_es",
    "url",
    "urgent",
    "starts_at",
    "ends_at",
    "registration_url",
    "credit",
    "release_at",
    "expires_at",
)


@dataclass(frozen=True)
class NewUpdate:
    """An update as it is queued. `summary` and `summary_es` are Markdown, other texts plain; moments are aware."""

    title: str
    topics: tuple[str, ...]
    summary: str = ""
    kind: str = "news"
    url: str | None = None
    urgent: bool = False
    title_es: str | None = None
    summary_es: str | None = None
    release_at: datetime | None = None
    expires_at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    zone: str | None = None
    registration_url: str | None = None
    credit: str | None = None
    follow_up_of: int | None = None


def problems(new: NewUpdate) -> list[str]:
    """Return every reason to refuse an update, a sentence each."""
    found = _text_problems(new) + _time_problems(new)
    if new.kind not in KINDS:
        found.append(f"There is no kind “{new.kind}”; the kinds are {', '.join(KINDS)}.")
    if not new.topics:
        found.append("Name at least one topic.")
    for name, link in (("url", new.url), ("registration-url", new.registration_url)):
        if link is not None and not _safe_link(link):
            found.append(f"The {name} must be a whole http or https address.")
    for text in filter(None, (new.summary, new.summary_es)):
        found += markup.problems(text)
    return found


def warnings(new: NewUpdate, languages: Sequence[str]) -> list[str]:
    """Return what an author should look at; nothing here stops the update."""
    found = []
    if "es" in languages and not new.title_es:
        found.append("There is no Spanish title: Spanish readers get the English one.")
    if not new.summary.strip():
        found.append("There is no summary: readers see the title and the link only.")
    if new.kind == "webinar" and new.starts_at is None:
        found.append("A webinar without a start time cannot be listed among the coming events.")
    return found


def _text_problems(new: NewUpdate) -> list[str]:
    found = []
    if not new.title.strip():
        found.append("Give the update a title.")
    limits = (
        ("title", new.title, TITLE_LENGTH),
        ("Spanish title", new.title_es or "", TITLE_LENGTH),
        ("credit", new.credit or "", CREDIT_LENGTH),
    )
    for name, text, most in limits:
        if len(text) > most or not text.isprintable():
            found.append(f"The {name} must be one line of at most {most} characters.")
    for name, text in (("summary", new.summary), ("Spanish summary", new.summary_es or "")):
        if len(text) > SUMMARY_LENGTH or not _storable(text):
            found.append(f"The {name} must be text of at most {SUMMARY_LENGTH} characters.")
    return found


def _storable(text: str) -> bool:
    """PostgreSQL takes no NUL; a lone surrogate (bytes on the command line that are no UTF-8) goes nowhere."""
    return not re.search("[\x00\ud800-\udfff]", text)


def _time_problems(new: NewUpdate) -> list[str]:
    found = []
    if new.ends_at and not new.starts_at:
        found.append("An event that ends needs a start, too.")
    if new.starts_at and new.ends_at and new.ends_at <= new.starts_at:
        found.append("The event ends before it starts.")
    if new.release_at and new.expires_at and new.expires_at <= new.release_at:
        found.append("The update expires before it is released.")
    if new.zone is not None and not _known_zone(new.zone):
        found.append(f"There is no time zone “{new.zone}”; write it like America/New_York.")
    return found


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _safe_link(link: str) -> bool:
    try:
        url = urlsplit(link)
        return (
            url.scheme in {"http", "https"}
            and bool(url.hostname)
            and link.isprintable()
            and " " not in link
            and len(link) <= LINK_LENGTH
        )
    except ValueError:
        return False
