"""Leaving by the link in a mail: everything, or only the topics of the digest it came from."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db
from alerts_service.errors import LinkAltered
from alerts_service.models import Delivery, Drop, MailKind, Subscriber, Subscription
from alerts_service.rules import tokens
from alerts_service.services import consents, explaining, leaving, preferences, proving, subscribers
from tests.relays import Relay
from tests.scene import HOUR, Scene, at_once, no_room_in, rows

ANN = "ann@example.org"
BOB = "bob@example.org"


def followed(scene: Scene, address: str) -> dict[str, str]:
    """What somebody follows now, and how often."""
    shown = subscribers.show(address, **scene.at)["subscriptions"]
    return {row["topic"]: row["frequency"] for row in shown if row["ended_at"] is None}


def withdrawals(scene: Scene, address: str) -> list[list[str]]:
    """The topics of each withdrawal in somebody's consent record."""
    history = consents.history(db.session(), scene.address_hash(address))
    return [row.facts["ended"] for row in history if row.kind == "withdrawn"]


def fates(scene: Scene, kind: str = MailKind.DIGEST) -> list[tuple[str, str | None]]:
    return [(row.state, row.reason) for row in scene.deliveries(kind)]


def test_one_click_ends_every_subscription_and_records_it_once(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    scene.follow(BOB)
    before = rows()
    scene.leave(ANN)
    added = {name: number - before[name] for name, number in rows().items() if number != before[name]}
    assert added == {"consents": 1, "catch_ups": -2, "deliveries": 1}, "the goodbye"
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"
    assert [sorted(topics) for topics in withdrawals(scene, ANN)] == [["idd", "policy"]]
    assert consents.verify(db.session(), scene.address_hash(ANN))
    assert followed(scene, BOB) == {"idd": "weekly"}
    assert subscribers.state(BOB, **scene.at) == "active"


def test_leaving_again_answers_the_same_and_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.unsubscribe_token(ANN)
    scene.leave(ANN)
    before, ended = rows(), scene.subscriber(ANN).ended_at
    scene.now += HOUR
    for only_these in (False, True):
        leaving.leave(token, only_these=only_these, page="/", network="", **scene.at)
    assert rows() == before
    assert scene.subscriber(ANN).ended_at == ended


def test_two_clicks_at_once_are_recorded_once(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.unsubscribe_token(ANN)
    click: dict[str, Any] = {"only_these": False, "page": "/", "network": ""} | scene.at
    undos = [undo for undo in at_once(*[lambda: leaving.leave(token, **click)] * 4) if undo]
    assert len(undos) == 1, "the click that ended it can be undone, and no other"
    db.session.rollback()
    assert withdrawals(scene, ANN) == [["idd"]]
    assert consents.verify(db.session(), scene.address_hash(ANN))


def test_only_the_topics_of_the_digest_are_ended_when_that_is_asked(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy", "telehealth")
    scene.release("Both", "idd", "policy")
    scene.tick_at(14, days=1)
    token = scene.unsubscribe_token(ANN, scene.digest_of(ANN).id)
    seen = leaving.look(token, settings=scene.settings)
    assert len(seen.following) == 3
    assert len(seen.these) == 2
    leaving.leave(token, only_these=True, page="/", network="", **scene.at)
    assert followed(scene, ANN) == {"telehealth": "weekly"}
    assert subscribers.state(ANN, **scene.at) == "active"
    assert [sorted(topics) for topics in withdrawals(scene, ANN)] == [["idd", "policy"]]


def test_a_digest_s_topics_may_be_all_that_one_follows(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.release("One", "idd")
    scene.tick_at(14, days=1)
    scene.leave(ANN, digest_id=scene.digest_of(ANN).id, only_these=True)
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"


def test_a_link_that_came_with_no_digest_has_no_topics_of_its_own(scene: Scene) -> None:
    scene.follow(ANN)
    before = rows()
    scene.leave(ANN, only_these=True)
    assert rows() == before
    assert subscribers.state(ANN, **scene.at) == "active"


def test_looking_shows_what_would_end_and_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN, "idd", locale="es")
    before = rows()
    seen = leaving.look(scene.unsubscribe_token(ANN), settings=scene.settings)
    assert seen.following == ["Discapacidades intelectuales y del desarrollo"]
    assert (seen.these, seen.locale) == ([], "es")
    assert ANN not in seen.masked_address
    assert rows() == before


def test_an_altered_or_foreign_link_ends_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.unsubscribe_token(ANN)
    key = scene.settings.permanent_key or ""
    swapped = ("A" if token[0] != "A" else "B") + token[1:]
    others = [swapped, token[:-1], token + "A", "", "a" * len(token), scene.preferences_token(ANN)]
    others += [tokens.digest_token(key, 1), tokens.unsubscribe_token("another-permanent-key-of-32-chars", 1, 0)]
    others += [tokens.unsubscribe_token(key, 999, 0)]
    before = rows()
    for other in others:
        with pytest.raises(LinkAltered):
            leaving.look(other, settings=scene.settings)
        with pytest.raises(LinkAltered):
            leaving.leave(other, only_these=False, page="/", network="", **scene.at)
    assert rows() == before


def test_a_link_works_years_later_and_after_every_secret_key_was_replaced(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.unsubscribe_token(ANN)
    scene.settings = dataclasses.replace(scene.settings, secret_keys=("another-secret-key-of-the-tests-0123",))
    scene.now += 4000 * 24 * HOUR
    leaving.leave(token, only_these=False, page="/", network="", **scene.at)
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"


def test_a_digest_already_queued_is_not_sent_to_who_has_left(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN)
    scene.follow(BOB)
    update = scene.release("News")
    scene.deliver()
    scene.tick_at(14, days=1)
    scene.leave(ANN)
    before = len(relay.to(ANN))
    scene.deliver()
    (goodbye,) = relay.to(ANN)[before:]
    assert "/undo/" in goodbye.part("plain")
    assert relay.to(BOB)[-1].message["Subject"] == "News"
    assert fates(scene) == [("cancelled", "left"), ("sent", None)]
    proof = proving.proof(update, now=scene.now)
    assert (proof["matched"], proof["sent"], proof["cancelled_by_reason"]) == (2, 1, {"left": 1})
    assert proof["adds_up"]
    assert explaining.explain(ANN, update, **scene.at)["answer"] == "cancelled"


def test_a_welcome_already_queued_is_not_sent_to_who_has_left(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN)
    scene.leave(ANN)
    scene.follow(BOB)
    scene.deliver()
    confirmation, goodbye = relay.to(ANN)
    assert confirmation.message["Subject"] == relay.to(BOB)[0].message["Subject"]
    assert "/undo/" in goodbye.part("plain")
    assert fates(scene, MailKind.WELCOME) == [("cancelled", "left"), ("sent", None)]


def test_a_topic_left_after_the_compile_is_taken_out_of_the_digest_and_counted(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, "idd", "policy")
    scene.follow(BOB, "idd", "policy")
    first, second = scene.release("First", "idd"), scene.release("Second", "policy")
    scene.deliver()
    scene.tick_at(14, days=1)
    preferences.change(
        scene.preferences_token(ANN),
        topics=["policy"],
        frequency=None,
        locale="en",
        page="/",
        network="",
        **scene.at,
    )
    scene.deliver()
    assert relay.to(ANN)[-1].message["Subject"] == "Second"
    assert "First" not in relay.to(ANN)[-1].part("plain")
    assert "First" in relay.to(BOB)[-1].part("plain")
    assert [(row.update_id, row.reason, row.recipients) for row in db.session.scalars(select(Drop))] == [
        (first, "left", 1)
    ]
    for update, sent, cancelled in ((first, 1, {"left": 1}), (second, 2, {})):
        proof = proving.proof(update, now=scene.now)
        assert (proof["matched"], proof["sent"], proof["cancelled_by_reason"]) == (2, sent, cancelled)
        assert proof["adds_up"]


def test_leaving_by_preferences_ends_the_same(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    token = scene.preferences_token(ANN)
    for _ in range(2):
        preferences.leave_all(token, page="/preferences", network="", **scene.at)
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"
    assert len(withdrawals(scene, ANN)) == 1


def test_leaving_that_fails_in_the_middle_leaves_nothing_half_written(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    before = rows()
    with no_room_in("consents"), pytest.raises(DBAPIError):
        scene.leave(ANN)
    assert rows() == before
    assert followed(scene, ANN) == {"idd": "weekly", "policy": "weekly"}
    assert scene.subscriber(ANN).narrowed_at is None
    scene.leave(ANN)
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"


def test_leaving_while_confirming_anew_ends_one_way_or_the_other(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    link = scene.unsubscribe_token(ANN)
    scene.ask(ANN, "policy")
    button = scene.confirm_token(ANN)
    click: dict[str, Any] = {"only_these": False, "page": "/", "network": ""} | scene.at
    found = at_once(lambda: leaving.leave(link, **click), lambda: scene.confirm(button))
    assert not [outcome for outcome in found if isinstance(outcome, Exception)]
    db.session.rollback()
    left = scene.subscriber(ANN).ended_at is not None
    assert followed(scene, ANN) == ({} if left else {"policy": "weekly"})
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == 1
    assert db.session.scalar(select(func.count()).select_from(Subscription)) == 2
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 5, "a goodbye, too, sent or not"
