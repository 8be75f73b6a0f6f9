"""A consistent copy of the database while it is in use: a SQLite file, or what pg_dump writes.

The permanent key is not in it: it is kept apart, and without it a copy makes no link and reads no hash.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from alerts_service.config import Settings
from alerts_service.db import db, is_postgresql
from alerts_service.errors import CopyRefused
from alerts_service.journal import Journal
from alerts_service.services import fencing

_PAGES = 2000

Progress = Callable[[int, int], None]


def back_up(path: Path, *, replace: bool, settings: Settings, clock: datetime, progress: Progress) -> int:
    """Write a copy of the database to `path`, readable by its owner only; return its size in bytes.

    Raises CopyRefused where there is a file already and `replace` is False, or where it cannot be made; then
    nothing is left behind. `progress` is told how many of how many pages are done.
    """
    if path.exists() and not replace:
        raise CopyRefused(reason=f"{path} is there already; --yes replaces it.")
    try:
        with _beside(path) as unfinished:
            if is_postgresql():
                _dump(unfinished)
            else:
                _copy(unfinished, progress)
            _make_durable(unfinished)
            unfinished.replace(path)
        _make_durable(path.resolve().parent)
    except (OSError, sqlite3.Error) as error:
        raise CopyRefused(reason=str(error)) from None
    if Journal(settings.state_dir).last() is not None:
        # From here on the copy is older than the journal, even if nothing is sent any more.
        fencing.idle(settings, clock=clock)
    return path.stat().st_size


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give an empty file of our own beside `path`; remove it unless it has been moved."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield unfinished
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(f"{unfinished}{ending}").unlink(missing_ok=True)


def _copy(path: Path, progress: Progress) -> None:
    """Copy page by page within one read transaction: who writes meanwhile neither waits nor makes it begin anew."""
    with (
        contextlib.closing(sqlite3.connect(db.engine.url.database or "", isolation_level=None)) as source,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=_PAGES, progress=lambda _status, left, all_: progress(all_ - left, all_))


def _dump(path: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise CopyRefused(
            reason="pg_dump is not on the PATH; install PostgreSQL's client programs, or use your server's own backups."
        )
    words, environment = _where()
    done = subprocess.run(  # noqa: S603 - our own words
        [program, "--format=custom", "--no-owner", "--no-privileges", f"--file={path}", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CopyRefused(reason=" ".join(done.stderr.split())[:500])


def _where() -> tuple[list[str], dict[str, str]]:
    """Return how pg_dump finds the database; the password goes by the environment, as others may see the words."""
    from psycopg.conninfo import make_conninfo

    positional, named = db.engine.dialect.create_connect_args(db.engine.url)
    password = named.pop("password", None)
    environment = {"PGPASSWORD": str(password)} if password else {}
    known = {name: value for name, value in named.items() if name != "context"}
    return [f"--dbname={make_conninfo(*positional, **known)}"], environment


def _make_durable(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
