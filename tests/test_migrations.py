"""The migrations make what the models say, on both databases, and can be gone back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import CheckConstraint, Connection, create_engine, inspect, text

from alerts_service import create_core
from alerts_service.db import Base, db, is_postgresql
from alerts_service.errors import SchemaOutdated
from alerts_service.services import installing
from tests.conftest import make_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The slim app on a database without any table."""
    if request.param == "sqlite":
        yield from opened(tmp_path, f"sqlite:///{tmp_path}/alerts.db")
        return
    server = str(request.getfixturevalue("postgresql_url"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE migrating"))
        yield from opened(tmp_path, server.replace("/postgres?", "/migrating?"))
        connection.execute(text("DROP DATABASE migrating"))
    engine.dispose()


def opened(folder: Path, url: str) -> Iterator[Flask]:
    app = create_core(make_settings(folder, url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def migrate(to: str) -> None:
    """Upgrade or, to `base`, downgrade."""
    alembic = installing.alembic_config()
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        alembic.attributes["connection"] = connection
        (command.downgrade if to == "base" else command.upgrade)(alembic, to)


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names())


def checks(connection: Connection) -> dict[str, set[str]]:
    """The names of the check constraints of each table: alembic does not compare those."""
    found = inspect(connection)
    names = {table: {str(check["name"]) for check in found.get_check_constraints(table)} for table in tables()}
    return {table: checks for table, checks in names.items() if checks}


def test_the_newest_migration_makes_exactly_what_the_models_say(empty: Flask) -> None:
    migrate("head")
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        wanted = {
            table.name: {str(check.name) for check in table.constraints if isinstance(check, CheckConstraint)}
            for table in Base.metadata.sorted_tables
        }
        assert checks(connection) == {table: names for table, names in wanted.items() if names}


def indexes() -> dict[str, str]:
    """Every index with the statement that makes it: alembic does not compare what rows it is about."""
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    if is_postgresql():
        asked = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    with db.engine.connect() as connection:
        found = {name: " ".join(made.split()) for name, made in connection.execute(text(asked))}
    return {name: made for name, made in found.items() if "alembic_version" not in name}


def test_the_newest_migration_makes_the_same_indexes_as_the_models(empty: Flask) -> None:
    migrate("head")
    migrated = indexes()
    migrate("base")
    Base.metadata.create_all(db.engine)
    assert migrated == indexes()


def test_the_migrations_can_be_gone_back_and_forth(empty: Flask) -> None:
    migrate("head")
    assert set(Base.metadata.tables) < tables()
    migrate("base")
    assert tables() == {"alembic_version"}
    migrate("head")
    assert set(Base.metadata.tables) < tables()


def test_the_migrations_are_one_line_without_branches() -> None:
    scripts = ScriptDirectory.from_config(installing.alembic_config())
    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1


def test_a_database_that_is_empty_or_older_is_not_current(empty: Flask) -> None:
    with pytest.raises(SchemaOutdated):
        installing.check_schema()
    migrate("head")
    installing.check_schema()
    migrate("base")
    with pytest.raises(SchemaOutdated):
        installing.check_schema()


def test_an_upgrade_that_fails_leaves_no_table_behind(empty: Flask) -> None:
    alembic = installing.alembic_config()
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin() as begun:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
        begun.rollback()
    assert tables() == set()
