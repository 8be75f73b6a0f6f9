"""The language of a page: asked for by `?lang=`, else the person's own, else what the browser prefers."""

from collections.abc import Sequence

from flask import Flask, current_app, g, request
from flask_babel import Babel, refresh
from flask_babel import gettext as _gettext

from alerts_service.config import Settings
from alerts_service.errors import AlertsError
from alerts_service.translations import FOLDER


def register(app: Flask, settings: Settings) -> None:
    """Let pages speak the installation's languages."""
    Babel(
        app,
        default_locale=settings.languages[0],
        default_translation_directories=str(FOLDER),
        locale_selector=spoken,
    )


def spoken() -> str:
    """Return the language of the page being made. It is chosen once a request, as everything on the page asks."""
    if "language" not in g:
        g.language = _chosen(current_app.extensions["alerts"].languages)
    return str(g.language)


def speak(language: str) -> None:
    """Answer in the language of the person a link or a form belongs to, unless another was asked for."""
    g.own_language = language
    if g.pop("language", None) is not None:
        refresh()


def _chosen(languages: Sequence[str]) -> str:
    for wanted in (request.args.get("lang") if request.query_string else None, g.get("own_language")):
        if wanted in languages:
            return str(wanted)
    return request.accept_languages.best_match(languages) or languages[0]


def sentence(error: AlertsError) -> str:
    """Return what an error says, in the language of the page."""
    return str(_gettext(error.template)).format(**error.values)
