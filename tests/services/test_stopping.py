"""The switch that stops confirmations, and the alarm before it."""

from datetime import datetime, timedelta

from sqlalchemy import insert

from alerts_service.db import table, transaction
from alerts_service.models import DeliveryState, MailKind, SignUp
from alerts_service.services import preferences, stopping, surges
from tests.scene import DAY, HOUR, MINUTE, Scene, rows

ANN, BOB = "ann@example.org", "bob@example.org"


def test_while_sign_ups_are_stopped_nothing_is_written_and_what_waits_is_not_mailed(scene: Scene) -> None:
    scene.follow(BOB)
    scene.ask(BOB, "policy")
    scene.ask(ANN)
    link = scene.confirm_token(ANN)
    assert stopping.stop("an attack", now=scene.now) == 3
    ended = {row.kind: (row.state, row.reason) for row in scene.deliveries()}
    cancelled = (DeliveryState.CANCELLED, "sign-ups stopped")
    assert ended.pop(MailKind.WELCOME) == (DeliveryState.PENDING, None), "it was asked for and confirmed"
    assert ended == {MailKind.CONFIRMATION: cancelled, MailKind.ALREADY_SUBSCRIBED: cancelled}
    before = rows()
    for address in (ANN, BOB, "new@example.org"):
        scene.ask(address, "dementia")
        preferences.ask_link(address, locale="en", **scene.at)
    assert rows() == before | {"deliveries": before["deliveries"] + 1}, "only a subscriber is still written to"
    assert scene.deliveries(MailKind.PREFERENCES_LINK)[0].address == BOB
    assert stopping.stop("once more", now=scene.now + HOUR) == 0
    assert stopping.since_when() == stopping.Stopped(scene.now, "once more")
    assert scene.confirm(link).confirmed, "a link that somebody has still works"

    assert stopping.resume()
    assert not stopping.resume()
    assert stopping.since_when() is None
    scene.ask("new@example.org")
    assert rows()["sign_ups"] == before["sign_ups"] + 1


def sign_ups(number: int, at: datetime) -> None:
    """Let so many sign up at a moment."""
    fixed = {"address_hash": "h", "mailbox_hash": "h", "frequency": "weekly", "locale": "en", "source": ""}
    row = fixed | {"address": ANN, "requested_at": at, "expires_at": at + 7 * DAY}
    with transaction() as session:
        session.execute(insert(table(SignUp)), [row] * number)


def test_a_surge_is_said_once_when_it_begins_and_once_when_it_ends(scene: Scene) -> None:
    now = scene.now
    for day, number in ((2, 20), (3, 30), (5, 500)):
        sign_ups(number, now - day * DAY)
    sign_ups(400, now - 8 * DAY)
    sign_ups(300, now - 5 * HOUR)  # part of the attack, not of what is usual
    sign_ups(120, now - 10 * MINUTE)
    sign_ups(1, now - 2 * HOUR)
    usual = surges.watch(now=now)
    assert (usual.last_hour, usual.most, usual.since, usual.begun, usual.ended) == (120, 120, None, False, False)
    sign_ups(1, now - MINUTE)
    assert surges.look(now=now).since is None, "looking keeps nothing"
    assert surges.since_when() is None
    begun = surges.watch(now=now)
    assert (begun.last_hour, begun.since, begun.begun) == (121, now, True)
    again = surges.watch(now=now + MINUTE)
    assert (again.since, again.begun, again.ended) == (now, False, False)
    assert surges.since_when() == now
    ended = surges.watch(now=now + HOUR)
    assert (ended.last_hour, ended.since, ended.ended) == (0, None, True)
    assert surges.since_when() is None
    assert not surges.watch(now=now + HOUR + timedelta(minutes=1)).ended
