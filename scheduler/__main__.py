"""`python -m scheduler`: the scheduler as a process of its own, ended cleanly by SIGTERM or SIGINT.

It checks the installation once, then runs one timer, which opens editions, and the workers, which send.
"""

import time
from collections.abc import Callable
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.db import db
from alerts_service.mail import environment
from alerts_service.services import fencing, installing
from scheduler import jobs, workers
from scheduler.delivering import Worker
from scheduler.running import IN_FLIGHT, Run


def main(number_of_workers: int = 1) -> None:
    """Run until told to end. Raises SettingsRefused, SchemaOutdated or KeyMismatch at the start."""
    app = create_core()
    with app.app_context():
        try:
            installing.check(app.extensions["alerts"])
        finally:
            db.session.remove()
            db.engine.dispose()
    environment.load(app.extensions["alerts"])
    each = max(1, IN_FLIGHT // number_of_workers)
    sending = [(f"worker {n}", partial(send, app, each)) for n in range(1, number_of_workers + 1)]
    workers.supervise([("timer", partial(keep_time, app)), *sending])


def keep_time(app: Flask, stop: Callable[[], bool]) -> None:
    """Run the table of jobs. A job that is at work when the end comes finishes, or sees the flag."""
    timer = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None})
    for job in jobs.table():
        timer.add_job(jobs.in_context(app, job, stop), job.trigger, id=job.id, max_instances=1)
    timer.start()
    while not stop():
        time.sleep(0.1)
    timer.shutdown(wait=True)


def send(app: Flask, connections: int, stop: Callable[[], bool]) -> None:
    """Send what is due, for as long as the process lives."""
    with app.app_context():
        settings = app.extensions["alerts"]
        Worker(settings, Run(utcnow, stop, connections=connections)).run()
        fencing.idle(settings, clock=utcnow())


if __name__ == "__main__":
    from scheduler.commands import scheduler

    scheduler(prog_name="python -m scheduler")
