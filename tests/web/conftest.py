"""Fixtures: browsers that share nothing with the test, a scene beside them, and a site with everything on it."""

import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from alerts_service import create_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import Base, db
from alerts_service.models import AddressChange, FreshLink
from alerts_service.rules import tokens
from alerts_service.services import own_data, publishing, readdressing
from alerts_service.web import widget
from tests.conftest import make_settings
from tests.scene import Scene

# A moment of the daily slot that lies ahead of any present.
LATER = datetime(2099, 6, 2, 13, 0, 30, tzinfo=UTC)
Contents = dict[str, list[tuple[Any, ...]]]
OpenSite = Callable[..., FlaskClient]


class Browser(FlaskClient):
    """A browser without JavaScript. A request must not meet the app context that the test itself stands in."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Make a request."""
        return contextvars.Context().run(super().open, *args, **{"buffered": True} | kwargs)


def contents() -> Contents:
    """Every row of every table: to see that nothing at all was changed."""
    db.session.rollback()
    tables = Base.metadata.sorted_tables
    return {t.name: sorted(map(tuple, db.session.execute(t.select())), key=repr) for t in tables}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of this test's installation. The web never speaks SMTP, so no relay is started."""
    return make_settings(tmp_path, database_url)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The web app, its context pushed for what the test does beside the browser."""
    app = create_app(settings)
    app.test_client_class = Browser
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def scene(app: Flask, settings: Settings) -> Scene:
    """The installation behind the site, at the present: pages read the real clock."""
    return Scene(settings, utcnow())


@pytest.fixture
def another(app: Flask, settings: Settings) -> Iterator[OpenSite]:
    """Open the same database as a site that was started with other settings."""
    with ExitStack() as stack:

        def open_site(**changes: Any) -> FlaskClient:
            other = create_app(dataclasses.replace(settings, **changes))
            other.test_client_class = Browser
            with other.app_context():
                engine = db.engine
            stack.callback(engine.dispose)
            return other.test_client()

        yield open_site


@dataclasses.dataclass
class Town:
    """A site with something behind every address. Ann follows, Ben has asked, Cy has left, Dee has another address."""

    scene: Scene
    ann: str = "ann@example.org"
    ben: str = "ben@example.org"
    cy: str = "cy@example.org"
    dee: str = "dee@example.org"

    def __post_init__(self) -> None:
        scene = self.scene
        self.unreleased = scene.release("Not yet", "idd", approve=False)
        scene.follow(self.ann, "dementia", "policy", "idd", "ltss", frequency="daily")
        scene.follow(self.cy, "idd")
        scene.leave(self.cy)
        scene.ask(self.ben, "idd")
        event: dict[str, Any] = {"starts_at": LATER + timedelta(days=9), "ends_at": LATER + timedelta(days=9, hours=1)}
        self.update = scene.release(
            "A webinar", "dementia", "policy", kind="webinar", summary="Join **us**.", credit="1 hour", **event
        )
        self.withdrawn = scene.release("A mistake", "idd", summary="Wrong words.")
        Scene(scene.settings, LATER).tick()
        publishing.withdraw(self.withdrawn, reason="wrong", now=scene.now)
        self.digest = scene.digest_of(self.ann).id
        cy = scene.subscriber(self.cy)
        assert cy.ended_at
        with_key = str(scene.settings.permanent_key)
        self.paths = {
            "sign_up": "/",
            "subscribe": "/subscribe",
            "inbox": "/check-your-inbox",
            "confirm": f"/confirm/{scene.confirm_token(self.ben)}",
            "confirmed": f"/confirm/{scene.confirm_token(self.ann)}",
            "not_me": f"/not-me/{self.not_me_token(self.ben)}",
            "ask": "/preferences",
            "preferences": f"/preferences/{scene.preferences_token(self.ann)}",
            "preferences_left": f"/preferences/{scene.preferences_token(self.cy)}",
            "unsubscribe": f"/unsubscribe/{scene.unsubscribe_token(self.ann, self.digest)}",
            "unsubscribed": f"/unsubscribe/{scene.unsubscribe_token(self.cy)}",
            **self._own_data(),
            "undo": f"/undo/{tokens.undo_token(scene.settings.secret_keys, cy.id, cy.ended_at)}",
            "update": f"/updates/{self.update}",
            "calendar": f"/updates/{self.update}.ics",
            "topics": "/topics",
            "topic": "/topics/dementia",
            "feed": "/topics/dementia.atom",
            "withdrawn": f"/updates/{self.withdrawn}",
            "digest": f"/digests/{tokens.digest_token(with_key, self.digest)}",
            "embed": "/embed",
            "embed_sent": "/embed/sent",
            "builder": "/embed/builder",
            "widget": "/widget.js",
            "kept_widget": f"/widget-{widget.version_of(widget.PRESENT.read_bytes())}.js",
            "api_form": "/api/v1/form",
            "alive": "/healthz",
            "ready": "/readyz",
            "scheduler": "/healthz/scheduler",
            "surges": "/healthz/sign-ups",
            "robots": "/robots.txt",
            "icon": "/static/icon.svg",
        }

    def _own_data(self) -> dict[str, str]:
        """The links by which Dee has changed her address, and one that she has not used."""
        scene, keys, new = self.scene, self.scene.settings.secret_keys, f"new.{self.dee}"
        scene.follow(self.dee, "caregivers")
        readdressing.ask(self._fresh(), new, sure_of="", **scene.at)
        change = db.session.scalars(select(func.max(AddressChange.id))).one()
        there = tokens.new_address_token(keys, change, scene.now)
        unused = self._fresh()
        readdressing.confirm(there, page="/", network="", **scene.at)
        return {
            "own_data": f"/your-data/{unused}",
            "new_address": f"/new-address/{there}",
            "former_address": f"/former-address/{tokens.former_address_token(keys, change, scene.now)}",
        }

    def _fresh(self) -> str:
        scene = self.scene
        own_data.ask_link(scene.preferences_token(self.dee), **scene.at)
        db.session.rollback()
        link = db.session.scalars(select(func.max(FreshLink.id))).one()
        return tokens.own_data_token(scene.settings.secret_keys, link, scene.now)

    def not_me_token(self, address: str) -> str:
        """The “not me” link in the newest confirmation mail."""
        scene = self.scene
        return tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(address), scene.now)


@pytest.fixture
def town(scene: Scene) -> Town:
    """A site with something behind every address."""
    return Town(scene)
