"""Why somebody did, or did not, get an update: every answer, each reached by living it."""

from collections.abc import Callable
from typing import Any

import pytest

from alerts_service.errors import AddressRefused, NotFound
from alerts_service.services import claiming, explaining, preferences, publishing
from tests.relays import Relay
from tests.scene import DAY, HOUR, Scene

ANN = "ann@example.org"
BOB = "bob@example.org"


def explain(scene: Scene, update: int, address: str = ANN) -> dict[str, Any]:
    return explaining.explain(address, update, **scene.at)


def narrow(scene: Scene, *topics: str) -> None:
    """Follow only these from now on."""
    form: dict[str, Any] = {"topics": topics, "frequency": None, "locale": "en", "page": "/", "network": ""}
    preferences.change(scene.preferences_token(ANN), **form, **scene.at)


def sent(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, frequency="daily")
    update = scene.release("News")
    scene.tick_at(14)
    scene.deliver()
    return update


def pending(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, frequency="daily")
    update = scene.release("News")
    scene.tick_at(14)
    claiming.claim("a worker", 10, **scene.at, clock=scene.now)
    return update


def failed(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, frequency="daily")
    scene.deliver()
    relay.refusals[ANN] = ["552 5.2.2 full"]
    update = scene.release("News")
    scene.tick_at(14)
    scene.deliver()
    return update


def cancelled(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, frequency="daily")
    update = scene.release("News")
    scene.tick_at(14)
    scene.suppress(ANN)
    scene.deliver()
    return update


def dropped(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, "idd", "policy", frequency="daily")
    update, _ = scene.release("One", "idd"), scene.release("Other", "policy")
    scene.tick_at(14)
    narrow(scene, "policy")
    scene.deliver()
    return update


def waiting(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN)
    return scene.release("News")


def paused(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN)
    preferences.pause(scene.preferences_token(ANN), until=None, **scene.at)
    return scene.release("News")


def not_released(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN)
    return scene.release("Later", release_at=scene.now + DAY)


def withdrawn(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN)
    update = scene.release("News")
    publishing.withdraw(update, reason="", now=scene.now)
    return update


def expired(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN)
    update = scene.release("News", starts_at=scene.now, ends_at=scene.now + HOUR)
    scene.now += HOUR
    return update


def unknown_address(scene: Scene, relay: Relay) -> int:
    scene.ask(ANN)
    return scene.release("News")


def followed_later(scene: Scene, relay: Relay) -> int:
    update = scene.release("News")
    scene.follow(ANN)
    return update


def left_before(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, "idd", "policy")
    update = scene.release("News", "idd")
    narrow(scene, "policy")
    return update


def not_followed(scene: Scene, relay: Relay) -> int:
    scene.follow(ANN, "policy")
    return scene.release("News", "idd", "telehealth")


def not_owed(scene: Scene, relay: Relay) -> int:
    """It had expired in a rehearsal, whose edition is compiled; now it is not expired yet."""
    scene.follow(ANN, frequency="daily")
    update = scene.release("News", expires_at=scene.now + HOUR)
    begun = scene.now
    scene.tick_at(14)
    scene.now = begun
    return update


LIVES: list[Callable[[Scene, Relay], int]] = [
    sent,
    pending,
    failed,
    cancelled,
    dropped,
    waiting,
    paused,
    not_released,
    withdrawn,
    expired,
    unknown_address,
    followed_later,
    left_before,
    not_followed,
    not_owed,
]


def test_there_is_a_life_for_every_answer() -> None:
    assert {life.__name__ for life in LIVES} == set(explaining.ANSWERS)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_every_answer_is_reached_by_living_it(scene: Scene, relay: Relay, life: Callable[[Scene, Relay], int]) -> None:
    update = life(scene, relay)
    found = explain(scene, update)
    assert found["answer"] == life.__name__
    assert found["because"] == explaining.ANSWERS[life.__name__]


def test_the_answer_comes_with_what_it_rests_on(scene: Scene, relay: Relay) -> None:
    update = failed(scene, relay)
    found = explain(scene, update, ANN.upper())
    assert found["update"] == {"id": update, "title": "News", "state": "released", "release": 1}
    (subscription,) = found["subscriptions"]
    assert (subscription["topic"], subscription["frequency"], subscription["followed_after_release"]) == (
        "idd",
        "daily",
        0,
    )
    (delivery,) = found["deliveries"]
    assert (delivery["frequency"], delivery["slot_at"]) == ("daily", scene.now.replace(second=0).isoformat())
    assert (delivery["state"], delivery["reply"], delivery["attempts"]) == ("failed", "552 5.2.2 full", 1)
    assert [row["kind"] for row in found["consents"]] == ["asked", "confirmed"]
    assert found["suppression"] is None


def test_a_suppression_is_named_beside_the_answer(scene: Scene, relay: Relay) -> None:
    update = cancelled(scene, relay)
    found = explain(scene, update)
    assert (found["suppression"], found["deliveries"][0]["reason"]) == ("operator", "suppressed")


def test_every_following_of_its_topics_is_shown_also_those_that_ended(scene: Scene, relay: Relay) -> None:
    update = left_before(scene, relay)
    (subscription,) = explain(scene, update)["subscriptions"]
    assert (subscription["topic"], subscription["ended_reason"]) == ("idd", "left in preferences")
    assert subscription["ended_at"] == scene.now.isoformat()


def test_one_topic_that_is_owed_is_enough(scene: Scene) -> None:
    scene.follow(ANN, "policy")
    update = scene.release("News", "idd", "policy")
    scene.follow(ANN, "idd")
    assert explain(scene, update)["answer"] == "waiting"


def test_the_same_update_is_explained_to_each_by_their_own_life(scene: Scene, relay: Relay) -> None:
    scene.follow(BOB, "policy", frequency="daily")
    update = sent(scene, relay)
    assert (explain(scene, update)["answer"], explain(scene, update, BOB)["answer"]) == ("sent", "not_followed")


def test_what_is_not_there_is_not_explained(scene: Scene) -> None:
    update = scene.release("News")
    with pytest.raises(NotFound):
        explain(scene, 999)
    with pytest.raises(AddressRefused):
        explain(scene, update, "ann@")
