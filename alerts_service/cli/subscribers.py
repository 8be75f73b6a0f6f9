"""Commands about one address."""

import json
from datetime import datetime

import click

from alerts_service.cli.context import answer, json_option, now_option, pairs, present, with_app
from alerts_service.config import Settings


@click.command()
@click.argument("address")
@json_option
@now_option
@with_app
def state(settings: Settings, address: str, as_json: bool, now: datetime | None) -> None:
    """Say in one word how things stand with ADDRESS: the first that holds of suppressed, paused, active,
    pending (a sign-up waits for its confirmation), unsubscribed, none."""
    from alerts_service.services import subscribers

    word = subscribers.state(address, settings=settings, now=present(now, settings))
    answer({"address": address, "state": word}, as_json, lambda d: [d["state"]])


@click.command()
@click.argument("address")
@json_option
@now_option
@with_app
def show(settings: Settings, address: str, as_json: bool, now: datetime | None) -> None:
    """Show everything kept about ADDRESS: sign-ups, subscriptions with their history, consents, deliveries."""
    from alerts_service.services import subscribers

    answer(subscribers.show(address, settings=settings, now=present(now, settings)), as_json, pairs)


@click.command()
@click.argument("address")
@json_option
@now_option
@with_app
def export(settings: Settings, address: str, as_json: bool, now: datetime | None) -> None:
    """Print everything kept about ADDRESS as one JSON document: what the person would download. With --json it
    is one line."""
    from alerts_service.services import subscribers

    found = subscribers.show(address, settings=settings, now=present(now, settings))
    answer(found, as_json, lambda d: [json.dumps(d, ensure_ascii=False, indent=2)])


@click.command()
@click.argument("address")
@json_option
@now_option
@with_app
def unsubscribe(settings: Settings, address: str, as_json: bool, now: datetime | None) -> None:
    """End every subscription of ADDRESS, as its unsubscribe link would; queued mail is not sent."""
    from alerts_service.services import leaving

    leaving.leave_address(address, settings=settings, now=present(now, settings))
    answer({"address": address, "unsubscribed": True}, as_json, lambda d: [f"Unsubscribed: {d['address']}"])


@click.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@now_option
@with_app
def erase(settings: Settings, address: str, yes: bool, as_json: bool, now: datetime | None) -> None:
    """Erase everything by which the person at ADDRESS could be known. A suppression stays, as a keyed hash; counts
    and proofs stay right. This cannot be undone."""
    from alerts_service.services import erasing

    if not yes:
        click.confirm(f"Erase everything about {address}?", abort=True, err=as_json)
    erasing.erase_address(address, settings=settings, now=present(now, settings))
    answer({"address": address, "erased": True}, as_json, lambda d: [f"Erased: {d['address']}"])


@click.command()
@json_option
@with_app
def reasons(_settings: Settings, as_json: bool) -> None:
    """Count the reasons that people gave for leaving, where ALERTS_ASK_REASON is on. Nothing says who gave them."""
    from alerts_service.services import reasons as given

    answer(given.totals(), as_json, lambda rows: [f"{row['people']:>7}  {row['reason']}" for row in rows])
