"""Random lives against the reference model, on both databases.

`pytest tests/matching` plays a few dozen; the slow test plays at least a thousand on SQLite. ALERTS_LIVES sets another
number. A life that fails prints a `@reproduce_failure` line that plays it again.
"""

import os
import sqlite3

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as chances
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import event

from alerts_service.config import Settings
from alerts_service.db import db
from tests.matching.machine import Lives
from tests.matching.world import World

# Making a failing life shorter takes minutes: ask for it with ALERTS_SHORTEN=1, and the printed line.
PHASES = [phase for phase in Phase if phase is not Phase.shrink or os.environ.get("ALERTS_SHORTEN")]
FEW = {"sqlite": 50, "postgresql": 25}
MANY = {"sqlite": 1200, "postgresql": 500}


@pytest.mark.usefixtures("core")
def test_random_lives_give_everybody_what_they_are_owed_once(settings: Settings) -> None:
    play(settings, FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("core")
def test_a_thousand_random_lives_give_everybody_what_they_are_owed_once(settings: Settings) -> None:
    play(settings, MANY)


def play(installation: Settings, numbers: dict[str, int]) -> None:
    """Play lives in one installation, one after the other."""
    kind = "sqlite" if installation.database_url.startswith("sqlite") else "postgresql"
    lives = int(os.environ.get("ALERTS_LIVES", numbers[kind]))
    if kind == "sqlite":
        forget_the_disk()
    world = World(installation)

    class Here(Lives):
        """Lives in this installation."""

    Here.world = world
    try:
        run_state_machine_as_test(
            Here,
            settings=chances(
                max_examples=lives,
                stateful_step_count=40,
                deadline=None,
                print_blob=True,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=PHASES,
            ),
        )
    except BaseException:
        print(f"It failed within {Here.played} lives.")  # noqa: T201 - shown with the failure
        raise


def forget_the_disk() -> None:
    """Let SQLite not wait for the disk: no life here is about a machine that loses power."""

    @event.listens_for(db.engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    db.engine.dispose()
