"""Pages to read: one update, and a digest in the browser."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from alerts_service.mail.items import arrange
from alerts_service.services import reading
from alerts_service.web import pages
from alerts_service.web.languages import speak, spoken

blueprint = Blueprint("reading", __name__)


@blueprint.get("/updates/<int:update_id>")
def update(update_id: int) -> ResponseReturnValue:
    """One released update; a withdrawn one says so."""
    return render_template("pages/update.html", item=reading.update(update_id, spoken(), pages.settings()))


@blueprint.get("/digests/<token>")
def digest(token: str) -> ResponseReturnValue:
    """A digest as it was sent, whole, with nobody's own links."""
    seen = reading.digest(token, pages.settings())
    speak(seen.locale)
    return render_template("pages/digest.html", seen=seen, arranged=arrange(seen.items, in_full=None))
