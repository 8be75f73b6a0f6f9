"""The database under a sending scheduler: restarted, full, changed by an upgrade."""

import dataclasses
import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from alerts_service import create_app
from alerts_service.db import db
from alerts_service.services import installing, rates
from scheduler import receipts
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.audit import audit
from tests.faults.conftest import Scheduler, Start, drained, wait_until
from tests.faults.sink import Sink
from tests.scene import Scene, rows

CONNECTIONS = 4

Queue = Callable[[int], int]


@ON_POSTGRESQL
@pytest.mark.slow
def test_a_restart_of_postgresql_in_mid_sending_loses_nothing_and_doubles_nothing(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    digests(1200)
    relay.delay = 0.01
    scheduler = start(2)
    for _ in range(2):
        before = len(relay.stored)
        wait_until(lambda before=before: len(relay.stored) > before + 150)  # type: ignore[misc]
        restart_postgresql()
    wait_until(drained)
    assert "nothing more is begun" in scheduler.said
    assert "before its time" not in scheduler.said, "no worker has ended over it"
    audit(scene, relay)
    scheduler.kill()


@ON_SQLITE
@pytest.mark.slow
def test_a_full_disk_holds_the_mail_and_what_was_in_flight_is_all_that_goes_out_again(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    number = digests(600)
    relay.delay = 0.01
    scheduler = start()
    wait_until(lambda: len(relay.stored) > 100)
    begun = time.time()
    fill_the_disk(scheduler)
    time.sleep(1)
    full, taken = time.time(), len(relay.stored)
    time.sleep(2)
    assert len(relay.stored) == taken < number
    fill_the_disk(scheduler, full=False)
    wait_until(drained)
    audit(scene, relay, [(begun, full)], in_flight=CONNECTIONS)


@ON_SQLITE
def test_a_receipt_that_the_disk_has_no_room_for_ends_the_worker_and_is_not_read_as_another(scene: Scene) -> None:
    for name in ("ann", "bob"):
        scene.ask(f"{name}@example.org")
    first, second = scene.deliveries()
    kept = receipts.Receipts(scene.settings.state_dir, "w")
    kept.note(Claim(first.id), "250 ok", scene.now)
    (path,) = receipts.folder(scene.settings.state_dir).iterdir()
    with no_room_beyond(path.stat().st_size + 1), pytest.raises(OSError, match="File too large"):
        kept.note(Claim(second.id), "250 ok", scene.now)
    assert path.read_bytes().count(b"\n") == 1


@ON_SQLITE
def test_on_a_full_disk_a_sign_up_writes_nothing_and_can_be_made_again_when_there_is_room(
    scene: Scene,
) -> None:
    app = create_app(dataclasses.replace(scene.settings, limits=False))
    client = app.test_client()
    form = {"topics": ["idd"], "frequency": "daily"}
    with app.app_context():
        event.listen(db.engine, "checkout", no_more_pages)
    answers: list[int] = []
    while 503 not in answers:
        written = rows()
        answers.append(client.post("/subscribe", data=form | {"email": f"r{len(answers)}@example.org"}).status_code)
        assert len(answers) < 500
    assert rows() == written
    assert set(answers) == {303, 503}
    with app.app_context():
        event.remove(db.engine, "checkout", no_more_pages)
        db.engine.dispose()
    assert client.post("/subscribe", data=form | {"email": f"r{len(answers) - 1}@example.org"}).status_code == 303
    assert rows()["deliveries"] == written["deliveries"] + 1
    with app.app_context():
        db.engine.dispose()


@pytest.mark.slow
def test_an_upgrade_of_the_schema_while_it_sends_holds_it_up_and_no_more(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    rates.set_limits("relay", {"per_second": 10_000}, settings=scene.settings, clock=scene.now)
    digests(800)
    relay.delay = 0.02
    scheduler = start(2)
    wait_until(lambda: len(relay.stored) > 150)
    try:
        upgrade(*[f"ALTER TABLE {table} ADD COLUMN later TEXT" for table in ("deliveries", "rates", "editions")])
        installing.init(scene.settings, now=scene.now)
        assert not drained()
        wait_until(drained)
        scheduler.end()
        assert "before its time" not in scheduler.said
        audit(scene, relay)
        assert relay.doubled() == []
    finally:
        upgrade(*[f"ALTER TABLE {table} DROP COLUMN later" for table in ("deliveries", "rates", "editions")])


class Claim:
    """The first claim of a delivery."""

    claim_number = 1

    def __init__(self, number: int) -> None:
        self.id = number


def restart_postgresql() -> None:
    """Restart the server as after a crash; it recovers from its log."""
    with db.engine.connect() as connection:
        data = Path(str(connection.scalar(text("SHOW data_directory"))))
    db.engine.dispose()
    server = int((data / "postmaster.pid").read_text().split("\n")[0])
    pg_ctl = Path(f"/proc/{server}/exe").resolve().with_name("pg_ctl")
    owner: dict[str, Any] = {"user": data.stat().st_uid} if os.geteuid() == 0 else {}
    words = ["restart", "-w", "-m", "immediate", "-D", str(data), "-l", str(data / "log")]
    subprocess.run([pg_ctl, *words], check=True, stdout=subprocess.DEVNULL, timeout=60, cwd="/", **owner)


def fill_the_disk(scheduler: Scheduler, *, full: bool = True) -> None:
    """Let no process of a scheduler write to any file any more; or let them again."""
    limit = (0 if full else resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for pid in (scheduler.process.pid, *scheduler.children()):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def no_more_pages(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
    """A database that may not grow: SQLite says the same as on a full disk."""
    connection.execute("PRAGMA max_page_count=1")


def upgrade(*statements: str) -> None:
    """Change the schema as `alerts init` does, and take a while over it."""
    with installing._exclusive_connection() as connection:
        for statement in statements:
            connection.execute(text(statement))
        time.sleep(0.5)
