"""Random lives against the reference model, on both databases.

They are played in parts, each from a seed of its own, so that test workers share them: the fast suite plays the
first part, the whole suite more than a thousand lives on SQLite. ALERTS_LIVES sets another number for each part,
ALERTS_LIVES_SEED another first seed. A life that fails prints a `@reproduce_failure` line that plays it again.
"""

import os
import sqlite3

import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as chances
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import event

from alerts_service.config import Settings
from alerts_service.db import db
from tests.matching.machine import Lives
from tests.matching.world import World

# Making a failing life shorter takes minutes: ask for it with ALERTS_SHORTEN=1, and the printed line.
PHASES = [phase for phase in Phase if phase is not Phase.shrink or os.environ.get("ALERTS_SHORTEN")]
FIRST_SEED = int(os.environ.get("ALERTS_LIVES_SEED", "0"))
PARTS = 20
LIVES_A_PART = {"sqlite": 51, "postgresql": 5}


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
@pytest.mark.usefixtures("core")
def test_random_lives_give_everybody_what_they_are_owed_once(settings: Settings, part: int) -> None:
    play(settings, FIRST_SEED + part)


def play(installation: Settings, first: int) -> None:
    """Play the lives of a seed in one installation, one after the other."""
    kind = "sqlite" if installation.database_url.startswith("sqlite") else "postgresql"
    lives = int(os.environ.get("ALERTS_LIVES", LIVES_A_PART[kind]))
    if kind == "sqlite":
        forget_the_disk()
    world = World(installation)

    @seed(first)
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
