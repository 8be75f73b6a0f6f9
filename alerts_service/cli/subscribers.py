"""Commands about one address."""

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
