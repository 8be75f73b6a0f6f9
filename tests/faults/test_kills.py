"""SIGKILL at any moment: nothing is lost, and nothing goes out twice but what was in flight."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, select, text

from alerts_service.db import db, is_postgresql
from alerts_service.models import Subscriber
from scheduler import receipts
from scheduler.claims import FIRST_BATCH
from tests.faults.audit import IN_FLIGHT, Kill, audit
from tests.faults.conftest import Scheduler, Start, drained, wait_until
from tests.faults.sink import Faults, Sink
from tests.scene import Scene

KILLS = 6

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again_it_loses_nothing_and_doubles_only_what_was_in_flight(
    scene: Scene, relay: Sink, start: Start, digests: Callable[[int], int], workers: int
) -> None:
    number = digests(800)
    left = db.session.scalars(select(Subscriber.address).order_by(Subscriber.id.desc()).limit(5)).all()
    for address in left:
        scene.suppress(address)
    relay.faults = Faults(greeting_421=0.05, mail_421=0.02, rcpt_450=0.02, ack_drop=0.01)
    relay.delay, chance, kills = 0.02, random.Random(), []
    for _ in range(KILLS):
        scheduler, before = start(workers, ALERTS_SMTP_CONNECTIONS="8"), len(relay.stored)
        wait_until(lambda before=before: len(relay.stored) > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.35))
        kills.append(kill(scheduler, relay))
    assert len(relay.copies()) < number - len(left), "the last kill, too, fell on a sending scheduler"
    relay.delay = 0.0
    scheduler = start(workers, ALERTS_SMTP_CONNECTIONS="8")
    wait_until(drained)
    scheduler.end()
    audit(scene, relay, kills)
    assert not set(left) & relay.copies().keys()


def test_killed_while_the_ledger_waits_for_the_database_it_doubles_only_what_was_in_flight(
    scene: Scene, relay: Sink, start: Start, digests: Callable[[int], int]
) -> None:
    digests(400)
    relay.delay = 0.05
    scheduler = start(ALERTS_SMTP_CONNECTIONS="8")
    # In its second batch, which lasts longer than the ledger is left unwritten.
    wait_until(lambda: len(relay.stored) > 2 * FIRST_BATCH and noted(scene) > 2 * IN_FLIGHT)
    with somebody_writes(scene):
        wait_until(lambda: len(relay.stored) == stored_after(0.3, relay))
        assert noted(scene) > IN_FLIGHT, "there is more to lose than what was in flight"
        killed = kill(scheduler, relay)
    relay.delay = 0.0
    start()
    wait_until(drained)
    audit(scene, relay, [killed])


def kill(scheduler: Scheduler, relay: Sink) -> Kill:
    """Kill all of a scheduler, and wait until the relay has read the last of it."""
    since = time.time()
    scheduler.kill()
    wait_until(lambda: relay.connections == 0)
    return since, time.time()


def noted(scene: Scene) -> int:
    """How many receipts lie there, of what the ledger does not say yet."""
    return sum(path.read_bytes().count(b"\n") for path in receipts.folder(scene.settings.state_dir).iterdir())


def stored_after(seconds: float, relay: Sink) -> int:
    """How much the relay has taken after a while."""
    time.sleep(seconds)
    return len(relay.stored)


@contextmanager
def somebody_writes(scene: Scene) -> Iterator[None]:
    """Hold what the ledger needs to be written, over a connection of our own."""
    engine = create_engine(scene.settings.database_url)
    with engine.connect() as connection:
        if is_postgresql():
            connection.execute(text("LOCK TABLE deliveries IN SHARE MODE"))
        else:
            connection.exec_driver_sql("PRAGMA busy_timeout=30000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
        connection.rollback()
    engine.dispose()
