"""How fast may be sent: the arithmetic of turns, places, days and slow-downs."""

import heapq
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts_service.rules.pacing import (
    AHEAD,
    CREDIT,
    DIGEST,
    FURTHEST,
    IDLE,
    LEAST_SLOWED,
    MOST_A_DAY,
    MOST_OWED,
    TRANSACTIONAL,
    URGENT,
    Limit,
    Quota,
    Slowed,
    Waiting,
    admit,
    slower,
)

NEW_YORK = ZoneInfo("America/New_York")
# A Monday, 09:00 in New York.
START = datetime(2026, 11, 30, 14, 0, tzinfo=UTC).timestamp()
TODAY = date(2026, 11, 30)
BATCH = 500
# Seconds: how much may go out together.
BURST = 2.0


@dataclass
class Outbox:
    """Deliveries that wait, and workers that ask for them in batches: as the claim does."""

    limits: dict[str, Limit]
    relay: Limit | None = None
    clock: float = START
    due: list[tuple[float, int, Waiting]] = field(default_factory=list)
    ready: list[tuple[int, float, int, Waiting]] = field(default_factory=list)
    sent: list[tuple[float, Waiting]] = field(default_factory=list)
    asked: int = 0
    made: int = 0

    def add(self, number: int, domain: str = "d", lane: int = DIGEST) -> None:
        """Queue messages, due at once."""
        for _ in range(number):
            heapq.heappush(self.due, (0.0, self.made, Waiting(self.made, domain, lane, False)))
            self.made += 1

    def claim(self) -> int:
        """Ask for one batch of what is due, urgent first; return its size."""
        while self.due and self.due[0][0] <= self.clock:
            place, number, due = heapq.heappop(self.due)
            heapq.heappush(self.ready, (due.lane, place, number, due))
        head = [heapq.heappop(self.ready)[3] for _ in range(min(BATCH, len(self.ready)))]
        batch = {one.id: one for one in head}
        self.asked += len(batch)
        for limit in [*self.limits.values(), *([self.relay] if self.relay else [])]:
            limit.begin(self.clock)
        now, later = admit(list(batch.values()), self.limits, self.relay, self.clock)
        assert sorted([*now, *later]) == sorted(batch), "each either goes or waits"
        assert all(self.clock < place <= self.clock + FURTHEST for place in later.values())
        self.sent += [(self.clock, batch[number]) for number in now]
        for number, place in later.items():
            heapq.heappush(self.due, (place, number, batch[number]._replace(paced=True)))
        return len(batch)

    def run(self, hours: float = 100_000, every: float = 1.0) -> None:
        """Claim until nothing waits, or for so long; full batches follow one another at once."""
        end = self.clock + hours * 3600
        while (self.due or self.ready) and self.clock < end:
            if self.claim() < BATCH:
                self.clock = max(self.clock + every, self.due[0][0] if self.due else 0.0)

    def moments(self, *lanes: int) -> list[float]:
        """When messages went, those of some lanes only."""
        return [moment for moment, one in self.sent if not lanes or one.lane in lanes]

    def days(self, zone: ZoneInfo = NEW_YORK) -> dict[date, int]:
        """How many went on each day."""
        return dict(Counter(datetime.fromtimestamp(moment, zone).date() for moment, _ in self.sent))


def quota(per_day: int, ramp: float | None = None, since: date = TODAY, zone: ZoneInfo = NEW_YORK) -> Quota:
    return Quota(per_day, ramp, since, zone)


def most_within(moments: list[float], span: float) -> int:
    """The most that went within any span of this length."""
    return max(bisect_right(moments, moment + span) - at for at, moment in enumerate(moments))


