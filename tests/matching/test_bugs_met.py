"""Bugs that were met in earlier designs of the matching, and in this one: each stays out by a test."""

from datetime import timedelta
from threading import Thread

from flask import Flask

from alerts_service.models import DeliveryState
from alerts_service.services import settling
from tests.matching.world import World

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def test_somebody_who_confirms_while_an_edition_compiles_keeps_what_is_released_after_it(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["a"])
    world.advance(DAY)
    world.tick_without_compile()
    world.compile(1)
    between = world.add(["a"])
    world.confirm("bob", ["a"], "daily")
    after = world.add(["a"])
    world.compile(1)
    world.tick()
    world.advance(DAY)
    world.tick()
    assert world.got("bob") == [{after}]
    assert between in world.got("ann")[1]


def test_a_digest_cancelled_before_its_edition_is_compiled_to_the_end_is_owed_again(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.confirm("bob", ["a"], "daily")
    news = world.add(["a"])
    world.advance(DAY)
    world.tick_without_compile()
    world.compile(1)
    world.pause("ann")
    world.deliver()
    assert world.got("ann") == []
    world.tick()
    world.resume("ann")
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{news}]
    assert world.got("bob") == [{news}]


def test_a_pause_over_several_editions_brings_all_that_was_held(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    served = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.deliver()
    world.pause("ann")
    held = set()
    for _ in range(3):
        held.add(world.add(["a"]))
        world.advance(DAY)
        world.tick()
    world.resume("ann")
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{served}, held]


def test_a_pause_that_ends_by_itself_brings_what_was_held(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.pause("ann", DAY + timedelta(hours=12))
    news = world.add(["a"])
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == []
    world.advance(DAY)
    world.tick()
    assert world.got("ann") == [{news}]


def test_a_cancelled_urgent_mail_does_not_take_along_what_waits_for_a_slot(world: World) -> None:
    world.confirm("ann", ["a"], "weekly")
    served = world.add(["a"])
    world.advance(2 * DAY)
    world.tick()
    world.deliver()
    waiting, urgent = world.add(["a"]), world.add(["a"], urgent=True)
    world.tick()
    assert world.got("ann") == [{served}, {urgent}]
    world.pause("ann")
    world.deliver()
    world.resume("ann")
    world.advance(7 * DAY)
    world.tick()
    assert world.got("ann") == [{served}, {waiting, urgent}]


def test_a_withdrawn_update_stays_out_of_a_digest_that_is_reduced_because_a_topic_was_left(world: World) -> None:
    world.confirm("ann", ["a", "b", "c"], "daily")
    first = world.add(["c"])
    world.advance(DAY)
    world.tick()
    withdrawn, left, kept = world.add(["a"]), world.add(["b"]), world.add(["a"])
    world.advance(DAY)
    world.tick()
    earlier, later = (delivery for delivery in world.claim() if delivery.digest_id is not None)
    world.record(earlier, DeliveryState.PENDING)
    world.real += 90 * SECOND
    world.record(later, DeliveryState.PENDING)
    world.withdraw(withdrawn)
    world.choose("ann", ["a", "c"])
    # Only the earlier one is due and looked at; the later one still waits for its next try.
    world.deliver()
    world.real += 90 * SECOND
    world.deliver()
    assert world.got("ann", state="sent") == [{first}, {kept}]
    assert left not in set().union(*world.got("ann"))
    assert all(world.proof(update)["adds_up"] for update in (withdrawn, left, kept))


def test_a_withdrawn_update_stays_out_though_the_clock_was_put_back(world: World) -> None:
    world.confirm("ann", ["a"], "daily")
    world.advance(DAY)
    news = world.add(["a"])
    world.advance(timedelta(hours=2))
    world.tick()
    world.advance(DAY)
    world.tick()
    world.withdraw(news)
    world.now -= 3 * DAY
    world.deliver()
    assert world.got("ann") == []


def test_leaving_while_a_digest_is_being_sent_counts_when_it_comes_back_to_the_queue(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    left, kept = world.add(["a"]), world.add(["b"])
    world.advance(DAY)
    world.tick()
    sending = [delivery for delivery in world.claim() if delivery.digest_id is not None]
    world.choose("ann", ["b"])
    world.deliver()
    assert world.got("ann") == [{left, kept}]
    for delivery in sending:
        world.record(delivery, DeliveryState.PENDING)
    world.real += 120 * SECOND
    world.deliver()
    assert world.got("ann", state="sent") == [{kept}]


def test_a_reduced_digest_is_still_counted_in_the_proof(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    world.confirm("bob", ["a", "b"], "daily")
    left, kept = world.add(["a"]), world.add(["b"])
    world.advance(DAY)
    world.tick()
    world.choose("ann", ["b"])
    world.deliver()
    proof = world.proof(left)
    assert (proof["matched"], proof["sent"], proof["cancelled_by_reason"]) == (2, 1, {"left": 1})
    assert proof["adds_up"]
    assert world.proof(kept)["sent"] == 2
    assert world.explain("ann", left) == "dropped"


def test_what_somebody_else_lost_is_not_explained_as_ones_own_loss(world: World) -> None:
    world.confirm("ann", ["a", "b"], "daily")
    world.confirm("bob", ["a", "c"], "daily")
    news = world.add(["a"])
    world.add(["b"])
    world.choose("bob", ["c"])
    world.advance(DAY)
    world.tick()
    world.choose("ann", ["b"])
    world.deliver()
    later = world.add(["c"])
    world.advance(DAY)
    world.tick()
    assert world.got("bob") == [{later}]
    assert world.explain("ann", news) == "dropped"
    assert world.explain("bob", news) == "left_before"


def test_an_update_that_needs_a_second_word_of_the_mask_is_not_lost(world: World) -> None:
    world.confirm("ann", ["a", "b"], "monthly")
    world.confirm("bob", ["a"], "monthly")
    updates = [world.add(["a"] if number % 2 else ["b"]) for number in range(130)]
    world.advance(31 * DAY)
    world.tick()
    assert world.got("ann") == [set(updates)]
    assert world.got("bob") == [set(updates[1::2])]


def test_a_change_of_frequency_while_a_pause_is_settled_carries_the_lowered_mark(world: World, core: Flask) -> None:
    world.confirm("ann", ["a"], "daily")
    world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.deliver()
    held = world.add(["a"])
    world.advance(DAY)
    world.tick()
    world.pause("ann")
    unsettled = world.claim_only().unsettled

    def settle() -> None:
        with core.app_context():
            settling.settle(unsettled, now=world.now)

    settler = Thread(target=settle)
    with world.changing("ann", "a", "monthly"):
        settler.start()
        settler.join(timeout=0.5)
    settler.join()
    world.resume("ann")
    world.advance(31 * DAY)
    world.tick()
    assert world.got("ann")[-1] == {held}
    assert len(world.got("ann")) == 2
