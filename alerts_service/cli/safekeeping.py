"""Commands that keep an installation safe: backup, restore reconcile, database copy."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from environs import ValidationError

from alerts_service import settings_text
from alerts_service.cli.context import answer, json_option, now_option, present, with_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Replace FILE if it is there.")
@json_option
@with_app
def backup(settings: Settings, file: Path, yes: bool, as_json: bool) -> None:
    """Write a consistent copy of the database to FILE, while everything runs: a SQLite file, or what pg_dump
    writes. The permanent key is not in it; keep that apart."""
    from alerts_service.services import backing_up

    with _bar("Copying") as bar:
        size = backing_up.back_up(file, replace=yes, settings=settings, clock=utcnow(), progress=bar)
    answer({"file": str(file), "bytes": size, "permanent_key": False}, as_json, _backed_up)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--without", multiple=True, metavar="HOST", help="A host that is gone for good; repeatable.")
@json_option
@now_option
@with_app
def reconcile(settings: Settings, yes: bool, without: tuple[str, ...], as_json: bool, now: datetime | None) -> None:
    """After a restore: say what is held and what would be sent, then do again what this host's journal knows
    (who left, who is suppressed, what was sent) and let mail go out."""
    from alerts_service.services.restore import reconciling

    plan = reconciling.plan(settings)
    if not plan.reasons:
        answer({"reconciled": False}, as_json, lambda _: ["Nothing is held: the database is as this host left it."])
        return
    if not yes:
        for line in _planned(vars(plan)):
            click.echo(line, err=as_json)
        click.confirm("Reconcile?", abort=True, err=as_json)
    with _bar("Reading the journal") as bar:
        done = reconciling.reconcile(
            settings,
            without=without,
            now=present(now, settings),
            clock=utcnow(),
            progress=_adding_up(bar, plan.turns),
        )
    answer({"reconciled": True, "was": vars(plan), **vars(done)}, as_json, _reconciled)


@click.command("copy")
@click.option("--to", "url", required=True, metavar="URL", help="An empty PostgreSQL, as postgresql://… names it.")
@json_option
@with_app
def copy_database(_settings: Settings, url: str, as_json: bool) -> None:
    """Copy this installation into an empty PostgreSQL, and compare counts, consent chains and keys. Stop the
    site and the scheduler first: what is written meanwhile stays behind."""
    from alerts_service.services import moving

    try:
        target = settings_text.database_url(url)
    except ValidationError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    with _bar("Copying") as bar:
        moved = moving.copy_to(target, progress=_adding_up(bar, moving.count_rows()))
    answer(vars(moved), as_json, _copied)


Bar = Callable[[int, int], None]


@contextmanager
def _bar(label: str) -> Iterator[Bar]:
    """Show a progress bar on a terminal and none elsewhere; it is told how much of how much is done."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:

        def tell(done: int, of: int) -> None:
            shown.length = max(of, 1)
            shown.update(done - shown.pos)

        yield tell


def _adding_up(bar: Bar, of: int) -> Callable[[int], None]:
    done = 0

    def more(number: int) -> None:
        nonlocal done
        done += number
        bar(done, of)

    return more


def _backed_up(found: dict[str, Any]) -> Iterator[str]:
    yield f"The database is in {found['file']}, {found['bytes']} bytes."
    yield "The permanent key is not: keep ALERTS_PERMANENT_KEY, or permanent.key in ALERTS_STATE_DIR, apart from it."


def _planned(plan: dict[str, Any]) -> Iterator[str]:
    yield from plan["reasons"]
    if plan["base_url"]:
        yield f"The base URL becomes {plan['base_url']}."
    yield f"Done again first: {_people(plan)}."
    yield f"Counted as sent: {plan['messages']} messages of the journal, {plan['sending']} that were with a sender."
    yield f"Of the {plan['waiting']} deliveries that wait, all others will be sent."
    for other in plan["other_hosts"]:
        yield f"Host {other['host']}, last seen {other['renewed_at']}: what it sent, its own journal knows."


def _reconciled(found: dict[str, Any]) -> Iterator[str]:
    yield f"Done again: {_people(found)}."
    yield f"Counted as sent: {found['counted_as_sent']} deliveries; not known to this database: {found['unknown']}."
    yield f"Waiting to be sent: {found['waiting']}."
    for host in found["awaited"]:
        yield f"Still held by host {host}: run this there."


def _copied(found: dict[str, Any]) -> Iterator[str]:
    yield f"Copied {found['rows']} rows in {found['tables']} tables."
    yield f"The same there: every count, {found['consent_chains']} consent chains, the key {found['key'][:8]}."


def _people(found: dict[str, Any]) -> str:
    return ", ".join(f"{found[name]} {name}" for name in ("unsubscribes", "suppressions", "erasures"))
