"""The framed form and the builder: who may frame them, what they say, and that nobody's words become markup."""

import html
import re

import pytest
from flask.testing import FlaskClient

from tests.databases import ON_SQLITE
from tests.scene import Scene, rows
from tests.web.asking import ANN, FORM, checked, heading, problems, value
from tests.web.conftest import OpenSite

HOSTS = ("https://www.example.org", "https://other.example")

pytestmark = ON_SQLITE


@pytest.fixture
def site(another: OpenSite) -> FlaskClient:
    """A site whose form stands in frames of two others."""
    return another(widget_origins=HOSTS)


def policy(site: FlaskClient, path: str, **form: object) -> dict[str, str]:
    """The policy of a page, or of the answer to a form."""
    answer = site.post(path, data=form) if form else site.get(path)
    parts = answer.headers["Content-Security-Policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def lines(page: str, name: str) -> str:
    """The lines that the builder offers."""
    found = re.search(rf'<textarea[^>]* id="lines-{name}"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found
    return html.unescape(found[1])


def test_only_the_configured_sites_may_frame_the_form_and_its_answers(site: FlaskClient, client: FlaskClient) -> None:
    for path, form in (("/embed", {}), ("/embed/sent", {}), ("/embed", {"email": "ann"}), ("/embed", FORM)):
        found = policy(site, path, **form)
        assert found["frame-ancestors"] == "'self' https://www.example.org https://other.example"
        assert "script-src" not in found
        assert policy(client, path, **form)["frame-ancestors"] == "'self'"
    assert policy(site, "/")["frame-ancestors"] == policy(site, "/embed/builder")["frame-ancestors"] == "'none'"
    assert policy(site, "/embed/builder")["script-src"] == "'self'"


def test_the_framed_form_takes_a_sign_up_and_never_leaves_its_frame(site: FlaskClient, scene: Scene) -> None:
    page = site.get("/embed?topics=idd+policy&frequency=daily&lang=es").text
    assert (sorted(checked(page, "topics")), checked(page, "frequency")) == (["idd", "policy"], ["daily"])
    assert '<form method="post" action="/embed"' in page
    wrong = site.post("/embed", data={"lang": "es", "topics": "idd"})
    assert wrong.status_code == 422
    assert problems(wrong.text)
    assert '<form method="post" action="/embed"' in wrong.text
    sent = site.post("/embed", data=FORM | {"lang": "es"})
    assert (sent.status_code, sent.headers["Location"]) == (303, "/embed/sent?lang=es")
    assert heading(site.get("/embed/sent?lang=es").text) == "Revise su correo"
    assert [row.address for row in scene.deliveries()] == [ANN]
    for text in (page, wrong.text, site.get("/embed/sent").text):
        inside = [link for link in re.findall(r"<a [^>]*>", text) if "_blank" not in link and 'href="#' not in link]
        assert all('href="/embed' in link for link in inside), inside


def test_a_machine_and_an_early_form_are_stopped_in_the_frame_too(site: FlaskClient, app: object) -> None:
    started = value(site.get("/embed").text, "started")
    assert site.post("/embed", data=FORM | {"started": started}).status_code == 422
    assert site.post("/embed", data=FORM | {"comment": "Buy now"}).status_code == 303
    assert rows()["sign_ups"] == 0


def test_the_builder_makes_lines_for_every_kind_of_page(client: FlaskClient) -> None:
    page = client.get(
        "/embed/builder?topics=idd&topics=policy&frequency=daily&language=es&heading=&accent=%23FFE396&corners=none"
    ).text
    chosen = "topics=idd+policy&amp;frequency=daily&amp;lang=es"
    assert lines(page, "element").splitlines() == [
        '<script type="module" src="http://127.0.0.1:8000/widget.js"></script>',
        '<ealert-signup topics="idd policy" frequency="daily" lang="es">',
        f'  <a href="http://127.0.0.1:8000/?{chosen}">Suscríbase a las alertas</a>',
        "</ealert-signup>",
    ]
    assert f'<a class="ealert-signup" href="http://127.0.0.1:8000/?{chosen}">' in lines(page, "link")
    assert f'<iframe src="http://127.0.0.1:8000/embed?{chosen}" title="Suscríbase a las alertas"' in lines(
        page, "frame"
    )
    assert "--ealert-accent: #ffe396;\n  --ealert-accent-text: #1b1b1b;\n  --ealert-radius: 0;" in lines(page, "styles")
    assert "style=" not in page
    pinned = re.search(r'src="http://127.0.0.1:8000(/widget-\w+\.js)"', lines(page, "pinned"))
    assert pinned
    assert client.get(pinned[1]).data == client.get("/widget.js").data


def test_what_the_builder_is_asked_for_never_becomes_markup(client: FlaskClient) -> None:
    evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    for name in ("topics", "frequency", "language", "heading", "accent", "corners", "lang"):
        page = client.get(f"/embed/builder?{name}={evil}").text
        assert "<script>alert" not in page
        assert "<script>alert" not in lines(page, "element"), "nor when somebody pastes it"
    assert "x" * 81 not in lines(client.get(f"/embed/builder?heading={'x' * 81}").text, "element")
    assert 'value="#005ea2"' in client.get("/embed/builder?accent=red").text
