"""Commands about sign-ups: the switch that stops confirmations, and the alarm."""

from collections.abc import Iterable
from typing import Any

import click

from alerts_service.cli.context import answer, json_option, with_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why; kept until sign-ups are taken again.")
@json_option
@with_app
def stop(_settings: Settings, reason: str, as_json: bool) -> None:
    """Stop sign-ups at once: whoever asks is answered as ever, but nothing is written and nothing mailed, and
    the confirmations that wait are cancelled. Links already mailed go on working."""
    from alerts_service.services import stopping

    cancelled = stopping.stop(reason, now=utcnow())
    answer({"stopped": True, "cancelled": cancelled}, as_json, lambda d: [f"Stopped. Cancelled: {d['cancelled']}"])


@click.command()
@json_option
@with_app
def resume(_settings: Settings, as_json: bool) -> None:
    """Take sign-ups again. Whoever asked meanwhile asks again."""
    from alerts_service.services import stopping

    answer({"stopped": False, "was_stopped": stopping.resume()}, as_json, lambda _: ["Sign-ups are taken."])


@click.command()
@json_option
@with_app
def status(_settings: Settings, as_json: bool) -> None:
    """Say whether sign-ups are stopped, how many the last hour had, and whether that is a surge."""
    from alerts_service.services import stopping, surges

    stopped, seen = stopping.since_when(), surges.look(now=utcnow())
    found = {
        "stopped_at": stopped.since.isoformat() if stopped else None,
        "reason": stopped.reason if stopped else None,
        "last_hour": seen.last_hour,
        "most": seen.most,
        "surge_since": seen.since.isoformat() if seen.since else None,
    }
    answer(found, as_json, _lines)


def _lines(found: dict[str, Any]) -> Iterable[str]:
    if found["stopped_at"]:
        yield f"Stopped since {found['stopped_at']}. {found['reason']}".strip()
    else:
        yield "Sign-ups are taken."
    yield f"In the last hour: {found['last_hour']}; a surge from {found['most'] + 1}."
    if found["surge_since"]:
        yield f"A surge since {found['surge_since']}: alerts sign-ups stop"
