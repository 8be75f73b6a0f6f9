"""Receipts: what a worker that ended, or stopped, had been told by the relay."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from alerts_service.models import DeliveryState
from alerts_service.services import claiming, outbox
from alerts_service.services.claiming import Claimed
from scheduler import receipts
from scheduler.receipts import Receipts
from tests.scene import MINUTE, Scene

REPLY = "250 2.0.0 Ok: queued as 4XyZ"


@pytest.fixture
def claimed(scene: Scene) -> list[Claimed]:
    """Three confirmations in the hands of the worker `w`."""
    for name in ("ann", "bob", "cas"):
        scene.ask(f"{name}@example.org")
    return claim(scene, "w")


def claim(scene: Scene, worker: str) -> list[Claimed]:
    return claiming.claim(worker, 10, settings=scene.settings, now=scene.now, clock=scene.now).deliveries


def states(scene: Scene) -> list[str]:
    return [row.state for row in scene.deliveries()]


def end(kept: Receipts) -> None:
    """End a worker as SIGKILL does: the lock goes, the file stays."""
    os.close(kept._file)


def test_the_receipts_of_a_worker_that_was_killed_go_into_the_ledger_and_the_rest_back_to_the_queue(
    scene: Scene, claimed: list[Claimed]
) -> None:
    kept = Receipts(scene.settings.state_dir, "w")
    sent_at = datetime(2026, 11, 30, 12, 0, 7, tzinfo=UTC)
    kept.note(claimed[0], REPLY, sent_at)
    end(kept)
    assert receipts.recover(scene.settings.state_dir, scene.now) == 2
    assert states(scene) == ["sent", "pending", "pending"]
    row = scene.deliveries()[0]
    assert (row.reply, row.sent_at, row.claimed_by) == (REPLY, sent_at, None)
    assert not list(receipts.folder(scene.settings.state_dir).iterdir())
    assert receipts.recover(scene.settings.state_dir, scene.now) == 0


def test_a_worker_that_lives_keeps_its_claims_and_its_file(scene: Scene, claimed: list[Claimed]) -> None:
    kept = Receipts(scene.settings.state_dir, "w")
    kept.note(claimed[0], REPLY, scene.now)
    assert receipts.recover(scene.settings.state_dir, scene.now + MINUTE - timedelta(seconds=1)) == 0
    assert states(scene) == ["sending"] * 3
    kept.close()
    assert not list(receipts.folder(scene.settings.state_dir).iterdir())


def test_the_receipts_of_a_worker_that_was_stopped_past_its_lease_are_read_before_its_claims_go_back(
    scene: Scene, claimed: list[Claimed]
) -> None:
    kept = Receipts(scene.settings.state_dir, "w")
    kept.note(claimed[1], REPLY, scene.now)
    assert receipts.recover(scene.settings.state_dir, scene.now + MINUTE + timedelta(seconds=1)) == 2
    assert states(scene) == ["pending", "sent", "pending"]
    # It goes on, and records what it thinks is so: its receipt is no news, the rest is not its own any more.
    outcomes = [outbox.Outcome(delivery, DeliveryState.SENT, reply="late") for delivery in claimed]
    assert outbox.record("w", outcomes, clock=scene.now) == 0
    kept.close()


def test_a_receipt_of_an_older_claim_writes_nothing(scene: Scene, claimed: list[Claimed]) -> None:
    outbox.take_back_from("w")
    again = claim(scene, "w")
    kept = Receipts(scene.settings.state_dir, "w")
    kept.note(claimed[0], REPLY, scene.now)
    end(kept)
    assert again[0].claim_number == 2
    receipts.recover(scene.settings.state_dir, scene.now)
    assert states(scene) == ["pending"] * 3


def test_a_torn_last_line_is_no_receipt(scene: Scene, claimed: list[Claimed]) -> None:
    kept = Receipts(scene.settings.state_dir, "w")
    kept.note(claimed[0], REPLY, scene.now)
    end(kept)
    path = receipts.folder(scene.settings.state_dir) / "w"
    path.write_bytes(path.read_bytes() + f"{claimed[1].id} {claimed[1].claim_number} 17".encode())
    receipts.recover(scene.settings.state_dir, scene.now)
    assert states(scene) == ["sent", "pending", "pending"]


def test_what_the_ledger_says_is_forgotten(scene: Scene, claimed: list[Claimed]) -> None:
    kept = Receipts(scene.settings.state_dir, "w")
    kept.note(claimed[0], REPLY, scene.now)
    kept.clear()
    kept.note(claimed[1], "250 ünïcode", scene.now)
    end(kept)
    receipts.recover(scene.settings.state_dir, scene.now)
    assert states(scene) == ["pending", "sent", "pending"]
    assert scene.deliveries()[1].reply == "250 ünïcode"
