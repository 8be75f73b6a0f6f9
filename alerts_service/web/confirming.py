"""Confirming a sign-up, and saying that it was somebody else's. A GET shows; only the button changes anything."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.rules.slots import Frequency
from alerts_service.services import subscribing
from alerts_service.web import pages
from alerts_service.web.languages import speak

blueprint = Blueprint("confirming", __name__)


@blueprint.get("/confirm/<token>")
def ask(token: str) -> ResponseReturnValue:
    """What would be confirmed, and one button."""
    seen = subscribing.look(token, settings=pages.settings(), now=utcnow())
    speak(seen.locale)
    return render_template("pages/confirm.html", sign_up=seen, wording=pages.consent_wording())


@blueprint.post("/confirm/<token>")
def confirm(token: str) -> ResponseReturnValue:
    """Confirm; pressing again answers the same."""
    settings, now = pages.settings(), utcnow()
    speak(subscribing.look(token, settings=settings, now=now).locale)
    seen = subscribing.confirm(
        token,
        wording=pages.consent_wording(),
        page="/confirm",
        network=pages.network(),
        settings=settings,
        now=now,
    )
    next_slot = settings.schedules[Frequency(seen.frequency)].following(now, settings.timezone)
    return render_template("pages/confirmed.html", sign_up=seen, next_slot=next_slot)


@blueprint.route("/not-me/<token>", methods=["GET", "POST"])
def not_me(token: str) -> ResponseReturnValue:
    """Show the sign-up that would be ended, and one button; end it."""
    settings, now = pages.settings(), utcnow()
    seen = subscribing.look_not_me(token, settings=settings, now=now)
    speak(seen.locale)
    if request.method == "POST":
        subscribing.not_me(token, settings=settings, now=now)
    return render_template("pages/not_me.html", sign_up=seen, done=request.method == "POST")
