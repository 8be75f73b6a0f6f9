"""Rates over all workers: turns, places, slow-downs and limits, on both databases."""

import dataclasses
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, pairwise
from typing import Any, cast

import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db, is_postgresql, reading, transaction
from alerts_service.errors import RateRefused
from alerts_service.models import RELAY, Delivery, DeliveryState, Lane, MailKind, Rate
from alerts_service.rules.pacing import Waiting
from alerts_service.services import rates
from alerts_service.services.rates import Admitted, Limits
from tests.scene import DAY, HOUR, MINUTE, Scene, at_once, no_room_for_deliveries

SECOND = timedelta(seconds=1)
GMAIL, YAHOO = "gmail.com", "yahoo.com"


def batch(number: int, domain: str = GMAIL, *, first: int = 1, lane: int = Lane.DIGEST, paced: bool = False) -> Any:
    """Deliveries that are due."""
    return [Waiting(first + n, domain, lane, paced) for n in range(number)]


def admit(scene: Scene, *waiting: list[Waiting]) -> Admitted:
    """Ask for a batch, in a transaction of its own."""
    with transaction() as session:
        return rates.admit(session, list(chain(*waiting)), settings=scene.settings, clock=scene.now)


def limit(scene: Scene, name: str, **limits: Any) -> None:
    rates.set_limits(name, cast(Limits, limits), settings=scene.settings, clock=scene.now)


def row(name: str) -> Any:
    """A row as it stands, or None."""
    with reading() as session:
        return session.execute(select(Rate.__table__).where(Rate.name == name)).mappings().first()


def listed(scene: Scene, name: str) -> dict[str, Any]:
    return next(found for found in rates.listing(settings=scene.settings, clock=scene.now) if found["name"] == name)


def deliver_to(scene: Scene, number: int, **changes: Any) -> list[int]:
    """Deliveries in the outbox, as transactional mail."""
    values = {"kind": MailKind.WELCOME, "lane": Lane.DIGEST, "address": "ann@gmail.com", "created_at": scene.now}
    with transaction() as session:
        made = [Delivery(**{**values, **changes}) for _ in range(number)]
        session.add_all(made)
        session.flush()
        return [one.id for one in made]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that reach the database."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_without_limits_everything_goes_for_one_query(scene: Scene) -> None:
    waiting = [Waiting(n, f"domain-{n % 200}.example", Lane.DIGEST, False) for n in range(500)]
    with transaction() as session, statements() as seen:
        found = rates.admit(session, waiting, settings=scene.settings, clock=scene.now)
    assert found == Admitted(list(range(500)), {})
    assert len(seen) == 1
    assert seen[0].startswith("SELECT")


def test_two_seconds_worth_go_now_and_the_others_have_places_one_behind_the_other(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)
    found = admit(scene, batch(100), batch(5, YAHOO, first=1000))
    assert found.now == [*range(1, 22), *range(1000, 1005)]
    places = [found.later[one] for one in range(22, 101)]
    assert places[0] == pytest.approx(scene.now + 1.2 * SECOND, abs=0.01 * SECOND)
    for before, after in pairwise(places):
        assert after - before == pytest.approx(SECOND / 10, abs=timedelta(microseconds=5))


def test_another_batch_goes_on_where_the_first_has_ended(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)
    last = max(admit(scene, batch(100)).later.values())
    found = admit(scene, batch(100, first=101))
    assert found.now == []
    assert min(found.later.values()) > last


def test_who_has_waited_goes_when_the_place_has_come(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)
    later = admit(scene, batch(100)).later
    for _ in range(5):
        scene.now += 1.5 * SECOND
        due = [one for one, place in later.items() if place <= scene.now]
        assert len(due) in {4, 15}
        assert admit(scene, [Waiting(one, GMAIL, Lane.DIGEST, True) for one in due]).now == due
        later = {one: place for one, place in later.items() if one not in due}


def test_urgent_mail_goes_before_digests_and_transactional_mail_at_once(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)
    admit(scene, batch(500))
    urgent = admit(scene, batch(20, first=501, lane=Lane.URGENT))
    assert max(urgent.later.values()) <= scene.now + 4 * SECOND
    assert admit(scene, batch(3, first=601, lane=Lane.TRANSACTIONAL)).now == [601, 602, 603]


def test_the_relay_s_limit_holds_over_all_domains_and_the_setting_counts_where_none_is_set(scene: Scene) -> None:
    scene.settings = dataclasses.replace(scene.settings, smtp_rate=20)
    waiting = [Waiting(n, f"domain-{n}.example", Lane.DIGEST, False) for n in range(200)]
    assert len(admit(scene, waiting).now) == 41
    assert listed(scene, RELAY)["per_second"] == 20
    limit(scene, RELAY, per_second=5)
    scene.now += MINUTE
    assert len(admit(scene, waiting).now) in {10, 11}


