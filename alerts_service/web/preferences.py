"""Preferences: ask for the link by mail; by the link, change topics, frequency and language, or leave."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid, Refused
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue, preferences
from alerts_service.web import limiting, pages
from alerts_service.web.languages import sentence, speak, spoken
from alerts_service.web.signing_up import by_field

blueprint = Blueprint("preferences", __name__)

_PAGE = "/preferences"


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
    """Save the form, or leave everything."""
    settings, now = pages.settings(), utcnow()
    if "leave_all" in request.form:
        preferences.leave_all(token, page=_PAGE, network=pages.network(), settings=settings, now=now)
        return redirect(url_for(".show", token=token, left=1), 303)
    language = request.form.get("language", "")
    try:
        preferences.change(
            token,
            topics=request.form.getlist("topics"),
            frequency=request.form.get("frequency") or None,
            locale=language,
            page=_PAGE,
            network=pages.network(),
            settings=settings,
            now=now,
        )
    except Invalid as invalid:
        return _form(token, invalid.errors), invalid.status
    return redirect(url_for(".show", token=token, saved=1, lang=request.args.get("lang")), 303)


def _form(token: str, errors: list[Refused]) -> str:
    settings = pages.settings()
    seen = preferences.read(token, settings=settings, now=utcnow())
    speak(seen.locale)
    mixed = len(set(seen.followed.values())) > 1
    return render_template(
        "pages/preferences.html",
        seen=seen,
        chosen=set(request.form.getlist("topics")) if errors else set(seen.followed),
        frequency=request.form.get("frequency", "" if mixed else seen.frequency),
        locale=request.form.get("language", seen.locale),
        mixed=mixed,
        categories=catalogue.choices(spoken()),
        frequencies=list(Frequency),
        errors=by_field(errors),
    )
