"""What all pages share: the values that templates know, the consent sentence, and where a request came from."""

import ipaddress
import re
from email.utils import parseaddr
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, current_app, render_template, request, url_for
from flask_babel import get_locale

from alerts_service.config import Settings
from alerts_service.mail import links
from alerts_service.mail.moments import day, event_times, moment
from alerts_service.rules.markup import to_html
from alerts_service.web.languages import spoken

_NETWORK_BITS = {4: 24, 6: 48}
# What Werkzeug leaves of a form's bytes that are no UTF-8: they look like a part of the address.
_UNREADABLE = re.compile("%[89A-F][0-9A-F]")
_LANGUAGE_NAMES = {"en": "English", "es": "Español"}


def register(app: Flask, settings: Settings) -> None:
    """Give templates the installation's words, links and formats."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        markdown=to_html,
        host=links.host,
        moment=lambda at: moment(at, settings.timezone, spoken()),
        day=lambda at: day(at, settings.timezone, spoken()),
        event_times=lambda item: event_times(item.starts_at, item.ends_at, settings.timezone, spoken()),
    )

    @app.context_processor
    def shared() -> dict[str, Any]:
        return {
            "settings": settings,
            "contact": links.contact(settings),
            "sender": parseaddr(settings.service_from)[1],
            "language": spoken(),
            "language_names": _LANGUAGE_NAMES,
            "in_language": _in_language,
            "direction": get_locale().text_direction,
            "host": urlsplit(settings.base_url).hostname,
        }


def settings() -> Settings:
    """Return the settings of the app that answers."""
    found = current_app.extensions["alerts"]
    assert isinstance(found, Settings)
    return found


def consent_wording() -> str:
    """Return the sentence a person agrees to, as the page shows it."""
    return _consent_wording(settings().name, spoken())


@cache
def _consent_wording(_name: str, _language: str) -> str:
    """Made once for each name and language: it says nothing else, and every sign-up needs it."""
    return render_template("pages/consent.txt").strip()


def email_given() -> str:
    """Return the address in a form; bytes that are no text become a character that no address holds."""
    return _UNREADABLE.sub("\ufffd", request.form.get("email", ""))


def network() -> str:
    """Return the network a request came from, not the host: /24 of IPv4, /48 of IPv6."""
    return _network_of(request.remote_addr or "")


@lru_cache(maxsize=1024)
def _network_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{_NETWORK_BITS[address.version]}", strict=False))


def address(endpoint: str, lang: str | None = None) -> str:
    """Return the address of a page that has no other parameters."""
    return _address(request.script_root, endpoint, lang)


@lru_cache(maxsize=64)
def _address(_root: str, endpoint: str, lang: str | None) -> str:
    return url_for(endpoint, lang=lang)


def _in_language(code: str) -> str:
    """Return the address of this page in another language."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "lang"]
    return f"{request.path}?{urlencode([*query, ('lang', code)])}"
