"""Commands about addresses that no mail goes to."""

from datetime import datetime

import click

from alerts_service.cli.context import Moment, answer, json_option, with_app
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
@click.argument("address", required=False)
@click.option("--domain", metavar="D", help="Instead of one address: those of this domain.")
@click.option("--between", nargs=2, type=Moment(), metavar="A B", help="With --domain: suppressed from A to before B.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_app
def lift(
    settings: Settings,
    address: str | None,
    domain: str | None,
    between: tuple[datetime, datetime] | None,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Let mail go to ADDRESS again, or to all of a domain that were suppressed in a span of time, as when
    its server refused everybody. After a complaint only the person's own new confirmation does that."""
    from alerts_service.services import suppressing

    if (address is None) == (domain is None) or (domain is None) != (between is None):
        raise click.UsageError("Give either ADDRESS, or --domain and --between.")
    if address is not None:
        suppressing.lift(address, reason, settings=settings, now=utcnow())
        answer({"address": address, "suppressed": False}, as_json, lambda d: [f"Lifted: {d['address']}"])
        return
    assert domain is not None
    assert between is not None
    since, until = (moment if moment.tzinfo else moment.replace(tzinfo=settings.timezone) for moment in between)
    if not yes:
        found = suppressing.count_of_domain(domain, since=since, until=until)
        click.confirm(f"Lift {found} suppressions of {domain}?", abort=True, err=as_json)
    lifted = suppressing.lift_domain(domain, reason, since=since, until=until, now=utcnow())
    answer({"domain": domain, "lifted": lifted}, as_json, lambda d: [f"Lifted: {d['lifted']} of {d['domain']}"])
