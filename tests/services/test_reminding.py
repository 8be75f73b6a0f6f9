"""Reminders: one the day before an event, to those who were sent it and still follow; outside every proof."""

import dataclasses
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import REMINDER, CatchUp, Delivery, Edition, Update
from alerts_service.services import editions, explaining, preferences, proving, publishing, steering, tallying
from alerts_service.services.reminding import due_at
from alerts_service.services.restore import reconciling
from tests.databases import ON_SQLITE
from tests.fenced import Sender, copy_of
from tests.relays import Relay
from tests.scene import HOUR, Scene, at_once

ANN, BEN, CY, DEE, FAY = (f"{name}@example.org" for name in ("ann", "ben", "cy", "dee", "fay"))
# Noon in New York, a Friday; the reminder is due on the Thursday at 09:00 there, 14:00 UTC.
STARTS = datetime(2026, 12, 11, 17, tzinfo=UTC)


@pytest.fixture
def reminding(scene: Scene) -> Scene:
    """An installation that reminds at 09:00."""
    scene.settings = dataclasses.replace(scene.settings, remind_at=time(9))
    return scene


def announce(scene: Scene, *topics: str, **fields: object) -> int:
    """Release an event, and send it to whoever follows daily."""
    number = scene.release("A webinar", *topics, starts_at=STARTS, ends_at=STARTS + HOUR, **fields)  # type: ignore[arg-type]  # of any type
    scene.tick_at(14, days=1)
    scene.deliver()
    return number


def reminders() -> list[tuple[str | None, ...]]:
    """Who is reminded, and what became of it, oldest first."""
    db.session.rollback()
    query = select(Delivery.address, Delivery.state, Delivery.reason).join(Edition, Edition.id == Delivery.edition_id)
    return [tuple(row) for row in db.session.execute(query.where(Edition.frequency == REMINDER).order_by(Delivery.id))]


def test_the_day_before_an_event_whoever_was_sent_it_and_still_follows_is_reminded_once(
    reminding: Scene, relay: Relay
) -> None:
    scene = reminding
    for address in (ANN, BEN, CY, DEE):
        scene.follow(address, "idd", "policy", frequency="daily")
    number = announce(scene, "idd")
    scene.follow(FAY, "idd", frequency="daily")
    scene.leave(BEN, digest_id=scene.digest_of(BEN).id, only_these=True)
    preferences.pause(scene.preferences_token(CY), until=None, **scene.at)
    scene.now = datetime(2026, 12, 10, 13, 59, tzinfo=UTC)
    scene.tick()
    assert reminders() == []
    scene.now += HOUR / 60
    at_once(*[lambda: editions.open_due(**scene.at)] * 3)
    scene.suppress(DEE)
    scene.deliver()
    got = [str(received.message["Subject"]) for received in relay.to(ANN)]
    assert got.count("Reminder: A webinar") == 1
    others = [received for who in (BEN, CY, DEE, FAY) for received in relay.to(who)]
    assert not [received for received in others if "Reminder" in received.message["Subject"]]
    scene.tick_at(16)
    scene.deliver()
    assert len(relay.to(ANN)) == len(got)
    reminder = relay.to(ANN)[-1]
    for part in ("plain", "html"):
        assert "you still follow one of its topics" in reminder.part(part)
        assert f"/updates/{number}.ics" in reminder.part(part)
    assert reminder.message["List-Unsubscribe-Post"]
    ended(scene, number)


def ended(scene: Scene, number: int) -> None:
    """Hold what the records say of the reminder, before and after it was tallied, to what happened above."""
    for _ in range(2):
        found = proving.proof(number, now=scene.now, recount=True)
        assert (found["matched"], found["sent"], found["adds_up"], found["tallies_agree"]) == (4, 4, True, True)
        counted = {name: found["reminder"][name] for name in ("matched", "sent", "cancelled_by_reason", "adds_up")}
        assert counted == {"matched": 2, "sent": 1, "cancelled_by_reason": {"suppressed": 1}, "adds_up": True}
        tallying.tally_finished(scene.now)
    why = explaining.explain(ANN, number, **scene.at)
    assert (why["answer"], len(why["deliveries"])) == ("sent", 1)
    assert [(row["frequency"], row["state"]) for row in why["reminders"]] == [(REMINDER, "sent")]
    assert explaining.explain(FAY, number, **scene.at)["answer"] == "followed_later"


