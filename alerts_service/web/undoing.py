"""Undoing the end of all e-alerts, by the link in a goodbye. A GET shows; only the button changes anything."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.services import goodbyes
from alerts_service.web import pages
from alerts_service.web.languages import speak

blueprint = Blueprint("undoing", __name__)


@blueprint.get("/undo/<token>")
def ask(token: str) -> ResponseReturnValue:
    """What would come back, and one button."""
    return _page(token)


@blueprint.post("/undo/<token>")
def undo(token: str) -> ResponseReturnValue:
    """Bring it back; pressing again answers the same."""
    settings, now = pages.settings(), utcnow()
    speak(goodbyes.look(token, settings=settings, now=now).locale)
    wording, network = pages.consent_wording(), pages.network()
    goodbyes.undo(token, wording=wording, page="/undo", network=network, settings=settings, now=now)
    return _page(token)


def _page(token: str) -> str:
    seen = goodbyes.look(token, settings=pages.settings(), now=utcnow())
    speak(seen.locale)
    return render_template("pages/undo.html", seen=seen, wording=pages.consent_wording())
