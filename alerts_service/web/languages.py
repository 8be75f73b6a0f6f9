"""The language of a page: asked for by `?lang=`, else the person's own, else what the browser prefers."""

from flask import Flask, g, request
from flask_babel import Babel, refresh
from flask_babel import gettext as _gettext

from alerts_service.config import Settings
from alerts_service.errors import AlertsError
from alerts_service.translations import FOLDER


def register(app: Flask, settings: Settings) -> None:
    """Let pages speak the installation's languages."""

    def selected() -> str:
        asked = request.args.get("lang", "")
        own = str(g.get("own_language", ""))
        wanted = [language for language in (asked, own) if language in settings.languages]
        return wanted[0] if wanted else request.accept_languages.best_match(settings.languages) or settings.languages[0]

    Babel(
        app,
        default_locale=settings.languages[0],
        default_translation_directories=str(FOLDER),
        locale_selector=selected,
    )


def speak(language: str) -> None:
    """Answer in the language of the person a link or a form belongs to, unless another was asked for."""
    g.own_language = language
    refresh()


def sentence(error: AlertsError) -> str:
    """Return what an error says, in the language of the page."""
    return str(_gettext(error.template)).format(**error.values)
