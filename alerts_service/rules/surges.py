"""When sign-ups leave the usual: somebody may be filling other people's mailboxes with confirmations."""

from collections.abc import Sequence

# So many an hour alarm nobody, on however quiet a site.
LEAST = 60
_FACTOR = 4


def usual(busiest_hours: Sequence[int]) -> int:
    """Return how many sign-ups a busy hour has, from the busiest of each day before; one odd day does not count."""
    return sorted(busiest_hours)[-2] if len(busiest_hours) > 1 else 0


def most(busiest_hours: Sequence[int]) -> int:
    """Return how many sign-ups in an hour are still no surge."""
    return max(LEAST, _FACTOR * usual(busiest_hours))


def is_surge(last_hour: int, most: int, *, already: bool) -> bool:
    """Say whether there is a surge; one that goes on ends at half of what begins it, so that it does not flicker."""
    return last_hour > most // 2 if already else last_hour > most
