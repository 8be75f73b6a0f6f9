"""`/healthz/scheduler`: machines learn when the scheduler is late, and with what."""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.models import CoveredFrequency, DeliveryState, Edition
from alerts_service.services import claiming, editions, lateness, outbox, steering, tallying
from alerts_service.services.outbox import Outcome
from tests.relays import Relay
from tests.scene import DAY, HOUR, MINUTE, Scene

SECOND = timedelta(seconds=1)


@pytest.fixture
def settings(settings: Settings, relay: Relay) -> Settings:
    """The settings of an installation whose relay is there."""
    return dataclasses.replace(settings, smtp_url=relay.url)


@pytest.fixture
def scene(app: Flask, settings: Settings, now: datetime) -> Iterator[Scene]:
    """An installation with its web."""
    with app.app_context():
        yield Scene(settings, now)
        db.session.remove()


def late(scene: Scene) -> list[dict[str, Any]]:
    return lateness.late(settings=scene.settings, now=scene.now)


def test_a_fresh_installation_is_in_time_though_nothing_ever_ran(scene: Scene) -> None:
    assert late(scene) == []
    scene.now += HOUR
    assert late(scene) == [], "the immediate slots found nothing to send"


def test_a_slot_is_late_when_nobody_has_opened_it_for_five_minutes(scene: Scene) -> None:
    scene.now = scene.now.replace(hour=14, minute=4, second=59)
    assert late(scene) == []
    scene.now += SECOND
    assert late(scene) == [{"late": "slot", "frequency": "daily", "since": "2026-11-30T14:00:00+00:00"}]
    scene.tick()
    assert late(scene) == []


def test_it_stays_late_until_the_scheduler_is_back(scene: Scene) -> None:
    for _ in range(3):
        scene.now += 7 * HOUR
        assert [row["frequency"] for row in late(scene)] == ["daily"]
    scene.now += DAY
    assert {row["frequency"] for row in late(scene)} >= {"daily", "weekly"}


def test_an_immediate_slot_is_late_only_if_it_found_something_released(scene: Scene) -> None:
    scene.now += 3 * MINUTE
    scene.release("News", "idd")
    scene.now = scene.now.replace(minute=14)
    assert late(scene) == []
    scene.now += MINUTE
    assert late(scene) == [{"late": "slot", "frequency": "immediate", "since": "2026-11-30T12:10:00+00:00"}]
    scene.now += 6 * MINUTE
    assert [row["frequency"] for row in late(scene)] == ["immediate"], "a later slot does not make it good"
    scene.tick()
    assert late(scene) == []


def test_what_was_released_after_an_immediate_slot_waits_for_the_next_one(scene: Scene) -> None:
    scene.now += 13 * MINUTE
    scene.release("News", "idd")
    scene.now += 3 * MINUTE
    assert late(scene) == []


def test_a_slot_used_ahead_of_time_by_a_rehearsal_does_not_hide_one_that_is_late(scene: Scene) -> None:
    editions.open_due(settings=scene.settings, now=scene.now + 3 * DAY)
    scene.now = scene.now.replace(hour=15)
    assert [row["frequency"] for row in late(scene)] == ["daily"]


def test_an_update_that_should_have_been_released_is_late(scene: Scene) -> None:
    news = scene.release("News", "idd", release_at=scene.now + MINUTE)
    scene.now += 5 * MINUTE
    assert late(scene) == []
    scene.now += MINUTE
    assert late(scene) == [{"late": "release", "update": news, "since": "2026-11-30T12:01:00+00:00"}]


def test_a_changed_schedule_is_not_late_before_the_scheduler_has_seen_it(scene: Scene) -> None:
    scene.now = scene.now.replace(hour=16)
    with transaction() as session:
        session.execute(update(CoveredFrequency).values(schedule="another"))
    assert late(scene) == []


