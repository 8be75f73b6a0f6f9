"""Commands about the installation: init, serve, demo-data."""

import os
import sys
from datetime import datetime
from typing import NoReturn

import click

from alerts_service.cli.context import Refusal, answer, json_option, now_option, present, with_app, with_bare_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.rules.slots import Frequency


@click.command(short_help="Create or upgrade the database.")
@click.option("--catalogue", metavar="FILE|none", help="Load this catalogue, or none, instead of the default one.")
@json_option
@with_bare_app
def init(settings: Settings, catalogue: str | None, as_json: bool) -> None:
    """Create or upgrade the database, make the permanent key where there is none, and load the default
    catalogue where there is no topic. Safe to repeat."""
    from alerts_service.services import installing

    try:
        done = installing.init(settings, catalogue_file=catalogue, now=utcnow())
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"The catalogue cannot be read: {error}") from None
    answer({"done": done}, as_json, lambda d: d["done"])


@click.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@with_bare_app
def serve(settings: Settings, bind: str, workers: int) -> NoReturn:
    """Run the site. It refuses to start on an older schema; put a web server that speaks TLS in front."""
    from alerts_service.services import installing

    installing.check(settings)
    gunicorn = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread"]
    options = ["--threads", "4", "--workers", str(workers), "--bind", bind, "alerts_service:create_app()"]
    sys.stdout.flush()
    os.execv(sys.executable, [*gunicorn, *options])  # noqa: S606 - our own interpreter


@click.command("demo-data")
@click.option("--subscribers", required=True, type=click.IntRange(1, 100_000_000), metavar="N", help="How many people.")
@click.option("--updates", default=0, type=click.IntRange(0, 10_000), metavar="M", help="How many released updates.")
@click.option(
    "--frequency",
    type=click.Choice([frequency.value for frequency in Frequency]),
    help="One frequency for all, instead of a mixture.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same data.")
@json_option
@now_option
@with_app
def demo_data(
    settings: Settings,
    subscribers: int,
    updates: int,
    frequency: str | None,
    seed: int,
    as_json: bool,
    now: datetime | None,
) -> None:
    """Fill an installation that has no subscribers with confirmed ones and released updates, for rehearsal
    and load tests. Nothing is mailed until the next edition."""
    from alerts_service.services import demo_data as filling

    moment = present(now, settings)
    done = filling.fill(subscribers, updates, frequency=frequency, seed=seed, settings=settings, now=moment)
    answer(vars(done), as_json, lambda d: [f"{d['subscribers']} subscribers and {d['updates']} updates were made."])
