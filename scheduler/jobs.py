"""The table of jobs: id, trigger, function. Each reads the clock and calls one service.

The timer is only an alarm clock: any job may run twice, late, on two machines or never; the next puts it right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.services import editions, fencing, steering, surges, tallying, unconfirmed

log = structlog.get_logger()

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """One job: what wakes it, and what it does."""

    id: str
    trigger: BaseTrigger
    work: Callable[[Settings, Stop], None]


def opening(settings: Settings, _stop: Stop) -> None:
    """Release what is due, open the editions that are due, compile them."""
    done = editions.open_due(settings=settings, now=utcnow(), clock=utcnow)
    if done.released or done.editions:
        log.info("opened", released=done.released, editions=done.editions, deliveries=done.deliveries)


def urgent(settings: Settings, stop: Stop) -> None:
    """Open an immediate edition at once for an urgent update."""
    if editions.urgent_is_waiting():
        opening(settings, stop)


def tally(_settings: Settings, _stop: Stop) -> None:
    """End what came back of cancelled editions; count, once, the outcomes of those with nothing left to send."""
    steering.finish_cancelling()
    tallying.tally_finished(utcnow())


def watch(_settings: Settings, _stop: Stop) -> None:
    """Say when more people sign up than usual, and when that is over."""
    seen = surges.watch(now=utcnow())
    if seen.begun:
        log.error("sign-ups surge; to stop them: alerts sign-ups stop", last_hour=seen.last_hour, most=seen.most)
    if seen.ended:
        log.info("sign-ups are usual again", last_hour=seen.last_hour, most=seen.most)


def remind(_settings: Settings, stop: Stop) -> None:
    """Remind, once, of sign-ups that were not confirmed."""
    while not stop() and (reminded := unconfirmed.remind(now=utcnow())):
        log.info("reminded", sign_ups=reminded)


def purge(_settings: Settings, stop: Stop) -> None:
    """Delete sign-ups that were not confirmed in time."""
    while not stop() and (deleted := unconfirmed.purge(now=utcnow())):
        log.info("purged", sign_ups=deleted)


def renew(settings: Settings, _stop: Stop) -> None:
    """Renew this host's nonce, so that an older copy of the database is known as such."""
    fencing.idle(settings, clock=utcnow())


def table() -> list[Job]:
    """Return every job of the scheduler."""
    return [
        Job("opening", CronTrigger(second=0, timezone="UTC"), opening),
        Job("urgent", IntervalTrigger(seconds=3, timezone="UTC"), urgent),
        Job("tallying", CronTrigger(second=30, timezone="UTC"), tally),
        Job("watching", CronTrigger(second=15, timezone="UTC"), watch),
        Job("reminding", CronTrigger(minute="*/10", second=10, timezone="UTC"), remind),
        Job("purging", CronTrigger(minute=5, second=20, timezone="UTC"), purge),
        Job("fence", IntervalTrigger(seconds=int(fencing.RENEW_EVERY.total_seconds()), timezone="UTC"), renew),
    ]


def in_context(app: Flask, job: Job, stop: Stop) -> Callable[[], None]:
    """Return a job as the timer calls it: in an application context, its failure logged, never fatal."""

    def run() -> None:
        if stop():
            return
        with app.app_context():
            try:
                job.work(app.extensions["alerts"], stop)
            except Exception:
                log.exception("job failed; the next run tries again", job=job.id)

    return run
