"""Commands about updates: add, list, show, approve, withdraw."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from alerts_service.cli.context import (
    Moment,
    Refusal,
    answer,
    in_zone,
    json_option,
    now_option,
    pairs,
    present,
    with_app,
)
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.rules.announcements import KINDS


@click.command()
@click.option("--title", required=True, help="One line.")
@click.option("--topic", "topics", multiple=True, required=True, metavar="SLUG", help="Repeat for more than one.")
@click.option("--summary", default="", metavar="MARKDOWN", help="What it says.")
@click.option("--summary-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="…or from a file.")
@click.option("--title-es", help="The title in Spanish.")
@click.option("--summary-es", metavar="MARKDOWN", help="The summary in Spanish.")
@click.option("--url", help="Where to read more.")
@click.option("--kind", type=click.Choice(KINDS), default="news", show_default=True, help="What it is.")
@click.option("--urgent", is_flag=True, help="Send at once, to all frequencies.")
@click.option("--release-at", type=Moment(), metavar="ISO", help="Not before this moment.")
@click.option("--expires-at", type=Moment(), metavar="ISO", help="Not after this moment.")
@click.option("--starts-at", type=Moment(), metavar="ISO", help="When the event begins.")
@click.option("--ends-at", type=Moment(), metavar="ISO", help="When the event ends.")
@click.option("--zone", metavar="ZONE", help="The zone of the event's times, if not the service's.")
@click.option("--registration-url", help="Where to register for the event.")
@click.option("--credit", metavar="TEXT", help="Continuing-education credit.")
@click.option("--follow-up-of", type=int, metavar="ID", help="The update that this one follows up.")
@click.option("--approve", is_flag=True, help="Release it at once, or at --release-at.")
@json_option
@now_option
@with_app
def add(settings: Settings, /, approve: bool, as_json: bool, now: datetime | None, **fields: Any) -> None:
    """Queue an update. Moments without an offset are in the service's time zone, event times in --zone.

    Warnings go to stderr and do not stop it. The last word printed is the update's id.
    """
    from alerts_service.rules.announcements import NewUpdate
    from alerts_service.services import publishing

    file = fields.pop("summary_file")
    if file is not None:
        fields["summary"] = _text_of(file)
    new = NewUpdate(**_with_moments(fields, settings.timezone))
    added = publishing.add(new, approve=approve, settings=settings, now=present(now, settings))
    for warning in added.warnings:
        click.echo(f"Warning: {warning}", err=True)
    verb = "Approved" if approve else "Queued as a draft"
    answer(vars(added), as_json, lambda d: [f"{verb}: update {d['id']}"])


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refusal(f"{file} is not a text file in UTF-8.") from None


def _with_moments(fields: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Give moments without an offset the zone they are meant in: an event's own, else the service's."""
    own = zone
    if fields["zone"]:
        try:
            own = ZoneInfo(fields["zone"])
        except (ValueError, OSError, KeyError):
            own = zone  # the service refuses the name, in words
    zones = {"starts_at": own, "ends_at": own, "release_at": zone, "expires_at": zone}
    return fields | {name: in_zone(fields[name], its_zone) for name, its_zone in zones.items()}


@click.command("list")
@click.option(
    "--state",
    type=click.Choice(["draft", "submitted", "approved", "released", "withdrawn"]),
    help="Only those in this state.",
)
@json_option
@with_app
def list_updates(_settings: Settings, state: str | None, as_json: bool) -> None:
    """List the updates, newest first."""
    from alerts_service.services import publishing

    answer(
        publishing.listing(state),
        as_json,
        lambda rows: [
            f"{row['id']:>6}  {row['state']:<9}  {row['title']}  [{', '.join(row['topics'])}]" for row in rows
        ],
    )


@click.command()
@click.argument("update", type=int)
@click.option(
    "--as", "form", type=click.Choice(["html", "text", "eml"]), help="The digest it would make alone, in this form."
)
@click.option("--lang", metavar="CODE", help="With --as, the language, such as es; the service's first if not given.")
@json_option
@with_app
def show(settings: Settings, update: int, form: str | None, lang: str | None, as_json: bool) -> None:
    """Show everything about one UPDATE, or with --as the digest that it alone would make."""
    from alerts_service.services import mailing, publishing

    if form is None:
        answer(publishing.show(update), as_json, pairs)
        return
    locale = lang or settings.languages[0]
    if locale not in settings.languages:
        raise click.BadParameter(f"“{lang}” is not one of {', '.join(settings.languages)}.", param_hint="--lang")
    words = mailing.preview(update, locale=locale, settings=settings)
    if form == "eml":
        click.echo(mailing.sample(words, settings=settings, now=utcnow()), nl=False)
    else:
        click.echo(words.html if form == "html" else words.text)


@click.command()
@click.argument("update", type=int)
@json_option
@now_option
@with_app
def approve(settings: Settings, update: int, as_json: bool, now: datetime | None) -> None:
    """Approve the draft UPDATE: it is released at once, or at its release time."""
    from alerts_service.services import publishing

    publishing.approve(update, now=present(now, settings))
    answer(
        {"id": update, "state": publishing.show(update)["state"]}, as_json, lambda d: [f"Approved: update {d['id']}"]
    )


@click.command()
@click.argument("update", type=int)
@click.option("--reason", default="", help="Why; kept with the update.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@now_option
@with_app
def withdraw(settings: Settings, update: int, reason: str, yes: bool, as_json: bool, now: datetime | None) -> None:
    """Take UPDATE back: whoever has not been sent it yet will not be."""
    from alerts_service.services import publishing

    if not yes:
        title = publishing.show(update)["title"]
        click.confirm(f"Withdraw update {update}, “{title}”?", abort=True, err=as_json)
    publishing.withdraw(update, reason=reason, now=present(now, settings))
    answer({"id": update, "state": "withdrawn"}, as_json, lambda d: [f"Withdrawn: update {d['id']}"])
