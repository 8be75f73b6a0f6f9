"""The commands `alerts scheduler` and `alerts deliver`."""

import sys
from datetime import datetime
from typing import Any

import click
import structlog

from alerts_service.cli.context import Refusal, answer, in_zone, json_option, now_option, with_app, with_bare_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db

workers_option = click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that send."
)


@click.command()
@workers_option
@with_bare_app
def scheduler(_settings: Settings, workers: int) -> None:
    """Run the process that opens editions and sends mail, until SIGTERM or Ctrl-C."""
    from scheduler import __main__ as process

    _log_to_stderr()
    process.main(workers)


@click.command()
@click.option("--drain", is_flag=True, help="Go on until nothing due is left.")
@workers_option
@json_option
@now_option
@with_app
def deliver(settings: Settings, drain: bool, workers: int, as_json: bool, now: datetime | None) -> None:
    """Send what is due, lane by lane: one batch, or with --drain all of it. Prints what became of it."""
    from alerts_service.services import fencing
    from scheduler import draining

    _log_to_stderr()
    fencing.enter(settings, clock=utcnow())
    if held := fencing.held(db.session(), settings):
        raise Refusal(held)
    counts = draining.deliver(settings, workers, drain=drain, rehearsal=in_zone(now, settings.timezone))
    answer(
        vars(counts),
        as_json,
        lambda d: [", ".join(f"{d[name]} {name}" for name in ("sent", "retrying", "failed", "cancelled"))],
    )


def _log_to_stderr() -> None:
    """Keep stdout for answers. The stream is looked up at each line, as structlog's own factory does not."""

    def factory(*_: Any) -> Any:
        return structlog.PrintLogger(sys.stderr)

    structlog.configure(logger_factory=factory)
