"""Every corner of who is owed which update, one by one."""

from datetime import timedelta

import pytest

from alerts_service.models import DeliveryState
from alerts_service.rules.slots import Frequency, parse
from alerts_service.services import editions
from tests.conftest import START
from tests.matching.world import World

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# 09:00 in New York on the day that the tests begin, a Monday.
NINE = START + 2 * HOUR


def test_an_update_under_two_topics_goes_out_once_with_the_edition_compiled_first(world: World) -> None:
    world.confirm("ann", ["a"], "weekly")
    world.confirm("ann", ["b"], "daily")
    news = world.add(["a", "b"])
    world.advance(9 * DAY + 3 * HOUR)
    world.tick()
    assert world.got("ann") == [{news}]
    # The weekly slot, the Tuesday before, is older than the newest daily one: compiled first, it takes the update.
    assert world.frequency_of(min(world.ledger())) == "weekly"


def test_editions_of_one_slot_are_numbered_by_frequency(world: World) -> None:
    world.advance(DAY + 2 * HOUR)
    world.add(["a"])
    world.tick()
    slot = NINE + DAY
    assert world.issued() == [(f, slot) for f in ("immediate", "daily", "weekly", "monthly")]


def test_numbers_decide_not_the_clock(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    early = world.add(["a"], release_at=world.now + HOUR)
    world.advance(DAY)
    world.confirm("bob", ["a"], "daily")
    # Bob confirmed after its hour, yet before it was released: it is his.
    world.tick()
    assert world.got("ann") == world.got("bob") == [{early}]


def test_a_late_edition_takes_all_that_was_released_by_its_opening(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.advance(DAY + 5 * HOUR)
    late = world.add(["a"])
    world.tick()
    assert world.got("ann") == [{late}]


def test_of_several_missed_slots_only_the_newest_is_opened(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = {world.add(["a"])}
    world.advance(DAY)
    news.add(world.add(["a"]))
    world.advance(4 * DAY)
    world.tick()
    assert [slot for frequency, slot in world.issued() if frequency == "daily"] == [NINE + 4 * DAY]
    assert world.got("ann") == [news]


def test_a_fresh_installation_opens_no_slot_from_before_it(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["a"])
    world.tick()
    assert world.got("ann") == []
    assert all(frequency == "immediate" for frequency, _ in world.issued())


def test_a_changed_setting_makes_no_older_slot_due(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["a"])
    world.advance(HOUR)
    world.settings.schedules[Frequency.DAILY] = parse(Frequency.DAILY, "07:30")
    world.settings.schedule_texts[Frequency.DAILY] = "07:30"
    world.tick()
    assert world.got("ann") == []
    world.advance(DAY)
    world.tick()
    assert len(world.got("ann")) == 1


def test_a_slot_used_by_a_rehearsal_stays_used(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    first = world.add(["a"])
    world.advance(2 * DAY)
    world.tick()
    world.now -= DAY
    second = world.add(["a"])
    # Yesterday's slot has no edition yet: it is opened, though a later one has.
    world.tick()
    third = world.add(["a"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{first}, {second}]
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{first}, {second}, {third}]


def test_a_second_tick_opens_nothing_and_owes_nothing(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["a"])
    world.advance(DAY)
    world.tick()
    again = world.tick()
    assert (again.editions, again.deliveries) == ([], 0)


def test_no_edition_of_a_frequency_opens_while_one_of_it_is_uncompiled(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick_without_compile()
    world.advance(DAY)
    world.tick_without_compile()
    assert [frequency for frequency, _ in world.issued()].count("daily") == 1
    world.tick()
    assert [frequency for frequency, _ in world.issued()].count("daily") == 2
    assert world.got("ann") == [{news}]


def test_a_topic_left_before_the_slot_is_not_owed_and_coming_back_starts_anew(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    before = world.add(["a"])
    world.choose("ann", ["b"])
    meanwhile = world.add(["a"])
    world.confirm("ann", ["a"], "daily")
    after = world.add(["a"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{after}]
    assert world.explain("ann", before) == world.explain("ann", meanwhile) == "left_before"


def test_leaving_everything_after_the_compile_cancels_what_is_pending(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.leave("ann")
    world.deliver()
    assert world.got("ann") == []
    assert world.proof(news)["cancelled_by_reason"] == {"left": 1}


def test_leaving_only_the_topics_of_a_digest_keeps_the_others(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.leave("ann", world.digest_of(min(world.ledger())), only_these=True)
    world.add(["a"])
    kept = world.add(["b"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann", state="pending")[-1] == {kept}


def test_what_is_withdrawn_after_the_compile_goes_out_of_the_digest(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    withdrawn, kept = world.add(["a"]), world.add(["b"])
    world.advance(DAY)
    world.tick()
    world.withdraw(withdrawn)
    world.deliver()
    assert world.got("ann", state="sent") == [{kept}]


@pytest.mark.parametrize("event", [False, True])
def test_what_expires_or_is_over_after_the_compile_goes_out_of_the_digest(world: World, event: bool) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    ends = world.now + DAY + HOUR
    lapsing = world.add(["a"], starts_at=world.now, ends_at=ends) if event else world.add(["a"], expires_at=ends)
    kept = world.add(["b"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{lapsing, kept}]
    world.advance(HOUR)
    world.deliver()
    assert world.got("ann", state="sent") == [{kept}]


def test_what_expired_was_over_or_withdrawn_before_the_slot_is_not_owed(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    expired = world.add(["a"], expires_at=world.now + HOUR)
    over = world.add(["a"], starts_at=world.now, ends_at=world.now + HOUR)
    withdrawn = world.add(["a"])
    world.withdraw(withdrawn)
    kept = world.add(["a"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{kept}]
    assert world.explain("ann", expired) == world.explain("ann", over) == "expired"
    assert world.explain("ann", withdrawn) == "withdrawn"


def test_one_already_sending_goes_out(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    sending = [delivery for delivery in world.claim() if delivery.digest_id is not None]
    world.leave("ann")
    world.withdraw(news)
    world.deliver()
    assert [world.record(delivery, DeliveryState.SENT) for delivery in sending] == [1]
    assert world.got("ann", state="sent") == [{news}]


def test_a_pause_after_the_compile_delays_what_is_pending(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.pause("ann")
    world.deliver()
    assert world.got("ann") == []
    world.resume("ann")
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{news}]


def test_a_pause_ended_before_any_claim_delays_nothing(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.pause("ann")
    world.resume("ann")
    world.deliver()
    assert world.got("ann", state="sent") == [{news}]


def test_what_was_held_goes_out_at_the_frequency_one_has_then(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.pause("ann")
    world.deliver()
    world.choose("ann", ["a"], "immediate")
    world.resume("ann")
    world.advance(10 * MINUTE)
    world.tick()
    assert world.got("ann") == [{news}]
    assert world.issued()[-1][0] == "immediate"


def test_a_change_of_frequency_after_the_compile_moves_nothing(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.choose("ann", ["a"], "immediate")
    world.advance(10 * MINUTE)
    world.tick()
    world.deliver()
    assert world.got("ann", state="sent") == [{news}]


@pytest.mark.parametrize("frequency", ["immediate", "weekly", "monthly"])
def test_a_change_of_frequency_before_the_slot_neither_loses_nor_repeats(world: World, frequency: str) -> None:
    world.confirm("ann", ["a"], "daily")
    before = world.add(["a"])
    world.choose("ann", ["a"], frequency)
    after = world.add(["a"])
    world.advance(33 * DAY)
    world.tick()
    assert world.got("ann") == [{before, after}]


def test_a_change_of_language_after_the_compile_keeps_the_language_of_the_digest(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily", locale="es")
    world.add(["a"])
    kept = world.add(["b"])
    world.advance(DAY)
    world.tick()
    world.choose("ann", ["b"], locale="en")
    world.deliver()
    assert world.got("ann", state="sent") == [{kept}]
    assert world.locale_of(min(world.ledger())) == "es"


def test_immediate_slots_stand_on_the_grid_and_open_only_for_something(world: World) -> None:
    world.confirm("ann", ["a"], "immediate")
    world.advance(13 * MINUTE)
    world.tick()
    assert world.issued() == []
    news = world.add(["a"])
    world.tick()
    assert world.issued() == [("immediate", START + 10 * MINUTE)]
    assert world.got("ann") == [{news}]
    second = world.add(["a"])
    world.tick()
    assert world.got("ann") == [{news}]
    world.advance(10 * MINUTE)
    world.tick()
    assert world.got("ann") == [{news}, {second}]


def test_a_switch_to_immediate_brings_what_waited_in_one_message(world: World) -> None:
    world.confirm("bob", ["c"], "immediate")
    world.confirm("ann", ["a"], "monthly")
    waiting = {world.add(["a"]), world.add(["a"])}
    world.advance(10 * MINUTE)
    world.tick()
    world.choose("ann", ["a"], "immediate")
    world.advance(10 * MINUTE)
    world.tick()
    assert world.got("ann") == [waiting]


def test_an_urgent_update_goes_at_once_to_all_its_followers_and_only_once(world: World) -> None:
    for name, frequency in (("ann", "immediate"), ("bob", "weekly"), ("cid", "monthly")):
        world.confirm(name, ["a"], frequency)
    ordinary = world.add(["a"])
    world.advance(MINUTE)
    urgent = world.add(["a"], urgent=True)
    released_at = world.now
    world.advance(MINUTE)
    world.tick()
    assert world.issued() == [("immediate", released_at)]
    assert world.got("ann") == [{ordinary, urgent}]
    assert world.got("bob") == world.got("cid") == [{urgent}]
    world.advance(33 * DAY)
    world.tick()
    assert world.got("bob") == world.got("cid") == [{urgent}, {ordinary}]


def test_an_urgent_update_is_an_ordinary_one_later_for_who_was_paused(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.pause("ann")
    urgent = world.add(["a"], urgent=True)
    world.tick()
    world.resume("ann")
    world.add(["b"], urgent=True)
    world.advance(MINUTE)
    world.tick()
    assert world.got("ann") == []
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{urgent}]
    assert world.issued()[-1][0] == "daily"


def test_an_urgent_update_missed_in_a_pause_waits_for_its_own_slot_though_immediate_ones_come(world: World) -> None:
    world.confirm("ann", ["a"], "weekly")
    world.confirm("ann", ["b"], "immediate")
    world.advance(10 * MINUTE)
    world.tick()
    world.pause("ann")
    urgent = world.add(["a"], urgent=True)
    held = world.add(["b"])
    world.tick()
    world.resume("ann")
    world.advance(10 * MINUTE)
    world.tick()
    assert world.got("ann") == [{held}]
    world.advance(3 * DAY)
    world.tick()
    assert world.got("ann") == [{held}, {urgent}]


def test_a_pause_forgives_nothing_but_what_expired(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.pause("ann")
    world.add(["a"], expires_at=world.now + 2 * DAY)
    held = world.add(["a"])
    world.advance(3 * DAY)
    world.tick()
    world.resume("ann")
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{held}]


def test_a_failed_delivery_counts_as_given(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.confirm("ann", ["b"], "weekly")
    news = world.add(["a", "b"])
    world.advance(DAY)
    world.tick()
    for delivery in world.claim():
        world.record(delivery, DeliveryState.FAILED)
    world.advance(8 * DAY)
    world.tick()
    assert world.got("ann") == [{news}]
    assert world.explain("ann", news) == "failed"


def test_whoever_confirms_after_a_release_is_not_owed_it(world: World) -> None:
    early = world.add(["a"])
    world.confirm("ann", ["a"], "daily")
    late = world.add(["a"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{late}]
    assert world.explain("ann", early) == "followed_later"


def test_a_mark_lowered_by_a_pause_brings_nothing_from_before_the_following(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    early = world.add(["b"])
    world.confirm("ann", ["b"], "daily")
    world.advance(DAY)
    world.tick()
    world.pause("ann")
    world.deliver()
    world.resume("ann")
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{news}]
    assert world.explain("ann", early) == "followed_later"


def test_a_suppressed_person_is_sent_nothing(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.suppress("ann")
    world.deliver()
    assert world.got("ann") == []
    assert world.proof(news)["cancelled_by_reason"] == {"suppressed": 1}


def test_a_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    lost = [delivery for delivery in world.claim() if delivery.digest_id is not None]
    world.real += 2 * MINUTE
    world.take_back()
    again = [delivery for delivery in world.claim() if delivery.digest_id is not None]
    assert [world.record(delivery, DeliveryState.FAILED) for delivery in lost] == [0]
    assert [world.record(delivery, DeliveryState.SENT) for delivery in again] == [1]
    assert world.got("ann", state="sent") == [{news}]


def test_a_held_edition_waits_and_goes_out_when_it_is_let_go(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    edition = world.tick().editions[0]
    editions.pause(edition, reason="", now=world.now)
    world.deliver()
    assert world.got("ann", state="sent") == []
    editions.resume(edition)
    world.deliver()
    assert world.got("ann", state="sent") == [{news}]


def test_nobody_is_sent_an_empty_digest(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["b"])
    world.advance(33 * DAY)
    world.tick()
    assert world.ledger() == {}