def test_an_edition_that_does_not_get_compiled_is_late(scene: Scene) -> None:
    scene.now = scene.now.replace(hour=14, minute=1)
    opened = editions._open(scene.settings, scene.now)
    scene.now += 5 * MINUTE
    assert [(row["late"], row["edition"]) for row in late(scene)] == [("compile", opened[0])]


@pytest.fixture
def compiled(scene: Scene) -> Scene:
    """A daily edition with two deliveries, compiled six minutes ago."""
    for name in ("ann", "bob"):
        scene.follow(f"{name}@example.org", "idd", frequency="daily")
    scene.deliver()
    scene.release("News", "idd")
    scene.tick_at(14)
    scene.now += 6 * MINUTE
    return scene


def edition_of(scene: Scene) -> int:
    return scene.deliveries("digest")[0].edition_id or 0


def test_an_edition_of_which_nothing_is_sent_is_late(compiled: Scene) -> None:
    [found] = late(compiled)
    assert (found["late"], found["frequency"], found["edition"]) == ("sending", "daily", edition_of(compiled))
    compiled.deliver()
    assert late(compiled) == []


def test_an_edition_that_is_being_sent_is_in_time(compiled: Scene) -> None:
    [claimed] = claiming.claim("w", 1, settings=compiled.settings, now=compiled.now, clock=compiled.now).deliveries
    assert late(compiled) == []
    outbox.record("w", [Outcome(claimed, DeliveryState.SENT)], clock=compiled.now)
    assert late(compiled) == [], "one was sent just now"
    compiled.now += 6 * MINUTE
    assert [row["late"] for row in late(compiled)] == ["sending"]


def test_what_waits_on_purpose_is_in_time(compiled: Scene) -> None:
    edition = edition_of(compiled)
    with transaction() as session:
        session.execute(update(Edition).values(held_until=compiled.now))
    assert late(compiled) == [], "the hold after the seeds ended only now"
    compiled.now += 6 * MINUTE
    assert len(late(compiled)) == 1
    editions.pause(edition, reason="", now=compiled.now)
    assert late(compiled) == []
    editions.resume(edition)
    [retrying, failing] = claiming.claim(
        "w", 2, settings=compiled.settings, now=compiled.now, clock=compiled.now
    ).deliveries
    retried = Outcome(retrying, DeliveryState.PENDING, due_at=compiled.now + HOUR)
    outbox.record("w", [retried, Outcome(failing, DeliveryState.FAILED)], clock=compiled.now)
    compiled.now += 6 * MINUTE
    assert late(compiled) == [], "it waits for its next try"


def test_a_cancelled_edition_is_never_late(compiled: Scene) -> None:
    assert steering._stop(edition_of(compiled), "", compiled.now)
    assert late(compiled) == []
    steering.finish_cancelling()
    assert tallying.tally_finished(compiled.now) > 0


@pytest.mark.usefixtures("scene")
def test_the_address_answers_200_or_503_with_what_is_late(app: Flask) -> None:
    client = app.test_client()
    with transaction() as session:
        session.execute(update(CoveredFrequency).values(since=utcnow()))
    fine = client.get("/healthz/scheduler")
    assert (fine.status_code, fine.json) == (200, {"scheduler": "ok", "late": []})
    with transaction() as session:
        session.execute(update(CoveredFrequency).values(since=utcnow() - 3 * DAY))
    found = client.get("/healthz/scheduler")
    assert found.status_code == 503
    assert found.json is not None
    assert found.json["scheduler"] == "late"
    assert {"late", "frequency", "since"} == set(found.json["late"][0])


@pytest.mark.usefixtures("scene")
def test_a_database_without_its_tables_answers_503(app: Flask) -> None:
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("ALTER TABLE editions RENAME TO lost"))
    try:
        assert app.test_client().get("/healthz/scheduler").status_code == 503
    finally:
        db.session.rollback()
        with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(text("ALTER TABLE lost RENAME TO editions"))
