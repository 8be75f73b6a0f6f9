"""The mail's HTML as mail programs show it: narrow and wide, light and dark."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from alerts_service.services import unconfirmed
from tests.browser.conftest import OpenPage, faults, overflow
from tests.databases import ON_SQLITE
from tests.relays import Relay
from tests.scene import DAY, Scene
from tests.web.asking import ANN
from tests.web.conftest import LATER

pytestmark = [pytest.mark.browser, ON_SQLITE]

SUMMARY = """A paragraph with **strong** words and [a link](https://example.org/a/{long}).

- one
- two

> Somebody said so.

    a line of code that is longer than any phone is wide: {long}

{long}
""".format(long="https://example.org/" + "x" * 120)


@pytest.fixture
def mails(scene: Scene, relay: Relay) -> dict[str, str]:
    """The HTML of every kind of mail, by what it is."""
    ann, ben, cy = ANN, "ben@example.org", "cy@example.org"
    scene.follow(ann, "dementia", "policy", frequency="daily")
    scene.ask(ann, "idd")
    scene.follow(ben, "idd", locale="es")
    scene.ask(cy)
    event = LATER + timedelta(days=9)
    scene.release("A webinar", "dementia", kind="webinar", starts_at=event, credit="1 hour", summary=SUMMARY)
    for number in range(14):
        scene.release(f"{'Donau' * 20} {number}", "policy", summary=SUMMARY, url=f"https://example.org/{number}")
    Scene(scene.settings, LATER).tick()
    scene.deliver()
    scene.release("A way round", "policy", urgent=True)
    scene.tick()
    scene.deliver()
    unconfirmed.remind(now=scene.now + 2 * DAY)
    scene.leave(ann)
    scene.leave(ben)
    scene.deliver()
    kinds = ("confirmation", "welcome", "already", "digest", "alert", "goodbye")
    assert len(relay.to(ann)) == len(kinds)
    found = {str(received.message["Subject"]): received.part("html") for received in relay.to(ann)}
    found |= {f"cy {received.message['Subject']}": received.part("html") for received in relay.to(cy)}
    return found | {"es " + str(received.message["Subject"]): received.part("html") for received in relay.to(ben)}


def show(page: Page, html: str) -> None:
    page.set_content(html, wait_until="load")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (700, "light"), (700, "dark")])
def test_a_mail_fits_its_window_and_axe_finds_nothing(
    open_page: OpenPage, mails: dict[str, str], width: int, scheme: str
) -> None:
    page = open_page(width, scheme)
    assert len(mails) == 6 + 2 + 3
    for subject, html in mails.items():
        show(page, html)
        assert overflow(page) == 0, subject
        assert faults(page) == [], subject


def test_a_mail_loads_nothing_and_shows_its_words_without_its_head(open_page: OpenPage, mails: dict[str, str]) -> None:
    page = open_page(640, script=False)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    for html in mails.values():
        show(page, html)
        show(page, html[: html.index("<style")] + html[html.rindex("</style>") + len("</style>") :])
        assert page.locator("h1").is_visible()
        assert page.locator(".preheader").is_hidden(), "styles stand on the elements, too"
    assert loaded == []
