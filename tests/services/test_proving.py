"""The proof of an update adds up over everything that happens, and does not once the record was changed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from alerts_service.db import transaction
from alerts_service.errors import NotFound
from alerts_service.models import MailKind
from alerts_service.services import claiming, preferences, proving, publishing
from tests.relays import Relay
from tests.scene import HOUR, MINUTE, Scene

SENT, FAILED, SUPPRESSED, GONE, PAUSED, EN, ES = (f"{name}@example.org" for name in "abcdefg")


def proof(scene: Scene, update: int) -> dict[str, Any]:
    return proving.proof(update, now=scene.now)


def all_fates(scene: Scene, relay: Relay) -> int:
    """Bring one update to seven people, each of whom it ends differently with; return the update."""
    for address in (SENT, FAILED, SUPPRESSED, GONE, PAUSED, EN):
        scene.follow(address, frequency="daily")
    scene.follow(ES, frequency="daily", locale="es")
    scene.deliver()
    update = scene.release("News", title_es="Noticias")
    scene.tick_at(14)
    assert proof(scene, update)["matched"] == proof(scene, update)["pending"] == 7
    scene.suppress(SUPPRESSED)
    scene.leave(GONE)
    preferences.pause(scene.preferences_token(PAUSED), until=None, **scene.at)
    relay.refusals[FAILED] = ["552 5.2.2 full"]
    relay.refusals[EN] = ["451 4.3.0 later"]
    scene.deliver()
    return update


def test_a_proof_counts_everybody_matched_by_what_became_of_them(scene: Scene, relay: Relay) -> None:
    update = all_fates(scene, relay)
    found = proof(scene, update)
    assert found == {
        "update": update,
        "title": "News",
        "matched": 7,
        "sent": 2,
        "pending": 1,
        "failed": 1,
        "cancelled": 3,
        "cancelled_by_reason": {"suppressed": 1, "left": 1, "paused": 1},
        "waiting_for_their_slot": {},
        "adds_up": True,
    }
    scene.now += 2 * MINUTE
    assert len(claiming.claim("a worker", 10, **scene.at, clock=scene.now).deliveries) == 1
    assert proof(scene, update)["pending"] == 1, "what is being sent is not lost from the sum"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM deliveries WHERE id = :sent",
        "UPDATE deliveries SET digest_id = :elsewhere WHERE id = :sent",
        "UPDATE digests SET recipients = recipients + 1 WHERE id = :digest",
        "DELETE FROM drops",
        "UPDATE drops SET recipients = 0",
        "INSERT INTO deliveries (kind, lane, edition_id, digest_id, state, created_at, due_at)"
        " SELECT kind, lane, edition_id, digest_id, 'pending', created_at, due_at FROM deliveries WHERE id = :sent",
    ],
)
def test_a_record_that_was_changed_does_not_add_up(scene: Scene, relay: Relay, change: str) -> None:
    for address in (SENT, GONE):
        scene.follow(address, "idd", "policy", frequency="daily")
    update, other = scene.release("News", "idd"), scene.release("Other", "policy")
    scene.tick_at(14)
    form: dict[str, Any] = {"topics": ["policy"], "frequency": None, "locale": "en", "page": "/", "network": ""}
    preferences.change(scene.preferences_token(GONE), **form, **scene.at)
    scene.deliver()
    assert proof(scene, update)["adds_up"]
    assert proof(scene, other)["adds_up"]
    sent, reduced = scene.deliveries(MailKind.DIGEST)
    with transaction() as session:
        session.execute(text(change), {"sent": sent.id, "digest": sent.digest_id, "elsewhere": reduced.digest_id})
    found = proof(scene, update)
    assert not found["adds_up"], found


def test_a_delivery_whose_fate_was_rewritten_shows_in_the_counts(scene: Scene, relay: Relay) -> None:
    update = all_fates(scene, relay)
    with transaction() as session:
        session.execute(text("UPDATE deliveries SET state = 'sent', sent_at = created_at WHERE state = 'failed'"))
    found = proof(scene, update)
    assert (found["sent"], found["failed"]) == (3, 0)


def test_an_update_nobody_was_matched_to_adds_up_to_nothing(scene: Scene) -> None:
    draft = scene.release("Draft", approve=False)
    nobody = scene.release("For nobody")
    for update in (draft, nobody):
        found = proof(scene, update)
        assert (found["matched"], found["sent"], found["cancelled"], found["adds_up"]) == (0, 0, 0, True)
        assert found["waiting_for_their_slot"] == {}
    with pytest.raises(NotFound):
        proof(scene, 999)


def test_who_still_waits_is_shown_apart_by_frequency_each_person_once(scene: Scene) -> None:
    scene.follow(SENT, "idd", frequency="daily")
    scene.follow(SENT, "policy", frequency="weekly")
    scene.follow(EN, "idd", frequency="weekly")
    scene.follow(GONE, "telehealth", frequency="weekly")
    scene.follow(PAUSED, "idd", frequency="weekly")
    preferences.pause(scene.preferences_token(PAUSED), until=None, **scene.at)
    update = scene.release("News", "idd", "policy")
    scene.follow(ES, "idd", frequency="weekly")
    found = proof(scene, update)
    assert (found["matched"], found["waiting_for_their_slot"]) == (0, {"daily": 1, "weekly": 1})
    scene.tick_at(14)
    found = proof(scene, update)
    assert (found["matched"], found["waiting_for_their_slot"]) == (1, {"weekly": 1})
    publishing.withdraw(update, reason="", now=scene.now)
    assert proof(scene, update)["waiting_for_their_slot"] == {}


def test_what_lapsed_after_the_compile_is_cancelled_with_its_reason(scene: Scene, relay: Relay) -> None:
    scene.follow(SENT, frequency="daily")
    scene.follow(EN, "idd", "policy", frequency="daily")
    expiring = scene.release("Expires", "idd", expires_at=scene.now + 3 * HOUR)
    withdrawn = scene.release("Withdrawn", "policy")
    kept = scene.release("Kept", "policy")
    scene.tick_at(14)
    publishing.withdraw(withdrawn, reason="", now=scene.now)
    scene.now += timedelta(hours=2)
    scene.deliver()
    assert proof(scene, expiring)["cancelled_by_reason"] == {"expired": 2}
    assert proof(scene, withdrawn)["cancelled_by_reason"] == {"withdrawn": 1}
    assert (proof(scene, kept)["matched"], proof(scene, kept)["sent"]) == (1, 1)
    assert all(proof(scene, update)["adds_up"] for update in (expiring, withdrawn, kept))


def test_a_pause_shows_as_cancelled_and_then_as_matched_again(scene: Scene, relay: Relay) -> None:
    scene.follow(SENT, frequency="daily")
    update = scene.release("News")
    scene.tick_at(14)
    preferences.pause(scene.preferences_token(SENT), until=scene.now + HOUR, **scene.at)
    scene.deliver()
    scene.tick_at(14, days=1)
    scene.deliver()
    found = proof(scene, update)
    assert (found["matched"], found["sent"], found["cancelled_by_reason"]) == (2, 1, {"paused": 1})
    assert found["adds_up"]
