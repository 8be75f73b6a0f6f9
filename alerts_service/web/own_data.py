"""One's own data by a fresh link: change the address, download, erase. A GET shows; a button uses the link up."""

import json

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.errors import NearMiss, NotSure, Refused
from alerts_service.services import erasing, own_data, readdressing
from alerts_service.web import pages
from alerts_service.web.languages import speak
from alerts_service.web.signing_up import by_field

blueprint = Blueprint("own_data", __name__)

_PAGE = "/your-data"


@blueprint.get("/your-data/<token>")
def show(token: str) -> ResponseReturnValue:
    """What can be done, a form for each."""
    return _form(token, [])


@blueprint.post("/your-data/<token>")
def act(token: str) -> ResponseReturnValue:
    """Do what the button says, once. What is refused leaves the link as it is."""
    settings, now = pages.settings(), utcnow()
    speak(own_data.look(token, settings=settings, now=now).locale)
    try:
        if "download" in request.form:
            return _file(own_data.download(token, settings=settings, now=now))
        if "erase" in request.form:
            return _erase(token)
        sure_of = request.form.get("sure", "")
        readdressing.ask(token, pages.email_given(), sure_of=sure_of, settings=settings, now=now)
    except Refused as error:
        return _form(token, [error]), error.status
    return render_template("pages/address_asked.html")


def _erase(token: str) -> str:
    if "agreed" not in request.form:
        raise NotSure
    erasing.erase(token, page=_PAGE, network=pages.network(), settings=pages.settings(), now=utcnow())
    return render_template("pages/erased.html")


def _file(found: dict[str, object]) -> Response:
    answer = Response(json.dumps(found, ensure_ascii=False, indent=2), content_type="application/json; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="e-alerts.json"'
    return answer


def _form(token: str, errors: list[Refused]) -> str:
    owner = own_data.look(token, settings=pages.settings(), now=utcnow())
    speak(owner.locale)
    email = pages.email_given() if errors else ""
    doubted = any(isinstance(error, NearMiss) for error in errors)
    return render_template(
        "pages/own_data.html",
        owner=owner,
        email=email,
        sure_of=email.rpartition("@")[2].strip() if doubted else "",
        errors=by_field(errors),
    )
