"""Clocks that are moved, and transactions that stand open over a slot."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from alerts_service.services import editions, ledger, publishing
from tests.conftest import START
from tests.databases import ON_POSTGRESQL
from tests.faults.sink import Sink
from tests.scene import DAY, HOUR, MINUTE, Scene

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture
def now() -> datetime:
    """Nothing here is a process of its own, so that time can be what we say."""
    return START


@pytest.mark.parametrize("jump", [-2 * DAY, 3 * HOUR])
def test_a_clock_that_is_moved_between_two_ticks_neither_loses_nor_repeats(
    scene: Scene, relay: Sink, jump: timedelta
) -> None:
    scene.follow(ANN, frequency="daily")
    first = scene.release("First")
    scene.tick_at(14)
    scene.deliver()
    second = scene.release("Second")
    scene.tick(jump)
    scene.deliver()
    scene.tick(-jump + MINUTE)
    for _ in range(2):
        scene.tick_at(14, days=1)
        scene.deliver()
    assert given(scene, ANN) == Counter([first, second])
    slots = [(row["frequency"], row["slot_at"]) for row in editions.listing()]
    assert len(slots) == len(set(slots))


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_clock_that_is_moved_while_it_sends_doubles_no_more_than_is_in_flight(
    scene: Scene, relay: Sink, jump: timedelta
) -> None:
    for number in range(12):
        scene.ask(f"reader{number}@example.org")
    moved: list[str] = []

    def move(recipient: str) -> None:
        if recipient.startswith("reader5@") and not moved:
            moved.append(recipient)
            scene.now += jump

    relay.refuse = move
    scene.deliver(connections=4)
    scene.now += 2 * DAY
    scene.deliver()
    assert moved
    assert {row.state for row in scene.deliveries()} == {"sent"}
    assert len(relay.copies()) == 12
    assert len(relay.doubled()) <= 4


def test_a_release_whose_transaction_is_open_over_the_slot_is_in_its_edition_or_the_next(
    scene: Scene, relay: Sink, core: Flask
) -> None:
    scene.follow(ANN, frequency="daily")
    scene.now = scene.now.replace(hour=13, minute=59, second=59)
    draft = scene.release("Late", approve=False)
    before = scene.now
    with open_over(lambda: publishing.approve(draft, now=before), core) as commit:
        tick = threading.Thread(target=in_context, args=(core, lambda: scene.tick_at(14)))
        tick.start()
        tick.join(0.3)
        assert tick.is_alive(), "the tick waits for its turn"
        commit()
        tick.join()
    scene.deliver()
    assert given(scene, ANN) == Counter([draft])
    scene.tick_at(14, days=1)
    scene.deliver()
    assert given(scene, ANN) == Counter([draft])


@ON_POSTGRESQL
def test_a_sign_up_whose_transaction_is_open_over_the_slot_is_owed_what_is_released_after_it(
    scene: Scene, relay: Sink, core: Flask
) -> None:
    before = scene.release("Before")
    scene.ask(BOB, frequency="daily")
    token = scene.confirm_token(BOB)
    with open_over(lambda: scene.confirm(token), core) as commit:
        scene.tick_at(14)
        after = scene.release("After")
        commit()
    scene.deliver()
    scene.tick_at(14, days=1)
    scene.deliver()
    assert given(scene, BOB) == Counter([after]), f"{before} was released before the confirmation"


def given(scene: Scene, address: str) -> Counter[int]:
    """How often each update was sent to somebody."""
    lines = [line for line in ledger.lines(settings=scene.settings) if line["address"] == address]
    return Counter(update for line in lines if line["state"] == "sent" for update in line["updates"])


def in_context(core: Flask, call: Callable[[], object]) -> None:
    """Make a call in an application context of its own, as a thread needs it."""
    with core.app_context():
        call()


@contextmanager
def open_over(use_case: Callable[[], object], core: Flask) -> Iterator[Callable[[], None]]:
    """Run a use case up to its commit; give what lets it commit."""
    reached, let_go = threading.Event(), threading.Event()
    thread = threading.Thread(target=in_context, args=(core, use_case))

    def hold(_session: Session) -> None:
        if threading.current_thread() is thread:
            reached.set()
            let_go.wait(20)

    def commit() -> None:
        let_go.set()
        thread.join()

    event.listen(Session, "before_commit", hold)
    try:
        thread.start()
        assert reached.wait(20)
        yield commit
    finally:
        commit()
        event.remove(Session, "before_commit", hold)
