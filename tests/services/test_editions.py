"""Editions: opening what is due on real calendars, and the operator's list, pause and resume."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db
from alerts_service.errors import NotFound
from alerts_service.models import CatchUp, Edition, MailKind
from alerts_service.rules.slots import Frequency, parse
from alerts_service.services import editions, publishing
from tests.databases import ON_POSTGRESQL
from tests.relays import Relay
from tests.scene import DAY, HOUR, MINUTE, Scene, at_once, no_room_for_deliveries, rows

ANN = "ann@example.org"
BOB = "bob@example.org"


def slots(frequency: str) -> list[datetime]:
    """The slots of a frequency's editions, as they were opened."""
    db.session.rollback()
    return list(db.session.scalars(select(Edition.slot_at).where(Edition.frequency == frequency).order_by(Edition.id)))


def schedule(scene: Scene, frequency: Frequency, text: str) -> None:
    """Give a frequency another setting."""
    scene.settings = dataclasses.replace(
        scene.settings,
        schedules=scene.settings.schedules | {frequency: parse(frequency, text)},
        schedule_texts=scene.settings.schedule_texts | {frequency: text},
    )


def subjects(relay: Relay, address: str) -> list[str]:
    """The digests that somebody got."""
    return [str(received.message["Subject"]) for received in relay.to(address)[2:]]


# New York: clocks go forward on 14 March 2027 at 02:00 and back on 7 November 2027 at 02:00.
@pytest.mark.parametrize(
    ("at", "begins", "expected"),
    [
        ("02:30", datetime(2027, 3, 13, 6, tzinfo=UTC), ["2027-03-13 07:30", "2027-03-14 07:30", "2027-03-15 06:30"]),
        ("01:30", datetime(2027, 11, 6, 4, tzinfo=UTC), ["2027-11-06 05:30", "2027-11-07 05:30", "2027-11-08 06:30"]),
        ("09:15", datetime(2027, 3, 13, 6, tzinfo=UTC), ["2027-03-13 14:15", "2027-03-14 13:15", "2027-03-15 13:15"]),
    ],
    ids=["a time that does not exist", "a time that comes twice", "an ordinary time"],
)
def test_each_day_has_one_edition_also_when_the_clocks_change(
    scene: Scene, at: str, begins: datetime, expected: list[str]
) -> None:
    schedule(scene, Frequency.DAILY, at)
    scene.follow(ANN, frequency="daily")
    scene.now = begins
    scene.tick()
    for _ in range(3 * 48):
        if scene.now.hour == begins.hour and scene.now.minute == 0:
            scene.release(f"News of day {scene.now:%d}")
        scene.tick(30 * MINUTE)
    assert [f"{slot:%Y-%m-%d %H:%M}" for slot in slots("daily")] == expected
    assert len(scene.deliveries(MailKind.DIGEST)) == 3


