"""The commands `alerts demo` and `alerts demo-digest`."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from alerts_service.cli.context import Refusal, answer, json_option, with_app, with_bare_app
from alerts_service.clock import utcnow
from alerts_service.config import DEMO_PORT, Settings
from alerts_service.demo import examples, processes

_LOOPBACK = "127.0.0.1"


@click.command()
def demo() -> None:
    """Run a whole installation on this machine: site, scheduler, and a local inbox that takes all mail.

    PORT chooses the site's port (8000); the inbox takes the next two. Data is kept under ./instance.
    """
    _in_demo_mode()
    if find_spec("aiosmtpd") is None:
        raise Refusal("The demo's inbox needs one more package: pip install 'alerts-service[demo]'")
    _prepare()
    site, inbox, smtp = ports()
    busy = [port for port in (site, inbox, smtp) if not processes.is_free(_LOOPBACK, port)]
    if busy:
        raise Refusal(f"Port {busy[0]} is in use. Choose another: PORT=9000 alerts demo")
    alerts = str(Path(sys.executable).with_name("alerts"))
    commands = [
        [alerts, "serve", "--bind", f"{_LOOPBACK}:{site}", "--workers", "1"],
        [alerts, "scheduler"],
        [sys.executable, "-m", "alerts_service.demo.inbox", _LOOPBACK, str(inbox), str(smtp)],
    ]
    raise SystemExit(processes.run_together(commands, _LOOPBACK, [site, inbox, smtp], announce=_announce))


@click.command("demo-digest")
@json_option
def demo_digest(as_json: bool) -> None:
    """In a demo installation: release an example update, and send the next digest of every frequency that
    somebody follows now, without waiting for its slot."""
    _in_demo_mode()
    _release(as_json)


@with_app
def _release(settings: Settings, as_json: bool) -> None:
    answer(vars(examples.release_and_open(settings, utcnow())), as_json, lambda done: [examples.summary(done)])


@with_bare_app
def _prepare(settings: Settings) -> None:
    from alerts_service.services import installing

    now = utcnow()
    installing.init(settings, now=now)
    examples.load(settings, now)


def _announce() -> None:
    site, inbox, _ = ports()
    port = f"PORT={site} " if site != DEMO_PORT else ""
    command = f"ALERTS_MODE=demo {port}{Path(sys.executable).with_name('alerts')}"
    for line in (
        "",
        f"  Site    http://{_LOOPBACK}:{site}/",
        f"  Inbox   http://{_LOOPBACK}:{inbox}/",
        "",
        "  Sign up on the site, open the inbox, confirm; then press “release an example update” there,",
        f"  or run: {command} demo-digest",
        "",
        "  Press Ctrl-C to end.",
        "",
    ):
        click.echo(line)


def ports() -> tuple[int, int, int]:
    """Return the ports of the site, of the inbox's pages, and of the inbox's SMTP."""
    text = os.environ.get("PORT", "") or str(DEMO_PORT)
    if not text.isdigit() or not 1 <= int(text) <= 65_000:  # noqa: PLR2004 - room for two more
        raise Refusal(f"PORT is “{text}”; choose a number from 1 to 65000.")
    return int(text), int(text) + 1, int(text) + 2


def _in_demo_mode() -> None:
    if os.environ.setdefault("ALERTS_MODE", "demo") != "demo":
        raise Refusal("This is for demo mode only: unset ALERTS_MODE, or set it to demo.")
