"""Asking once more: without retyping and without a cookie; and the question about a mistyped domain."""

import html
import re
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from alerts_service.rules import sealing
from tests.databases import ON_SQLITE
from tests.scene import Scene, rows
from tests.web.asking import ANN, FORM, checked, heading, problems, value
from tests.web.conftest import contents

MISTYPED = FORM | {"email": "ann@gmial.com"}


def again(page: str) -> dict[str, str]:
    """The form of the page that says: look in your inbox."""
    return {name: value(page, name) for name in ("lang", "again")}


@ON_SQLITE
def test_the_page_asks_again_for_the_same_with_one_button(client: FlaskClient, scene: Scene) -> None:
    page = client.post("/subscribe", data=FORM | {"lang": "es", "source": "poster"}, follow_redirects=True).text
    assert ANN not in page
    answer = client.post("/check-your-inbox", data=again(page), follow_redirects=True)
    assert "Hemos recibido de nuevo su solicitud" in answer.text
    assert again(answer.text)["again"] != again(page)["again"]
    first, second = scene.deliveries()
    assert (first.address, first.kind) == (second.address, second.kind) == (ANN, "confirmation")
    assert second.details == {"sign_up": 2, "locale": "es"}
    for _ in range(3):
        client.post("/check-your-inbox", data=again(page))
    assert len(scene.deliveries()) == 3, "a button is no way around the cap per mailbox"


@ON_SQLITE
def test_another_address_can_be_entered_with_the_topics_still_chosen(client: FlaskClient, app: object) -> None:
    page = client.post("/subscribe", data=FORM, follow_redirects=True).text
    href = re.search(r'<a class="usa-link" href="(/\?topics=[^"]+)"', page)
    assert href
    form = client.get(html.unescape(href[1])).text
    assert sorted(checked(form, "topics")) == ["idd", "policy"]
    assert checked(form, "frequency") == ["daily"]
    assert ANN not in form


@ON_SQLITE
def test_a_token_that_is_altered_or_old_asks_for_nothing_and_leads_to_the_form(
    client: FlaskClient, scene: Scene
) -> None:
    keys = scene.settings.secret_keys
    old = sealing.seal(
        keys, "sign-up form", '["ann@example.org", ["idd"], "daily", "en", "", ""]', scene.now - timedelta(days=2)
    )
    other = sealing.seal(keys, "another", "[]", scene.now)
    before = contents()
    for token in ("", "x", old, other, "x" * 5000, "\xe9\0", old[:-4]):
        page = client.get("/check-your-inbox", query_string={"again": token})
        assert heading(page.text) == "Look in your inbox"
        assert "<form" not in page.text
        answer = client.post("/check-your-inbox", data={"again": token})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/?lang=en")
    assert contents() == before


@ON_SQLITE
def test_a_mistyped_domain_is_asked_about_once_and_then_taken(client: FlaskClient, scene: Scene) -> None:
    before = contents()
    asked = client.post("/subscribe", data=MISTYPED | {"source": "poster"})
    assert asked.status_code == 422
    assert contents() == before
    assert problems(asked.text) == [
        "Did you mean ann@gmail.com? If so, correct your address. If not, send the form again as it is."
    ]
    form: dict[str, Any] = {name: value(asked.text, name) for name in ("email", "source", "lang", "sure")}
    form |= {"topics": checked(asked.text, "topics"), "frequency": checked(asked.text, "frequency")[0]}
    another = client.post("/subscribe", data=form | {"email": "ann@gmal.com"})
    assert another.status_code == 422, "another mistake is another question"
    assert client.post("/subscribe", data=form).status_code == 303
    assert [row.address for row in scene.deliveries()] == ["ann@gmial.com"]


@ON_SQLITE
def test_a_mistyped_domain_is_corrected_with_one_button(client: FlaskClient, scene: Scene) -> None:
    page = client.post("/subscribe", data=MISTYPED).text
    offered = re.search(r'name="instead" value="([^"]+)"', page)
    assert offered
    assert page.index(">Sign up</button>") < page.index('name="instead"'), "Enter sends what was typed"
    form = MISTYPED | {"sure": value(page, "sure"), "instead": offered[1]}
    assert client.post("/subscribe", data=form).status_code == 303
    assert [row.address for row in scene.deliveries()] == ["ann@gmail.com"]


@ON_SQLITE
def test_the_question_is_asked_together_with_all_that_is_wrong(client: FlaskClient, app: object) -> None:
    page = client.post("/subscribe", data=MISTYPED | {"topics": []}).text
    assert [sentence[:10] for sentence in problems(page)] == ["Choose at ", "Did you me"]
    mended = MISTYPED | {"sure": value(page, "sure")}
    assert client.post("/subscribe", data=mended).status_code == 303
    assert rows()["sign_ups"] == 1


@ON_SQLITE
def test_who_is_sure_is_not_asked_again_when_asking_again(client: FlaskClient, scene: Scene) -> None:
    page = client.post("/subscribe", data=MISTYPED | {"sure": "gmial.com"}, follow_redirects=True).text
    assert client.post("/check-your-inbox", data=again(page)).status_code == 303
    assert len(scene.deliveries()) == 2
