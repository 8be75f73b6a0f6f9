"""What operators do to an edition: cancel it, pause and resume it, try its failed deliveries again."""

from collections import Counter

import pytest
from sqlalchemy import select, update

from alerts_service.db import db, transaction
from alerts_service.errors import NotFound, WrongState
from alerts_service.models import AT_ONCE, CatchUp, Delivery, DeliveryState, Edition, Subscriber, Subscription, Update
from alerts_service.services import claiming, editions, ledger, outbox, proving, settling, steering, tallying
from alerts_service.services.claiming import Claimed
from alerts_service.services.outbox import Outcome
from tests.scene import DAY, MINUTE, Scene

ANN, BOB, CID = "ann@example.org", "bob@example.org", "cid@example.org"


@pytest.fixture
def edition(scene: Scene) -> int:
    """A daily edition with one update for three people, compiled."""
    for address in (ANN, BOB, CID):
        scene.follow(address, "idd", frequency="daily")
    scene.deliver()
    scene.release("News", "idd")
    assert scene.tick_at(14).deliveries == 3
    return scene.deliveries("digest")[0].edition_id or 0


def states(scene: Scene) -> Counter[tuple[str, str | None]]:
    return Counter((row.state, row.reason) for row in scene.deliveries("digest"))


def claim(scene: Scene, limit: int = 100) -> list[Claimed]:
    return claiming.claim("worker", limit, settings=scene.settings, now=scene.now, clock=scene.now).deliveries


def record(scene: Scene, delivery: Claimed, state: DeliveryState, **more: object) -> None:
    assert outbox.record("worker", [Outcome(delivery, state, **more)], clock=scene.now) == 1  # type: ignore[arg-type]


def fail_all(scene: Scene) -> None:
    for delivery in claim(scene):
        record(scene, delivery, DeliveryState.FAILED, reply="550 5.2.0 no", attempts=1)


def row_of(edition_id: int) -> Edition:
    return editions.existing(db.session(), edition_id)


def test_a_cancelled_edition_sends_no_more_and_its_people_are_owed_again(scene: Scene, edition: int) -> None:
    assert steering.cancel(edition, reason="a wrong date", now=scene.now) == 3
    assert states(scene) == {("cancelled", "edition cancelled"): 3}
    row = row_of(edition)
    assert (row.cancelled_at, row.cancelled_reason) == (scene.now, "a wrong date")
    assert scene.deliver().sent == 0
    assert scene.tick_at(14, days=1).deliveries == 3
    assert scene.deliver().sent == 3


def test_a_cancelled_digest_is_owed_again_at_the_frequency_its_reader_has_then(scene: Scene, edition: int) -> None:
    steering.cancel(edition, reason="", now=scene.now)
    scene.follow("dot@example.org", "idd", frequency="daily")
    assert scene.tick_at(14, days=1).deliveries == 3, "who came later is owed nothing"


def test_the_marks_of_everything_that_somebody_follows_are_lowered_and_never_raised(scene: Scene) -> None:
    person = scene.follow(ANN, "idd", "policy", frequency="daily")
    scene.release("Served", "idd")
    scene.tick_at(14)
    scene.deliver()
    scene.release("News", "idd")
    scene.tick_at(14, days=1)
    assert marks() == []
    lower, other = db.session.scalars(select(Subscription.id).where(Subscription.subscriber_id == person)).all()
    with transaction() as session:
        session.add(CatchUp(subscription_id=lower, frequency="daily", subscriber_id=person, from_seq=0))
    steering.cancel(scene.deliveries("digest")[1].edition_id or 0, reason="", now=scene.now)
    assert marks() == [(lower, 0), (other, 1)]
    assert scene.tick_at(14, days=1).deliveries == 1


def marks() -> list[tuple[int, int]]:
    query = select(CatchUp.subscription_id, CatchUp.from_seq).order_by(CatchUp.subscription_id)
    return [(row.subscription_id, row.from_seq) for row in db.session.execute(query)]


def test_what_is_being_sent_goes_out_and_what_comes_back_from_it_ends(scene: Scene, edition: int) -> None:
    first, second = claim(scene, 2)
    assert steering.cancel(edition, reason="", now=scene.now) == 1
    record(scene, first, DeliveryState.SENT)
    record(scene, second, DeliveryState.PENDING, reply="451 later", due_at=scene.now)
    assert scene.deliver().sent == 0
    assert steering.finish_cancelling() == 1
    assert steering.finish_cancelling() == 0
    assert states(scene) == {("sent", None): 1, ("cancelled", "edition cancelled"): 2}
    assert scene.tick_at(14, days=1).deliveries == 2
    news = db.session.scalars(select(Update.id)).one()
    found = proving.proof(news, now=scene.now)
    assert (found["matched"], found["sent"], found["cancelled"], found["adds_up"]) == (5, 1, 2, True)