rates = st.floats(0.05, 500, allow_nan=False)
crowds = st.lists(st.tuples(st.integers(1, 300), st.sampled_from([URGENT, DIGEST]), st.floats(0, 20)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(rates, crowds, st.floats(0.01, 30), st.data())
def test_in_no_span_of_time_go_more_than_the_rate_allows_and_two_seconds_worth(
    rate: float, crowd: list[tuple[int, int, float]], every: float, data: st.DataObject
) -> None:
    outbox = Outbox({"d": Limit(per_second=rate)})
    for number, lane, wait in crowd:
        outbox.add(number, lane=lane)
        outbox.run(hours=wait / 3600, every=every)
    outbox.run(every=every)
    moments = outbox.moments()
    assert len(moments) == outbox.made, "all get their turn"
    for _ in range(5 if moments else 0):
        span = data.draw(st.floats(0, 1000))
        assert most_within(moments, span) <= rate * (span + BURST) + 1.001


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 200), st.integers(0, 60), st.integers(1, 400))
def test_transactional_mail_goes_at_once_and_is_counted_all_the_same(
    rate: float, transactional: int, others: int
) -> None:
    outbox = Outbox({"d": Limit(per_second=rate)})
    outbox.add(others)
    outbox.claim()
    outbox.add(transactional, lane=TRANSACTIONAL)
    outbox.claim()
    assert len(outbox.moments(TRANSACTIONAL)) == transactional
    outbox.run()
    assert len(outbox.sent) == outbox.made
    before = [moment for moment in outbox.moments(DIGEST) if moment == START]
    # What they took is missing to the others, for a minute at the most.
    late = [moment for moment in outbox.moments(DIGEST) if moment > START]
    owed = min((len(before) + transactional) / rate, MOST_OWED)
    if late:
        assert late[0] >= START + owed - CREDIT - AHEAD - 1e-3


@pytest.mark.parametrize("every", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("rate", [0.5, 7.0, 50.0, 400.0])
def test_a_queue_goes_out_at_the_full_rate_and_each_message_is_asked_about_twice(rate: float, every: float) -> None:
    number = int(rate * 100)
    outbox = Outbox({"d": Limit(per_second=rate)})
    outbox.add(number)
    outbox.run(every=every)
    took = outbox.clock - START
    assert took == pytest.approx(number / rate, abs=BURST + 2 * every + 1 / rate)
    assert outbox.asked <= 2 * number


def test_a_queue_is_first_come_first_served() -> None:
    outbox = Outbox({"d": Limit(per_second=10)})
    outbox.add(200)
    outbox.run(hours=5 / 3600, every=0.2)
    outbox.add(200)
    outbox.run(every=0.2)
    order = [one.id for _, one in outbox.sent]
    assert order == sorted(order)


def test_urgent_mail_overtakes_digests_that_wait_for_hours() -> None:
    outbox = Outbox({"d": Limit(per_second=10)})
    outbox.add(20_000)
    outbox.run(hours=10 / 3600)
    outbox.add(500, lane=URGENT)
    begun = outbox.clock
    outbox.run()
    assert len(outbox.sent) == 20_500
    assert outbox.moments(URGENT)[-1] - begun <= 500 / 10 + 3
    meanwhile = [moment for moment in outbox.moments(DIGEST) if begun <= moment <= begun + 45]
    assert len(meanwhile) <= 10, "digests let it pass"
    assert outbox.clock - START == pytest.approx(2050, abs=10)
    assert outbox.asked <= 2.2 * outbox.made


def test_a_queue_that_was_cancelled_does_not_hold_up_what_comes_after_it() -> None:
    outbox = Outbox({"d": Limit(per_second=10)})
    outbox.add(10_000, lane=URGENT)
    outbox.claim()
    while outbox.claim():
        outbox.clock += 0.01
    outbox.due.clear()
    outbox.clock += IDLE + AHEAD + 1
    outbox.add(300)
    begun = outbox.clock
    outbox.run()
    assert outbox.clock - begun <= 300 / 10 + 3


def test_turns_that_a_queue_lets_pass_are_taken_by_those_behind_it() -> None:
    limit = Limit(per_second=10, next_at=START - 5, queued=[0.0, START + 3600, START + 3600])
    limit.begin(START)
    for lane, paced in ((URGENT, False), (DIGEST, True), (DIGEST, False)):
        assert limit.has_turn(lane, paced, START)
    limit.next_at = START - 0.4
    assert limit.has_turn(URGENT, True, START)
    for lane, paced in ((URGENT, False), (DIGEST, True), (DIGEST, False)):
        assert not limit.has_turn(lane, paced, START), "not those that it has only just let pass"


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 400),
    st.one_of(st.none(), st.floats(1, 3)),
    st.one_of(st.none(), st.floats(0.02, 50)),
    st.integers(1, 1500),
    st.floats(0.5, 900),
)
def test_a_day_never_gets_more_than_its_share_and_days_to_come_serve_what_is_left(
    per_day: int, ramp: float | None, rate: float | None, number: int, every: float
) -> None:
    limit = Limit(per_second=rate, quota=quota(per_day, ramp))
    outbox = Outbox({"d": limit})
    outbox.add(number)
    outbox.run(hours=24 * 10, every=every)
    days = outbox.days()
    assert limit.quota
    for day, sent in days.items():
        assert sent <= limit.quota.of(day)
    if rate is None:  # then nothing but the share of the day keeps anybody back
        for day in sorted(days)[:-1]:
            assert days[day] == limit.quota.of(day)
        assert [(day - TODAY).days for day in sorted(days)] == list(range(len(days)))


