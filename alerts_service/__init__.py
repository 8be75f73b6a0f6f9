"""The e-alert service: people, topics, updates, consent, editions and mail.

`create_app()` is the composition root of the web; `create_core()` is the part of it that commands and the
scheduler need: settings and database, no routes. Both import what they compose when they are called, so
that `alerts --help` and the filters load neither Flask nor the database.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from alerts_service.config import Settings

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def create_core(settings: Settings | None = None) -> Flask:
    """Make the slim app: settings and database. Raises SettingsRefused with every error at once."""
    from flask import Flask

    from alerts_service import config
    from alerts_service.db import db, prepare

    _log_no_values()
    app = Flask("alerts_service", template_folder=str(TEMPLATES))
    settings = settings or config.load()
    app.extensions["alerts"] = settings
    app.config["SQLALCHEMY_DATABASE_URI"] = _located(settings.database_url)
    db.init_app(app)
    with app.app_context():
        prepare(db.engine)
    return app


def create_app(settings: Settings | None = None) -> Flask:
    """Make the web app. Raises SchemaOutdated where `alerts init` has to be run first."""
    from alerts_service import cli, web
    from alerts_service.services import installing

    app = create_core(settings)
    with app.app_context():
        installing.check(app.extensions["alerts"])
    web.register(app)
    app.cli = cli.group
    return app


def _log_no_values() -> None:
    """Leave the values of variables out of logged tracebacks: there are keys and addresses among them."""
    import structlog

    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def _located(url: str) -> str:
    """Make a relative SQLite path one below the working directory, and its folder exist."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return url
    path = Path(parsed.database).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(database=str(path)).render_as_string(hide_password=False)
