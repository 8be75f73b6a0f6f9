"""Commands that ask the record: outbox, ledger, explain, proof."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from alerts_service.cli.context import Moment, answer, in_zone, json_option, now_option, pairs, present, with_app
from alerts_service.config import Settings


@click.command("count")
@json_option
@with_app
def outbox_count(_settings: Settings, as_json: bool) -> None:
    """Print how many deliveries have not ended: one integer."""
    from alerts_service.services import outbox

    answer({"count": outbox.count()}, as_json, lambda d: [str(d["count"])])


@click.command()
@click.option("--edition", type=int, help="Only this edition's.")
@click.option("--update", type=int, help="Only those that hold this update.")
@click.option("--since", type=Moment(), metavar="ISO", help="Only those made since.")
@with_app
def ledger(settings: Settings, edition: int | None, update: int | None, since: datetime | None) -> None:
    """Print every delivery with its fate, one JSON line each, oldest first."""
    from alerts_service.services import ledger as record

    moment = in_zone(since, settings.timezone)
    for line in record.lines(settings=settings, edition=edition, update=update, since=moment):
        click.echo(json.dumps(line, ensure_ascii=False))


@click.command()
@click.argument("address")
@click.argument("update", type=int)
@json_option
@now_option
@with_app
def explain(settings: Settings, address: str, update: int, as_json: bool, now: datetime | None) -> None:
    """Say why ADDRESS did, or did not, get UPDATE, and what that rests on."""
    from alerts_service.services import explaining

    found = explaining.explain(address, update, settings=settings, now=present(now, settings))
    answer(found, as_json, _explanation)


@click.command()
@click.argument("update", type=int)
@click.option("--recount", is_flag=True, help="Count every delivery, and hold the tallies of ended editions to it.")
@json_option
@now_option
@with_app
def proof(settings: Settings, update: int, recount: bool, as_json: bool, now: datetime | None) -> None:
    """Prove what became of UPDATE for everybody it was matched to: matched = sent + pending + failed +
    cancelled. Exit 1 if it does not add up, or if a tally is wrong."""
    from alerts_service.services import proving

    found = proving.proof(update, now=present(now, settings), recount=recount)
    answer(found, as_json, pairs)
    if not (found["adds_up"] and found.get("tallies_agree", True)):
        raise SystemExit(1)


def _explanation(found: dict[str, Any]) -> Iterable[str]:
    yield found["because"]
    for row in found["subscriptions"]:
        ended = f", ended {row['ended_at']} ({row['ended_reason']})" if row["ended_at"] else ""
        yield f"  follows {row['topic']}, {row['frequency']}, since {row['started_at']}{ended}"
    for row in [*found["deliveries"], *found["reminders"]]:
        why = f": {row['reason'] or row['reply']}" if row["reason"] or row["reply"] else ""
        yield f"  edition {row['edition']} ({row['frequency']}, {row['slot_at']}): {row['state']}{why}"
    if found["suppression"]:
        yield f"  the address is suppressed: {found['suppression']}"
