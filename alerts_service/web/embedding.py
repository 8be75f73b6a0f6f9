"""The form for other sites where no script is wanted: `/embed`, to be framed; and the page that makes the snippet.

Only pages of ALERTS_WIDGET_ORIGINS may frame the form (CSP, frame-ancestors), and our own, for the preview. It stays in
its frame: its answers are pages of its own. The builder is a form that is sent with GET, so that its address can be
kept and it works without a script; the script shows each choice at once.
"""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _

from alerts_service.errors import Invalid
from alerts_service.rules import contrast
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue
from alerts_service.web import guarding, headers, pages, signing_up, widget
from alerts_service.web.languages import speak, spoken

_FRAMED = {"layout": "widget/framed.html", "action": "/embed"}
_BUILDER_POLICY = {"script_src": "'self'", "connect_src": "'self'", "frame_src": "'self'"}
_ACCENT = "#005ea2"
_RADII = {"slightly": ".25rem", "none": "0", "round": "1.5rem"}
_LONGEST_HEADING = 80

blueprint = Blueprint("embedding", __name__)


@dataclass(frozen=True)
class Look:
    """What the builder was asked for beside topics and frequency."""

    language: str
    heading: str
    accent: str
    corners: str


@blueprint.get("/embed")
def form() -> ResponseReturnValue:
    """The form alone, with what the address preselects."""
    return signing_up.show(signing_up.preselected(), **_FRAMED)


@blueprint.post("/embed")
def subscribe() -> ResponseReturnValue:
    """Take the form, as `POST /subscribe` does, and stay in the frame."""
    given = request.form
    speak(given.get("lang", ""))
    asked = signing_up.asked_in(given, pages.address("embedding.form"))
    try:
        guarding.sign_up(asked, started=given.get(guarding.STARTED, ""), unseen=given.get(guarding.UNSEEN, ""))
    except Invalid as invalid:
        return signing_up.show(signing_up.refused(asked, invalid.errors), **_FRAMED), invalid.status
    return redirect(pages.address("embedding.sent", spoken()), 303)


@blueprint.get("/embed/sent")
def sent() -> ResponseReturnValue:
    """The same words for everybody."""
    return render_template("pages/check_your_inbox.html", again="", asked=None, home="/embed", **_FRAMED)


@blueprint.get("/embed/builder")
def builder() -> ResponseReturnValue:
    """Choose topics and look, see the form, copy the lines for one's own page."""
    chosen, look = signing_up.preselected(), _look()
    with force_locale(look.language):
        words = look.heading or _("Sign up for e-alerts")
    script = widget.PRESENT.read_bytes()
    return render_template(
        "widget/builder.html",
        form=chosen,
        look=look,
        link_words=words,
        query=_query(chosen, look),
        topics=" ".join(sorted(chosen.topics)),
        properties={
            "--ealert-accent": look.accent,
            "--ealert-accent-text": contrast.text_on(look.accent),
            "--ealert-radius": _RADII[look.corners],
        },
        corners=list(_RADII),
        categories=catalogue.choices(spoken()),
        frequencies=list(Frequency),
        version=widget.version_of(script),
        integrity="sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode(),
    )


@blueprint.after_request
def allow(answer: Response) -> Response:
    """Say who may frame the form, and what the builder runs."""
    if request.endpoint == f"{blueprint.name}.{builder.__name__}":
        answer.headers["Content-Security-Policy"] = headers.policy(**_BUILDER_POLICY)
    else:
        framing = " ".join(("'self'", *pages.settings().widget_origins))
        answer.headers["Content-Security-Policy"] = headers.policy(frame_ancestors=framing)
    return answer


def _look() -> Look:
    """Read what was asked for; what cannot be used is as if it had not been."""
    asked, languages = request.args, pages.settings().languages
    heading, accent = asked.get("heading", "").strip(), asked.get("accent", "").lower()
    language, corners = asked.get("language", ""), asked.get("corners", "")
    return Look(
        language=language if language in languages else spoken(),
        heading=heading if heading.isprintable() and len(heading) <= _LONGEST_HEADING else "",
        accent=accent if contrast.is_colour(accent) else _ACCENT,
        corners=corners if corners in _RADII else next(iter(_RADII)),
    )


def _query(chosen: signing_up.Form, look: Look) -> str:
    topics = {"topics": " ".join(sorted(chosen.topics))} if chosen.topics else {}
    return urlencode(topics | {"frequency": chosen.frequency, "lang": look.language})