def test_a_warm_up_doubles_from_day_to_day_and_begins_as_the_day_does() -> None:
    outbox = Outbox({"d": Limit(quota=quota(100, 2.0))})
    outbox.add(1000)
    outbox.run()
    assert outbox.days() == {
        TODAY: 100,
        TODAY + timedelta(1): 200,
        TODAY + timedelta(2): 400,
        TODAY + timedelta(3): 300,
    }
    first = datetime.fromtimestamp(outbox.moments()[100], NEW_YORK)
    assert (first.hour, first.minute, first.second) == (0, 0, 0)


def test_a_day_s_share_is_spread_by_the_rate() -> None:
    outbox = Outbox({"d": Limit(per_second=2, quota=quota(1000))})
    outbox.add(1500)
    outbox.run()
    moments = outbox.moments()
    assert moments[999] - moments[0] == pytest.approx(500, abs=3)
    assert moments[1499] - moments[1000] == pytest.approx(250, abs=3)
    assert outbox.asked <= 1500 + 1495, "nobody was told to come today who had to wait for tomorrow"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/Havana", date(2026, 11, 1), 25),  # midnight comes twice
        ("Asia/Beirut", date(2026, 3, 29), 23),  # there is no midnight
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_a_day_of_another_length_has_one_share(zone: str, day: date, hours: float) -> None:
    here = ZoneInfo(zone)
    share = quota(50, since=day, zone=here)
    before = share.start(day)
    assert share.start(day + timedelta(days=1)) - before == hours * 3600
    assert share.day(before) == day
    assert share.day(before - 0.001) == day - timedelta(days=1)
    outbox = Outbox({"d": Limit(quota=share)}, clock=before - 3600)
    outbox.add(190)
    outbox.run()
    assert outbox.days(here) == {day + timedelta(days=n): 50 if n < 2 else 40 for n in (-1, 0, 1, 2)}


def test_a_share_grows_from_its_first_day_and_never_beyond_what_can_be_counted() -> None:
    assert [quota(10, 1.5).of(TODAY + timedelta(days=n)) for n in (-3, 0, 1, 2, 3)] == [10, 10, 15, 22, 33]
    assert quota(10).of(TODAY + timedelta(days=99)) == 10
    assert quota(10, 1.5).of(TODAY + timedelta(days=500)) == MOST_A_DAY
    assert quota(10, 9.0).of(TODAY + timedelta(days=50_000)) == MOST_A_DAY


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 100), st.floats(1, 100), st.lists(st.sampled_from("abc"), min_size=1, max_size=600))
def test_domain_and_relay_both_hold_and_everything_goes(by_domain: float, by_relay: float, domains: list[str]) -> None:
    outbox = Outbox({"a": Limit(per_second=by_domain)}, Limit(per_second=by_relay))
    for domain in domains:
        outbox.add(1, domain)
    outbox.run(every=0.3)
    assert len(outbox.sent) == outbox.made
    to_a = [moment for moment, one in outbox.sent if one.domain == "a"]
    for span in (0.0, 1.0, 7.0):
        assert most_within(outbox.moments(), span) <= by_relay * (span + BURST) + 1.001
        assert not to_a or most_within(to_a, span) <= by_domain * (span + BURST) + 1.001


def test_what_a_slow_domain_keeps_back_takes_nothing_from_the_relay() -> None:
    outbox = Outbox({"slow": Limit(per_second=0.1)}, Limit(per_second=100))
    outbox.add(5000, "slow")
    outbox.add(1000, "fast")
    outbox.run(hours=20 / 3600, every=0.2)
    fast = [moment for moment, one in outbox.sent if one.domain == "fast"]
    assert len(fast) == 1000
    assert fast[-1] - START <= 1000 / 100 + 2


