"""Filters: from standard input to standard output, recording nothing and needing no settings."""

import json
import sys

import click

from alerts_service.errors import AlertsError


@click.command()
def address() -> None:
    """Read one address from standard input; print {"ok": true, "normalized"} or {"ok": false, "reason"}."""
    from alerts_service.rules import addresses

    text = _standard_input().removesuffix("\n")
    try:
        found = addresses.parse(text)
    except AlertsError as error:
        click.echo(json.dumps({"ok": False, "reason": str(error)}, ensure_ascii=False))
        return
    click.echo(json.dumps({"ok": True, "normalized": found.address}, ensure_ascii=False))


@click.command()
@click.option("--text", "as_text", is_flag=True, help="The plain text that mails carry, instead of HTML.")
def markup(as_text: bool) -> None:
    """Read an update's Markdown from standard input; print the HTML that pages and mails carry."""
    from alerts_service.rules import markup as rules

    text = _standard_input()
    click.echo((rules.to_text if as_text else rules.to_html)(text))


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", errors="replace")
