"""Fixtures: settings, both databases, the slim app and the web app, a relay that keeps what it is given."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from alerts_service import create_app, create_core
from alerts_service.config import SCHEDULES, Settings
from alerts_service.db import db
from alerts_service.rules.slots import parse
from alerts_service.services import installing
from tests import databases
from tests.relays import Relay

# A Monday, 07:00 in New York.
START = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
PERMANENT_KEY = "permanent-key-of-the-tests-0123456789"


def pytest_configure() -> None:
    """Let the temporary folders of tests lie where databases are quick."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", databases.scratch())


def make_settings(folder: Path, database_url: str, **changes: object) -> Settings:
    """Return the settings of a production installation on loopback."""
    settings = Settings(
        mode="production",
        database_url=database_url,
        state_dir=folder / "state",
        secret_keys=("first-secret-key-of-the-tests-012345",),
        permanent_key=PERMANENT_KEY,
        base_url="http://127.0.0.1:8000",
        trusted_proxies=0,
        limits=True,
        redis_url="",
        smtp_url="smtp://127.0.0.1:9",
        smtp_connections=4,
        smtp_rate=0,
        from_address="Resources for Integrated Care <alerts@care.example.org>",
        service_from="Resources for Integrated Care <service@care.example.org>",
        reply_to=None,
        bounce_domain="",
        mail_allow=(),
        seed_addresses=(),
        seed_hold_seconds=0,
        lease_seconds=60,
        retry_seconds=60,
        name="Resources for Integrated Care",
        goodbye=True,
        postal_address="7500 Security Boulevard, Baltimore, MD 21244",
        contact_url="https://care.example.org/contact",
        privacy_url="https://care.example.org/privacy",
        widget_origins=(),
        languages=("en", "es"),
        timezone=ZoneInfo("America/New_York"),
        schedules={frequency: parse(frequency, text) for frequency, (_, text) in SCHEDULES.items()},
        schedule_texts={frequency: text for frequency, (_, text) in SCHEDULES.items()},
    )
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def installed_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and the default catalogue, to be copied."""
    folder = tmp_path_factory.mktemp("installed")
    path = folder / "alerts.db"
    _install(make_settings(folder, f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL of this test worker, with the schema."""
    with databases.postgresql_server() as url:
        yield url


def _install(settings: Settings) -> None:
    app = create_core(settings)
    with app.app_context():
        installing.init(settings, now=START)
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An installed, otherwise empty database; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "alerts.db"
        shutil.copy(request.getfixturevalue("installed_sqlite"), path)
        return f"sqlite:///{path}"
    url = str(request.getfixturevalue("postgresql_url"))
    if not hasattr(request.session, "postgresql_installed"):
        _install(make_settings(tmp_path, url))
        databases.keep(url)
        request.session.postgresql_installed = True  # type: ignore[attr-defined]
    databases.reset(url)
    return url


@pytest.fixture
def settings(database_url: str, tmp_path: Path, relay: Relay) -> Settings:
    """The settings of this test's installation; its relay is the one of the test."""
    return make_settings(tmp_path, database_url, smtp_url=relay.url)


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A real SMTP server on loopback that keeps what it is given. It starts when its address is asked for."""
    server = Relay()
    yield server
    server.stop()


@pytest.fixture
def core(settings: Settings) -> Iterator[Flask]:
    """The slim app, its context pushed: for tests of services."""
    app = create_core(settings)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The web app."""
    app = create_app(settings)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript."""
    return app.test_client()


@pytest.fixture
def now() -> datetime:
    """The moment most tests begin at."""
    return START


@pytest.fixture
def clock(now: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: now
