"""How many sign-ups are taken in an hour: from one network, from all, and fewer without a form time; and how many
links to preferences are mailed on request.

Only what was taken counts; a form with a mistake in it costs nobody a turn. The counts are kept in the memory of each
process, or for all of them in Redis (ALERTS_REDIS_URL). While Redis is away each process counts for itself. The cap on
mails to one mailbox is no matter of this module: it is a rule of the service.

The counting is the `limits` package's. Flask-Limiter, which is built on it, takes 180 µs a sign-up and 40 µs of
every other page; this takes ten.
"""

import math

import structlog
from flask import Flask, current_app
from limits import RateLimitItem, RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.errors import TooManyRequests

log = structlog.get_logger()

_SITE = RateLimitItemPerHour(3000)
_NETWORK = RateLimitItemPerHour(100)
_NETWORK_UNTIMED = RateLimitItemPerHour(20)
_REDIS_SECONDS = 0.5
_NAME = "hourly_limits"

# What a request is counted under, each with the most of it in an hour.
Turns = tuple[tuple[RateLimitItem, str], ...]


def sign_ups(network: str, *, timed: bool) -> Turns:
    """Return what a sign-up from a network takes."""
    turns = (_SITE, "sign-ups"), (_NETWORK, f"sign-ups from {network}")
    return turns if timed else (*turns, (_NETWORK_UNTIMED, f"sign-ups from {network} without a time"))


def links(network: str) -> Turns:
    """Return what a request for a link to preferences takes."""
    return (_SITE, "links"), (_NETWORK_UNTIMED, f"links for {network}")


class Limits:
    """The counts of the hour; where limits are off, any number is taken."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.limits
        self._own = FixedWindowRateLimiter(storage_from_string("memory://"))
        self._shared = _in_redis(settings) if settings.redis_url else self._own

    def check(self, turns: Turns) -> None:
        """Raise TooManyRequests where one more would be too many."""
        try:
            self._check(self._shared, turns)
        except StorageError as error:
            log.warning("Redis is away; this process counts for itself", error=str(error.storage_error))
            self._check(self._own, turns)

    def count(self, turns: Turns) -> None:
        """Count what was taken."""
        try:
            self._count(self._shared, turns)
        except StorageError:
            self._count(self._own, turns)

    def _check(self, counts: FixedWindowRateLimiter, turns: Turns) -> None:
        for most, of in turns if self._on else ():
            if not counts.test(most, of):
                free_at = counts.get_window_stats(most, of).reset_time
                raise TooManyRequests(seconds=max(1, math.ceil(free_at - utcnow().timestamp())))

    def _count(self, counts: FixedWindowRateLimiter, turns: Turns) -> None:
        for most, of in turns if self._on else ():
            counts.hit(most, of)


def _in_redis(settings: Settings) -> FixedWindowRateLimiter:
    storage = storage_from_string(
        settings.redis_url,
        wrap_exceptions=True,
        key_prefix=f"alerts {settings.base_url}",
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )
    return FixedWindowRateLimiter(storage)


def register(app: Flask, settings: Settings) -> None:
    """Give the app its counts."""
    app.extensions[_NAME] = Limits(settings)


def limits() -> Limits:
    """Return the counts of the app that answers."""
    found = current_app.extensions[_NAME]
    assert isinstance(found, Limits)
    return found
