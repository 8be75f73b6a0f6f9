"""Commands about editions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from alerts_service.cli.context import answer, json_option, now_option, pairs, present, with_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


@click.command("open")
@json_option
@now_option
@with_app
def open_due(settings: Settings, as_json: bool, now: datetime | None) -> None:
    """Release the updates that are due, open the editions that are due, and compile them: what the
    scheduler does each minute. Safe to repeat."""
    from alerts_service.services import editions

    done = editions.open_due(settings=settings, now=present(now, settings), clock=utcnow)
    answer(
        vars(done),
        as_json,
        lambda d: [f"Released {d['released']}, opened {len(d['editions'])}, made {d['deliveries']} deliveries."],
    )


@click.command("list")
@json_option
@with_app
def list_editions(_settings: Settings, as_json: bool) -> None:
    """List the editions, newest first, with their deliveries by state."""
    from alerts_service.services import editions

    answer(editions.listing(), as_json, _lines)


@click.command()
@click.argument("edition", type=int)
@json_option
@with_app
def show(_settings: Settings, edition: int, as_json: bool) -> None:
    """Show one EDITION: its digests, and what became of its deliveries."""
    from alerts_service.services import editions

    answer(editions.show(edition), as_json, pairs)


@click.command()
@click.argument("edition", type=int)
@click.option("--reason", default="by an operator", help="Why; kept with it.")
@json_option
@with_app
def pause(_settings: Settings, edition: int, reason: str, as_json: bool) -> None:
    """Hold the deliveries of EDITION that have not been sent."""
    from alerts_service.services import editions

    editions.pause(edition, reason=reason, now=utcnow())
    answer({"id": edition, "paused": True}, as_json, lambda d: [f"Paused: edition {d['id']}"])


@click.command()
@click.argument("edition", type=int)
@json_option
@with_app
def resume(_settings: Settings, edition: int, as_json: bool) -> None:
    """Let a paused EDITION go on."""
    from alerts_service.services import editions

    editions.resume(edition)
    answer({"id": edition, "paused": False}, as_json, lambda d: [f"Resumed: edition {d['id']}"])


@click.command()
@click.argument("edition", type=int)
@click.option("--reason", default="by an operator", help="Why; kept with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_app
def cancel(_settings: Settings, edition: int, reason: str, yes: bool, as_json: bool) -> None:
    """End EDITION: whoever it has not been sent to is owed its updates again, in their next edition. To
    prevent that, withdraw the update. Before its compile it is only paused. Safe to repeat."""
    from alerts_service.services import editions, steering

    if not yes:
        frequency = editions.show(edition)["frequency"]
        click.confirm(f"Cancel edition {edition}, {frequency}?", abort=True, err=as_json)
    ended = steering.cancel(edition, reason=reason, now=utcnow())
    answer({"id": edition, "cancelled": ended is not None, "deliveries": ended or 0}, as_json, _ended)


@click.command("retry-failed")
@click.argument("edition", type=int)
@json_option
@with_app
def retry_failed(_settings: Settings, edition: int, as_json: bool) -> None:
    """Try the failed deliveries of EDITION again, those of suppressed addresses apart."""
    from alerts_service.services import steering

    number = steering.retry_failed(edition, now=utcnow())
    answer(
        {"id": edition, "deliveries": number},
        as_json,
        lambda d: [f"Back in the queue: {d['deliveries']} of edition {d['id']}"],
    )


def _ended(done: dict[str, Any]) -> Iterable[str]:
    if done["cancelled"]:
        yield f"Cancelled: edition {done['id']}, {done['deliveries']} deliveries"
    else:
        yield f"Paused: edition {done['id']} is not compiled yet; cancel it when it is"


def _lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    for row in rows:
        states = ", ".join(f"{number} {state}" for state, number in row["deliveries"].items()) or "nothing to send"
        held = "  CANCELLED" if row["cancelled_at"] else "  PAUSED" if row["paused_at"] else ""
        yield f"{row['id']:>6}  {row['frequency']:<9}  {row['slot_at']}  {states}{held}"
