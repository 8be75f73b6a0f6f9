"""What bench.questions measures, in a process of its own: `explain` and `proof`, asked many times."""

import json
import sys
from collections.abc import Callable
from time import perf_counter

from flask import current_app

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.db import db
from alerts_service.services import explaining, proving, tallying
from bench.crowd import NEW_UPDATES, PAST_UPDATES
from bench.measuring import median, quantile

_TIMES = 40


def ask(subscribers: int) -> dict[str, float]:
    """Ask about many people and updates; return the median and the slowest in twenty of each, in seconds."""
    settings, now = current_app.extensions["alerts"], utcnow()
    people = [1 + number * 7919 % subscribers for number in range(_TIMES)]
    sent = range(1, PAST_UPDATES + 1)
    found = {
        "explain": _times(
            lambda n: explaining.explain(
                f"reader{people[n]}@mail{people[n] % 400}.example", sent[n % len(sent)], settings=settings, now=now
            )
        ),
        "proof": _times(lambda n: proving.proof(sent[n % len(sent)], now=now)),
        "proof of a waiting one": _times(lambda n: proving.proof(PAST_UPDATES + 1 + n % NEW_UPDATES, now=now), 5),
    }
    return {f"{name} {share}": measure(times) for name, times in found.items() for share, measure in _SHARES.items()}


_SHARES: dict[str, Callable[[list[float]], float]] = {"p50": median, "p95": lambda times: quantile(times, 0.95)}


def _times(question: Callable[[int], object], times: int = _TIMES) -> list[float]:
    question(0)  # the first of its kind makes its statements
    found = []
    for number in range(times):
        started = perf_counter()
        question(number)
        db.session.rollback()
        found.append(perf_counter() - started)
    return found


def main() -> None:
    """Tally what has ended, as the scheduler does, then ask."""
    with create_core().app_context():
        tallying.tally_finished(utcnow())
        print(json.dumps(ask(int(sys.argv[1]))))
        db.session.remove()
        db.engine.dispose()


if __name__ == "__main__":
    main()