def test_a_reminder_that_has_become_useless_is_cancelled_and_its_event_not_owed_again(reminding: Scene) -> None:
    scene = reminding
    scene.follow(ANN, "idd", frequency="daily")
    withdrawn, late, wrong = (announce(scene, "idd") for _ in range(3))
    eve = datetime(2026, 12, 10, 15, tzinfo=UTC)
    scene.now = eve
    scene.release("Announced on the eve", "idd", starts_at=STARTS, ends_at=STARTS + HOUR)
    scene.tick()
    db.session.rollback()
    opened = db.session.scalars(select(Edition).where(Edition.frequency == REMINDER).order_by(Edition.id)).all()
    assert [edition.cause_id for edition in opened] == [withdrawn, late, wrong]
    assert len({edition.slot_at for edition in opened}) == 3
    publishing.withdraw(withdrawn, reason="wrong", now=scene.now)
    assert steering.cancel(opened[2].id, reason="wrong", now=scene.now) == 1
    scene.now = STARTS
    scene.deliver()
    assert [state for _, *state in reminders()] == [
        ["cancelled", "withdrawn"],
        ["cancelled", "expired"],
        ["cancelled", "edition cancelled"],
    ]
    assert db.session.scalars(select(CatchUp.from_seq)).all() == []
    for number in (withdrawn, late, wrong):
        assert proving.proof(number, now=scene.now, recount=True)["adds_up"]


def test_a_reminder_is_due_at_its_local_hour_also_when_the_clocks_change() -> None:
    # New York: clocks go forward on 14 March 2027 at 02:00.
    event = Update(starts_at=datetime(2027, 3, 15, 3, 30, tzinfo=UTC))
    assert [reminding_of(event, hour) for hour in (time(9), time(2, 30))] == ["2027-03-13 14:00", "2027-03-13 07:30"]
    event = Update(starts_at=datetime(2027, 3, 15, 16, tzinfo=UTC))
    assert [reminding_of(event, hour) for hour in (time(9), time(2, 30))] == ["2027-03-14 13:00", "2027-03-14 07:30"]


def reminding_of(event: Update, hour: time) -> str:
    """When the reminder of an event is due."""
    return f"{due_at(event, hour, ZoneInfo('America/New_York')):%Y-%m-%d %H:%M}"


@ON_SQLITE
def test_without_the_setting_nobody_is_reminded(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    announce(scene, "idd")
    scene.now = STARTS - HOUR
    scene.tick()
    assert reminders() == []


def test_after_a_restore_nobody_is_reminded_twice_and_nobody_is_forgotten(reminding: Scene, tmp_path: Path) -> None:
    scene = reminding
    sender = Sender(scene.settings, scene.now)
    for address in (ANN, BEN, CY):
        scene.follow(address, "idd", frequency="daily")
    number = scene.release("A webinar", "idd", starts_at=STARTS, ends_at=STARTS + HOUR)
    scene.tick_at(14, days=1)
    sender.drain()
    restore = copy_of(scene.settings, tmp_path)
    scene.now = datetime(2026, 12, 10, 14, tzinfo=UTC)
    scene.tick()
    sender.round(1)
    restore()
    sender.clock += HOUR / 60
    reconciling.reconcile(scene.settings, without=(), now=scene.now, clock=sender.clock, progress=lambda _turns: None)
    scene.tick(HOUR)
    sender.drain()
    assert [sender.sent.count((who, number)) for who in (ANN, BEN, CY)] == [2, 2, 2]
    assert len(set(sender.message_ids)) == len(sender.message_ids)
    assert proving.proof(number, now=scene.now)["reminder"]["sent"] == 3
