"""When the database is locked, old or away: a plain 503, when to come back, and nothing written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, event, text

from alerts_service.config import Settings
from alerts_service.db import db
from tests.databases import ON_SQLITE
from tests.web.asking import FORM
from tests.web.conftest import Contents, OpenSite, Town, contents

WRITES = {
    "subscribe": FORM,
    "confirm": {},
    "not_me": {},
    "ask": {"email": "ann@example.org"},
    "preferences": {"topics": "idd", "frequency": "monthly", "language": "en"},
    "unsubscribe": {"List-Unsubscribe": "One-Click"},
}


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else writes, for longer than a request waits."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            names = ", ".join(table.name for table in db.metadata.sorted_tables)
            connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
        yield
        connection.rollback()
    engine.dispose()


@pytest.fixture
def impatient(settings: Settings, another: OpenSite) -> FlaskClient:
    """The site on a database that gives up waiting after a tenth of a second."""
    if settings.database_url.startswith("postgresql"):
        return another(database_url=f"{settings.database_url}&options=-clock_timeout%3D100")
    site = another()
    with site.application.app_context():
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=100"))
        db.engine.dispose()
    return site


def test_a_locked_database_is_a_503_with_when_to_come_back_and_nothing_written(
    impatient: FlaskClient, settings: Settings, town: Town
) -> None:
    before: Contents = contents()
    db.session.rollback()
    with locked(settings.database_url):
        for name, form in WRITES.items():
            answer = impatient.post(town.paths[name], data=form)
            assert answer.status_code == 503, name
            assert answer.headers["Retry-After"] == "60"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "We cannot save anything just now." in answer.text
            assert impatient.get(town.paths[name]).status_code in {200, 303}, "pages can still be read"
    assert contents() == before
    for name, form in WRITES.items():
        assert impatient.post(town.paths[name], data=form).status_code in {200, 303}, name


@ON_SQLITE
def test_a_database_that_is_gone_is_a_503_in_the_readers_language(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    db.session.remove()
    db.engine.dispose()
    for file in tmp_path.glob("alerts.db*"):
        file.unlink()
    for answer in (client.get("/?lang=es"), client.post("/subscribe?lang=es", data=FORM)):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "60"
        assert '<html lang="es"' in answer.text
    assert client.get("/healthz").status_code == 200, "the process is alive"
    assert client.get("/readyz").status_code == 503


@ON_SQLITE
def test_an_older_schema_is_not_ready(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "alerts.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"schema": "outdated"})


@ON_SQLITE
def test_a_mistake_of_ours_is_a_plain_500_that_tells_nothing(app: Flask, client: FlaskClient) -> None:
    def broken() -> str:
        raise ZeroDivisionError("a secret")

    app.add_url_rule("/broken", view_func=broken)
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "Something went wrong here, and nothing was changed." in answer.text
    assert "secret" not in answer.text
