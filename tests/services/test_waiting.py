"""What waits for a person: the preferences page says what the next digest then brings."""

from datetime import datetime, timedelta

from alerts_service.db import db
from alerts_service.models import MailKind
from alerts_service.services import contents, preferences, publishing
from tests.scene import DAY, HOUR, Scene

ANN = "ann@example.org"
BOB = "bob@example.org"


def waiting(scene: Scene, address: str = ANN) -> list[tuple[str, datetime | None, int]]:
    """Frequency, slot and number of the next digests."""
    db.session.rollback()
    seen = preferences.read(scene.preferences_token(address), **scene.at)
    return [(each.frequency, each.slot_at, each.updates) for each in seen.next]


def brought(scene: Scene) -> list[str]:
    """The titles in Ann's newest digest."""
    held = contents.of_digest(scene.digest_of(ANN).id, scene.settings)
    assert held
    return sorted(item.title for item in held.items)


def test_it_counts_what_each_next_digest_brings_and_nothing_twice(scene: Scene) -> None:
    scene.release("Before")
    scene.follow(ANN, "idd", frequency="daily")
    scene.follow(ANN, "policy", "ltss", frequency="weekly")
    scene.follow(BOB, "idd", frequency="daily")
    scene.release("Both", "idd", "policy")
    scene.release("Weekly", "policy", "ltss")
    scene.release("Over", "idd", expires_at=scene.now + HOUR)
    publishing.withdraw(scene.release("Wrong", "idd"), reason="", now=scene.now)
    daily, weekly = scene.now + 2 * HOUR, scene.now + DAY + 2 * HOUR
    assert waiting(scene) == [("daily", daily, 1), ("weekly", weekly, 1)]
    assert waiting(scene, BOB) == [("daily", daily, 1)]
    scene.tick_at(14)
    assert brought(scene) == ["Both"]
    assert waiting(scene) == [("daily", weekly, 0), ("weekly", weekly, 1)]
    scene.tick_at(14, days=1)
    assert brought(scene) == ["Weekly"]
    assert [number for *_, number in waiting(scene)] == [0, 0]


def test_a_pause_holds_and_the_first_slot_after_it_brings_all_that_was_held(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    token = scene.preferences_token(ANN)
    scene.release("Compiled")
    scene.tick_at(14)
    until = (scene.now + 3 * DAY).replace(hour=5, minute=0, second=0)
    preferences.pause(token, until=until, **scene.at)
    scene.deliver()
    assert [row.state for row in scene.deliveries(MailKind.DIGEST)] == ["cancelled"]
    scene.release("Later")
    scene.tick_at(14, days=1)
    first_after = until.replace(hour=14)
    assert waiting(scene) == [("daily", first_after, 2)]
    preferences.pause(token, until=None, **scene.at)
    assert waiting(scene) == [("daily", None, 2)]
    preferences.pause(token, until=until, **scene.at)
    scene.now = first_after + timedelta(seconds=30)
    scene.tick()
    assert brought(scene) == ["Compiled", "Later"]
    assert [number for *_, number in waiting(scene)] == [0]
