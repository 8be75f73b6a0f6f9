"""Sign-ups that nobody has confirmed: reminded of once, deleted when their link has expired."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.errors import LinkExpired
from alerts_service.models import MailKind, SignUp
from alerts_service.rules import tokens
from alerts_service.services import consents, stopping, subscribers, subscribing, unconfirmed
from tests.relays import Relay
from tests.scene import DAY, HOUR, MINUTE, Scene, at_once

ANN, BOB, CY, DOT = (f"{name}@example.org" for name in ("ann", "bob", "cy", "dot"))


def asked(scene: Scene, *addresses: str, locale: str = "en") -> None:
    """Sign up, and have the confirmation sent."""
    for address in addresses:
        scene.ask(address, locale=locale)
    scene.deliver()


def remind(scene: Scene, after: timedelta = timedelta(0)) -> int:
    scene.now += after
    return unconfirmed.remind(now=scene.now)


def reminded(scene: Scene) -> list[str]:
    return sorted(str(row.address) for row in scene.deliveries(MailKind.REMINDER))


def test_a_sign_up_is_reminded_of_once_after_48_hours_and_confirmed_by_that_link(scene: Scene, relay: Relay) -> None:
    asked(scene, ANN, locale="es")
    assert remind(scene, 48 * HOUR - MINUTE) == 0
    assert remind(scene, MINUTE) == 1
    assert [remind(scene, DAY) for _ in range(3)] == [0, 0, 0]
    scene.deliver()
    _, reminder = relay.to(ANN)
    assert reminder.message["Subject"].startswith("Recordatorio: ")
    text = " ".join(reminder.part("plain").split())
    assert "lunes, 30 de noviembre de 2026" in text
    link = re.search(r"/confirm/(\S+)", text)
    assert link
    scene.confirm(link[1])
    assert subscribers.state(ANN, **scene.at) == "active"


def test_only_who_was_asked_and_has_not_answered_is_reminded(scene: Scene) -> None:
    scene.follow(ANN, "policy")
    asked(scene, ANN, BOB, CY, "dot+a@example.org")
    scene.confirm(scene.confirm_token(BOB))
    not_me = tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(CY), scene.now)
    subscribing.not_me(not_me, **scene.at)
    scene.now += DAY
    asked(scene, "dot+b@example.org")
    scene.ask("never-sent@example.org")
    assert remind(scene, DAY) == 0
    assert remind(scene, DAY) == 1
    assert reminded(scene) == ["dot+b@example.org"], "the newest of a mailbox, however it is spelled"


def test_a_reminder_that_waits_is_called_off_by_the_answer(scene: Scene, relay: Relay) -> None:
    asked(scene, ANN, BOB)
    assert remind(scene, 2 * DAY) == 2
    scene.confirm(scene.confirm_token(ANN))
    not_me = tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(BOB), scene.now)
    subscribing.not_me(not_me, **scene.at)
    scene.deliver()
    assert [(row.state, row.reason) for row in scene.deliveries(MailKind.REMINDER)] == [("cancelled", "answered")] * 2
    assert len(relay.to(BOB)) == 1


def test_a_reminder_counts_among_the_mails_of_the_day(scene: Scene) -> None:
    asked(scene, ANN)
    remind(scene, 2 * DAY)
    for _ in range(4):
        scene.ask(ANN)
    assert len(scene.deliveries()) == 1 + 3
    scene.now += DAY + MINUTE
    scene.ask(ANN)
    assert len(scene.deliveries()) == 1 + 3 + 1


def test_nobody_is_reminded_while_sign_ups_are_stopped(scene: Scene) -> None:
    asked(scene, ANN)
    stopping.stop("an attack", now=scene.now)
    assert remind(scene, 2 * DAY) == 0
    stopping.resume()
    assert remind(scene) == 1
    assert stopping.stop("once more", now=scene.now) == 1, "a reminder that waits is not mailed either"


def test_two_schedulers_at_once_remind_once_and_a_late_one_not_in_vain(scene: Scene) -> None:
    asked(scene, ANN, BOB, CY)
    scene.now += 5 * DAY
    asked(scene, DOT)
    assert sum(at_once(*[lambda: unconfirmed.remind(now=scene.now)] * 4)) == 3
    assert reminded(scene) == [ANN, BOB, CY]
    assert remind(scene, DAY + HOUR) == 0, "not yet"
    assert remind(scene, DAY) == 1
    scene.deliver()
    scene.now += 20 * DAY
    asked(scene, "late@example.org")
    assert remind(scene, 6 * DAY) == 0, "its link is good for a day only"


def test_what_was_not_confirmed_is_deleted_7_days_after_its_link_expired_and_nothing_else(scene: Scene) -> None:
    asked(scene, ANN, BOB)
    scene.confirm(scene.confirm_token(BOB))
    assert unconfirmed.remind(now=scene.now + 3 * DAY) == 1
    scene.now += 3 * DAY
    token = scene.confirm_token(ANN)  # as in the reminder
    scene.now += 4 * DAY + 7 * DAY - MINUTE
    assert unconfirmed.purge(now=scene.now) == 0
    scene.now += MINUTE
    assert sum(at_once(*[lambda: unconfirmed.purge(now=scene.now)] * 3)) == 1
    assert unconfirmed.purge(now=scene.now) == 0
    db.session.rollback()
    assert list(db.session.scalars(select(SignUp.address))) == [BOB]
    assert consents.verify(db.session(), scene.address_hash(ANN))
    with pytest.raises(LinkExpired):
        scene.confirm(token)
    scene.deliver()
    assert scene.deliveries(MailKind.REMINDER)[0].state == "failed", "it has no link to offer"