def test_a_relay_limit_that_is_set_nowhere_any_more_leaves_no_row(scene: Scene) -> None:
    with_rate = dataclasses.replace(scene, settings=dataclasses.replace(scene.settings, smtp_rate=20))
    admit(with_rate, batch(1))
    assert row(RELAY) is not None
    assert len(admit(scene, batch(400)).now) == 400
    assert row(RELAY) is None


def test_what_a_domain_keeps_back_takes_no_turn_of_the_relay(scene: Scene) -> None:
    limit(scene, RELAY, per_second=100)
    limit(scene, GMAIL, per_second=1)
    found = admit(scene, batch(300), batch(198, YAHOO, first=1000))
    assert len([one for one in found.now if one < 1000]) == 3
    assert len([one for one in found.now if one >= 1000]) == 198


def test_a_day_has_its_share_and_the_next_one_more(scene: Scene) -> None:
    limit(scene, GMAIL, per_day=100, ramp=1.5)
    found = admit(scene, batch(300))
    assert len(found.now) == 100
    tomorrow = scene.now.astimezone(scene.settings.timezone).replace(hour=0) + DAY
    assert min(found.later.values()) == tomorrow
    assert len([place for place in found.later.values() if place < tomorrow + HOUR]) == 150
    assert max(found.later.values()) <= scene.now + DAY
    assert listed(scene, GMAIL) == {
        "name": GMAIL,
        "per_second": None,
        "per_day": 100,
        "ramp": 1.5,
        "today": 100,
        "sent_today": 100,
        "slowed_per_second": None,
    }
    scene.now = tomorrow
    assert len(admit(scene, batch(300)).now) == 150


def test_turns_taken_in_a_transaction_that_fails_are_given_back(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)

    def claim() -> None:
        with transaction() as session:
            rates.admit(session, batch(100), settings=scene.settings, clock=scene.now)
            session.execute(insert(Delivery).values(kind="", lane=0, address="a@b.example", created_at=scene.now))

    with no_room_for_deliveries(), pytest.raises(DBAPIError):
        claim()
    assert len(admit(scene, batch(100)).now) == 21


def test_deliveries_are_put_off_to_their_places(scene: Scene) -> None:
    first, second, third = deliver_to(scene, 3)
    with transaction() as session:
        rates.postpone(session, {first: scene.now + SECOND, third: scene.now + HOUR})
        rates.postpone(session, {})
    due = {one.id: (one.due_at, one.paced_at) for one in scene.deliveries()}
    assert due[first] == (scene.now + SECOND,) * 2
    assert due[third] == (scene.now + HOUR,) * 2
    assert due[second][1] is None


def test_a_domain_that_asks_for_it_is_slowed_down_and_recovers_by_itself(scene: Scene) -> None:
    rates.slow_down(GMAIL, clock=scene.now)
    assert listed(scene, GMAIL)["slowed_per_second"] == 8
    assert len(admit(scene, batch(100), batch(50, YAHOO, first=1000)).now) == 17 + 50
    scene.now += 2 * MINUTE
    assert listed(scene, GMAIL)["slowed_per_second"] == 32
    assert len(admit(scene, batch(100)).now) == pytest.approx(64, abs=2)
    scene.now += 6 * MINUTE
    assert len(admit(scene, batch(500)).now) == 500
    assert row(GMAIL) is None, "nothing is set on it any more"


def test_further_trouble_halves_and_much_trouble_at_once_counts_once(scene: Scene) -> None:
    for _ in range(5):
        rates.slow_down(GMAIL, clock=scene.now)
    assert listed(scene, GMAIL)["slowed_per_second"] == 8
    found = []
    for _ in range(9):
        scene.now += 6 * SECOND
        rates.slow_down(GMAIL, clock=scene.now)
        found.append(listed(scene, GMAIL)["slowed_per_second"])
    assert found[0] == pytest.approx(4, rel=0.1)
    assert found[-1] == 0.1


def test_trouble_that_has_just_been_noted_writes_nothing(scene: Scene) -> None:
    rates.slow_down(GMAIL, clock=scene.now)
    with statements() as seen:
        rates.slow_down(GMAIL, clock=scene.now + SECOND)
    assert [statement.split()[0] for statement in seen] == ["SELECT"]


