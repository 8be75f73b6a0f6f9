"""Preferences: ask for the link by mail; by the link, change topics, frequencies and language, pause, or leave."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid, PauseRefused, Refused
from alerts_service.rules import pauses
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue, own_data, preferences
from alerts_service.web import limiting, pages
from alerts_service.web.languages import sentence, speak, spoken
from alerts_service.web.signing_up import by_field

blueprint = Blueprint("preferences", __name__)

_PAGE = "/preferences"
# The field of a topic's own frequency: this, and its slug.
_APART = "frequency-"


@blueprint.get("/preferences")
def ask() -> ResponseReturnValue:
    """The form that asks for a link."""
    return render_template("pages/preferences_ask.html", email="", error=None, asked=False)


@blueprint.post("/preferences")
def send_link() -> ResponseReturnValue:
    """Mail a link; the answer is the same for every well-formed address."""
    email = pages.email_given()
    speak(request.form.get("lang", ""))
    turns = limiting.links(pages.network())
    limiting.limits().check(turns)
    try:
        preferences.ask_link(email, locale=spoken(), settings=pages.settings(), now=utcnow())
    except Refused as error:
        page = render_template("pages/preferences_ask.html", email=email, error=sentence(error), asked=False)
        return page, error.status
    limiting.limits().count(turns)
    return render_template("pages/preferences_ask.html", email="", error=None, asked=True)


@blueprint.get("/preferences/<token>")
def show(token: str) -> ResponseReturnValue:
    """What the person has chosen, in a form."""
    return _form(token, [])


@blueprint.post("/preferences/<token>")
def change(token: str) -> ResponseReturnValue:
    """Do what the button says; without a name of its own, it saves the form."""
    act = next((name for name in _ACTS if name in request.form), "")
    try:
        said = _ACTS[act](token, utcnow()) if act else _save(token, utcnow())
    except Invalid as invalid:
        return _form(token, invalid.errors), invalid.status
    except PauseRefused as error:
        return _form(token, [error]), error.status
    return redirect(url_for(".show", token=token, said=said, lang=request.args.get("lang")), 303)


def _save(token: str, now: datetime) -> str:
    preferences.change(
        token,
        topics=request.form.getlist("topics"),
        frequency=request.form.get("frequency") or None,
        frequencies=_frequencies(),
        locale=request.form.get("language", ""),
        page=_PAGE,
        network=pages.network(),
        settings=pages.settings(),
        now=now,
    )
    return "saved"


def _leave_all(token: str, now: datetime) -> str:
    preferences.leave_all(token, page=_PAGE, network=pages.network(), settings=pages.settings(), now=now)
    return "left"


def _pause(token: str, now: datetime) -> str:
    settings = pages.settings()
    until = pauses.end_of(request.form.get("until", ""), settings.timezone, now)
    preferences.pause(token, until=until, settings=settings, now=now)
    return "paused"


def _resume(token: str, now: datetime) -> str:
    preferences.resume(token, settings=pages.settings(), now=now)
    return "resumed"


def _mail_link(token: str, now: datetime) -> str:
    own_data.ask_link(token, settings=pages.settings(), now=now)
    return "link"


_ACTS: dict[str, Callable[[str, datetime], str]] = {
    "leave_all": _leave_all,
    "pause": _pause,
    "resume": _resume,
    "own_data": _mail_link,
}


def _frequencies() -> dict[str, str]:
    """Return the frequencies chosen for single topics."""
    fields = request.form.items()
    return {name.removeprefix(_APART): chosen for name, chosen in fields if name.startswith(_APART) and chosen}


def _form(token: str, errors: list[Refused]) -> str:
    settings, now = pages.settings(), utcnow()
    seen = preferences.read(token, settings=settings, now=now)
    speak(seen.locale)
    apart = {slug: often for slug, often in seen.followed.items() if often != seen.frequency}
    filled_in = bool(errors) and "pause" not in request.form
    return render_template(
        "pages/preferences.html",
        seen=seen,
        said=request.args.get("said", ""),
        chosen=set(request.form.getlist("topics")) if filled_in else set(seen.followed),
        frequency=request.form.get("frequency", seen.frequency),
        apart=_frequencies() if filled_in else apart,
        locale=request.form.get("language", seen.locale),
        until=request.form.get("until", ""),
        pause_days=pauses.days(settings.timezone, now),
        categories=catalogue.choices(spoken()),
        frequencies=list(Frequency),
        errors=by_field(errors),
    )
