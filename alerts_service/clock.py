"""The one place that reads the clock.

Rules and services take `now` as an argument; entry points (web, commands, scheduler jobs) call
`utcnow()` once and pass it on. A linter rule forbids `datetime.now` everywhere else.
"""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the clock
