"""Everything that speaks HTTP: the public pages, the widget for other sites with its API, and the health checks.

A view reads the request, calls one service, answers. Public pages set no cookie and keep no session; the
posts of people who came by a link are authorised by the link's token, so they need no CSRF token either.
"""

from flask import Flask, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from alerts_service.config import Settings
from alerts_service.web import (
    archive,
    confirming,
    embedding,
    errors,
    guarding,
    headers,
    health,
    languages,
    limiting,
    own_data,
    pages,
    preferences,
    readdressing,
    reading,
    signing_up,
    static_files,
    undoing,
    unsubscribing,
    widget,
)
from alerts_service.web.api import signups

LARGEST_BODY = 1024 * 1024
_WITH_ADDRESSES = (
    signing_up,
    signups,
    widget,
    embedding,
    confirming,
    preferences,
    own_data,
    readdressing,
    unsubscribing,
    undoing,
    archive,
    reading,
    health,
)


def register(app: Flask) -> None:
    """Hang the routes, the languages, the headers and the error pages on an app."""
    settings: Settings = app.extensions["alerts"]
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY
    # Werkzeug would redirect "//" to an address made from the Host header.
    app.url_map.merge_slashes = False
    proxies = settings.trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    app.before_request(_refuse_a_large_body)
    languages.register(app, settings)
    pages.register(app, settings)
    guarding.register(app)
    limiting.register(app, settings)
    headers.register(app, settings)
    static_files.register(app, headers.of_files(settings))
    errors.register(app)
    for module in _WITH_ADDRESSES:
        app.register_blueprint(module.blueprint)


def _refuse_a_large_body() -> None:
    """A view that reads no form would not notice."""
    if (request.content_length or 0) > LARGEST_BODY:
        abort(413)
