"""`alerts database copy`: an installation moves to an empty PostgreSQL, whole or not at all."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from alerts_service import create_core
from alerts_service.config import Settings
from alerts_service.db import Base, db
from alerts_service.services import consents, fencing, proving, subscribers
from tests.cli.conftest import ANN, Commands
from tests.conftest import START
from tests.fenced import Sender
from tests.scene import Scene, rows

BOB = "bob@example.org"


@pytest.fixture
def scene(core: Flask, settings: Settings, now) -> Scene:
    return Scene(settings, now)


@pytest.fixture
def target(postgresql_url: str) -> Iterator[str]:
    """An empty database of the suite's own PostgreSQL, without any table."""
    administration = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS target"))
        connection.execute(text("CREATE DATABASE target TEMPLATE template0"))
    yield administration.url.set(database="target").render_as_string(hide_password=False)
    with administration.connect() as connection:
        connection.execute(text("DROP DATABASE target WITH (FORCE)"))
    administration.dispose()


@pytest.fixture
def there(target: str, settings: Settings) -> Callable[[], contextlib.AbstractContextManager[Scene]]:
    """The installation as it stands in the target."""

    @contextlib.contextmanager
    def opened() -> Iterator[Scene]:
        app = create_core(dataclasses.replace(settings, database_url=target))
        with app.app_context():
            yield Scene(app.extensions["alerts"], START)
            db.session.remove()
            db.engine.dispose()

    return opened


def tables(url: str) -> list[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    engine.dispose()
    return list(found)


def live(scene: Scene) -> tuple[Sender, int]:
    """Let an installation have a bit of everything."""
    sender = Sender(scene.settings, scene.now)
    scene.follow(ANN, "idd", "policy", frequency="daily")
    scene.follow(BOB, "idd", frequency="weekly", locale="es")
    scene.suppress("cid@example.org")
    update = scene.release("One & “two” \\ and \\N", summary="*a* \\N\n\n\ttabs \\t and lines")
    scene.tick_at(14)
    sender.drain()
    scene.leave(ANN)
    scene.ask("dan@example.org")
    return sender, update


def test_an_installation_moves_whole_and_goes_on(alerts: Commands, scene: Scene, target: str, there) -> None:
    sender, update = live(scene)
    before = rows()
    proof = proving.proof(update, now=scene.now)
    shown = [subscribers.show(each, **scene.at) for each in (ANN, BOB)]
    db.session.rollback()
    moved = alerts.answer("database", "copy", "--to", target)
    assert (moved["tables"], moved["rows"]) == (len(before), sum(before.values()))
    assert moved["consent_chains"] == 3
    assert rows() == before
    with there() as new:
        assert rows() == before
        assert proving.proof(update, now=scene.now) == proof
        assert [subscribers.show(each, **scene.at) for each in (ANN, BOB)] == shown
        assert consents.verify(db.session(), new.address_hash(ANN))
        db.session.rollback()
        assert fencing.held(db.session(), new.settings) is None
        moved_sender = Sender(new.settings, sender.clock)
        moved_sender.drain()
        assert [address for address, _ in moved_sender.sent] == [ANN, "dan@example.org"], "a goodbye first"
        new.now = scene.now
        new.follow("eve@example.org")
        assert new.release("after the move") > update


def test_a_target_that_init_has_made_is_empty_enough(
    alerts: Commands, scene: Scene, target: str, settings: Settings
) -> None:
    live(scene)
    before = rows()
    Commands(alerts.environment | {"ALERTS_DATABASE_URL": target}).said("init")
    assert alerts.answer("database", "copy", "--to", target)["rows"] == sum(before.values())


def test_a_target_with_people_is_refused_and_kept(alerts: Commands, scene: Scene, target: str) -> None:
    live(scene)
    alerts.said("database", "copy", "--to", target)
    assert "the target is not empty: there are rows in" in alerts.refusal("database", "copy", "--to", target)


def test_a_broken_chain_is_not_carried_over_and_nothing_is_left_behind(
    alerts: Commands, scene: Scene, target: str
) -> None:
    live(scene)
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE consents SET kind = 'forged' WHERE number = 1"))
    assert "consent chains are broken" in alerts.refusal("database", "copy", "--to", target)
    assert tables(target) == []


def test_numbers_go_on_after_the_highest_ever_given(alerts: Commands, scene: Scene, target: str, there) -> None:
    live(scene)
    erased = scene.follow("eve@example.org")
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for table in ("catch_ups", "subscriptions", "deliveries"):
            connection.execute(text(f"DELETE FROM {table} WHERE subscriber_id = {erased}"))
        connection.execute(text(f"DELETE FROM subscribers WHERE id = {erased}"))
    alerts.said("database", "copy", "--to", target)
    with there() as new:
        assert new.follow("fay@example.org") > erased


def test_only_postgresql_is_a_target(alerts: Commands, tmp_path) -> None:
    said = alerts.refusal("database", "copy", "--to", f"sqlite:///{tmp_path}/other.db")
    assert said == "The copy was not made: an installation can be copied into PostgreSQL only."
    assert "must begin with" in alerts.misuse("database", "copy", "--to", "mysql://x/y")


def test_an_unreachable_target_is_said_in_one_line(alerts: Commands) -> None:
    said = alerts.refusal("database", "copy", "--to", "postgresql://nobody@127.0.0.1:9/x?connect_timeout=2")
    assert said.startswith("The copy was not made:")


def test_every_table_has_its_place(scene: Scene) -> None:
    assert {table.name for table in Base.metadata.sorted_tables} == set(rows())
