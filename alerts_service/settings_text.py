"""What the text of a setting means: one function a form, each refusing with a sentence.

The sentences are environs.ValidationError, which config collects and reports together.
"""

import ipaddress
from collections.abc import Callable
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from environs import ValidationError

from alerts_service.errors import Refused
from alerts_service.rules.addresses import parse as parse_address
from alerts_service.rules.slots import BadScheduleError, Frequency, Schedule, parse

MODES = ("production", "staging", "demo")
LANGUAGES = ("en", "es")
SMTP_SCHEMES = ("smtp", "smtps", "smtp+starttls")
KEY_LENGTH = 32


def mode(text: str) -> str:
    """One of the three modes."""
    if text not in MODES:
        raise ValidationError(f"“{text}” is not a mode; use one of {', '.join(MODES)}.")
    return text


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within limits."""

    def parser(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValidationError(f"“{text}” is not a whole number from {least} to {most}.")
        return int(text)

    return parser


def optional(parser: Callable[[str], Any]) -> Callable[[str], Any]:
    """Nothing, or what `parser` reads."""
    return lambda text: parser(text) if text else ""


def line(text: str) -> str:
    """One line of text."""
    if not text.isprintable():
        raise ValidationError("must be one line of text.")
    return text


def keys(text: str) -> tuple[str, ...]:
    """Secret keys, separated by commas: the first signs, all verify."""
    found = tuple(key.strip() for key in text.split(","))
    if any(len(key) < KEY_LENGTH for key in found):
        raise ValidationError(f"each key needs {KEY_LENGTH} characters or more.")
    return found


def optional_key(text: str) -> str:
    """One key, or nothing."""
    if text and len(text) < KEY_LENGTH:
        raise ValidationError(f"the key needs {KEY_LENGTH} characters or more.")
    return text


def database_url(text: str) -> str:
    """A SQLite or PostgreSQL address, in SQLAlchemy's spelling."""
    scheme, mark, rest = text.partition("://")
    if scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    if not mark or scheme not in {"sqlite", "postgresql+psycopg"}:
        raise ValidationError("must begin with sqlite:/// or postgresql://.")
    return text


def base_url(text: str) -> str:
    """The public address: https, or http where the host is loopback; without a final slash."""
    url = _split(text)
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query or url.fragment:
        raise ValidationError(f"“{text}” is not an address like https://alerts.example.org.")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValidationError("must be https, unless its host is this machine (127.0.0.1 or localhost).")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether a host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def smtp_url(text: str) -> str:
    """The relay's address."""
    url = _split(text)
    if url.scheme not in SMTP_SCHEMES or not url.hostname:
        raise ValidationError(f"must look like smtp://host:port; the schemes are {', '.join(SMTP_SCHEMES)}.")
    return text


def mailbox(text: str) -> str:
    """A mailbox such as `Name <local@domain>` (RFC 5322, 3.4)."""
    address = parseaddr(text)[1]
    local, _, domain = address.rpartition("@")
    alone = text == address or text.endswith(f"<{address}>")
    labels = domain.split(".")
    if not (alone and local and len(labels) > 1 and all(labels) and text.isprintable() and _is_plain(address)):
        raise ValidationError(f"“{text}” is not a mailbox like Name <name@example.org>.")
    return text


def domain(text: str) -> str:
    """A host name under which mail is received."""
    labels = text.split(".")
    if len(labels) < 2 or not all(label.replace("-", "").isalnum() and label.isascii() for label in labels):  # noqa: PLR2004
        raise ValidationError(f"“{text}” is not a domain like bounces.example.org.")
    return text.lower()


def addresses(text: str) -> tuple[str, ...]:
    """Addresses separated by commas or spaces."""
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for address in found:
        try:
            parse_address(address)
        except Refused as error:
            raise ValidationError(f"“{address}” cannot be used: {error}") from None
    return found


def _is_plain(address: str) -> bool:
    return address.isascii() and " " not in address


def _split(text: str) -> SplitResult:
    """Split a URL; one that cannot be split, or whose port is none, is refused."""
    try:
        url = urlsplit(text)
        if url.port != 0 and " " not in text:
            return url
    except ValueError:
        pass
    # Not shown: a relay's address may hold a password.
    raise ValidationError("is not a whole address: look at its host and port.")


def patterns(text: str) -> tuple[str, ...]:
    """Address patterns such as `*@example.org`, separated by commas or spaces."""
    return tuple(text.replace(",", " ").casefold().split())


def link(text: str) -> str:
    """A web or mailto address."""
    url = _split(text)
    if not ((url.scheme in {"http", "https"} and url.hostname) or (url.scheme == "mailto" and "@" in url.path)):
        raise ValidationError(f"“{text}” is not a web or mailto: address.")
    return text


def labelled_links(text: str) -> tuple[tuple[str, str], ...]:
    """Links with their words, such as `Accessibility=https://example.org/a; FOIA=https://example.org/f`."""
    found = [part.partition("=") for part in text.split(";") if part.strip()]
    for words, _, address in found:
        if not words.strip():
            raise ValidationError("each link is written as words=address, with a semicolon between two.")
        link(address.strip())
    return tuple((line(words.strip()), address.strip()) for words, _, address in found)


def switch(text: str) -> bool:
    """On or off."""
    if text not in {"on", "off"}:
        raise ValidationError(f"“{text}” is neither on nor off.")
    return text == "on"


def languages(text: str) -> tuple[str, ...]:
    """The languages offered; the first is the default."""
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not found or not set(found) <= set(LANGUAGES):
        raise ValidationError(f"“{text}” names a language that is not there; there are {', '.join(LANGUAGES)}.")
    return found


def timezone(text: str) -> ZoneInfo:
    """A zone of the IANA database."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationError(f"“{text}” is not a time zone; write it like America/New_York.") from None


def schedule(frequency: Frequency) -> Callable[[str], Schedule]:
    """When a frequency is due."""

    def parser(text: str) -> Schedule:
        try:
            return parse(frequency, text)
        except BadScheduleError as error:
            raise ValidationError(f"{error}.") from None

    return parser
