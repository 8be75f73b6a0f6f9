"""`alerts deliver`: sending what is due and ending, in this process or in several."""

import json
import os
from collections.abc import Callable
from datetime import datetime

from flask import current_app

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.mail import environment
from alerts_service.services import steering, tallying
from scheduler import workers
from scheduler.delivering import Worker
from scheduler.running import IN_FLIGHT, Counts, Run


def deliver(settings: Settings, number: int, *, drain: bool, rehearsal: datetime | None) -> Counts:
    """Send what is due, lane by lane: a batch for each worker, or with `drain` until nothing due is left."""
    environment.load(settings)
    connections = max(1, IN_FLIGHT // number)
    run = Run(utcnow, drain=drain, once=not drain, rehearsal=rehearsal, connections=connections)
    counts = Worker(settings, run).run() if number == 1 else _together(settings, number, run)
    steering.finish_cancelling()
    tallying.tally_finished(utcnow())
    return counts


def _together(settings: Settings, number: int, run: Run) -> Counts:
    """Run several workers, each a process, and add up what they did. Ctrl-C ends them, too."""
    db.session.remove()
    db.engine.dispose()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    pipes = [os.pipe() for _ in range(number)]

    def task(end_of_pipe: int) -> workers.Task:
        def work(stop: Callable[[], bool]) -> None:
            with app.app_context():
                run.stop = stop
                counts = Worker(settings, run).run()
            os.write(end_of_pipe, json.dumps(vars(counts)).encode())

        return work

    children = [workers.fork(task(write), os.getpid()) for _, write in pipes]
    total = Counts()
    try:
        for read, write in pipes:
            os.close(write)
            with open(read, "rb") as pipe:  # noqa: PTH123 - a file number
                total.add(Counts(**json.loads(pipe.read() or b"{}")))
    finally:
        workers.end(children)
    return total