@given(st.floats(0.1, 900), st.floats(0, 1e5))
def test_a_slow_down_doubles_each_minute_until_it_is_none(rate: float, elapsed: float) -> None:
    found = Slowed(rate, START).at(START + elapsed)
    expected = rate * 2 ** min(elapsed / 60, 100)
    assert (found or 1000) == pytest.approx(min(expected, 1000), rel=1e-4)


def test_further_trouble_halves_but_not_more_than_once_in_five_seconds() -> None:
    slowed = slower(None, None, START)
    assert slowed.per_second == 8
    assert slower(slowed, None, START + 4.9) == slowed
    for _ in range(8):
        before = slowed.at(slowed.since + 5) or 0
        slowed = slower(slowed, None, slowed.since + 5)
        assert slowed.per_second == max(before / 2, LEAST_SLOWED)
    assert slowed.per_second == LEAST_SLOWED


def test_of_a_limit_and_a_slow_down_the_lower_one_holds() -> None:
    limit = Limit(per_second=100, slowed=Slowed(1, START))
    assert limit.rate(START) == 1
    assert limit.rate(START + 120) == pytest.approx(4)
    assert limit.rate(START + 500) == 100


def test_a_slow_down_begins_below_the_limit_that_was_set() -> None:
    assert slower(None, 3.0, START).per_second == 1.5
    assert slower(None, 100.0, START).per_second == 8
    assert slower(Slowed(8, START), 3.0, START + 300).per_second == 1.5


def test_after_recovery_trouble_begins_anew() -> None:
    assert slower(Slowed(0.1, START), None, START + 3600) == Slowed(8, START + 3600)


def test_a_domain_that_recovers_is_not_kept_waiting_by_the_places_it_gave() -> None:
    outbox = Outbox({"d": Limit(slowed=Slowed(0.1, START))})
    outbox.add(100_000)
    outbox.run(every=0.5)
    assert outbox.clock - START <= 14 * 60
    assert outbox.asked <= 2.1 * outbox.made


def test_a_domain_in_lasting_trouble_gets_a_message_every_eight_seconds_or_more_and_few_looks() -> None:
    limit = Limit(slowed=slower(None, None, START))
    outbox = Outbox({"d": limit})
    outbox.add(5000)
    end = START + 3600
    while outbox.clock < end:
        before = len(outbox.sent)
        if outbox.claim() < BATCH:
            outbox.clock = max(outbox.clock + 1, outbox.due[0][0])
        if len(outbox.sent) > before:
            limit.slowed = slower(limit.slowed, None, outbox.clock)
    assert len([moment for moment in outbox.moments() if moment > START + 60]) <= 3540 / 8 + 1
    assert outbox.asked <= 30 * 5000, "each waits some minutes before it is looked at again"


@pytest.mark.parametrize("wrong", [timedelta(days=400), timedelta(hours=1)])
def test_a_clock_that_was_ahead_holds_nobody_up_for_more_than_a_minute(wrong: timedelta) -> None:
    limit = Limit(per_second=10, slowed=Slowed(0.1, START + wrong.total_seconds()), quota=quota(1000))
    outbox = Outbox({"d": limit}, clock=START + wrong.total_seconds())
    outbox.add(10)
    outbox.run(hours=1 / 3600)
    outbox.clock, outbox.due = START, []
    outbox.add(20)
    while not any(moment < START + 120 for moment in outbox.moments()):
        assert outbox.clock <= START + 63
        outbox.claim()
        outbox.clock += 1


@pytest.mark.parametrize("make", [Limit, lambda: Limit(slowed=Slowed(8, START - 3600))])
def test_a_limit_on_which_nothing_is_set_limits_nothing(make: Callable[[], Limit]) -> None:
    limit = make()
    assert not limit.limits(START)
    outbox = Outbox({"d": limit})
    outbox.add(400)
    outbox.claim()
    assert len(outbox.sent) == 400


def test_random_lives_of_many_limits_lose_nothing() -> None:
    chance = random.Random(7)
    limits = {"a": Limit(per_second=3), "b": Limit(quota=quota(200, 1.5)), "c": Limit(slowed=Slowed(0.5, START))}
    outbox = Outbox(limits, Limit(per_second=20, quota=quota(2000)))
    for _ in range(60):
        outbox.add(chance.randrange(40), chance.choice("abcd"), chance.choice([TRANSACTIONAL, URGENT, DIGEST, DIGEST]))
        outbox.run(hours=chance.random() / 60)
    outbox.run()
    assert sorted(one.id for _, one in outbox.sent) == list(range(outbox.made))
