"""Fixtures: schedulers as real processes, a relay that outlives them, and a queue for them to send."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import String, cast, func, literal, select, update

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.models import Delivery, Subscriber
from alerts_service.services import demo_data, editions
from scheduler import receipts
from tests.faults.sink import Sink
from tests.journeys.conftest import environment
from tests.scene import Scene

__all__ = ["environment"]


class Scheduler:
    """`alerts scheduler` as a process group of its own. What it says is read all the time, so that it never waits."""

    def __init__(self, environment: dict[str, str], workers: int) -> None:
        command = [sys.executable, "-m", "scheduler", "--workers", str(workers)]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
        self._state_dir = Path(environment["ALERTS_STATE_DIR"])
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        """Everything it has said."""
        return "".join(self._lines)

    def children(self) -> list[int]:
        """Its timer and its workers that run."""
        return [pid for pid in _children_of(self.process.pid) if runs(pid)]

    def workers(self) -> list[int]:
        """Its workers, known by their receipts."""
        named = {int(path.name.rsplit("-", 2)[1]) for path in receipts.folder(self._state_dir).iterdir()}
        return [pid for pid in self.children() if pid in named]

    def kill(self) -> None:
        """SIGKILL for all of it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()

    def end(self) -> float:
        """SIGTERM; return the seconds that it took to end, cleanly."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, self.said
        assert "Traceback" not in self.said, self.said
        return time.monotonic() - begun

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.append(line)


Start = Callable[..., Scheduler]


@pytest.fixture
def now() -> datetime:
    """The processes run on the real clock."""
    return utcnow()


@pytest.fixture
def relay() -> Iterator[Sink]:
    """The relay of this test's installation."""
    server = Sink()
    yield server
    server.stop()


@pytest.fixture
def scene(core: Flask, settings: Settings, now: datetime) -> Scene:
    """An installation with the default catalogue, on both databases."""
    return Scene(settings, now)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start schedulers; none is left running."""
    started: list[Scheduler] = []

    def run(workers: int = 1, **changes: str) -> Scheduler:
        quick = {"ALERTS_RETRY_SECONDS": "1", "ALERTS_LEASE_SECONDS": "5"}
        started.append(Scheduler(environment | quick | changes, workers))
        return started[-1]

    yield run
    for each in started:
        each.kill()


@pytest.fixture
def digests(scene: Scene) -> Callable[..., int]:
    """Queue the digests of an edition for about so many people, of these domains in turn; return how many there are."""

    def queue(people: int, *domains: str) -> int:
        demo_data.fill(people, 4, frequency="weekly", seed=1, **scene.at)
        for place, domain in enumerate(domains):
            with transaction() as session:
                address = literal("reader") + cast(Subscriber.id, String) + f"@{domain}"
                some = Subscriber.id % len(domains) == place
                session.execute(update(Subscriber).where(some).values(address=address))
        made = editions.open_due(settings=scene.settings, now=scene.now + timedelta(days=10))
        db.session.rollback()
        return made.deliveries

    return queue


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def counted(*states: str) -> int:
    """How many deliveries are in one of these states, as of now."""
    with db.engine.connect() as connection:
        query = select(func.count()).select_from(Delivery).where(Delivery.state.in_(states))
        return connection.scalar(query) or 0


def drained() -> bool:
    """Whether nothing is left to send."""
    return counted("pending", "sending") == 0


def runs(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children_of(pid: int) -> Sequence[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
