"""Confirming a sign-up, and saying that it was somebody else's. A GET shows; only the button changes anything."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.errors import LinkExpired
from alerts_service.rules.slots import Frequency
from alerts_service.services import renewing, subscribing
from alerts_service.web import pages
from alerts_service.web.languages import speak
from alerts_service.web.signing_up import to_inbox

blueprint = Blueprint("confirming", __name__)


@blueprint.get("/confirm/<token>")
def ask(token: str) -> ResponseReturnValue:
    """What would be confirmed, and one button; the button of an expired link mails a new one."""
    try:
        seen = subscribing.look(token, settings=pages.settings(), now=utcnow())
    except LinkExpired as error:
        return _expired(token), error.status
    speak(seen.locale)
    return render_template("pages/confirm.html", sign_up=seen, wording=pages.consent_wording())


@blueprint.post("/confirm/<token>")
def confirm(token: str) -> ResponseReturnValue:
    """Confirm; pressing again answers the same."""
    settings, now = pages.settings(), utcnow()
    try:
        speak(subscribing.look(token, settings=settings, now=now).locale)
    except LinkExpired as error:
        return _expired(token), error.status
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


@blueprint.post("/confirm/<token>/again")
def ask_again(token: str) -> ResponseReturnValue:
    """Mail a new link in place of one that has expired."""
    settings, now = pages.settings(), utcnow()
    speak(renewing.look(token, settings=settings).locale)
    asked = renewing.ask_again(
        token,
        wording=pages.consent_wording(),
        page="/confirm",
        network=pages.network(),
        settings=settings,
        now=now,
    )
    return to_inbox(asked)


def _expired(token: str) -> str:
    seen = renewing.look(token, settings=pages.settings())
    speak(seen.locale)
    wording = pages.consent_wording()
    return render_template("pages/confirm_expired.html", sign_up=seen, token=token, wording=wording)


@blueprint.route("/not-me/<token>", methods=["GET", "POST"])
def not_me(token: str) -> ResponseReturnValue:
    """Show the sign-up that would be ended, and one button; end it."""
    settings, now = pages.settings(), utcnow()
    seen = subscribing.look_not_me(token, settings=settings, now=now)
    speak(seen.locale)
    if request.method == "POST":
        subscribing.not_me(token, settings=settings, now=now)
    return render_template("pages/not_me.html", sign_up=seen, done=request.method == "POST")
