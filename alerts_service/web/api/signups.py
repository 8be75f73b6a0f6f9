"""The form and the sign-up of the widget.

Any page may read the form. Only pages of ALERTS_WIDGET_ORIGINS may send a sign-up from a browser (Fetch, 3.2: CORS),
and never with credentials, of which there are none here. A sign-up is asked for in JSON, so that no form and no image
of another site can send one without the browser's asking first.

The words agreed to come back as their version. Only the present words are taken: nobody is recorded as having agreed to
words that they were not shown.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid, WordsChanged
from alerts_service.rules import form_times
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue, consents
from alerts_service.services.consents import Origin
from alerts_service.services.subscribing import Asked
from alerts_service.web import guarding, pages, signing_up
from alerts_service.web.api import problems
from alerts_service.web.languages import sentence, speak, spoken

SOURCE = "widget"
_LONGEST_PAGE = 200
_CACHING = "public, max-age=300"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "7200",
}

blueprint = Blueprint("signups", __name__, url_prefix="/api/v1")


@blueprint.get("/form")
def form() -> ResponseReturnValue:
    """What the form shows in one language, with what the address preselects."""
    answer = jsonify(_described(signing_up.preselected()))
    answer.headers.update({"Cache-Control": _CACHING, "Access-Control-Allow-Origin": "*"})
    return answer


@blueprint.post("/signups")
def sign_up() -> ResponseReturnValue:
    """Take a sign-up; the answer is the same for every well-formed address."""
    given = _given()
    speak(_text(given, "lang"))
    words = pages.consent_wording() if given.get("wording") else ""
    asked = Asked(
        address=_text(given, "email"),
        topics=_texts(given, "topics"),
        frequency=_text(given, "frequency"),
        locale=spoken(),
        source=SOURCE,
        page=_page(_text(given, "page")) or request.path,
        wording=words,
        network=pages.network(),
        sure_of=_text(given, "sure"),
    )
    started = _text(given, guarding.STARTED)
    try:
        _check_words(words, _text(given, "wording"))
        guarding.sign_up(asked, started=started, unseen=_text(given, guarding.UNSEEN))
    except Invalid as invalid:
        return _refused(invalid, asked, started)
    return jsonify(status="accepted"), 202


@blueprint.after_request
def share(answer: Response) -> Response:
    """Let pages of the configured sites read the answer of a sign-up."""
    if request.endpoint == f"{blueprint.name}.{sign_up.__name__}":
        answer.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in pages.settings().widget_origins:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers.update(_PREFLIGHT if request.method == "OPTIONS" else {})
    return answer


def _described(chosen: signing_up.Form) -> dict[str, Any]:
    said = json.loads(render_template("widget/labels.txt", frequencies=list(Frequency)))
    return _fresh("") | {
        "lang": spoken(),
        "dir": get_locale().text_direction,
        "labels": said["labels"],
        "topics": [
            {
                "slug": topic.slug,
                "title": topic.title,
                "description": topic.description,
                "category": category.title,
                "chosen": topic.slug in chosen.topics,
            }
            for category in catalogue.choices(spoken())
            for topic in category.topics
        ],
        "frequencies": [
            {"value": name, "label": label, "chosen": name == chosen.frequency}
            for name, label in said["frequencies"].items()
        ],
        "privacy": pages.settings().privacy_url or None,
    }


def _fresh(started: str) -> dict[str, str]:
    """Return what a form has to send back: the version of the words it shows, and when it was shown."""
    words = pages.consent_wording()
    moment = form_times.kept_or_new(pages.settings().secret_keys, started, utcnow())
    return {"consent": words, "wording": _version(words), guarding.STARTED: moment}


def _version(words: str) -> str:
    return str(consents.version(Origin("", words, spoken(), "")))


def _check_words(words: str, version: str) -> None:
    if words and version != _version(words):
        raise Invalid([WordsChanged()])


def _refused(invalid: Invalid, asked: Asked, started: str) -> Response:
    errors = [{"field": error.field, "message": sentence(error)} for error in invalid.errors]
    detail = " ".join(error["message"] for error in errors)
    sure = signing_up.refused(asked, invalid.errors).sure_of
    return problems.problem(detail, invalid.status, errors=errors, sure=sure, **_fresh(started))


def _given() -> dict[str, Any]:
    if request.mimetype != "application/json":
        abort(415)
    try:
        given = request.get_json()
    except RecursionError:
        abort(400)
    return given if isinstance(given, dict) else abort(400)


def _text(given: dict[str, Any], name: str) -> str:
    found = given.get(name, "")
    return found if isinstance(found, str) else ""


def _texts(given: dict[str, Any], name: str) -> tuple[str, ...]:
    found = given.get(name)
    texts = found if isinstance(found, list) else []
    return tuple(dict.fromkeys(text for text in texts if isinstance(text, str)))


def _page(text: str) -> str:
    """Return the page a sign-up came from, without what in its address may be somebody's own; "" if it is none."""
    try:
        url = urlsplit(text)
    except ValueError:
        return ""
    page = f"{url.scheme}://{url.netloc}{url.path}"
    ours = url.scheme in {"http", "https"} and url.netloc and "@" not in url.netloc
    return page if ours and page.isprintable() and len(page) <= _LONGEST_PAGE else ""