def test_an_edition_that_is_not_compiled_is_paused_and_can_be_cancelled_later(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    scene.release("News", "idd")
    scene.now = scene.now.replace(hour=14, minute=1)
    opened = editions._open(scene.settings, scene.now)
    assert steering.cancel(opened[-1], reason="wait", now=scene.now) is None
    row = row_of(opened[-1])
    assert (row.cancelled_at, row.paused_at, row.paused_reason) == (None, scene.now, "wait")
    scene.tick()
    scene.deliver()
    assert [row.state for row in scene.deliveries("digest")] == ["pending"]
    assert steering.cancel(opened[-1], reason="now", now=scene.now) == 1


def test_a_cancelling_that_was_cut_short_sends_nothing_and_is_completed_by_repeating_it(
    scene: Scene, edition: int
) -> None:
    assert steering._stop(edition, "", scene.now)
    assert steering._cancel_some(edition, 1) == 1
    scene.deliver()
    assert states(scene) == {("cancelled", "edition cancelled"): 1, ("pending", None): 2}
    assert steering.cancel(edition, reason="", now=scene.now + MINUTE, batch=1) == 2
    assert steering.cancel(edition, reason="", now=scene.now + MINUTE) == 0
    assert row_of(edition).cancelled_at == scene.now, "the first time counts"


def test_a_cancelled_edition_cannot_be_resumed_nor_tried_again(scene: Scene, edition: int) -> None:
    steering.cancel(edition, reason="", now=scene.now)
    with pytest.raises(WrongState):
        editions.resume(edition)
    with pytest.raises(WrongState):
        steering.retry_failed(edition, now=scene.now)


def test_an_edition_that_is_not_there_cannot_be_steered(scene: Scene) -> None:
    with pytest.raises(NotFound):
        steering.cancel(999, reason="", now=scene.now)
    with pytest.raises(NotFound):
        steering.retry_failed(999, now=scene.now)


def test_a_failed_delivery_is_tried_again_as_if_anew_with_the_same_message_id(scene: Scene, edition: int) -> None:
    fail_all(scene)
    keys = [line["key"] for line in ledger.lines(settings=scene.settings, edition=edition)]
    assert steering.retry_failed(edition, now=scene.now) == 3
    rows = scene.deliveries("digest")
    assert {(row.state, row.attempts, row.give_up_at, row.paced_at, row.due_at) for row in rows} == {
        ("pending", 0, None, None, AT_ONCE)
    }
    assert scene.deliver().sent == 3
    assert [line["key"] for line in ledger.lines(settings=scene.settings, edition=edition)] == keys
    assert steering.retry_failed(edition, now=scene.now) == 0


def test_a_suppressed_address_stays_failed(scene: Scene, edition: int) -> None:
    fail_all(scene)
    scene.suppress(BOB)
    assert steering.retry_failed(edition, now=scene.now) == 2
    assert Counter(row.state for row in scene.deliveries("digest")) == {"pending": 2, "failed": 1}


def test_who_has_left_or_paused_since_a_failure_is_not_sent_to(scene: Scene, edition: int) -> None:
    fail_all(scene)
    scene.leave(ANN)
    with transaction() as session:
        # Settled before: nothing of theirs was pending then.
        session.execute(update(Subscriber).values(narrowed_at=None))
    assert steering.retry_failed(edition, now=scene.now) == 3
    assert scene.deliver().sent == 2 + 1, "and the goodbye"
    assert states(scene) == {("sent", None): 2, ("cancelled", "left"): 1}


def test_trying_again_reopens_the_tally(scene: Scene, edition: int) -> None:
    fail_all(scene)
    tallying.tally_finished(scene.now)
    assert row_of(edition).tallied_at is not None
    steering.retry_failed(edition, now=scene.now)
    assert row_of(edition).tallied_at is None
    assert editions.show(edition)["outcomes"] == [{"state": "pending", "reason": None, "deliveries": 3}]
    scene.deliver()
    tallying.tally_finished(scene.now)
    assert editions.show(edition)["outcomes"] == [{"state": "sent", "reason": None, "deliveries": 3}]


def test_a_settling_of_a_cancelled_edition_finds_nothing_to_do(scene: Scene, edition: int) -> None:
    ids = [row.id for row in scene.deliveries("digest")]
    steering.cancel(edition, reason="", now=scene.now)
    assert settling.settle(ids, now=scene.now + DAY) == 0


def test_a_paused_edition_goes_on_where_it_was(scene: Scene, edition: int) -> None:
    editions.pause(edition, reason="look", now=scene.now)
    assert scene.deliver().sent == 0
    editions.resume(edition)
    assert scene.deliver().sent == 3
    assert db.session.scalar(select(Delivery.id).where(Delivery.state == "pending")) is None
