"""Schedulers, senders and writers in processes of their own, all at once; and schedulers that are killed."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from alerts_service.db import db, transaction
from alerts_service.models import Edition, Subscriber, Subscription, Update, UpdateTopic
from alerts_service.services import proving
from tests.matching.model import FREQUENCIES
from tests.matching.world import TOPICS, World

PEOPLE = 200
SECONDS = 12

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def crowd(world: World) -> World:
    """An installation with a few hundred people."""
    chance = random.Random()
    for number in range(PEOPLE):
        world.confirm(f"p{number}", chance.sample(TOPICS, 2), chance.choice(FREQUENCIES))
    for _ in range(10):
        world.add(chance.sample(TOPICS, 2))
    return world


def test_two_schedulers_at_once_give_everybody_what_they_are_owed_once(crowd: World, tmp_path: Path) -> None:
    roles = ("tick", "tick", "send")
    play(crowd, tmp_path, roles)
    audit(crowd)


def test_schedulers_and_writers_at_once_lose_and_double_nothing(crowd: World, tmp_path: Path) -> None:
    play(crowd, tmp_path, ("tick", "tick", "send", "write", "write", "publish"))
    audit(crowd)


def test_a_scheduler_killed_while_it_compiles_leaves_nothing_lost_or_doubled(crowd: World, tmp_path: Path) -> None:
    chance = random.Random()
    halfway = 0
    for number in range(8):
        crowd.add(chance.sample(TOPICS, 2), urgent=True)
        with begun(crowd, tmp_path, "tick", number, seconds=60) as scheduler:
            time.sleep(chance.uniform(0.01, 0.4))
            scheduler.send_signal(signal.SIGKILL)
            scheduler.wait()
        halfway += db.session.scalar(select(Edition.id).where(Edition.compiled_at.is_(None)).limit(1)) is not None
        db.session.rollback()
        crowd.advance(timedelta(days=1))
    assert halfway, "no kill fell into a compile"
    audit(crowd)


def play(crowd: World, folder: Path, roles: tuple[str, ...]) -> None:
    """Let processes do their parts at once, to the end."""
    processes = [started(crowd, folder, role, number, SECONDS) for number, role in enumerate(roles)]
    ends = [(process, process.communicate(timeout=300)[1]) for process in processes]
    for process, complaints in ends:
        assert process.returncode == 0, complaints


@contextmanager
def begun(crowd: World, folder: Path, role: str, seed: int, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Start a process and wait until it begins its part."""
    process = started(crowd, folder, role, seed, seconds)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def started(crowd: World, folder: Path, role: str, seed: int, seconds: float) -> "subprocess.Popen[str]":
    """Start a process."""
    arguments = (role, crowd.settings.database_url, folder, seed, crowd.now.isoformat(), seconds, PEOPLE)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.matching.crowd", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def audit(crowd: World) -> None:
    """Let every slot come and everything be sent; then nothing may be lost, doubled or sent unowed."""
    with transaction() as session:
        session.execute(update(Subscriber).values(paused_at=None, paused_until=None))
    crowd.advance(timedelta(days=60))
    crowd.tick()
    crowd.take_back()
    crowd.deliver()
    given = Counter(
        (line.person, u) for line in crowd.ledger().values() if line.state != "cancelled" for u in line.holds
    )
    assert given
    assert {line.state for line in crowd.ledger().values()} <= {"sent", "cancelled"}
    assert all(line.holds for line in crowd.ledger().values())
    assert [pair for pair, times in given.items() if times > 1] == []
    assert given.keys() - entitled(only_open=False) == set()
    assert entitled(only_open=True) - given.keys() == set()
    for update_id in db.session.scalars(select(Update.id)).all():
        assert proving.proof(update_id, now=crowd.now)["adds_up"]


def entitled(*, only_open: bool) -> set[tuple[int, int]]:
    """Return who had (or has, and was not denied by a withdrawal) a following that an update falls under."""
    updates = defaultdict(list)
    rows = select(UpdateTopic.topic_id, Update.id, Update.seq, Update.withdrawn_at).join(Update).where(Update.seq > 0)
    for topic_id, update_id, seq, withdrawn_at in db.session.execute(rows):
        if not (only_open and withdrawn_at):
            updates[topic_id].append((update_id, seq))
    followings = select(Subscription.subscriber_id, Subscription.topic_id, Subscription.since_seq)
    if only_open:
        followings = followings.where(Subscription.ended_at.is_(None))
    return {
        (person, update_id)
        for person, topic_id, since in db.session.execute(followings)
        for update_id, seq in updates[topic_id]
        if since < (seq or 0)
    }
