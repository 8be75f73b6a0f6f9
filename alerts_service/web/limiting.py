"""How many sign-ups are taken in an hour: from one network, from all, and fewer without a form time.

Only sign-ups that were taken count; a form with a mistake in it costs nobody a turn. The counts are kept in the
memory of each process, or for all of them in Redis (ALERTS_REDIS_URL). While Redis is away each process counts for
itself. The cap on mails to one mailbox is no matter of this module: it is a rule of the service.

The counting is the `limits` package's. Flask-Limiter, which is built on it, takes 180 µs a sign-up and 40 µs of
every other page; this takes ten.
"""

import math
from collections.abc import Iterator

import structlog
from flask import Flask, current_app
from limits import RateLimitItem, RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.errors import TooManySignUps

log = structlog.get_logger()

SITE = RateLimitItemPerHour(3000)
NETWORK = RateLimitItemPerHour(100)
NETWORK_UNTIMED = RateLimitItemPerHour(20)
_REDIS_SECONDS = 0.5
_NAME = "sign_up_limits"


class Limits:
    """The counts of the hour; where limits are off, any number is taken."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.limits
        self._own = FixedWindowRateLimiter(storage_from_string("memory://"))
        self._shared = _in_redis(settings) if settings.redis_url else self._own

    def check(self, network: str, *, timed: bool) -> None:
        """Raise TooManySignUps where one more would be too many."""
        try:
            self._check(self._shared, network, timed)
        except StorageError as error:
            log.warning("Redis is away; this process counts sign-ups for itself", error=str(error.storage_error))
            self._check(self._own, network, timed)

    def count(self, network: str, *, timed: bool) -> None:
        """Count a sign-up that was taken."""
        try:
            self._count(self._shared, network, timed)
        except StorageError:
            self._count(self._own, network, timed)

    def _check(self, counts: FixedWindowRateLimiter, network: str, timed: bool) -> None:
        for item, of in self._limits(network, timed):
            if not counts.test(item, *of):
                free_at = counts.get_window_stats(item, *of).reset_time
                raise TooManySignUps(seconds=max(1, math.ceil(free_at - utcnow().timestamp())))

    def _count(self, counts: FixedWindowRateLimiter, network: str, timed: bool) -> None:
        for item, of in self._limits(network, timed):
            counts.hit(item, *of)

    def _limits(self, network: str, timed: bool) -> Iterator[tuple[RateLimitItem, tuple[str, ...]]]:
        if self._on:
            yield SITE, ("site",)
            yield NETWORK, ("network", network)
            if not timed:
                yield NETWORK_UNTIMED, ("untimed", network)


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