def test_a_day_asleep_brings_one_digest_with_all_that_waited(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.deliver()
    for day in range(3):
        scene.release(f"News {day}")
        scene.now += DAY
    opened = scene.tick()
    scene.deliver()
    assert opened.deliveries == 1
    assert len(slots("daily")) == 1
    assert len(relay.to(ANN)) == 3
    assert all(f"News {day}" in relay.to(ANN)[-1].part("plain") for day in range(3))


def test_a_fresh_installation_mails_nothing_for_the_slots_before_it(scene: Scene, relay: Relay) -> None:
    scene.now += 4 * HOUR
    schedule(scene, Frequency.DAILY, "07:15")
    for address, frequency in ((ANN, "daily"), (BOB, "weekly")):
        scene.follow(address, frequency=frequency)
    scene.release("News")
    scene.tick()
    scene.deliver()
    assert (slots("daily"), slots("weekly")) == ([], [])
    assert subjects(relay, ANN) == subjects(relay, BOB) == []
    scene.tick(DAY)
    assert len(slots("daily")) == 1


def test_an_empty_slot_is_used_up_and_mails_nobody(scene: Scene) -> None:
    scene.follow(ANN, frequency="daily")
    assert scene.tick_at(14).deliveries == 0
    assert len(slots("daily")) == 1
    scene.release("Just missed it")
    assert scene.tick(MINUTE).deliveries == 0
    assert scene.tick_at(14, days=1).deliveries == 1


def test_what_is_released_by_the_tick_itself_goes_into_its_editions(scene: Scene) -> None:
    scene.follow(ANN, frequency="daily")
    scene.release("At nine sharp", release_at=scene.now + 2 * HOUR)
    done = scene.tick_at(14)
    assert (done.released, done.deliveries) == (1, 1)


def test_an_urgent_update_is_mailed_at_once_before_the_digests_and_only_once(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="monthly")
    scene.follow(BOB, "policy")
    scene.deliver()
    scene.release("Calm", "policy")
    scene.tick_at(14, days=1)
    assert not editions.urgent_is_waiting()
    scene.now += MINUTE
    scene.release("Alarm", urgent=True)
    assert editions.urgent_is_waiting()
    scene.tick(timedelta(seconds=3))
    assert not editions.urgent_is_waiting()
    scene.deliver()
    assert [received.recipient for received in relay.received[4:]] == [ANN, BOB], "urgent mail overtakes digests"
    scene.tick_at(14, days=31)
    scene.deliver()
    assert subjects(relay, ANN) == ["Alarm"]


def test_two_urgent_updates_of_one_moment_have_an_edition_each(scene: Scene) -> None:
    scene.follow(ANN)
    for title in ("First", "Second"):
        scene.release(title, urgent=True)
        assert scene.tick().deliveries == 1
    first, second = slots("immediate")
    assert second == first + timedelta(microseconds=1)


def test_an_urgent_update_that_was_withdrawn_opens_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    publishing.withdraw(scene.release("Alarm", urgent=True), reason="", now=scene.now)
    assert not editions.urgent_is_waiting()
    assert scene.tick().deliveries == 0


def test_schedulers_at_once_open_each_slot_once(scene: Scene) -> None:
    for n in range(3):
        scene.follow(f"reader{n}@example.org", frequency="daily")
    scene.release("News")
    scene.now += DAY + 3 * HOUR
    found = at_once(*[scene.tick] * 3)
    assert not [outcome for outcome in found if isinstance(outcome, Exception)]
    assert sum(len(done.editions) for done in found) == rows()["editions"] == 4
    assert sum(done.deliveries for done in found) == len(scene.deliveries(MailKind.DIGEST)) == 3


def test_a_compile_that_fails_leaves_the_edition_to_the_next_tick(scene: Scene) -> None:
    scene.follow(ANN, frequency="daily")
    scene.release("News")
    scene.now += 3 * HOUR
    before = rows()
    with no_room_for_deliveries(), pytest.raises(DBAPIError):
        scene.tick()
    found = rows()
    assert found["editions"] == before["editions"] + 2, "immediate and daily"
    assert {name for name in found if found[name] != before[name]} == {"editions"}
    assert scene.tick(MINUTE).deliveries == 1
    assert len(slots("daily")) == 1


def test_a_paused_edition_holds_its_mail_and_no_other_s(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.follow(BOB, "policy", frequency="weekly")
    scene.deliver()
    scene.release("Daily news", "idd")
    scene.release("Weekly news", "policy")
    scene.tick_at(14, days=1)
    held = scene.digest_of(ANN).edition_id
    editions.pause(held, reason="a wrong date", now=scene.now)
    editions.pause(held, reason="another", now=scene.now + HOUR)
    assert scene.deliver().sent == 1
    assert (subjects(relay, ANN), subjects(relay, BOB)) == ([], ["Weekly news"])
    shown = editions.show(held)
    assert (shown["paused_at"], shown["paused_reason"]) == (scene.now.isoformat(), "a wrong date")
    for _ in range(2):
        editions.resume(held)
    assert (editions.show(held)["paused_at"], editions.show(held)["paused_reason"]) == (None, None)
    scene.deliver()
    assert subjects(relay, ANN) == ["Daily news"]


def test_a_reason_is_cut_where_the_column_ends(scene: Scene) -> None:
    (edition, *_) = scene.tick_at(14).editions
    editions.pause(edition, reason="x" * 900, now=scene.now)
    assert editions.show(edition)["paused_reason"] == "x" * 500


def test_editions_are_listed_newest_first_with_what_became_of_their_mail(scene: Scene, relay: Relay) -> None:
    for address in (ANN, BOB):
        scene.follow(address, frequency="daily")
    scene.deliver()
    scene.release("News")
    scene.tick_at(14)
    relay.refusals[BOB] = ["550 5.2.2 full"]
    scene.deliver()
    newest = editions.listing()[0]
    assert (newest["frequency"], newest["slot_at"]) == ("daily", scene.now.replace(second=0).isoformat())
    assert newest["deliveries"] == {"sent": 1, "failed": 1}
    shown = editions.show(newest["id"])
    assert (shown["digests"], len(shown["outcomes"])) == (1, 2)
    assert [row["id"] for row in editions.listing()] == sorted((row["id"] for row in editions.listing()), reverse=True)
    for act in (editions.show, editions.resume, lambda e: editions.pause(e, reason="", now=scene.now)):
        with pytest.raises(NotFound):
            act(999)


def test_the_next_slots_are_those_that_have_no_edition_yet(scene: Scene) -> None:
    scene.follow(ANN, frequency="daily")
    scene.follow(BOB, frequency="monthly")
    assert editions.next_slots(**scene.at) == {
        Frequency.DAILY: datetime(2026, 11, 30, 14, tzinfo=UTC),
        Frequency.MONTHLY: datetime(2026, 12, 1, 14, tzinfo=UTC),
    }
    rehearsed = scene.now + DAY
    scene.tick_at(14, days=1)
    scene.now = rehearsed - DAY
    assert editions.next_slots(**scene.at)[Frequency.DAILY] == datetime(2026, 12, 2, 14, tzinfo=UTC)
    scene.leave(ANN)
    assert set(editions.next_slots(**scene.at)) == {Frequency.MONTHLY}


@ON_POSTGRESQL  # on SQLite the two take turns
def test_a_compile_passes_over_the_mark_of_someone_who_is_changing_something_at_this_moment(scene: Scene) -> None:
    ann, bob = (scene.follow(address, frequency="daily") for address in (ANN, BOB))
    scene.release("One for both")
    with db.engine.connect() as changing:
        own = "SELECT id FROM subscriptions WHERE subscriber_id = (SELECT id FROM subscribers WHERE address = :address)"
        held = changing.execute(text(f"DELETE FROM catch_ups WHERE subscription_id IN ({own})"), {"address": ANN})
        assert held.rowcount == 1
        scene.tick_at(14, days=1)
        changing.rollback()
    assert {row.subscriber_id for row in scene.deliveries(MailKind.DIGEST)} == {ann, bob}
    marks = select(CatchUp.subscriber_id, CatchUp.from_seq)
    assert [tuple(row) for row in db.session.execute(marks)] == [(ann, 0)], "too low, which costs time only"
    db.session.rollback()
    scene.release("Another for both")
    scene.tick_at(14, days=1)
    assert [tuple(row) for row in db.session.execute(marks)] == []
    assert len(scene.deliveries(MailKind.DIGEST)) == 4
