"""Leaving by link: a page with one form, and the one-click POST of mail programs (RFC 8058)."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.services import leaving, reasons
from alerts_service.web import pages
from alerts_service.web.languages import speak

blueprint = Blueprint("unsubscribing", __name__)

_ONLY_THESE = "these"


@blueprint.get("/unsubscribe/<token>")
def ask(token: str) -> ResponseReturnValue:
    """What would end, and one form; changes nothing."""
    seen = leaving.look(token, settings=pages.settings())
    speak(seen.locale)
    offered = reasons.REASONS if pages.settings().ask_reason else ()
    return render_template("pages/unsubscribe.html", seen=seen, reasons=offered)


@blueprint.post("/unsubscribe/<token>")
def leave(token: str) -> ResponseReturnValue:
    """End everything, or only the topics of the digest the link came from. Repeating it is harmless.

    RFC 8058, 3.1: the POST of a mail program carries `List-Unsubscribe=One-Click`, no cookie, and is not
    redirected. Whatever the body says that is not the page's own choice, everything ends.
    """
    settings = pages.settings()
    speak(leaving.look(token, settings=settings).locale)
    one_click = "List-Unsubscribe" in request.form
    only_these = not one_click and request.form.get("what") == _ONLY_THESE
    undo = leaving.leave(
        token,
        only_these=only_these,
        reason="" if one_click else request.form.get("reason", ""),
        page="one-click" if one_click else "/unsubscribe",
        network=pages.network(),
        settings=settings,
        now=utcnow(),
    )
    seen = leaving.look(token, settings=settings)
    return render_template("pages/unsubscribed.html", seen=seen, undo=None if one_click else undo)
