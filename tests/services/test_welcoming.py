"""What the welcome shows of the time before: fixed by the confirmation, and no delivery."""

from alerts_service.services import explaining, proving, publishing
from tests.relays import Relay
from tests.scene import DAY, HOUR, Scene

ANN = "ann@example.org"


def test_the_welcome_shows_the_three_latest_of_the_topics_and_delivers_none_of_them(scene: Scene, relay: Relay) -> None:
    ids = {}
    for title in ("Oldest", "First", "Wrong"):
        ids[title] = scene.release(title, "idd", "policy", title_es=f"{title} en español")
        scene.now += HOUR
    scene.release("Elsewhere", "dementia")
    scene.release("Over", "idd", kind="webinar", starts_at=scene.now, ends_at=scene.now + HOUR)
    ids["Event"] = scene.release("Event", "idd", kind="webinar", starts_at=scene.now + DAY, ends_at=scene.now + 2 * DAY)
    scene.now += HOUR
    scene.follow(ANN, "idd", "policy", frequency="daily", locale="es")
    later = scene.release("Later", "idd")
    publishing.withdraw(ids["Wrong"], reason="wrong", now=scene.now)
    scene.deliver()
    for part in map(relay.to(ANN)[-1].part, ("plain", "html")):
        shown = [
            title for title in ("Event", "First en", "Wrong", "Oldest", "Elsewhere", "Over", "Later") if title in part
        ]
        assert shown == ["Event", "First en"], "a withdrawn one is left out, and none takes its place"
        assert part.index("Event") < part.index("First en"), "newest first"
    assert proving.proof(ids["First"], now=scene.now)["matched"] == 0
    assert explaining.explain(ANN, ids["First"], **scene.at)["answer"] != "sent"
    scene.tick_at(14, days=1)
    scene.deliver()
    assert "Later" in relay.to(ANN)[-1].part("plain")
    assert "First" not in relay.to(ANN)[-1].part("plain")
    assert proving.proof(later, now=scene.now)["sent"] == 1


def test_a_welcome_to_topics_without_updates_says_nothing_of_them(scene: Scene, relay: Relay) -> None:
    scene.release("Elsewhere", "dementia")
    scene.follow(ANN, "idd")
    scene.deliver()
    assert "latest" not in relay.to(ANN)[-1].part("plain").lower()
