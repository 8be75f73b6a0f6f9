"""Every page as a browser sees it: accessible, valid, light, fit for 320 pixels, nothing blocked, no error."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, Route

from tests.browser import states
from tests.browser.conftest import OpenPage, faults, overflow
from tests.databases import ON_SQLITE, unavailable
from tests.web.conftest import Browser, Town

pytestmark = [pytest.mark.browser, ON_SQLITE]

# The validator of the W3C, as npm has it; `make test` puts it there.
VALIDATOR = Path(sys.prefix) / "vnu.jar"
MOST_BYTES = 100_000


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without pictures, for the pages behind forms."""
    app.test_client_class = Browser
    return app.test_client()


def show(page: Page, html: str) -> None:
    """Show a page that was answered to somebody else, with the files of the site."""

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.route("**/shown", answer)
    page.goto("/shown")
    page.unroute("**/shown")


@pytest.mark.parametrize(("width", "language"), [(1280, "en"), (320, "es")])
def test_every_state_of_every_page_is_accessible_and_fits_from_either_side(
    open_page: OpenPage, client: FlaskClient, town: Town, width: int, language: str
) -> None:
    page = open_page(width)
    found: dict[str, object] = {}
    for name, html in states.pages(client, town, language).items():
        assert f'<html lang="{language}" dir="ltr">' in html, name
        show(page, html)
        found[name] = faults(page)
        found[f"{name}, too wide"] = overflow(page) or None
        page.evaluate("document.documentElement.dir = 'rtl'")
        found[f"{name}, too wide from right to left"] = overflow(page) or None
    assert {name: what for name, what in found.items() if what} == {}


def test_every_state_of_every_page_is_valid_html(client: FlaskClient, town: Town, tmp_path: Path) -> None:
    java = shutil.which("java")
    if java is None or not VALIDATOR.is_file():
        unavailable("the HTML validator is not there: it needs java, and npm, by which `make test` fetches it")
    folder = tmp_path / "pages"
    folder.mkdir()
    for language in ("en", "es"):
        for name, html in states.pages(client, town, language).items():
            (folder / f"{name} {language}.html").write_text(html, encoding="utf-8")
    command = [str(java), "-jar", str(VALIDATOR), "--format", "json", "--stdout", "--exit-zero-always", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    said = [f"{Path(m['url']).name}: {m['message']} {m.get('extract')}" for m in json.loads(done.stdout)["messages"]]
    assert said == []


def test_a_first_visit_loads_less_than_100_kilobytes_and_no_script(
    open_page: OpenPage, client: FlaskClient, town: Town
) -> None:
    page = open_page()
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(response.url))
    page.goto("/?topics=idd")
    page.wait_for_load_state("networkidle")
    assert len(loaded) > 3
    files = [client.get(url, headers={"Accept-Encoding": "gzip"}).data for url in set(loaded[1:])]
    heaviest = max(len(gzip.compress(html.encode())) for html in states.pages(client, town, "es").values())
    assert heaviest + sum(map(len, files)) < MOST_BYTES
    assert not [url for url in loaded if url.endswith(".js")]


def test_the_button_that_confirms_stands_above_the_fold_of_the_smallest_phone(open_page: OpenPage, town: Town) -> None:
    page = open_page(320)
    page.set_viewport_size({"width": 320, "height": 480})
    for path in (town.paths["confirm"], states.expired(town.scene)):
        page.goto(f"{path}?lang=es")
        box = page.locator("main button").bounding_box()
        assert box
        assert box["y"] + box["height"] < 480


def test_a_checked_box_is_seen_and_a_finger_finds_it(open_page: OpenPage, town: Town) -> None:
    page = open_page(320)
    for colours in ("none", "active"):
        page.emulate_media(forced_colors=colours)
        page.goto("/")
        box = page.locator("#topic-idd")
        label = page.locator('label[for="topic-idd"]')
        off = label.screenshot()
        box.check()
        assert label.screenshot() != off
        place = box.bounding_box()
        assert place
        assert place["x"] >= 0
        assert min(place["width"], place["height"]) >= 24, "WCAG 2.2, 2.5.8"


def test_no_page_says_anything_on_the_console_or_loads_from_elsewhere(open_page: OpenPage, town: Town) -> None:
    page = open_page()
    said: list[str] = []
    failed: list[tuple[str, str | None]] = []
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url))
    for path in (path for name, path in town.paths.items() if name not in states.NO_PAGES):
        page.goto(path)
        page.wait_for_load_state("load")
    page.goto(town.paths["preferences"])
    page.get_by_role("button", name="Save").click()
    page.goto(town.paths["unsubscribe"])
    page.get_by_label("Only the topics of this e-mail").check()
    page.get_by_role("button", name="Leave").click()
    assert said == []
    # The icon is still on its way when the next page is opened.
    assert [failure for failure in failed if failure[1] != "net::ERR_ABORTED"] == []
    assert {url for url in loaded if not url.startswith(town.scene.settings.base_url)} == set()
    assert page.context.cookies() == []


def test_a_page_is_readable_when_it_is_magnified_or_printed(open_page: OpenPage, town: Town) -> None:
    page = open_page(640)
    page.goto(town.paths["sign_up"])
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    assert overflow(page) == 0
    page.emulate_media(media="print")
    assert page.locator("h1").is_visible()
    assert not page.locator(".masthead").is_visible()


def test_the_banner_of_the_government_opens_without_a_script(open_page: OpenPage, town: Town) -> None:
    page = open_page(320, script=False)
    page.goto("/?lang=es")
    words = page.get_by_text("Los sitios web oficiales usan .gov")
    assert not words.is_visible()
    page.get_by_text("Así es como usted puede verificarlo").click()
    assert words.is_visible()
    assert page.get_by_role("link", name="FOIA").get_attribute("href") == "https://example.org/foia"
