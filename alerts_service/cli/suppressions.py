"""Commands about addresses that no mail goes to."""

import click

from alerts_service.cli.context import answer, json_option, with_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


@click.command("list")
@json_option
@with_app
def list_suppressions(_settings: Settings, as_json: bool) -> None:
    """List the suppressions in force. An address that is no subscriber's is kept as a hash only."""
    from alerts_service.services import suppressing

    answer(
        suppressing.listing(),
        as_json,
        lambda rows: [f"{row['address']}  {row['reason']}  {row['suppressed_at']}  {row['detail']}" for row in rows],
    )


@click.command()
@click.argument("address")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with it.")
@json_option
@with_app
def add(settings: Settings, address: str, reason: str, as_json: bool) -> None:
    """Stop all mail to ADDRESS, queued mail included."""
    from alerts_service.services import suppressing

    suppressing.suppress(address, suppressing.OPERATOR, reason, settings=settings, now=utcnow())
    answer({"address": address, "suppressed": True}, as_json, lambda d: [f"Suppressed: {d['address']}"])


@click.command()
@click.argument("address")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with it.")
@json_option
@with_app
def lift(settings: Settings, address: str, reason: str, as_json: bool) -> None:
    """Let mail go to ADDRESS again. After a complaint only the person's own new confirmation does that."""
    from alerts_service.services import suppressing

    suppressing.lift(address, reason, settings=settings, now=utcnow())
    answer({"address": address, "suppressed": False}, as_json, lambda d: [f"Lifted: {d['address']}"])
