"""The widget on somebody else's pages: another origin, a strict policy, the keyboard alone; and when things fail."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, request
from playwright.sync_api import Page, expect

from alerts_service.config import Settings
from tests.browser.conftest import OpenPage, faults, overflow, served
from tests.browser.test_journey import tab_to
from tests.conftest import make_settings
from tests.databases import ON_SQLITE, free_port
from tests.relays import Relay
from tests.scene import Scene
from tests.web.asking import ANN

pytestmark = [pytest.mark.browser, ON_SQLITE]

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>A page about dementia</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="ealert-topics" content="dementia, caregivers"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/host.css"><script type="module" src="{base}/widget.js"></script></head>
<body><main><h1>A page about dementia</h1>{inside}</main></body></html>"""
ELEMENT = '<ealert-signup frequency="daily"><a href="{base}/">Sign up for e-alerts</a></ealert-signup>'
LINK = '<p><a class="ealert-signup" href="{base}/?topics=idd+policy&frequency=monthly&lang=es">E-alerts</a></p>'
# What docs/embedding.md promises a host: no more than this.
STRICT = (
    "default-src 'none'; script-src {base}; connect-src {base}; style-src 'self'; img-src data:; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
POLICIES = {"strict": STRICT, "no-styles": STRICT.replace("style-src 'self'; ", ""), "blocked": "script-src 'none'"}
FRAME = """(address) => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: address, title: "Sign up for e-alerts", width: "100%", height: 900 });
  document.querySelector("main").append(frame);
}"""
HEARD = "document.addEventListener('ealert-sent', (event) => { window.heard = JSON.stringify(event.detail) })"


@pytest.fixture
def host() -> str:
    """The origin of the page that the widget stands on."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def settings(database_url: str, tmp_path: Path, relay: Relay, host: str) -> Settings:
    """An installation that lets that page use the widget."""
    base_url = f"http://127.0.0.1:{free_port()}"
    settings = make_settings(tmp_path, database_url, smtp_url=relay.url, base_url=base_url)
    return dataclasses.replace(settings, widget_origins=(host,))


@pytest.fixture(autouse=True)
def neighbour(app: Flask, settings: Settings, host: str) -> Iterator[None]:
    """The other site: a page for each policy."""
    site = Flask("neighbour")

    @site.get("/<policy>")
    def page(policy: str) -> tuple[str, dict[str, str]]:
        inside = (LINK if "link" in request.args else ELEMENT).format(base=settings.base_url)
        rules = POLICIES.get(policy, "").format(base=settings.base_url)
        return PAGE.format(base=settings.base_url, inside=inside), {"Content-Security-Policy": rules} if rules else {}

    @site.get("/host.css")
    def style() -> tuple[str, dict[str, str]]:
        return "ealert-signup { --ealert-accent: #00632e }", {"Content-Type": "text/css"}

    with served(site, int(host.rpartition(":")[2])):
        yield


def complaints(page: Page) -> list[str]:
    """Collect what the page says on its console: a blocked style, script or request is said there."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def focused(page: Page) -> str:
    """The id of what has the focus inside the widget."""
    return str(page.evaluate("document.querySelector('ealert-signup').shadowRoot.activeElement?.id"))


def test_a_strict_page_elsewhere_takes_a_sign_up_by_keyboard_alone(
    open_page: OpenPage, scene: Scene, host: str
) -> None:
    page = open_page(320)
    said = complaints(page)
    page.goto(f"{host}/strict")
    page.evaluate(HEARD)
    widget = page.locator("ealert-signup")
    expect(widget.get_by_role("heading")).to_have_text("Sign up for e-alerts")
    expect(widget.locator("#topic-dementia")).to_be_checked()
    expect(widget.locator("#topic-caregivers")).to_be_checked()
    expect(widget.locator("#topic-idd")).to_be_hidden()
    expect(widget.locator("select")).to_have_value("daily")
    expect(widget.locator("button")).to_have_css("background-color", "rgb(0, 99, 46)")
    expect(widget.locator("button")).to_have_css("min-height", "44px")
    page.wait_for_timeout(2100)  # sooner than a person could, it would be asked again

    tab_to(page, "ealert-signup #topic-caregivers")
    page.keyboard.press("Space")
    tab_to(page, "ealert-signup #topic-dementia")
    page.keyboard.press("Space")
    tab_to(page, "ealert-signup #email-input")
    page.keyboard.type("ann@")
    page.keyboard.press("Enter")
    expect(widget.get_by_role("status")).to_contain_text("There is a problem")
    expect(widget.get_by_role("group", name="Topics")).to_have_accessible_description("Choose at least one topic.")
    expect(widget.locator("#email-input")).to_have_accessible_description(re.compile("^Enter an e-mail address"))
    expect(widget.locator("#email-input")).to_have_attribute("aria-invalid", "true")
    assert focused(page) == "topic-caregivers"
    assert (faults(page), overflow(page)) == ([], 0)

    page.keyboard.press("Space")
    tab_to(page, "ealert-signup #email-input")
    page.keyboard.press("End")
    page.keyboard.type("gmial.com")
    page.keyboard.press("Enter")
    expect(widget.get_by_role("status")).to_contain_text("ann@gmail.com")
    assert focused(page) == "email-input"
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type(ANN)
    page.keyboard.press("Enter")
    expect(widget.get_by_role("status")).to_contain_text("Look in your inbox")
    expect(widget.locator("form")).to_be_hidden()
    assert faults(page) == []
    heard = page.evaluate("window.heard")
    assert heard == '{"topics":["caregivers"],"frequency":"daily","lang":"en"}', "and not whose it is"
    # The refused forms are lines of the browser's own; nothing else is said.
    assert [line for line in said if "status of 422" not in line] == []
    assert [row.address for row in scene.deliveries()] == [ANN]


def test_where_anything_fails_the_link_stays_with_what_was_chosen(
    open_page: OpenPage, settings: Settings, scene: Scene, host: str
) -> None:
    waiting = open_page()  # for its ten seconds, while the rest goes on
    waiting.route(f"{settings.base_url}/api/**", lambda _route: None)
    waiting.goto(f"{host}/strict")

    blocked = open_page()
    blocked.goto(f"{host}/blocked")
    expect(blocked.get_by_role("link", name="Sign up for e-alerts")).to_have_attribute("href", f"{settings.base_url}/")

    down = open_page()
    down.route(f"{settings.base_url}/api/**", lambda route: route.abort())
    down.goto(f"{host}/strict")
    chosen = f"{settings.base_url}/?topics=dementia+caregivers&frequency=daily&lang=en"
    expect(down.get_by_role("link")).to_have_attribute("href", chosen)
    down.get_by_role("link").click()
    expect(down.locator("#topic-caregivers")).to_be_checked()
    expect(down.locator("#frequency-daily")).to_be_checked()

    page = open_page(1280)
    said = complaints(page)
    page.goto(f"{host}/no-styles?link")
    widget = page.locator("ealert-signup")
    expect(widget.get_by_role("heading")).to_have_text("Suscríbase a las alertas")
    expect(widget.locator("section")).to_have_attribute("lang", "es")
    expect(widget.get_by_role("checkbox", checked=True)).to_have_count(2)
    expect(widget.get_by_role("combobox")).to_have_value("monthly")
    page.evaluate("document.dir = 'rtl'")
    assert [line for line in said if "host.css" not in line] == [], "its own stylesheet is not the widget's matter"
    assert (faults(page), overflow(page)) == ([], 0)
    page.route(f"{settings.base_url}/api/v1/signups", lambda route: route.abort())
    widget.get_by_role("textbox").fill(ANN)
    widget.locator("#topic-policy").uncheck()
    widget.get_by_role("button").click()
    elsewhere = f"{settings.base_url}/?topics=idd&frequency=monthly&lang=es"
    expect(widget.get_by_role("link", name="Suscribirse en nuestra página")).to_have_attribute("href", elsewhere)
    expect(widget.get_by_role("textbox")).to_have_value(ANN)
    assert faults(page) == []

    expect(waiting.get_by_role("link")).to_have_attribute("href", chosen, timeout=15_000)
    assert scene.deliveries() == []


def test_the_builder_shows_each_choice_at_once_and_works_without_a_script_too(open_page: OpenPage) -> None:
    page = open_page(320)
    said = complaints(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/embed/builder?lang=en")
    page.locator("#builder #topic-dementia").check()
    page.get_by_label("Español").check()
    page.get_by_label("Colour of the button").fill("#ffe396")
    widget = page.locator("#preview ealert-signup")
    expect(widget.get_by_role("checkbox", checked=True)).to_have_accessible_name(re.compile("^Enfermedad"))
    expect(widget.get_by_role("button")).to_have_css("background-color", "rgb(255, 227, 150)")
    expect(widget.get_by_role("button")).to_have_css("color", "rgb(27, 27, 27)")
    page.get_by_role("button", name="Copy For your page").click()
    expect(page.locator("#told")).to_have_text("Copied.")
    lines = page.locator("#lines-element").input_value()
    assert 'topics="dementia" frequency="weekly" lang="es"' in lines
    assert page.evaluate("navigator.clipboard.readText()") == lines
    assert (faults(page), overflow(page), said) == ([], 0, [])

    plain = open_page(script=False)
    plain.goto("/embed/builder?lang=en")
    plain.locator("#builder #topic-dementia").check()
    plain.get_by_label("Español").check()
    plain.get_by_role("button", name="Show it").click()
    assert plain.locator("#lines-element").input_value() == lines
    expect(plain.locator("#preview a")).to_have_text("Suscríbase a las alertas")
    expect(plain.get_by_role("button", name="Copy")).to_have_count(0)


def test_a_frame_on_another_site_takes_a_sign_up(
    open_page: OpenPage, settings: Settings, scene: Scene, host: str
) -> None:
    page = open_page(768)
    page.goto(f"{host}/open")
    page.evaluate(FRAME, f"{settings.base_url}/embed?topics=dementia")
    frame = page.frame_locator("iframe")
    frame.get_by_label("Your e-mail address").fill(ANN)
    page.wait_for_timeout(2100)
    frame.get_by_role("button", name="Sign up").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Look in your inbox")
    assert faults(page) == []
    assert [row.address for row in scene.deliveries()] == [ANN]
    elsewhere = open_page()
    said = complaints(elsewhere)
    elsewhere.goto(f"{host.replace('127.0.0.1', 'localhost')}/open")
    elsewhere.evaluate(FRAME, f"{settings.base_url}/embed")
    elsewhere.wait_for_timeout(500)
    assert any("frame-ancestors" in line for line in said), "a site that is not listed shows no frame"
