"""Commands about rates: list the limits, set them."""

from collections.abc import Iterable
from typing import Any, cast

import click

from alerts_service.cli.context import answer, json_option, with_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


class Number(click.ParamType[float]):
    """A number; `none` and 0 mean no limit, and are read as 0."""

    name = "number"

    def __init__(self, kind: type[float] | type[int]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text."""
        if str(value).strip().lower() == "none":
            return 0
        try:
            return self.kind(value)
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            self.fail(f"{value!r} is not {what}, nor none.", param, ctx)


@click.command("list")
@json_option
@with_app
def list_rates(settings: Settings, as_json: bool) -> None:
    """List the limits in force, what was sent today where a day has a limit, and the domains that are slowed down."""
    from alerts_service.services import rates

    answer(rates.listing(settings=settings, clock=utcnow()), as_json, _lines)


@click.command("set")
@click.argument("name", metavar="DOMAIN|relay")
@click.option("--per-second", type=Number(float), metavar="N", help="At most so many a second; 0 or none: no limit.")
@click.option("--per-day", type=Number(int), metavar="N", help="At most so many a day; 0 or none: no limit.")
@click.option("--ramp", type=Number(float), metavar="X", help="Each day X times as many as the day before.")
@json_option
@with_app
def set_rate(settings: Settings, /, name: str, as_json: bool, **given: float | None) -> None:
    """Set how fast DOMAIN, or the relay, is sent to, over all workers. What is not given stays as it is.

    It acts at once on everything that waits.
    """
    from alerts_service.services import rates

    limits = {key: value or None for key, value in given.items() if value is not None}
    if not limits:
        raise click.UsageError("Give at least one of --per-second, --per-day and --ramp.")
    clock = utcnow()
    kept = rates.set_limits(name, cast(rates.Limits, limits), settings=settings, clock=clock)
    found = [row for row in rates.listing(settings=settings, clock=clock) if row["name"] == kept]
    answer(found[0] if found else {"name": kept}, as_json, lambda row: _lines([row]))


def _lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    for row in rows:
        yield f"{row['name']}  {', '.join(_limits(row)) or 'no limit'}"


def _limits(row: dict[str, Any]) -> Iterable[str]:
    if row.get("per_second"):
        yield f"{row['per_second']:g} a second"
    if row.get("per_day"):
        growth = f" (times {row['ramp']:g} each day)" if row["ramp"] else ""
        yield f"{row['today']} today{growth}, {row['sent_today']} of them sent"
    if row.get("slowed_per_second"):
        yield f"slowed down to {row['slowed_per_second']:g} a second"
