"""How a worker runs, and what it counts."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime

# No more messages than this are on their way from one scheduler without a receipt, over all its workers.
IN_FLIGHT = 8


@dataclass
class Counts:
    """What a run of the sender did."""

    sent: int = 0
    retrying: int = 0
    failed: int = 0
    cancelled: int = 0

    def add(self, other: "Counts") -> None:
        """Take another run's counts in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Run:
    """How a worker is to run: `drain`, until nothing due is left or the relay is gone; `once`, for one batch.

    Leases, retries and back-off follow `clock`, the real time; `rehearsal` decides only what has lapsed.
    """

    clock: Callable[[], datetime]
    stop: Callable[[], bool] = lambda: False
    drain: bool = False
    once: bool = False
    rehearsal: datetime | None = None
    connections: int = IN_FLIGHT
    chance: random.Random = field(default_factory=random.Random)
