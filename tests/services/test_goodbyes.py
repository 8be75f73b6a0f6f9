"""The goodbye to who has left everything, and the undo that it carries."""

import dataclasses
import re
from datetime import timedelta

import pytest

from alerts_service.db import db
from alerts_service.errors import LinkExpired
from alerts_service.models import MailKind
from alerts_service.rules import tokens
from alerts_service.services import consents, goodbyes, preferences, proving, subscribers
from tests.relays import Relay
from tests.scene import DAY, HOUR, MINUTE, WORDS, Scene, at_once, rows

ANN, BOB = "ann@example.org", "bob@example.org"
CARRIED = ("topic", "frequency", "followed_since")


def link(relay: Relay, address: str = ANN) -> str:
    """The undo link in the newest mail to somebody."""
    found = re.search(r"/undo/(\S+)", relay.to(address)[-1].part("plain"))
    assert found
    return found[1]


def undo(scene: Scene, token: str) -> None:
    goodbyes.undo(token, wording=WORDS, page="/undo", network="192.0.2.1", **scene.at)


def followed(scene: Scene) -> list[list[str]]:
    shown = subscribers.show(ANN, **scene.at)["subscriptions"]
    return sorted([row[name] for name in CARRIED] for row in shown if row["ended_at"] is None)


def kinds(scene: Scene) -> list[str]:
    return [row.kind for row in consents.history(db.session(), scene.address_hash(ANN))]


def test_one_goodbye_goes_to_who_leaves_everything_and_its_undo_brings_all_back_as_it_was(
    scene: Scene, relay: Relay
) -> None:
    scene.follow(ANN, "idd", "policy", frequency="daily", locale="es")
    scene.follow(ANN, "telehealth", frequency="weekly")
    scene.deliver()
    before = followed(scene)
    scene.now += HOUR
    for _ in range(2):
        scene.leave(ANN)
    scene.deliver()
    assert [row.state for row in scene.deliveries(MailKind.GOODBYE)] == ["sent"]
    assert relay.to(ANN)[-1].message["Subject"].startswith("Se ha dado de baja de las alertas")
    token, untouched = link(relay), rows()
    seen = goodbyes.look(token, **scene.at)
    assert (seen.back, len(seen.topics), seen.locale, ANN in seen.masked_address) == (False, 3, "es", False)
    assert rows() == untouched
    scene.now += 28 * DAY - HOUR
    assert at_once(*[lambda: undo(scene, token)] * 3) == [None] * 3
    db.session.rollback()
    assert followed(scene) == before
    assert subscribers.state(ANN, **scene.at) == "active"
    assert goodbyes.look(token, **scene.at).back
    assert kinds(scene)[-2:] == ["withdrawn", "undone"]
    assert consents.verify(db.session(), scene.address_hash(ANN))


def test_what_came_out_or_was_taken_back_meanwhile_is_owed_once_and_what_was_given_is_not(
    scene: Scene, relay: Relay
) -> None:
    scene.follow(ANN, frequency="daily")
    scene.follow(BOB, frequency="daily")
    given = scene.release("Given")
    scene.tick_at(14)
    scene.deliver()
    taken = scene.release("Taken back")
    scene.tick_at(14, days=1)
    scene.leave(ANN)
    scene.deliver()
    missed = scene.release("Missed")
    scene.tick_at(14, days=1)
    scene.deliver()
    before = len(relay.to(ANN))
    undo(scene, link(relay))
    scene.tick_at(14, days=1)
    scene.deliver()
    scene.tick_at(14, days=1)
    scene.deliver()
    (digest,) = relay.to(ANN)[before:]
    text = digest.part("plain")
    assert ("Given" in text, "Taken back" in text, "Missed" in text) == (False, True, True)
    for update, sent in ((given, 2), (taken, 2), (missed, 2)):
        proof = proving.proof(update, now=scene.now)
        assert (proof["sent"], proof["adds_up"]) == (sent, True)


def test_an_undo_lifts_the_end_it_was_mailed_for_and_no_other(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, "idd")
    scene.leave(ANN)
    scene.deliver()
    first = link(relay)
    scene.now += HOUR
    scene.follow(ANN, "policy")
    before = rows()
    undo(scene, first)
    assert rows() == before
    assert goodbyes.look(first, **scene.at).back
    scene.now += HOUR
    scene.leave(ANN)
    before = rows()
    undo(scene, first)
    with pytest.raises(LinkExpired):
        goodbyes.look(first, **scene.at)
    assert rows() == before
    scene.deliver()
    undo(scene, link(relay))
    assert [row[0] for row in followed(scene)] == ["policy"]


def test_after_28_days_the_end_is_final_and_a_suppression_always_is(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN)
    scene.leave(ANN)
    scene.deliver()
    token = link(relay)
    scene.suppress(ANN)
    scene.now += 28 * DAY
    undo(scene, token)
    assert subscribers.state(ANN, **scene.at) == "suppressed"
    scene.now += timedelta(seconds=1)
    for act in (undo, lambda scene, token: goodbyes.look(token, **scene.at)):
        with pytest.raises(LinkExpired):
            act(scene, token)


def test_no_goodbye_goes_to_who_came_back_keeps_a_topic_or_where_it_is_turned_off(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, "idd")
    scene.leave(ANN)
    scene.now += MINUTE
    scene.follow(ANN, "idd", "policy")
    scene.deliver()
    assert [(row.state, row.reason) for row in scene.deliveries(MailKind.GOODBYE)] == [("cancelled", "came back")]
    change = {"topics": ["idd"], "frequency": None, "locale": "en", "page": "/", "network": ""}
    preferences.change(scene.preferences_token(ANN), **change, **scene.at)  # type: ignore[arg-type]  # of any type
    assert len(scene.deliveries(MailKind.GOODBYE)) == 1
    scene.settings = dataclasses.replace(scene.settings, goodbye=False)
    scene.leave(ANN)
    assert len(scene.deliveries(MailKind.GOODBYE)) == 1


def test_a_mailbox_gets_three_goodbyes_a_day_at_most(scene: Scene) -> None:
    scene.follow(ANN)
    for _ in range(5):
        scene.now += MINUTE
        left = scene.now
        preferences.leave_all(scene.preferences_token(ANN), page="/", network="", **scene.at)
        undo(scene, tokens.undo_token(scene.settings.secret_keys, scene.subscriber(ANN).id, left))
    assert len(scene.deliveries(MailKind.GOODBYE)) == 3
