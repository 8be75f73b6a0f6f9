"""How long a form had been open when it was sent.

A machine sends it in no time, or keeps it for days; a person does neither often. So neither is a refusal: such a
form is shown again, filled as it was. A time that is missing, or not ours, says nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from alerts_service.errors import LinkAltered, OpenTooLong, Refused, SentTooSoon
from alerts_service.rules import tokens

SOONEST, LATEST = timedelta(seconds=2), timedelta(hours=24)


def age(keys: Sequence[str], started: str, now: datetime) -> timedelta | None:
    """Return how long a form had been open by the time it carries; None where it carries none of ours."""
    if not started:
        return None
    try:
        return tokens.read_form_time(keys, started, now)
    except LinkAltered:
        return None


def wrong(age: timedelta | None) -> Refused | None:
    """Return what is wrong with a form that had been open for so long, if anything."""
    if age is None or SOONEST <= age <= LATEST:
        return None
    return SentTooSoon() if age < SOONEST else OpenTooLong()


def kept_or_new(keys: Sequence[str], started: str, now: datetime) -> str:
    """Return the time for a form that is shown: the one it came with while it is good, else a new one."""
    found = age(keys, started, now)
    return started if found is not None and wrong(found) is None else tokens.form_time(keys, now)
