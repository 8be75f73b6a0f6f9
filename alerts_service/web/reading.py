"""Pages to read: one update, its event's calendar entry, and a digest in the browser."""

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.mail.items import arrange
from alerts_service.services import archive, reading
from alerts_service.web import calendars, pages
from alerts_service.web.languages import speak, spoken

blueprint = Blueprint("reading", __name__)


@blueprint.get("/updates/<int:update_id>")
def update(update_id: int) -> ResponseReturnValue:
    """One released update; a withdrawn one says so, and is not for search engines."""
    seen = reading.update(update_id, spoken(), pages.settings(), now=utcnow())
    answer = make_response(render_template("pages/update.html", seen=seen, item=seen.item))
    if seen.item.withdrawn:
        answer.headers["X-Robots-Tag"] = "noindex"
    return answer


@blueprint.get("/updates/<int:update_id>.ics")
def calendar(update_id: int) -> ResponseReturnValue:
    """The calendar entry of an update's event; cancelled, if the update was withdrawn."""
    seen = archive.event(update_id, spoken(), pages.settings())
    answer = Response(calendars.calendar(seen, spoken(), pages.settings()), content_type="text/calendar; charset=utf-8")
    answer.headers["Content-Disposition"] = f'inline; filename="event-{update_id}.ics"'
    answer.last_modified = seen.update.changed_at
    answer.add_etag()
    return answer.make_conditional(request)


@blueprint.get("/digests/<token>")
def digest(token: str) -> ResponseReturnValue:
    """A digest as it was sent, whole, with nobody's own links."""
    seen = reading.digest(token, pages.settings())
    speak(seen.locale)
    return render_template("pages/digest.html", seen=seen, arranged=arrange(seen.items, in_full=None))
