"""The scheduler as a process of its own, with a real relay."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.services import outbox
from tests.relays import Relay
from tests.scene import Scene
from tests.scheduler.conftest import QueueLetters

ANN = "ann@example.org"

pytestmark = pytest.mark.slow


@pytest.fixture
def database_url(installed_sqlite: Path, tmp_path: Path) -> str:
    """SQLite only: what a process does does not depend on the database."""
    shutil.copy(installed_sqlite, tmp_path / "alerts.db")
    return f"sqlite:///{tmp_path}/alerts.db"


@pytest.fixture
def now() -> datetime:
    """The process runs on the real clock."""
    return utcnow()


Process = subprocess.Popen[str]


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Process]]:
    """Start schedulers; they are killed if a test leaves them running."""
    started: list[Process] = []
    environment = {
        "PATH": os.environ["PATH"],
        "ALERTS_DATABASE_URL": settings.database_url,
        "ALERTS_STATE_DIR": str(settings.state_dir),
        "ALERTS_SECRET_KEY": settings.secret_keys[0],
        "ALERTS_PERMANENT_KEY": str(settings.permanent_key),
        "ALERTS_BASE_URL": settings.base_url,
        "ALERTS_SMTP_URL": settings.smtp_url,
        "ALERTS_FROM": settings.from_address,
        "ALERTS_POSTAL_ADDRESS": settings.postal_address,
        "PYTHONWARNINGS": "error",
    }

    def run(**changes: str) -> Process:
        command = [sys.executable, "-m", "scheduler"]
        process = subprocess.Popen(
            command, env=environment | changes, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def waiting() -> int:
    """How many mails have not ended, as of now."""
    db.session.rollback()
    return outbox.count()


def ended(process: Process, number: signal.Signals = signal.SIGTERM) -> str:
    """End a scheduler by a signal, cleanly and soon; return what it has said."""
    begun = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert time.monotonic() - begun < 10
    assert "Traceback" not in said
    return said


def test_a_confirmation_is_sent_within_seconds_and_a_signal_ends_it_cleanly(
    scene: Scene, relay: Relay, start: Callable[..., Process]
) -> None:
    process = start()
    scene.ask("first@example.org")
    wait_until(lambda: relay.received)
    asked = time.monotonic()
    scene.ask(ANN)
    wait_until(lambda: relay.to(ANN))
    assert time.monotonic() - asked < 5
    wait_until(lambda: waiting() == 0)
    said = ended(process)
    assert "scheduler started" in said
    assert "scheduler ending" in said
    assert [row.state for row in scene.deliveries()] == ["sent"] * 2


def test_an_urgent_update_is_mailed_within_seconds(scene: Scene, relay: Relay, start: Callable[..., Process]) -> None:
    scene.follow(ANN, frequency="monthly")
    process = start()
    wait_until(lambda: len(relay.to(ANN)) == 2)
    scene.release("Alarm", urgent=True)
    wait_until(lambda: len(relay.to(ANN)) == 3, 10)
    assert relay.to(ANN)[-1].message["Subject"] == "Alarm"
    ended(process, signal.SIGINT)


def test_a_signal_while_it_sends_leaves_nothing_in_its_hands_and_the_next_one_goes_on(
    scene: Scene, relay: Relay, queue_letters: QueueLetters, start: Callable[..., Process]
) -> None:
    addresses = queue_letters(40)
    relay.meanwhile = lambda recipient: time.sleep(0.2)
    process = start()
    wait_until(lambda: len(relay.received) >= 3)
    ended(process)
    states = [row.state for row in scene.deliveries()]
    assert states.count("sent") == len(relay.received) < 40
    assert set(states) == {"sent", "pending"}
    relay.meanwhile = lambda recipient: None
    process = start()
    wait_until(lambda: len(relay.received) == 40)
    ended(process)
    assert sorted(received.recipient for received in relay.received) == sorted(addresses)


def test_a_killed_scheduler_doubles_one_message_at_most_and_loses_none(
    scene: Scene, relay: Relay, queue_letters: QueueLetters, start: Callable[..., Process]
) -> None:
    addresses = queue_letters(20)
    relay.meanwhile = lambda recipient: time.sleep(0.1)
    killed = start(ALERTS_LEASE_SECONDS="1")
    wait_until(lambda: len(relay.received) >= 3)
    killed.kill()
    killed.communicate()
    process = start(ALERTS_LEASE_SECONDS="1")
    wait_until(lambda: waiting() == 0)
    ended(process)
    assert {received.recipient for received in relay.received} == set(addresses)
    assert len(relay.received) <= 21
    assert len({received.message["Message-ID"] for received in relay.received}) == 20
    assert {row.state for row in scene.deliveries()} == {"sent"}
    assert {row.attempts for row in scene.deliveries()} == {0}


def test_a_relay_that_is_away_leaves_the_process_running_and_the_mail_waiting(
    scene: Scene, relay: Relay, start: Callable[..., Process]
) -> None:
    relay.stop()
    scene.ask(ANN)
    process = start()
    wait_until(lambda: scene.deliveries()[0].reply)
    assert "relay cannot be used; mail waits" in ended(process)
    assert [(row.state, row.attempts) for row in scene.deliveries()] == [("pending", 0)]
