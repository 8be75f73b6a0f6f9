"""When to connect again to a relay that does not answer."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_service.rules.breaker import LONGEST, OPENS_AFTER, Breaker, State


def after_failures(number: int, now: float = 0.0, chance: random.Random | None = None) -> Breaker:
    """A breaker that met this many failures in a row, all at one moment."""
    breaker = Breaker()
    for _ in range(number):
        breaker = breaker.failed(now, chance or random.Random(1))
    return breaker


@pytest.mark.parametrize("failures", range(OPENS_AFTER))
def test_before_the_third_failure_it_may_be_tried_at_once(failures: int) -> None:
    breaker = after_failures(failures, now=100.0)
    assert (breaker.state(100.0), breaker.wait(100.0)) == (State.CLOSED, 0.0)
    assert breaker.trying(100.0) == breaker, "any number may connect"


def test_the_waits_double_from_one_second_to_fifteen() -> None:
    waits = [after_failures(OPENS_AFTER + n).wait(0.0) for n in range(8)]
    for wait, middle in zip(waits, [1, 2, 4, 8, 15, 15, 15, 15], strict=True):
        assert 0.8 * middle <= wait <= 1.2 * middle


@given(st.integers(OPENS_AFTER, 100_000), st.floats(0, 1e9), st.integers())
def test_a_wait_is_never_far_beyond_fifteen_seconds(failures: int, now: float, seed: int) -> None:
    breaker = Breaker(failures - 1).failed(now, random.Random(seed))
    assert breaker.state(now) is State.OPEN
    assert 0.7 < breaker.wait(now) <= 1.2 * LONGEST + 1e-6


def test_workers_that_lost_the_relay_together_do_not_come_back_together() -> None:
    chance = random.Random(1)
    assert len({after_failures(OPENS_AFTER, chance=chance).wait(0.0) for _ in range(50)}) == 50


def test_after_its_wait_it_lets_one_try_through_and_no_other() -> None:
    breaker = after_failures(OPENS_AFTER, now=10.0)
    assert breaker.state(10.0) is State.OPEN
    later = 10.0 + breaker.wait(10.0)
    assert (breaker.state(later), breaker.wait(later)) == (State.HALF_OPEN, 0.0)
    trying = breaker.trying(later)
    assert trying.state(later) is State.OPEN
    assert trying.wait(later) > LONGEST


def test_a_try_that_succeeds_closes_it_and_one_that_fails_opens_it_for_longer() -> None:
    breaker = after_failures(OPENS_AFTER)
    later = breaker.wait(0.0)
    assert breaker.trying(later).answered() == Breaker()
    failed = breaker.trying(later).failed(later, random.Random(1))
    assert failed.state(later) is State.OPEN
    assert 1.6 <= failed.wait(later) <= 2.4


def test_a_try_whose_outcome_is_never_told_does_not_hold_it_open_for_ever() -> None:
    breaker = after_failures(OPENS_AFTER)
    later = breaker.wait(0.0)
    assert breaker.trying(later).state(later + 61) is State.HALF_OPEN


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker = breaker.failed(0.0, random.Random(1)).failed(0.0, random.Random(1)).answered()
    assert breaker.state(0.0) is State.CLOSED


@given(st.lists(st.sampled_from(["turned away", "answered"]), max_size=60), st.floats(0, 1e6))
def test_hanging_up_alone_never_opens_it(events: list[str], now: float) -> None:
    breaker = Breaker()
    for event in events:
        breaker = breaker.turned_away(now) if event == "turned away" else breaker.answered()
        assert breaker.state(now) is State.CLOSED
        assert breaker.wait(now) <= 1.0 + 1e-6


def test_the_first_hanging_up_is_followed_by_a_connection_at_once_and_later_ones_are_spaced_out() -> None:
    breaker, waits = Breaker(), []
    for _ in range(15):
        breaker = breaker.turned_away(0.0)
        waits.append(breaker.wait(0.0))
    assert waits[0] == 0.0
    assert waits == sorted(waits)
    assert waits[-1] == 1.0


def test_a_relay_that_hangs_up_is_there_and_closes_an_open_breaker() -> None:
    assert after_failures(OPENS_AFTER + 3).turned_away(0.0).state(0.0) is State.CLOSED
