"""A process of a busy installation: `python -m tests.matching.crowd ROLE URL FOLDER SEED MOMENT SECONDS PEOPLE`.

Schedulers tick and send, writers confirm, leave, pause, change and publish, all at once, until the time is over.
It writes a line when it begins. Batches are small, so that there is much to come between.
"""

import random
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from alerts_service import create_core
from alerts_service.db import db
from alerts_service.services import compiling, settling
from tests.conftest import make_settings
from tests.matching.model import FREQUENCIES
from tests.matching.world import TOPICS, World

BATCH = 10
SPAN = timedelta(minutes=10)


def main(role: str, url: str, folder: str, seed: str, moment: str, seconds: str, people: str) -> None:
    """Play one role until the time is over."""
    settings = make_settings(Path(folder), url)
    with create_core(settings).app_context():
        world = World(settings)
        world.now = world.real = datetime.fromisoformat(moment)
        chance = random.Random(f"{role} {seed}")
        end = time.monotonic() + float(seconds)
        turn = 0
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        while time.monotonic() < end:
            turn += 1
            ROLES[role](world, chance, int(people), turn)
        db.session.remove()
        db.engine.dispose()


def tick(world: World, chance: random.Random, people: int, turn: int) -> None:
    """A scheduler: opens, and compiles in small batches."""
    world.advance(SPAN)
    world.tick_without_compile()
    while compiling.compile_next(world.now, BATCH)[0]:
        pass


def send(world: World, chance: random.Random, people: int, turn: int) -> None:
    """A sender: claims, settles, sends."""
    world.take_back()
    claim = world.claim_only(f"sender {turn}", limit=30)
    settling.settle(claim.unsettled, now=world.now)
    world.record_all(claim.deliveries, worker=f"sender {turn}")


def write(world: World, chance: random.Random, people: int, turn: int) -> None:
    """People who change what they follow."""
    name = f"p{chance.randrange(people)}"
    topics = chance.sample(TOPICS, chance.randint(1, len(TOPICS)))
    deed: Callable[[], object] = chance.choice(
        (
            lambda: world.confirm(name, topics, chance.choice(FREQUENCIES)),
            lambda: world.confirm(f"new{chance.randrange(10**9)}", topics, chance.choice(FREQUENCIES)),
            lambda: world.choose(name, topics, chance.choice(FREQUENCIES)),
            lambda: world.choose(name, topics, chance.choice(FREQUENCIES)),
            lambda: world.leave(name),
            lambda: world.pause(name),
            lambda: world.resume(name),
            lambda: world.resume(name),
        )
    )
    deed()


def publish(world: World, chance: random.Random, people: int, turn: int) -> None:
    """An operator."""
    update_id = world.add(chance.sample(TOPICS, chance.randint(1, 2)), urgent=chance.random() < 0.2)
    time.sleep(0.1)
    if chance.random() < 0.1:
        world.withdraw(update_id)


ROLES: dict[str, Callable[[World, random.Random, int, int], None]] = {
    "tick": tick,
    "send": send,
    "write": write,
    "publish": publish,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
