"""Waiting times between tries."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts_service.rules import retries

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
HOURS_4 = timedelta(hours=4)


class _Middle(random.Random):
    """Chance that always falls in the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def wait(attempts: int, first: timedelta, chance: random.Random) -> timedelta:
    return retries.next_try(attempts, first, NOW, chance) - NOW


@given(st.integers(1, 500), st.integers(1, 86_400), st.integers())
def test_a_wait_is_within_a_fifth_of_its_middle_and_never_far_beyond_four_hours(
    attempts: int, seconds: int, seed: int
) -> None:
    first = timedelta(seconds=seconds)
    middle = wait(attempts, first, _Middle())
    found = wait(attempts, first, random.Random(seed))
    assert abs(found - middle) <= 0.2 * middle + timedelta(microseconds=1)
    assert first <= middle <= max(HOURS_4, first)


@given(st.integers(1, 60), st.integers(1, 86_400))
def test_the_middle_of_the_wait_never_shrinks_from_try_to_try(attempts: int, seconds: int) -> None:
    first = timedelta(seconds=seconds)
    assert wait(attempts, first, _Middle()) <= wait(attempts + 1, first, _Middle())


def test_the_wait_doubles_from_the_first_until_four_hours() -> None:
    found = [wait(attempts, timedelta(minutes=5), _Middle()) for attempts in range(1, 9)]
    assert found == [*(timedelta(minutes=5 * 2**n) for n in range(6)), HOURS_4, HOURS_4]


def test_a_crowd_does_not_come_back_at_once() -> None:
    chance = random.Random(1)
    found = {wait(1, timedelta(minutes=5), chance) for _ in range(200)}
    assert len(found) > 190
    assert max(found) - min(found) > timedelta(minutes=1.5)
