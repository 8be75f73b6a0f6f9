"""GET and HEAD: every address answers, and looking changes nothing."""

import hashlib
import re

from flask import Flask
from flask.testing import FlaskClient

from tests.databases import ON_SQLITE
from tests.web.conftest import Town, contents

TOKEN = "x" * 36
MOVED = {"subscribe": 303}


def test_looking_at_every_page_changes_nothing(client: FlaskClient, town: Town) -> None:
    before = contents()
    for name, path in town.paths.items():
        for method in ("GET", "HEAD"):
            answer = client.open(path, method=method)
            assert answer.status_code == MOVED.get(name, 200), (method, path, answer.text)
    assert contents() == before


@ON_SQLITE
def test_asking_what_is_allowed_changes_nothing(client: FlaskClient, town: Town) -> None:
    before = contents()
    for name, path in town.paths.items():
        answer = client.options(path)
        assert answer.status_code == (405 if name == "icon" else 200)
        assert "GET" in answer.headers["Allow"]
    assert contents() == before


@ON_SQLITE
def test_a_head_has_the_headers_of_the_get_and_no_body(client: FlaskClient, town: Town) -> None:
    for path in town.paths.values():
        got, head = client.get(path), client.head(path)
        assert head.data == b""
        # Both may move on by a second between the two.
        moments = {"Date": "", "Expires": ""}
        assert {**got.headers, **moments} == {**head.headers, **moments}


@ON_SQLITE
def test_the_addresses_above_are_all_that_the_site_has(app: Flask, town: Town) -> None:
    adapter = app.url_map.bind("any")
    served = {rule.endpoint for rule in app.url_map.iter_rules() if rule.methods and "GET" in rule.methods}
    assert {adapter.match(path)[0] for path in town.paths.values()} == served


@ON_SQLITE
def test_a_method_that_no_page_knows_is_refused_with_those_it_knows(client: FlaskClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"):
        answer = client.open("/", method=method)
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]
        assert "cannot be used that way" in answer.text


@ON_SQLITE
def test_a_form_that_only_takes_posts_leads_back_to_the_sign_up_page(client: FlaskClient) -> None:
    assert client.get("/subscribe").headers["Location"] == "/"
    assert client.get("/subscribe?lang=es").headers["Location"] == "/?lang=es"


NOTHING = [
    "/nothing",
    "/preferences/",
    "/confirm",
    "/unsubscribe/",
    "/updates/",
    "/updates/x",
    "/updates/-1",
    "/updates/1.5",
    "/static/",
    "/static/../config.py",
    "/static/%2e%2e/config.py",
    "/check-your-inbox/",
    "/%ff",
    "/\u00e9",
    "/a%00b",
    f"/confirm/{TOKEN}/more",
    f"/updates/{'9' * 5000}",
]


@ON_SQLITE
def test_an_address_with_nothing_behind_it_gets_a_plain_404(client: FlaskClient) -> None:
    for path in NOTHING:
        answer = client.get(path)
        assert answer.status_code == 404, path[:80]
        assert answer.mimetype == "text/html"
        assert "<h1>This did not work</h1>" in answer.text
        assert 'href="/?lang=en"' in answer.text, "there is a way on"


@ON_SQLITE
def test_the_process_says_that_it_is_alive_and_able_to_serve(client: FlaskClient) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").json == {"database": "ok", "schema": "current"}


@ON_SQLITE
def test_robots_may_see_the_sign_up_page_and_nobodys_own_pages(client: FlaskClient) -> None:
    lines = client.get("/robots.txt").text.splitlines()
    assert lines[0] == "User-agent: *"
    for path in ("/confirm/", "/not-me/", "/preferences", "/unsubscribe/", "/digests/"):
        assert f"Disallow: {path}" in lines
    assert "Disallow: /" not in lines


@ON_SQLITE
def test_a_file_is_kept_for_ever_under_an_address_with_its_hash_and_comes_compressed(client: FlaskClient) -> None:
    page = client.get("/").text
    path = page.split('<link rel="stylesheet" href="')[1].split('"')[0]
    plain = client.get(path)
    assert plain.mimetype == "text/css"
    assert hashlib.sha256(plain.data).hexdigest()[:12] in path
    images = [f"/static/{name}" for name in re.findall(r"url\(([^)]+)\)", plain.text)]
    assert len(images) > 3
    for address in [path, *images]:
        for coding in ("gzip", "br"):
            answer = client.get(address, headers={"Accept-Encoding": coding})
            assert (answer.status_code, answer.headers.get("Content-Encoding")) == (200, coding), address
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert "immutable" not in client.get("/static/pages.css").headers["Cache-Control"]


@ON_SQLITE
def test_who_reloads_the_address_of_the_forms_answer_meets_the_form(client: FlaskClient) -> None:
    assert client.get("/subscribe").headers["Location"] == "/"
    assert client.get("/subscribe?lang=es").headers["Location"] == "/?lang=es"
