"""Signals to one process of a scheduler: its supervisor, a worker, all of it; and a worker that stands still."""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import Delivery
from alerts_service.services import ledger
from tests.databases import ON_SQLITE
from tests.faults.audit import audit
from tests.faults.conftest import Start, counted, drained, runs, wait_until
from tests.faults.sink import Sink
from tests.scene import Scene

CONNECTIONS = 4
# Seconds: how far the relay may be behind on a busy machine.
LAG = 1.0

# What a process does does not depend on the database.
pytestmark = [pytest.mark.slow, ON_SQLITE]

Queue = Callable[[int], int]


def test_a_supervisor_that_is_killed_leaves_no_sender_behind_and_nothing_in_its_hands(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    digests(1000)
    relay.delay = 0.02
    scheduler = start(2)
    wait_until(lambda: len(relay.stored) > 50)
    children = scheduler.children()
    assert len(children) == 3
    os.kill(scheduler.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(runs(child) for child in children), 10)
    assert counted("sending") == 0
    assert counted("sent") == len(relay.stored) < 1000
    assert relay.doubled() == []


def test_a_worker_that_is_killed_is_followed_by_another_and_all_is_sent(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    digests(600)
    relay.delay = 0.01
    scheduler = start(2)
    wait_until(lambda: len(relay.stored) > 50)
    killed, _ = scheduler.workers()
    kill = time.time()
    os.kill(killed, signal.SIGKILL)
    wait_until(drained)
    wait_until(lambda: len(scheduler.workers()) == 2)
    assert killed not in scheduler.workers()
    assert "a process ended before its time" in scheduler.said
    audit(scene, relay, [(kill, kill + LAG)], in_flight=CONNECTIONS)


def test_a_signal_ends_it_in_time_though_the_relay_does_not_answer(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    digests(200)
    scheduler = start(2)
    relay.open.clear()
    wait_until(lambda: len(relay.stored) == 2 * CONNECTIONS)
    assert scheduler.end() < 10
    assert counted("sending", "sent") == 0
    with db.engine.connect() as connection:
        tried = connection.scalars(select(Delivery.reply).where(Delivery.attempts == 1)).all()
    assert tried == ["no reply after the final dot: the worker ends"] * 2 * CONNECTIONS


def test_a_worker_stopped_for_longer_than_its_lease_records_nothing_and_sends_nothing_more(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    number = digests(600)
    relay.delay = 0.05
    scheduler = start(2, ALERTS_LEASE_SECONDS="2")
    wait_until(lambda: len(relay.stored) > 100)
    stopped, _ = scheduler.workers()
    begun = time.time()
    stop_between_writes(stopped, scene)
    halt = time.time()
    try:
        relay.delay = 0.0
        wait_until(drained)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert len(relay.copies()) == number, "the other one has sent it all"
    taken = len(relay.stored)
    time.sleep(1.5)
    assert len(relay.stored) == taken
    assert stopped in scheduler.workers()
    audit(scene, relay, [(begun, halt + LAG)], in_flight=CONNECTIONS)
    replies = {line["key"]: line["reply"] for line in ledger.lines(settings=scene.settings)}
    assert relay.doubled()
    for copy in relay.doubled():
        assert replies[copy.message_id] == f"250 2.0.0 queued as {copy.number}", "what the stopped one had is no news"


def stop_between_writes(worker: int, scene: Scene) -> None:
    """Stop a worker while it holds neither the database nor the journal: nobody could go on beside it."""
    state_dir = scene.settings.state_dir
    locks = [state_dir.parent / "alerts.db-turn", state_dir / "journal" / "lock"]
    while True:
        os.kill(worker, signal.SIGSTOP)
        time.sleep(0.05)
        if all(is_free(lock) for lock in locks):
            return
        os.kill(worker, signal.SIGCONT)
        time.sleep(0.01)


def is_free(lock: Path) -> bool:
    """Whether nobody holds the lock of a file."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
