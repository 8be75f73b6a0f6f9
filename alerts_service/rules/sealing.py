"""Texts that travel in an address and that only this installation reads: Fernet, which encrypts and signs.

Every key of the list opens, the first seals; a purpose has keys of its own.
"""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from alerts_service.errors import LinkAltered
from alerts_service.rules import tokens


def seal(keys: Sequence[str], purpose: str, text: str, now: datetime) -> str:
    """Return a token that holds a text; it may stand in an address as it is."""
    return _box(tuple(keys[:1]), purpose).encrypt_at_time(text.encode(), _seconds(now)).decode("ascii")


def unseal(keys: Sequence[str], purpose: str, token: str, lifetime: timedelta, now: datetime) -> str:
    """Return the text in a token. Raises LinkAltered where it is not whole, not ours or too old."""
    try:
        return _box(tuple(keys), purpose).decrypt_at_time(token, int(lifetime.total_seconds()), _seconds(now)).decode()
    except (InvalidToken, ValueError):
        raise LinkAltered from None


@lru_cache(maxsize=16)
def _box(keys: tuple[str, ...], purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(tokens.derived(key, purpose))) for key in keys])


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
