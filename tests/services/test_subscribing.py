"""Asking to follow topics."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db
from alerts_service.errors import AddressMissing, Invalid, Refused
from alerts_service.models import Delivery, MailKind, SignUp, Subscription
from alerts_service.services import consents, subscribers, subscribing
from tests.scene import DAY, Scene, at_once, no_room_for_deliveries, rows

ANN = "ann@example.org"


def kinds(scene: Scene) -> list[str]:
    return [row.kind for row in scene.deliveries()]


def test_asking_writes_sign_up_consent_and_mail(scene: Scene) -> None:
    before = rows()
    scene.ask(ANN, "idd", "policy", frequency="daily", source="poster", page="/topics/idd")
    added = {name: number - before[name] for name, number in rows().items() if number != before[name]}
    assert added == {"sign_ups": 1, "sign_up_topics": 2, "consents": 1, "wordings": 1, "deliveries": 1}
    consent = consents.history(db.session(), scene.address_hash(ANN))[0]
    assert consent.facts == {
        "topics": ["policy", "idd"] if consent.facts["topics"][0] == "policy" else ["idd", "policy"],
        "frequency": "daily",
        "source": "poster",
        "page": "/topics/idd",
    }
    assert consent.personal == {"address": ANN, "network": "192.0.2.1"}
    assert subscribers.state(ANN, **scene.at) == "pending"


def test_a_sign_up_that_fails_in_the_middle_leaves_nothing(scene: Scene) -> None:
    before = rows()
    with no_room_for_deliveries():
        with pytest.raises(DBAPIError):
            scene.ask(ANN)
        assert rows() == before
    scene.ask(ANN)
    assert subscribers.state(ANN, **scene.at) == "pending"


def test_all_errors_of_a_form_are_found_at_once_and_nothing_is_written(scene: Scene) -> None:
    before = rows()
    with pytest.raises(Invalid) as refused:
        scene.ask("ann@", "idd", "no-such-topic", "a\x00b", frequency="hourly", source="x" * 201)
    assert [error.field for error in refused.value.errors] == ["topics", "topics", "frequency", "email", ""]
    assert all(str(error).isprintable() for error in refused.value.errors)
    assert rows() == before


def test_a_form_without_topics_or_address_is_asked_for_both(scene: Scene) -> None:
    asked = subscribing.Asked("", (), "weekly", "en", "", "/", "", "")
    with pytest.raises(Invalid) as refused:
        subscribing.ask(asked, **scene.at)
    assert [error.field for error in refused.value.errors] == ["topics", "email"]
    assert isinstance(refused.value.errors[1], AddressMissing)
    assert all(isinstance(error, Refused) for error in refused.value.errors)


def test_one_mailbox_gets_three_mails_a_day_whatever_its_spelling(scene: Scene) -> None:
    for address in (ANN, "a.nn@example.org", "ann+alerts@example.org"):
        scene.ask(address)
    before = rows()
    for address in (ANN, "ANN@EXAMPLE.ORG", "a.n.n@example.org", "ann+other@example.org"):
        scene.ask(address, "policy")
    assert rows() == before, "above the cap nothing is written"
    scene.ask("bob@example.org")
    scene.now += DAY - timedelta(seconds=1)
    scene.ask(ANN)
    assert len(scene.deliveries()) == 4
    scene.now += timedelta(seconds=1)
    scene.ask(ANN)
    assert len(scene.deliveries()) == 5


def test_many_requests_at_once_do_not_pass_the_cap(scene: Scene) -> None:
    variants = [f"ann+{n}@example.org" for n in range(8)]
    found = at_once(*(lambda address=address: scene.ask(address) for address in variants))
    assert found == [None] * 8
    assert len(scene.deliveries()) == subscribing.MAILS_A_DAY


def test_a_topic_never_confirmed_can_be_asked_for_again(scene: Scene) -> None:
    scene.ask(ANN)
    first = scene.confirm_token(ANN)
    scene.ask(ANN)
    assert kinds(scene) == [MailKind.CONFIRMATION] * 2
    for token in (scene.confirm_token(ANN), first):
        assert scene.confirm(token).confirmed
    assert db.session.scalar(select(func.count()).select_from(Subscription)) == 1


def test_a_known_address_gets_a_mail_that_says_so(scene: Scene) -> None:
    scene.follow(ANN)
    scene.suppress("sue@example.org")
    for address in (ANN, "new@example.org", "sue@example.org"):
        scene.ask(address, "policy")
    assert kinds(scene)[-3:] == [MailKind.ALREADY_SUBSCRIBED, MailKind.CONFIRMATION, MailKind.CONFIRMATION]


def test_somebody_who_has_left_is_asked_to_confirm_like_anybody(scene: Scene) -> None:
    scene.follow(ANN)
    scene.leave(ANN)
    scene.ask(ANN)
    assert kinds(scene)[-1] == MailKind.CONFIRMATION
    assert subscribers.state(ANN, **scene.at) == "pending"


def test_a_sign_up_row_keeps_no_more_than_was_asked(scene: Scene) -> None:
    scene.ask("Ann@Bücher.example", "idd")
    sign_up = db.session.scalars(select(SignUp)).one()
    assert sign_up.address == "Ann@xn--bcher-kva.example"
    delivery = db.session.scalars(select(Delivery)).one()
    assert delivery.details == {"sign_up": sign_up.id, "locale": "en"}
