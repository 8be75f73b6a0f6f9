"""Fixtures: a real Chromium, and the site on a port of loopback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from alerts_service import create_app
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.models import Fact
from alerts_service.services.installing import BASE_URL
from tests.conftest import make_settings
from tests.databases import free_port, unavailable
from tests.relays import Relay
from tests.scene import Scene
from tests.web.conftest import Town

CHROMIUM = "/usr/bin/chromium"
# The accessibility checks of Deque Systems, as npm has them: https://www.npmjs.com/package/axe-core
AXE = Path(__file__).with_name("axe") / "axe-core-4.14.1.min.js"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of a module's tests."""
    if not Path(CHROMIUM).exists():
        unavailable(f"Chromium is not there: {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path, relay: Relay) -> Settings:
    """A production installation on a port of its own, with all that may stand above and below a page."""
    return make_settings(
        tmp_path,
        database_url,
        smtp_url=relay.url,
        base_url=f"http://127.0.0.1:{free_port()}",
        gov_banner=True,
        footer_links=(("Accessibility", "https://example.org/accessibility"), ("FOIA", "https://example.org/foia")),
    )


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    """Serve an app until the block ends."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The web app, served; its context is pushed for what the test does beside the browser."""
    app = create_app(settings)
    with app.app_context(), transaction() as session:
        session.get_one(Fact, BASE_URL).value = settings.base_url  # as if it had been made under this address
    with served(app, int(settings.base_url.rpartition(":")[2])), app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def scene(app: Flask, settings: Settings) -> Scene:
    """The installation behind the site."""
    return Scene(settings, utcnow())


@pytest.fixture
def town(scene: Scene) -> Town:
    """A site with something behind every address."""
    return Town(scene)


@pytest.fixture
def open_page(chromium: Browser, settings: Settings) -> Iterator[OpenPage]:
    """Open a window: how wide, light or dark, with JavaScript or without."""
    opened = []

    def new_page(width: int = 1280, scheme: str = "light", *, script: bool = True) -> Page:
        context = chromium.new_context(
            base_url=settings.base_url,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=script,
        )
        opened.append(context)
        return context.new_page()

    yield new_page
    for context in opened:
        context.close()


def faults(page: Page) -> list[str]:
    """What axe finds, a line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{fault['impact']} {fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]


def overflow(page: Page) -> int:
    """How many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
