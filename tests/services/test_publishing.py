"""Queueing updates: add, approve, release, withdraw; and the one count that numbers releases."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from alerts_service.db import db, transaction
from alerts_service.errors import NotFound, UnknownTopic, UpdateRefused, WrongState
from alerts_service.models import Turnstile, Update
from alerts_service.rules.announcements import NewUpdate
from alerts_service.services import publishing
from tests.scene import DAY, HOUR, MINUTE, Scene, at_once, rows


def numbers() -> list[int]:
    """The numbers given so far."""
    db.session.rollback()
    return [seq for seq in db.session.scalars(select(Update.seq).order_by(Update.seq)) if seq is not None]


def count() -> int:
    db.session.rollback()
    return db.session.scalars(select(Turnstile.release_seq)).one()


def shown(update_id: int) -> dict[str, Any]:
    db.session.rollback()
    return publishing.show(update_id)


def test_a_draft_has_no_number_until_it_is_approved(scene: Scene) -> None:
    draft = scene.release("A draft", approve=False)
    assert (shown(draft)["state"], shown(draft)["seq"], count()) == ("draft", None, 0)
    scene.now += MINUTE
    publishing.approve(draft, now=scene.now)
    assert (shown(draft)["state"], shown(draft)["seq"], count()) == ("released", 1, 1)
    stamps = {shown(draft)[name] for name in ("submitted_at", "approved_at", "released_at")}
    assert stamps == {scene.now.isoformat()}
    assert shown(draft)["created_at"] == (scene.now - MINUTE).isoformat()


def test_what_is_approved_when_it_is_added_is_released_at_once(scene: Scene) -> None:
    first, second = scene.release("First"), scene.release("Second")
    assert [shown(update)["seq"] for update in (first, second)] == [1, 2]


def test_an_author_is_told_what_to_look_at(scene: Scene) -> None:
    added = publishing.add(NewUpdate("Title", ("idd",), kind="webinar"), approve=False, **scene.at)
    assert len(added.warnings) == 3
    whole = NewUpdate("Title", ("idd",), summary="Words.", title_es="Título")
    assert publishing.add(whole, approve=False, **scene.at).warnings == []


def test_every_reason_to_refuse_is_said_at_once_and_nothing_is_written(scene: Scene) -> None:
    before = rows()
    bad = NewUpdate(" ", (), kind="rumour", url="javascript:alert(1)", ends_at=scene.now)
    with pytest.raises(UpdateRefused) as refused:
        publishing.add(bad, approve=True, **scene.at)
    for part in ("a title", "at least one topic", "“rumour”", "The url", "needs a start"):
        assert part in str(refused.value)
    for new, error in (
        (NewUpdate("Title", ("idd", "no-such-topic")), UnknownTopic),
        (NewUpdate("Title", ("idd",), follow_up_of=999), NotFound),
    ):
        with pytest.raises(error):
            publishing.add(new, approve=True, **scene.at)
    assert rows() == before
    assert count() == 0


def test_a_follow_up_knows_what_it_follows(scene: Scene) -> None:
    first = scene.release("First")
    assert shown(scene.release("More", follow_up_of=first))["follow_up_of_id"] == first


def test_an_approved_update_waits_for_its_time_and_is_released_once(scene: Scene) -> None:
    update = scene.release("Later", release_at=scene.now + HOUR)
    scene.now += HOUR - timedelta(microseconds=1)
    assert publishing.release_due(now=scene.now) == 0
    assert (shown(update)["state"], count()) == ("approved", 0)
    scene.now += timedelta(microseconds=1)
    assert publishing.release_due(now=scene.now) == 1
    assert publishing.release_due(now=scene.now) == 0
    assert (shown(update)["state"], shown(update)["seq"], count()) == ("released", 1, 1)


def test_a_time_that_has_passed_at_the_approval_holds_nothing_back(scene: Scene) -> None:
    update = scene.release("Overdue", release_at=scene.now - DAY)
    assert shown(update)["released_at"] == scene.now.isoformat()
    draft = scene.release("Draft", approve=False, release_at=scene.now + HOUR)
    scene.now += DAY
    publishing.approve(draft, now=scene.now)
    assert shown(draft)["state"] == "released"


def test_what_falls_due_together_is_numbered_by_its_time_and_then_as_it_was_queued(scene: Scene) -> None:
    late = scene.release("Late", release_at=scene.now + 2 * HOUR)
    early = scene.release("Early", release_at=scene.now + HOUR)
    twin = scene.release("Twin", release_at=scene.now + HOUR)
    draft = scene.release("Not approved", approve=False, release_at=scene.now + HOUR)
    scene.now += DAY
    assert publishing.release_due(now=scene.now) == 3
    assert [shown(update)["seq"] for update in (early, twin, late, draft)] == [1, 2, 3, None]


def test_only_a_draft_can_be_approved(scene: Scene) -> None:
    released = scene.release("Released")
    approved = scene.release("Approved", release_at=scene.now + HOUR)
    withdrawn = scene.release("Withdrawn", approve=False)
    publishing.withdraw(withdrawn, reason="", now=scene.now)
    for update, state in ((released, "released"), (approved, "approved"), (withdrawn, "withdrawn")):
        with pytest.raises(WrongState, match=f"update {update} is {state}"):
            publishing.approve(update, now=scene.now)
    for act in (publishing.approve, lambda update, now: publishing.withdraw(update, reason="", now=now)):
        with pytest.raises(NotFound):
            act(999, now=scene.now)
    assert count() == 1


def test_a_withdrawn_update_is_never_released(scene: Scene) -> None:
    update = scene.release("Taken back", release_at=scene.now + HOUR)
    publishing.withdraw(update, reason="wrong", now=scene.now)
    scene.now += DAY
    assert publishing.release_due(now=scene.now) == 0
    assert (shown(update)["state"], shown(update)["seq"], count()) == ("withdrawn", None, 0)


def test_withdrawing_again_keeps_the_first_moment_and_reason(scene: Scene) -> None:
    update = scene.release("Released")
    publishing.withdraw(update, reason="x" * 600, now=scene.now)
    publishing.withdraw(update, reason="another", now=scene.now + HOUR)
    found = shown(update)
    assert (found["state"], found["withdrawn_at"]) == ("withdrawn", scene.now.isoformat())
    assert found["withdrawn_reason"] == "x" * 500
    assert found["seq"] == 1, "its number is not given to another"
    assert shown(scene.release("Next"))["seq"] == 2


def test_updates_are_listed_newest_first_and_by_state(scene: Scene) -> None:
    draft, released = scene.release("Draft", approve=False), scene.release("Released", "policy", "idd")
    assert [row["id"] for row in publishing.listing()] == [released, draft]
    (row,) = publishing.listing("released")
    assert (row["id"], row["state"], sorted(row["topics"])) == (released, "released", ["idd", "policy"])


def test_releases_at_once_are_numbered_without_gap_or_double(scene: Scene) -> None:
    drafts = [scene.release(f"Draft {n}", approve=False) for n in range(3)]
    bad = NewUpdate("Refused", ("no-such-topic",))
    calls: list[Callable[[], Any]] = [partial(scene.release, f"Update {n}") for n in range(4)]
    calls += [partial(publishing.approve, update, now=scene.now) for update in drafts]
    calls += [lambda: publishing.add(bad, approve=True, **scene.at)] * 2
    failed = [outcome for outcome in at_once(*calls) if isinstance(outcome, Exception)]
    assert [type(error) for error in failed] == [UnknownTopic] * 2
    assert numbers() == list(range(1, 8))
    assert count() == 7


def test_whoever_sees_a_number_sees_all_below_it(scene: Scene) -> None:
    def watch() -> list[list[int]]:
        return [numbers() for _ in range(60)]

    watched = at_once(watch, *(partial(scene.release, f"Update {n}") for n in range(5)))[0]
    assert all(found == list(range(1, len(found) + 1)) for found in watched)
    assert numbers() == [1, 2, 3, 4, 5]


def test_a_draft_approved_twice_at_once_is_released_once(scene: Scene) -> None:
    draft = scene.release("Draft", approve=False)
    found = at_once(*[lambda: publishing.approve(draft, now=scene.now)] * 4)
    assert sorted(type(outcome).__name__ for outcome in found) == ["NoneType"] + ["WrongState"] * 3
    assert (shown(draft)["seq"], count()) == (1, 1)


def test_schedulers_at_once_release_each_update_once(scene: Scene) -> None:
    for n in range(5):
        scene.release(f"Update {n}", release_at=scene.now + HOUR)
    scene.now += DAY
    assert sum(at_once(*[lambda: publishing.release_due(now=scene.now)] * 3)) == 5
    assert numbers() == [1, 2, 3, 4, 5]


def test_a_release_waits_for_the_turnstile_and_takes_the_number_that_is_next_then(scene: Scene, core: Flask) -> None:
    released = []

    def release() -> None:
        with core.app_context():
            released.append(scene.release("Waits"))

    thread = threading.Thread(target=release)
    with transaction(turn=True) as session:
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        session.get_one(Turnstile, 1).release_seq = 41
    thread.join()
    assert shown(released[0])["seq"] == 42
