"""Confirming a sign-up, and saying that it was somebody else's."""

import dataclasses

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db
from alerts_service.errors import LinkAltered, LinkExpired
from alerts_service.models import MailKind, Subscriber, Subscription
from alerts_service.rules import tokens
from alerts_service.services import consents, subscribers, subscribing, suppressing
from tests.scene import DAY, HOUR, Scene, at_once, no_room_for_deliveries, rows

ANN = "ann@example.org"


def kinds(scene: Scene) -> list[str]:
    return [row.kind for row in scene.deliveries()]


def consent_kinds(scene: Scene, address: str) -> list[str]:
    return [row.kind for row in consents.history(db.session(), scene.address_hash(address))]


def test_a_confirmation_that_fails_in_the_middle_leaves_nothing(scene: Scene) -> None:
    scene.ask(ANN)
    before, token = rows(), scene.confirm_token(ANN)
    with no_room_for_deliveries():
        with pytest.raises(DBAPIError):
            scene.confirm(token)
        assert rows() == before
        assert subscribers.state(ANN, **scene.at) == "pending"
    assert scene.confirm(token).confirmed


def test_looking_changes_nothing(scene: Scene) -> None:
    scene.ask(ANN, "idd", locale="es")
    before, token = rows(), scene.confirm_token(ANN)
    seen = subscribing.look(token, **scene.at)
    assert seen == subscribing.SignUpSeen(
        ANN, ["Discapacidades intelectuales y del desarrollo"], "weekly", "es", confirmed=False, left=False
    )
    not_me = tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(ANN), scene.now)
    assert subscribing.look_not_me(not_me, **scene.at) == seen
    assert rows() == before
    assert subscribers.state(ANN, **scene.at) == "pending"


def test_confirming_makes_subscriber_subscriptions_consent_and_welcome(scene: Scene) -> None:
    scene.ask(ANN, "idd", "policy", frequency="daily")
    before = rows()
    seen = scene.confirm(scene.confirm_token(ANN))
    added = {name: number - before[name] for name, number in rows().items() if number != before[name]}
    assert added == {"subscribers": 1, "subscriptions": 2, "catch_ups": 2, "consents": 1, "deliveries": 1}
    assert (seen.address, seen.frequency, seen.confirmed, len(seen.topics)) == (ANN, "daily", True, 2)
    assert kinds(scene) == [MailKind.CONFIRMATION, MailKind.WELCOME]
    assert consent_kinds(scene, ANN) == ["asked", "confirmed"]
    assert subscribers.state(ANN, **scene.at) == "active"


def test_confirming_again_answers_the_same_and_changes_nothing(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    first = scene.confirm(token)
    before = rows()
    scene.now += 6 * DAY
    assert scene.confirm(token) == first
    assert rows() == before


def test_confirming_again_does_not_bring_back_who_has_left_since(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    scene.confirm(token)
    scene.leave(ANN)
    scene.confirm(token)
    assert subscribers.state(ANN, **scene.at) == "unsubscribed"


def test_confirming_adds_new_topics_and_leaves_the_others_as_they_are(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy", frequency="weekly")
    scene.now += HOUR
    scene.follow(ANN, "policy", "telehealth", frequency="daily")
    shown = subscribers.show(ANN, **scene.at)["subscriptions"]
    assert {row["topic"]: row["frequency"] for row in shown} == {
        "idd": "weekly",
        "policy": "weekly",
        "telehealth": "daily",
    }
    assert all(row["ended_at"] is None for row in shown)
    assert kinds(scene).count(MailKind.WELCOME) == 2


def test_confirming_what_is_followed_already_sends_no_second_welcome(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.follow(ANN, "idd", frequency="daily")
    assert kinds(scene).count(MailKind.WELCOME) == 1


def test_two_confirmations_at_once_make_one_subscriber(scene: Scene) -> None:
    scene.ask(ANN, "idd")
    one = scene.confirm_token(ANN)
    scene.ask(ANN.upper(), "idd", "policy")
    other = scene.confirm_token("ANN@example.org")
    found = at_once(*(lambda token=token: scene.confirm(token).confirmed for token in (one, other, one, other)))
    assert found == [True] * 4
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == 1
    assert db.session.scalar(select(func.count()).select_from(Subscription)) == 2
    assert sorted(consent_kinds(scene, ANN)) == ["asked", "asked", "confirmed", "confirmed"]
    assert consents.verify(db.session(), scene.address_hash(ANN))


def test_a_link_that_is_too_old_confirms_nothing(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    scene.now += 7 * DAY
    before = rows()
    for act in (scene.confirm, lambda token: subscribing.look(token, **scene.at)):
        with pytest.raises(LinkExpired):
            act(token)
    assert rows() == before
    assert subscribers.state(ANN, **scene.at) == "none"


def test_a_link_to_a_sign_up_that_was_deleted_has_expired(scene: Scene) -> None:
    token = tokens.confirm_token(scene.settings.secret_keys, 999, scene.now)
    for act in (scene.confirm, lambda token: subscribing.look(token, **scene.at)):
        with pytest.raises(LinkExpired):
            act(token)


def test_not_me_ends_the_sign_up_for_good(scene: Scene) -> None:
    scene.ask(ANN)
    token = tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(ANN), scene.now)
    for _ in range(2):
        subscribing.not_me(token, **scene.at)
    assert subscribers.state(ANN, **scene.at) == "none"
    assert consent_kinds(scene, ANN) == ["asked", "denied"]
    with pytest.raises(LinkExpired):
        scene.confirm(scene.confirm_token(ANN))


def test_not_me_after_the_button_was_pressed_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    before = rows()
    subscribing.not_me(tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(ANN), scene.now), **scene.at)
    assert rows() == before
    assert subscribers.state(ANN, **scene.at) == "active"


def test_a_key_that_was_rotated_out_ends_links_that_wait(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    new = "second-secret-key-of-the-tests-01234"
    scene.settings = dataclasses.replace(scene.settings, secret_keys=(new, *scene.settings.secret_keys))
    assert subscribing.look(token, **scene.at).address == ANN
    scene.settings = dataclasses.replace(scene.settings, secret_keys=(new,))
    with pytest.raises(LinkAltered):
        subscribing.look(token, **scene.at)


def test_an_own_confirmation_lifts_a_bounce_and_a_complaint_but_not_an_operators_stop(scene: Scene) -> None:
    for address, reason, after in (
        ("bounced@example.org", suppressing.BOUNCE, "active"),
        ("complained@example.org", suppressing.COMPLAINT, "active"),
        ("stopped@example.org", suppressing.OPERATOR, "suppressed"),
    ):
        scene.ask(address)
        token = scene.confirm_token(address)
        scene.suppress(address, reason)
        assert subscribers.state(address, **scene.at) == "suppressed"
        scene.confirm(token)
        assert subscribers.state(address, **scene.at) == after
