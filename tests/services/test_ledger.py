"""The ledger: one line for every delivery, with its fate, in pages."""

from typing import Any

from alerts_service.db import db
from alerts_service.services import claiming, ledger
from tests.relays import Relay
from tests.scene import MINUTE, Scene
from tests.scheduler.conftest import QueueLetters, queue_letters

__all__ = ["queue_letters"]

ANN = "ann@example.org"
BOB = "bob@example.org"


def lines(scene: Scene, **which: Any) -> list[dict[str, Any]]:
    db.session.rollback()
    return list(ledger.lines(settings=scene.settings, **which))


def test_a_delivery_has_one_line_whatever_its_fate(scene: Scene, relay: Relay) -> None:
    for address in (ANN, BOB):
        scene.follow(address, frequency="daily")
    scene.deliver()
    first, second = scene.release("First"), scene.release("Second")
    scene.tick_at(14)
    relay.refusals[ANN] = ["552 5.2.2 full"]
    scene.suppress(BOB)
    scene.deliver()
    scene.ask("cid@example.org")
    scene.ask("dot@example.org")
    claiming.claim("a worker", 1, **scene.at, clock=scene.now)
    found = lines(scene)
    assert [line["state"] for line in found] == ["sent"] * 4 + ["failed", "suppressed", "pending", "pending"]
    failed, suppressed = found[4:6]
    assert failed["updates"] == suppressed["updates"] == [first, second]
    assert (failed["reply"], failed["attempts"], failed["sent_at"]) == ("552 5.2.2 full", 1, None)
    assert (suppressed["reason"], suppressed["reply"]) == ("suppressed", None)
    assert [line["address"] for line in found[4:]] == [ANN, BOB, "cid@example.org", "dot@example.org"]
    assert len({line["key"] for line in found}) == 8


def test_the_key_is_the_message_id_before_and_after_it_was_sent(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.release("News")
    scene.tick_at(14)
    before = [line["key"] for line in lines(scene)]
    scene.deliver()
    assert [line["key"] for line in lines(scene)] == before
    assert sorted(str(received.message["Message-ID"]) for received in relay.received) == sorted(
        f"<{key}>" for key in before
    )


def test_lines_are_chosen_by_edition_update_and_moment(scene: Scene) -> None:
    scene.follow(ANN, frequency="daily")
    update = scene.release("News")
    scene.tick_at(14)
    edition = scene.digest_of(ANN).edition_id
    scene.now += MINUTE
    scene.ask(BOB)
    assert [line["kind"] for line in lines(scene, edition=edition)] == ["digest"]
    assert lines(scene, edition=edition) == lines(scene, update=update) == lines(scene, edition=edition, update=update)
    assert [line["address"] for line in lines(scene, since=scene.now)] == [BOB]
    assert lines(scene, since=scene.now + MINUTE) == lines(scene, edition=999) == []


def test_pages_neither_lose_nor_repeat_a_line(scene: Scene, queue_letters: QueueLetters) -> None:
    addresses = queue_letters(ledger._PAGE + 1)
    assert [line["address"] for line in lines(scene)] == addresses
