"""A whole story with the keyboard alone, in a browser that runs no script."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.databases import ON_SQLITE
from tests.relays import Relay
from tests.scene import Scene
from tests.web.asking import ANN

pytestmark = [pytest.mark.browser, ON_SQLITE]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something is reached."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab does not reach {selector}")


def press_button(page: Page, words: str) -> None:
    tab_to(page, "main button")
    expect(page.locator(":focus")).to_have_text(words)
    page.keyboard.press("Enter")


def link(relay: Relay, room: str) -> str:
    """The newest link of a kind in Ann's mail."""
    found = [re.search(rf"http\S+/{room}/\S+", received.part("plain")) for received in relay.to(ANN)]
    return [match[0] for match in found if match][-1]


def test_signing_up_confirming_changing_and_leaving_need_no_mouse_and_no_script(
    open_page: OpenPage, scene: Scene, relay: Relay
) -> None:
    page = open_page(script=False)
    page.goto("/")
    tab_to(page, ".usa-skipnav")
    expect(page.locator(".usa-skipnav")).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_to(page, "#topic-dementia")
    page.keyboard.press("Space")
    tab_to(page, "#frequency-weekly")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#frequency-daily")).to_be_checked()
    tab_to(page, "#email")
    page.keyboard.type("ann@")
    press_button(page, "Sign up")

    expect(page.locator(".summary")).to_be_visible()
    tab_to(page, ".summary a")
    page.keyboard.press("Enter")
    expect(page.locator("#email")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type("example.org")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Look in your inbox")

    scene.deliver()
    page.goto(link(relay, "confirm"))
    press_button(page, "Yes, send me e-alerts")
    expect(page.locator("h1")).to_have_text("Thank you. Your e-alerts begin.")
    page.reload()
    expect(page.locator("h1")).to_have_text("Thank you. Your e-alerts begin.")

    scene.deliver()
    page.goto(link(relay, "preferences"))
    expect(page.locator("#topic-dementia")).to_be_checked()
    expect(page.locator("#frequency-daily")).to_be_checked()
    tab_to(page, "#topic-policy")
    page.keyboard.press("Space")
    press_button(page, "Save")
    expect(page.locator("[role=status]")).to_have_text("Your choices are saved.")
    expect(page.locator("#topic-policy")).to_be_checked()

    page.goto(link(relay, "unsubscribe"))
    press_button(page, "Leave all e-alerts")
    expect(page.locator("h1")).to_have_text("You have left")
    assert scene.subscriber(ANN).ended_at is not None


def test_a_wrong_form_is_mended_without_losing_what_was_chosen(open_page: OpenPage, scene: Scene) -> None:
    page = open_page(360, script=False)
    page.goto("/?lang=es")
    page.get_by_label("Enfermedad de Alzheimer").check()
    page.get_by_label("Una vez al mes").check()
    page.get_by_role("button", name="Suscribirme").click()
    expect(page.locator(".summary li")).to_have_text(["Escriba su dirección de correo electrónico."])
    expect(page.locator("#topic-dementia")).to_be_checked()
    expect(page.locator("#frequency-monthly")).to_be_checked()
    page.get_by_label("Su dirección de correo electrónico").fill(ANN)
    page.get_by_role("button", name="Suscribirme").click()
    expect(page.locator("h1")).to_have_text("Revise su correo")
    assert [row.address for row in scene.deliveries()] == [ANN]
