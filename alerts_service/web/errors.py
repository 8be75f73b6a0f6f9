"""What went wrong, in a plain sentence of the reader's language: a page to people, a problem to programs."""

from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from alerts_service.errors import AlertsError
from alerts_service.web.api import problems
from alerts_service.web.languages import sentence

log = structlog.get_logger()


def register(app: Flask) -> None:
    """Translate what goes wrong to a status and a page."""
    app.register_error_handler(AlertsError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SQLAlchemyError, _database)


def _refused(error: AlertsError) -> Response:
    answer = _told(sentence(error), error.status)
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    sentences = {
        HTTPStatus.BAD_REQUEST: _("The page could not read what was sent. Go back and try again."),
        HTTPStatus.NOT_FOUND: _("There is no page at this address. Check that the whole address is there."),
        HTTPStatus.METHOD_NOT_ALLOWED: _("This page cannot be used that way."),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _("What was sent is too large."),
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: _("What was sent is not of the kind that is read here."),
    }
    fallback = _("Something went wrong here, and nothing was changed. Try again in a few minutes.")
    answer = _told(sentences.get(status, fallback), status)
    for name, value in error.get_headers():
        if name == "Allow":  # RFC 9110, 15.5.6
            answer.headers[name] = value
    return answer


def _database(error: SQLAlchemyError) -> Response:
    """The database is busy, full or away: what was being written has been rolled back."""
    log.error("the database could not be used", error=str(error.__cause__ or error))
    answer = _told(_("We cannot save anything just now. Try again in a few minutes."), HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers["Retry-After"] = "60"
    return answer


def _told(words: str, status: int) -> Response:
    if problems.wanted():
        return problems.problem(words, status)
    return make_response(render_template("pages/error.html", sentence=words), status)
