"""Suppressions: who is mailed nothing, and what lifts that."""

import dataclasses

import pytest
from sqlalchemy import func, select

from alerts_service.db import db
from alerts_service.errors import AddressRefused, NotFound, WrongState
from alerts_service.models import Suppression
from alerts_service.services import subscribers, suppressing
from tests.relays import Relay
from tests.scene import DAY, Scene, at_once, rows

ANN = "ann@example.org"


def lift(scene: Scene, address: str = ANN, reason: str = "asked again") -> None:
    suppressing.lift(address, reason, **scene.at)


def test_all_mail_already_queued_ends_at_the_claim_and_none_is_sent(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.release("News")
    scene.tick_at(14)
    scene.suppress(ANN.upper())
    assert scene.deliver().cancelled == 3
    assert [(row.kind, row.state, row.reason) for row in scene.deliveries()] == [
        (kind, "cancelled", "suppressed") for kind in ("confirmation", "welcome", "digest")
    ]
    assert relay.received == []


def test_suppressing_again_changes_nothing_also_at_once(scene: Scene) -> None:
    scene.suppress(ANN, suppressing.OPERATOR)
    before, first = rows(), suppressing.listing()
    scene.now += DAY
    scene.suppress(ANN, suppressing.BOUNCE)
    assert rows() == before
    assert suppressing.listing() == first
    assert at_once(*[lambda: scene.suppress("bob@example.org")] * 4) == [None] * 4
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 2


def test_an_operator_lifts_what_is_not_a_complaint_and_says_why(scene: Scene) -> None:
    for reason in (suppressing.OPERATOR, suppressing.BOUNCE):
        scene.suppress(ANN, reason)
        lift(scene, ANN.upper(), "x" * 300)
        assert suppressing.listing() == []
    kept = db.session.scalars(select(Suppression).order_by(Suppression.id)).all()
    assert [(row.reason, row.lifted_at, row.lifted_reason) for row in kept] == [
        ("operator", scene.now, "x" * 200),
        ("bounce", scene.now, "x" * 200),
    ]


def test_a_complaint_is_lifted_by_nobody_but_the_person(scene: Scene) -> None:
    scene.follow(ANN)
    scene.suppress(ANN, suppressing.COMPLAINT)
    with pytest.raises(WrongState):
        lift(scene)
    assert subscribers.state(ANN, **scene.at) == "suppressed"
    scene.follow(ANN, "policy")
    assert subscribers.state(ANN, **scene.at) == "active"
    with pytest.raises(NotFound):
        lift(scene)


def test_a_complaint_takes_the_place_of_a_bounce_and_nothing_takes_its_place(scene: Scene) -> None:
    scene.suppress(ANN, suppressing.BOUNCE)
    scene.suppress(ANN, suppressing.COMPLAINT)
    with pytest.raises(WrongState):
        lift(scene)
    before = rows()
    for reason in (suppressing.OPERATOR, suppressing.BOUNCE, suppressing.COMPLAINT):
        scene.suppress(ANN, reason)
    assert rows() == before
    assert [found["reason"] for found in suppressing.listing()] == ["complaint"]


def test_what_is_no_address_is_refused(scene: Scene) -> None:
    for act in (scene.suppress, lambda address: lift(scene, address)):
        with pytest.raises(AddressRefused):
            act("ann@")


def test_a_suppression_outlives_every_secret_key(scene: Scene) -> None:
    scene.suppress(ANN)
    scene.settings = dataclasses.replace(scene.settings, secret_keys=("another-secret-key-of-the-tests-0123",))
    assert subscribers.state(ANN, **scene.at) == "suppressed"


def test_the_list_names_an_address_only_where_a_subscriber_has_it(scene: Scene) -> None:
    scene.follow(ANN)
    scene.suppress(ANN)
    scene.now += DAY
    suppressing.suppress("nobody@example.org", suppressing.BOUNCE, "y" * 600, **scene.at)
    known, unknown = suppressing.listing()
    assert (known["address"], known["reason"]) == (ANN, "operator")
    assert unknown["address"] == f"hash {scene.address_hash('nobody@example.org')[:16]}"
    assert unknown["detail"] == "y" * 500
    assert "nobody@example.org" not in str(vars(db.session.scalars(select(Suppression)).all()[1]))
