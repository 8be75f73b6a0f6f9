"""When a delivery that could not be made is tried again, and when it is given up."""

import random
from datetime import datetime, timedelta

GIVE_UP_AFTER = timedelta(days=4)
_LONGEST = timedelta(hours=4)
_JITTER = 0.2


def next_try(attempts: int, first: timedelta, now: datetime, chance: random.Random) -> datetime:
    """Return when to try again after `attempts` refused tries (1 or more).

    The wait doubles from `first` up to four hours (or `first`, if longer), and is moved by up to a fifth either way so
    that a crowd does not come back at once.
    """
    longest = max(_LONGEST, first)
    wait: timedelta = min(longest, first * (1 << min(attempts - 1, 16)))
    return now + wait * (1 + chance.uniform(-_JITTER, _JITTER))


def given_up(created_at: datetime, now: datetime) -> bool:
    """Say whether a delivery has been tried for long enough (RFC 5321, 4.5.4.1: four to five days)."""
    return now - created_at >= GIVE_UP_AFTER
