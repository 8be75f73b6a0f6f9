"""Domains that are nearly a well-known one: gmial.com for gmail.com. Asked about once, never refused.

Nearness is difflib's: the share of letters that stand in the same order. Near enough is one letter missing,
doubled, wrong or swapped in a domain of nine letters; the country's own yahoo.ca or hotmail.co.uk is farther.
"""

from difflib import get_close_matches
from functools import lru_cache

from alerts_service.errors import NearMiss

# Where most mistyped addresses were meant to go. Long enough that one letter more or less makes no word.
_MEANT = (
    *("gmail.com", "googlemail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "comcast.net"),
    *("verizon.net", "sbcglobal.net", "bellsouth.net", "charter.net", "earthlink.net", "protonmail.com"),
    *("hotmail.es", "yahoo.es", "fastmail.com"),
)
# True domains that lie near one of those.
_TRUE = {"mail.com", "email.com", "ymail.com", "rocketmail.com", "gmx.com", "hotmail.com.mx", "yahoo.com.mx"}
_NEAR = 0.88


def suggestion(address: str) -> str | None:
    """Return the address that was probably meant, or None."""
    local, _, domain = address.rpartition("@")
    meant = _meant(domain.lower())
    return f"{local}@{meant}" if meant else None


def check(address: str, sure_of: str) -> None:
    """Raise NearMiss with the suggestion, unless the person has said that they are sure of this domain."""
    meant = suggestion(address)
    if meant and sure_of.lower() != address.rpartition("@")[2].lower():
        raise NearMiss(suggestion=meant)


@lru_cache(maxsize=4096)
def _meant(domain: str) -> str | None:
    if domain in _TRUE or domain in _MEANT:
        return None
    return next(iter(get_close_matches(domain, _MEANT, n=1, cutoff=_NEAR)), None)
