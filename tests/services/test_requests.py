"""Signing up on the driver's own connection: what fails leaves nothing behind, in the database or in the pool."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from alerts_service.db import db, driving, transaction
from alerts_service.errors import Invalid
from alerts_service.models import SignUp
from tests.databases import ON_POSTGRESQL
from tests.scene import Scene, no_room_for_deliveries, rows

ANN, BOB = "ann@example.org", "bob@example.org"


def test_what_the_database_refuses_comes_as_an_error_of_the_database_and_the_next_sign_up_works(scene: Scene) -> None:
    before = rows()
    with no_room_for_deliveries():
        for _ in range(3):
            with pytest.raises(SQLAlchemyError):
                scene.ask(ANN)
    assert rows() == before
    scene.ask(ANN)
    assert scene.sign_up_id(ANN)


def test_a_form_that_is_refused_within_the_turn_leaves_the_turn_free(scene: Scene) -> None:
    before = rows()
    with pytest.raises(Invalid):
        scene.ask(ANN, "no-such-topic")
    assert rows() == before
    scene.ask(ANN)
    scene.ask(BOB)
    assert db.session.query(SignUp).count() == 2


def at_most_three_times(call: Callable[[], None]) -> None:
    """Make a call again until it raises."""
    for _ in range(3):
        call()


@ON_POSTGRESQL  # SQLite's connections do not break
def test_a_connection_that_has_broken_is_dropped(scene: Scene) -> None:
    scene.ask(ANN)
    db.session.rollback()
    with db.engine.connect() as own:
        with driving() as driver:
            number = driver.execute("SELECT pg_backend_pid()").fetchone()[0]
        own.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
    # Whichever of the pool's connections it is, it is met within three.
    with pytest.raises(SQLAlchemyError):
        at_most_three_times(lambda: scene.ask(BOB))
    scene.ask(BOB)
    assert scene.sign_up_id(BOB)


def test_a_use_case_on_the_drivers_connection_is_not_called_within_another(scene: Scene) -> None:
    with transaction(), pytest.raises(RuntimeError, match="one use case"):
        scene.ask(ANN)


def set_topics(values: str) -> None:
    """Change the topic `idd` as somebody else would, in a transaction of its own."""
    with transaction() as session:
        session.execute(text(f"UPDATE topics SET {values} WHERE id = (SELECT id FROM topics WHERE slug LIKE 'idd%')"))


def test_a_topic_that_is_renamed_or_retired_is_so_for_the_very_next_sign_up(scene: Scene) -> None:
    scene.ask(ANN, "idd")
    set_topics("slug = 'idd-2'")
    with pytest.raises(Invalid):
        scene.ask(ANN, "idd")
    scene.ask(ANN, "idd-2")
    set_topics(f"retired_at = '{scene.now.isoformat()}'")
    with pytest.raises(Invalid):
        scene.ask(ANN, "idd-2")
    set_topics("retired_at = NULL")
    scene.ask(ANN, "idd-2")
