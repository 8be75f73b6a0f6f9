"""`python -m scheduler`: the scheduler as a process of its own, ended cleanly by SIGTERM or SIGINT.

Signals are blocked and waited for, in the main thread; the timer runs beside it. A job that is at work
sees the stop flag between two messages, so the end takes no longer than one message.
"""

import signal
import threading

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from alerts_service import create_core
from alerts_service.db import db
from alerts_service.services import installing
from scheduler import jobs

_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

log = structlog.get_logger()


def main() -> None:
    """Run until told to end. Raises SettingsRefused, SchemaOutdated or KeyMismatch at the start."""
    app = create_core()
    with app.app_context():
        try:
            installing.check(app.extensions["alerts"])
        finally:
            db.session.remove()
            db.engine.dispose()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    ending = threading.Event()
    timer = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None})
    for job in jobs.table():
        timer.add_job(jobs.in_context(app, job, ending.is_set), job.trigger, id=job.id, max_instances=1)
    timer.start()
    log.info("scheduler started", jobs=[job.id for job in jobs.table()])
    number = signal.sigwait(_ENDING)
    log.info("scheduler ending", signal=signal.Signals(number).name)
    ending.set()
    timer.shutdown(wait=True)


if __name__ == "__main__":
    from scheduler.commands import scheduler

    scheduler(prog_name="python -m scheduler")
