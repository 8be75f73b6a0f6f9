"""The commands `alerts scheduler` and `alerts deliver`."""

from datetime import datetime

import click

from alerts_service.cli.context import answer, in_zone, json_option, now_option, with_app, with_bare_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


@click.command()
@with_bare_app
def scheduler(_settings: Settings) -> None:
    """Run the process that opens editions and sends mail, until SIGTERM or Ctrl-C."""
    from scheduler import __main__ as process

    process.main()


@click.command()
@click.option("--drain", is_flag=True, help="Go on until nothing due is left.")
@json_option
@now_option
@with_app
def deliver(settings: Settings, drain: bool, as_json: bool, now: datetime | None) -> None:
    """Send what is due, lane by lane: one batch, or with --drain all of it. Prints what became of it."""
    from scheduler import delivering

    rehearsal = in_zone(now, settings.timezone)
    counts = delivering.deliver(settings, utcnow, drain=drain, rehearsal=rehearsal)
    answer(
        vars(counts),
        as_json,
        lambda d: [", ".join(f"{d[name]} {name}" for name in ("sent", "retrying", "failed", "cancelled"))],
    )
