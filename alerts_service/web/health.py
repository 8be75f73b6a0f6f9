"""For machines: alive, able to serve, and what robots may look at."""

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from alerts_service.clock import utcnow
from alerts_service.services import installing, lateness, stopping, surges
from alerts_service.web import pages

blueprint = Blueprint("health", __name__)

_ROBOTS = """User-agent: *
Disallow: /confirm/
Disallow: /digests/
Disallow: /not-me/
Disallow: /preferences
Disallow: /unsubscribe/
"""
_NO_ROBOTS = "User-agent: *\nDisallow: /\n"


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """The database can be reached and is at this version's schema; 503 otherwise."""
    try:
        current = installing.schema_is_current()
    except SQLAlchemyError:
        return jsonify(database="unreachable"), 503
    return (jsonify(database="ok", schema="current"), 200) if current else (jsonify(schema="outdated"), 503)


@blueprint.get("/healthz/scheduler")
def scheduler() -> ResponseReturnValue:
    """The scheduler's work is done in time; 503 with what is late otherwise."""
    try:
        late = lateness.late(settings=pages.settings(), now=utcnow())
    except SQLAlchemyError:
        return jsonify(database="unreachable"), 503
    return (jsonify(scheduler="late", late=late), 503) if late else (jsonify(scheduler="ok", late=[]), 200)


@blueprint.get("/healthz/sign-ups")
def sign_ups() -> ResponseReturnValue:
    """Sign-ups come as usual; 503 while there is a surge of them, and while they are stopped."""
    try:
        stopped, surge = stopping.since_when(), surges.since_when()
    except SQLAlchemyError:
        return jsonify(database="unreachable"), 503
    if stopped:
        return jsonify(sign_ups="stopped", since=stopped.since.isoformat()), 503
    return (jsonify(sign_ups="surge", since=surge.isoformat()), 503) if surge else (jsonify(sign_ups="usual"), 200)


@blueprint.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """What search engines may look at: outside production, nothing."""
    text = _ROBOTS if pages.settings().mode == "production" else _NO_ROBOTS
    return Response(text, mimetype="text/plain")