def test_a_slow_down_stays_beside_the_limits_that_are_set_and_after_they_are_cleared(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=4)
    rates.slow_down(GMAIL, clock=scene.now)
    assert (listed(scene, GMAIL)["per_second"], listed(scene, GMAIL)["slowed_per_second"]) == (4, 2)
    limit(scene, GMAIL, per_second=None)
    assert listed(scene, GMAIL)["slowed_per_second"] == 2
    scene.now += HOUR
    admit(scene, batch(1))
    assert row(GMAIL) is None


def test_limits_change_one_by_one_and_a_row_without_any_goes(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=5, per_day=1000, ramp=2)
    limit(scene, GMAIL, per_second=7)
    found = listed(scene, GMAIL)
    assert (found["per_second"], found["per_day"], found["ramp"]) == (7, 1000, 2)
    limit(scene, GMAIL, per_day=None)
    found = listed(scene, GMAIL)
    assert (found["per_second"], found["per_day"], found["ramp"]) == (7, None, None)
    limit(scene, GMAIL, per_second=None)
    assert row(GMAIL) is None
    limit(scene, GMAIL, per_second=None)
    assert row(GMAIL) is None


def test_growth_begins_on_the_day_it_is_set_and_another_limit_does_not_begin_it_anew(scene: Scene) -> None:
    limit(scene, GMAIL, per_day=100, ramp=2)
    scene.now += 3 * DAY
    assert listed(scene, GMAIL)["today"] == 800
    limit(scene, GMAIL, per_second=9)
    assert listed(scene, GMAIL)["today"] == 800
    limit(scene, GMAIL, per_day=300)
    assert listed(scene, GMAIL)["today"] == 300
    assert listed(scene, GMAIL)["ramp"] == 2


