"""Every page as a browser sees it: accessible, narrow enough for 320 pixels, nothing blocked and no error."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, faults, overflow
from tests.databases import ON_SQLITE
from tests.web.conftest import Town

pytestmark = [pytest.mark.browser, ON_SQLITE]

NO_PAGES = {"subscribe", "calendar", "feed", "alive", "ready", "scheduler", "robots", "icon"}


def paths(town: Town) -> dict[str, str]:
    """The addresses that answer with a page, by name."""
    return {name: path for name, path in town.paths.items() if name not in NO_PAGES}


def wrong_form(page: Page) -> None:
    page.goto("/")
    page.locator("#email").fill("ann@")
    page.get_by_role("button", name="Sign up").click()


def saved(page: Page, town: Town) -> None:
    page.goto(town.paths["preferences"])
    page.get_by_role("button", name="Save").click()


def left(page: Page, town: Town) -> None:
    page.goto(town.paths["unsubscribe"])
    page.get_by_label("Only the topics of this e-mail").check()
    page.get_by_role("button", name="Leave").click()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "light")])
def test_axe_finds_nothing_on_any_page(open_page: OpenPage, town: Town, width: int, scheme: str) -> None:
    page = open_page(width, scheme)
    found = {}
    for name, path in paths(town).items():
        page.goto(path)
        found[name] = faults(page)
    page.goto("/nothing")
    found["error"] = faults(page)
    wrong_form(page)
    found["wrong form"] = faults(page)
    saved(page, town)
    found["saved"] = faults(page)
    left(page, town)
    found["left"] = faults(page)
    page.goto("/?lang=es")
    found["spanish"] = faults(page)
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_no_page_scrolls_sideways_at_320_pixels(open_page: OpenPage, town: Town) -> None:
    long = town.scene.release("Donau" * 30, summary="https://example.org/" + "x" * 200 + "\n\n    " + "code " * 60)
    page = open_page(320)
    found = {}
    for name, path in paths(town).items():
        for language in ("en", "es"):
            page.goto(f"{path}?lang={language}")
            found[name, language] = overflow(page)
    page.goto(f"/updates/{long}")
    found["long", "en"] = overflow(page)
    wrong_form(page)
    found["wrong form", "en"] = overflow(page)
    assert {name: pixels for name, pixels in found.items() if pixels > 0} == {}


def test_no_page_says_anything_on_the_console_or_loads_from_elsewhere(open_page: OpenPage, town: Town) -> None:
    page = open_page()
    said: list[str] = []
    failed: list[tuple[str, str | None]] = []
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url))
    for path in paths(town).values():
        page.goto(path)
        page.wait_for_load_state("load")
    saved(page, town)
    left(page, town)
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
