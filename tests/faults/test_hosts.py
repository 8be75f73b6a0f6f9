"""Four hosts beside one PostgreSQL: each a scheduler with a state folder of its own, joined by themselves."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from alerts_service.db import db
from alerts_service.journal import TURN, Journal
from alerts_service.models import Host
from tests.databases import ON_POSTGRESQL
from tests.faults.audit import audit
from tests.faults.conftest import Start, drained, wait_until
from tests.faults.sink import Sink
from tests.scene import Scene

HOSTS = 4
PEOPLE = 3000
READERS = 40

# SQLite is for one host.
pytestmark = [pytest.mark.slow, ON_POSTGRESQL]


def test_four_hosts_send_an_edition_together_and_nobody_gets_it_twice(
    scene: Scene, relay: Sink, start: Start, digests: Callable[[int], int], tmp_path: Path
) -> None:
    folders = [tmp_path / f"host-{number}" for number in range(HOSTS)]
    schedulers = [start(ALERTS_STATE_DIR=str(folder)) for folder in folders]
    for number in range(READERS):
        scene.ask(f"reader{number}@example.org")
    wait_until(lambda: known_hosts() == HOSTS)
    relay.delay = 0.005
    number = digests(PEOPLE) + READERS
    wait_until(drained, 60)
    for scheduler in schedulers:
        scheduler.end()
    assert Counter(copy.recipient for copy in relay.stored).most_common(1)[0][1] == 1
    audit(scene, relay)
    noted = [Counter(message_ids_noted_by(folder)) for folder in folders]
    assert sum(noted, Counter()) == Counter(copy.message_id.partition("@")[0] for copy in relay.stored)
    assert len(relay.stored) == number >= 2000
    # A host that had sent nothing but a first batch would show little.
    assert min(each.total() for each in noted) > number / HOSTS / 4, noted


def known_hosts() -> int:
    """How many hosts have joined."""
    with db.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Host)) or 0


def message_ids_noted_by(folder: Path) -> list[Any]:
    """What a host has written into its journal before it sent it: Message-IDs without their domain."""
    turns = [entry.facts for entry in Journal(folder).entries() if entry.kind == TURN]
    people = [person for turn in turns for *_, people in turn["digests"] for person in people]
    return [short for _, short in people + [letter for turn in turns for letter in turn["letters"]]]