@pytest.mark.parametrize(
    ("name", "limits", "said"),
    [
        ("example", {"per_second": 1}, "“example” is not a domain like example.org, nor “relay”."),
        ("ann@example.org", {"per_second": 1}, "“ann@example.org” is not a domain like example.org, nor “relay”."),
        ("-.org", {"per_second": 1}, "“-.org” is not a domain"),
        ("", {"per_second": 1}, "“” is not a domain"),
        ("[192.0.2.1]", {"per_second": 1}, "is not a domain"),
        ("example.org", {"per_second": -1}, "per second"),
        ("example.org", {"per_second": float("nan")}, "per second"),
        ("example.org", {"per_second": float("inf")}, "per second"),
        ("example.org", {"per_day": 10**12}, "per day"),
        ("example.org", {"per_day": 10, "ramp": 0.5}, "the factor of daily growth is from 1 to 10."),
        ("example.org", {"ramp": 1.5}, "only a limit per day can grow; give that, too."),
        ("example.org", {"per_day": None, "ramp": 1.5}, "only a limit per day can grow; give that, too."),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_and_changes_nothing(
    scene: Scene, name: str, limits: Limits, said: str
) -> None:
    with pytest.raises(RateRefused) as refused:
        rates.set_limits(name, limits, settings=scene.settings, clock=scene.now)
    assert said in str(refused.value)
    assert rates.listing(settings=scene.settings, clock=scene.now) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [("GMail.com", GMAIL), (" relay ", RELAY), ("Relay", RELAY), ("bücher.example", "xn--bcher-kva.example")],
)
def test_a_domain_is_kept_as_it_stands_in_addresses(scene: Scene, given: str, kept: str) -> None:
    assert rates.set_limits(given, {"per_second": 1}, settings=scene.settings, clock=scene.now) == kept
    assert row(kept) is not None


def test_a_changed_limit_lets_everything_that_waits_ask_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BATCH_DELIVERIES", 7)
    limit(scene, GMAIL, per_second=0.5)
    waiting = deliver_to(scene, 30)
    retried, sent = deliver_to(scene, 1, due_at=scene.now + HOUR), deliver_to(scene, 1, due_at=scene.now + HOUR)
    with transaction() as session:
        found = rates.admit(session, batch(30, first=waiting[0]), settings=scene.settings, clock=scene.now)
        rates.postpone(session, found.later)
        values = {"paced_at": scene.now + HOUR, "state": DeliveryState.FAILED}
        session.execute(update(Delivery).where(Delivery.id.in_(sent)).values(**values))
    limit(scene, GMAIL, per_second=100)
    after = {one.id: one for one in scene.deliveries()}
    assert all(after[one].due_at <= scene.now and after[one].paced_at is None for one in waiting)
    assert after[retried[0]].due_at == after[sent[0]].due_at == scene.now + HOUR
    assert len(admit(scene, batch(30, first=waiting[0])).now) == 30, "nobody stands before them any more"


def test_after_an_edition_has_gone_what_waited_behind_it_asks_again(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=10)
    admit(scene, batch(500))
    waiting = deliver_to(scene, 5)
    with transaction() as session:
        found = rates.admit(session, batch(5, first=waiting[0]), settings=scene.settings, clock=scene.now)
        rates.postpone(session, found.later)
    assert min(found.later.values()) > scene.now + 40 * SECOND
    assert rates.look_again(clock=scene.now) == 5
    assert max(admit(scene, batch(5, first=waiting[0])).later.values()) < scene.now + 2 * SECOND


def test_four_workers_that_ask_at_once_keep_to_the_limit_together(scene: Scene) -> None:
    limit(scene, GMAIL, per_second=50, per_day=400)
    limit(scene, RELAY, per_second=60)
    limit(scene, YAHOO, per_second=30)

    def work(worker: int) -> list[tuple[int, str]]:
        """Ask eight times, a tenth of a second apart, for two domains in another order each."""
        went = []
        for turn in range(8):
            first = (worker * 8 + turn) * 1000
            domains = (GMAIL, YAHOO) if worker % 2 else (YAHOO, GMAIL)
            waiting = [Waiting(first + n, domains[n % 2], Lane.DIGEST, True) for n in range(100)]
            domain_of = {one.id: one.domain for one in waiting}
            with transaction() as session:
                clock = scene.now + turn * SECOND / 10
                found = rates.admit(session, waiting, settings=scene.settings, clock=clock)
            went += [(one, domain_of[one]) for one in found.now]
        return went

    found = at_once(*[functools.partial(work, worker) for worker in range(4)])
    assert not [failed for failed in found if isinstance(failed, Exception)]
    went: list[tuple[int, str]] = list(chain(*found))
    assert len(went) == len({one for one, _ in went})
    span = 0.7 + 2  # what has passed, and two seconds' worth
    assert len(went) == pytest.approx(60 * span, abs=3)
    assert len([one for one, domain in went if domain == GMAIL]) <= 50 * span + 1
    assert len([one for one, domain in went if domain == YAHOO]) <= 30 * span + 1


def test_a_share_of_the_day_is_kept_exactly_by_workers_that_ask_at_once(scene: Scene) -> None:
    limit(scene, GMAIL, per_day=333)
    asked = [functools.partial(admit, scene, batch(150, first=n * 1000)) for n in range(4)]
    found = at_once(*asked)
    assert sum(len(one.now) for one in found) == 333
    assert listed(scene, GMAIL)["sent_today"] == 333


def test_trouble_noted_by_many_at_once_counts_once(scene: Scene) -> None:
    assert at_once(*[lambda: rates.slow_down(GMAIL, clock=scene.now)] * 6) == [None] * 6
    assert listed(scene, GMAIL)["slowed_per_second"] == 8


def test_workers_trouble_and_changes_meet_without_a_deadlock(scene: Scene) -> None:
    scene.settings = dataclasses.replace(scene.settings, smtp_rate=1000)
    domains = ["a.example", "relay.example", "s.example", "z.example"]

    def ask(turned: bool) -> None:
        for turn in range(15):
            order = domains[::-1] if turned else domains
            waiting = [Waiting(n, domain, Lane.DIGEST, False) for n, domain in enumerate(order)]
            with transaction() as session:
                rates.admit(session, waiting, settings=scene.settings, clock=scene.now + turn * HOUR)

    def trouble() -> None:
        for turn in range(15):
            for domain in domains:
                rates.slow_down(domain, clock=scene.now + turn * HOUR)

    def change() -> None:
        for turn in range(8):
            limit(scene, domains[turn % 4], per_second=turn % 3 or None)
            limit(scene, RELAY, per_second=turn % 2 or None)

    found = at_once(functools.partial(ask, True), functools.partial(ask, False), trouble, change)
    assert found == [None] * 4


def test_the_claim_s_question_is_answered_by_the_index(scene: Scene) -> None:
    with transaction() as session:
        session.execute(insert(Rate), [{"name": f"domain-{n}.example"} for n in range(5000)])
    with transaction() as session, statements() as seen:
        rates.admit(session, batch(100), settings=scene.settings, clock=scene.now)
        if is_postgresql():
            session.execute(text("ANALYZE rates"))
        explain = "EXPLAIN " if is_postgresql() else "EXPLAIN QUERY PLAN "
        asked = seen[0].replace("%(names)s", "'[]'").replace("?", "'[]'")
        plan = "\n".join(str(line) for line in session.connection().exec_driver_sql(explain + asked).all())
    assert ("pk_rates" if is_postgresql() else "sqlite_autoindex_rates_1") in plan, plan
    assert "Seq Scan on rates" not in plan
    assert "SCAN rates" not in plan
