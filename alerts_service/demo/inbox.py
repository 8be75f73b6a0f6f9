"""The demo's inbox: a real SMTP server on loopback, and pages to read what came.

`python -m alerts_service.demo.inbox HOST PAGES-PORT SMTP-PORT`. The newest messages are kept as files
under the state directory. HTML is shown in a sandboxed frame under a policy that loads nothing.
"""

import email
import email.policy
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from flask import Blueprint, Flask, Response, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.demo import examples

KEPT = 500
_PAGES = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
# The mail's own styles are inline; nothing else is let in, and nothing of it can run.
_MAIL = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-popups allow-popups-to-escape-sandbox"

pages = Blueprint("inbox", __name__)


@dataclass(frozen=True)
class Kept:
    """One message as it lies in the inbox."""

    id: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, subtype: str) -> str:
        """Its plain or html part."""
        found = self.message.get_body((subtype,))
        return str(found.get_content()) if found else ""


class Inbox:
    """A folder of messages, the newest KEPT of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, raw: bytes, at: datetime) -> None:
        """Put a message in; the oldest goes when there are too many."""
        path = self.folder / f"{at:%Y%m%dT%H%M%S%f}-{os.urandom(3).hex()}.eml"
        path.write_bytes(raw)
        for old in self._paths()[KEPT:]:
            old.unlink(missing_ok=True)

    def messages(self) -> list[Kept]:
        """Return what is kept, newest first."""
        return [Kept(path.stem, path.read_bytes()) for path in self._paths()]

    def find(self, message_id: str) -> Kept:
        """Return one message, or answer 404."""
        found = next((kept for kept in self.messages() if kept.id == message_id), None)
        return found if found is not None else abort(404)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.eml"), reverse=True)


class _Handler:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.inbox.keep(envelope.original_content, utcnow())
        return "250 2.0.0 kept"


def create_inbox(settings: Settings | None = None) -> Flask:
    """Make the inbox's pages on the slim app. Refuses every mode but demo."""
    app = create_core(settings)
    found: Settings = app.extensions["alerts"]
    if found.mode != "demo":
        raise SystemExit("The inbox is for demo mode only.")
    app.extensions["inbox"] = Inbox(found.state_dir / "inbox")
    app.register_blueprint(pages)
    return app


def _inbox() -> Inbox:
    found = current_app.extensions["inbox"]
    assert isinstance(found, Inbox)
    return found


@pages.after_request
def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", _PAGES)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/")
def listing() -> ResponseReturnValue:
    """The messages, newest first, and the button."""
    return render_template(
        "demo/inbox.html", messages=_inbox().messages(), said=request.args.get("said", ""), site=_site()
    )


@pages.get("/messages/<message_id>")
def message(message_id: str) -> ResponseReturnValue:
    """One message: HTML and text side by side, and its headers."""
    kept = _inbox().find(message_id)
    return render_template(
        "demo/message.html", kept=kept, headers=kept.message.items(), text=kept.part("plain"), site=_site()
    )


@pages.get("/messages/<message_id>/html")
def html(message_id: str) -> ResponseReturnValue:
    """The HTML part as its reader sees it; links open beside the inbox."""
    words = _inbox().find(message_id).part("html").replace("<head>", '<head><base target="_blank">', 1)
    return Response(words, mimetype="text/html", headers={"Content-Security-Policy": _MAIL})


@pages.get("/messages/<message_id>/raw")
def raw(message_id: str) -> ResponseReturnValue:
    """The message as it came."""
    return Response(_inbox().find(message_id).raw, mimetype="text/plain")


@pages.post("/release")
def release() -> ResponseReturnValue:
    """Release an example update and send the next digest now."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(403)
    done = examples.release_and_open(current_app.extensions["alerts"], utcnow())
    return redirect(url_for(".listing", said=examples.summary(vars(done))), 303)


def _site() -> str:
    settings: Settings = current_app.extensions["alerts"]
    return settings.base_url


def main(host: str, pages_port: int, smtp_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    app = create_inbox()
    smtp = Controller(_Handler(app.extensions["inbox"]), hostname=host, port=smtp_port, enable_SMTPUTF8=True)
    smtp.start()
    server = make_server(host, pages_port, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.shutdown()
    smtp.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
