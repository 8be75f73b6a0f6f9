"""A change of address: confirmed from the new one, undone from the former one. Only a button changes anything."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.services import readdressing
from alerts_service.web import pages
from alerts_service.web.languages import speak

blueprint = Blueprint("readdressing", __name__)


@blueprint.route("/new-address/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    """Show which e-alerts would come to this address, and one button; let them come."""
    settings, now = pages.settings(), utcnow()
    seen = readdressing.look(token, settings=settings, now=now)
    speak(seen.locale)
    if request.method == "POST":
        readdressing.confirm(token, page="/new-address", network=pages.network(), settings=settings, now=now)
    return render_template("pages/new_address.html", change=seen, done=seen.done or request.method == "POST")


@blueprint.route("/former-address/<token>", methods=["GET", "POST"])
def undo(token: str) -> ResponseReturnValue:
    """Show the change that would be undone, and one button; undo it."""
    settings, now = pages.settings(), utcnow()
    seen = readdressing.look_undo(token, settings=settings, now=now)
    speak(seen.locale)
    if request.method == "POST":
        readdressing.undo(token, page="/former-address", network=pages.network(), settings=settings, now=now)
    return render_template("pages/former_address.html", change=seen, done=seen.done or request.method == "POST")
