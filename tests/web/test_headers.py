"""Headers: no cookie, nothing from elsewhere, nothing kept; and what a request says of itself is not believed."""

import dataclasses
from contextvars import Context

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import EnvironBuilder, run_wsgi_app

from alerts_service.db import db
from alerts_service.models import Consent
from tests.databases import ON_SQLITE
from tests.relays import Relay
from tests.scene import Scene
from tests.web.asking import ANN, FORM
from tests.web.conftest import OpenSite, Town

PRIVATE = ["inbox", "confirm", "not_me", "ask", "preferences", "unsubscribe", "digest"]
PUBLIC = ["sign_up", "update", "alive", "robots"]
EVIL = "evil.example"
# What may be framed, and what runs a script of ours, under a policy of its own: see test_embedding.
OF_OTHERS = ["embed", "embed_sent", "builder"]


@ON_SQLITE
def test_every_answer_forbids_scripts_frames_referrers_and_guesses(client: FlaskClient, town: Town) -> None:
    plain = [path for name, path in town.paths.items() if name not in OF_OTHERS]
    answers = [client.get(path) for path in [*plain, "/nothing", "/confirm/x"]]
    answers += [client.post("/subscribe", data={}), client.post("/subscribe", data=FORM), client.post("/")]
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "script-src" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
        assert "Strict-Transport-Security" not in answer.headers


@ON_SQLITE
def test_pages_behind_a_link_are_neither_kept_nor_found(client: FlaskClient, town: Town) -> None:
    answers = [client.get(town.paths[name]) for name in PRIVATE]
    answers += [client.post(town.paths[name], data=FORM) for name in ("confirm", "preferences", "unsubscribe")]
    answers += [client.post("/subscribe", data=FORM), client.post("/subscribe", data={}), client.get("/confirm/x")]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
    for name in PUBLIC:
        assert "X-Robots-Tag" not in client.get(town.paths[name]).headers
    assert client.get("/nothing").headers["Cache-Control"] == "no-store"


@ON_SQLITE
def test_pages_have_nothing_inline_and_nothing_from_elsewhere(client: FlaskClient, town: Town) -> None:
    for name, path in town.paths.items():
        answer = client.get(path)
        if answer.mimetype == "text/html":
            scripts = [] if name == "builder" else ["<script"]
            for inline in (*scripts, "<style", " style=", " onclick", "<img", "<iframe", "javascript:"):
                assert inline not in answer.text, (path, inline)


@ON_SQLITE
def test_an_https_site_says_to_stay_with_https(another: OpenSite) -> None:
    site = another(base_url="https://alerts.example.org")
    assert site.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"
    assert site.get("/", base_url="http://alerts.example.org").status_code == 200, "and never redirects"


@ON_SQLITE
def test_no_page_believes_the_host_of_the_request(client: FlaskClient, town: Town) -> None:
    hosts = {"Host": EVIL, "X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}", "X-Forwarded-Proto": "gopher"}
    for path in [*town.paths.values(), "/nothing"]:
        answer = client.get(path, headers=hosts)
        assert EVIL not in answer.text + str(answer.headers)
        assert "gopher" not in answer.text + str(answer.headers)
    for name in ("subscribe", "preferences", "unsubscribe", "confirm", "not_me"):
        answer = client.post(town.paths[name], data=FORM | {"language": "en"}, headers=hosts)
        assert answer.status_code < 400
        assert EVIL not in answer.text + str(answer.headers)


@ON_SQLITE
def test_links_in_mail_are_made_from_the_base_url(client: FlaskClient, scene: Scene, relay: Relay) -> None:
    hosts = {"Host": EVIL, "X-Forwarded-Host": EVIL}
    client.post("/subscribe", data=FORM, headers=hosts)
    client.post("/preferences", data={"email": ANN}, headers=hosts)
    scene.settings = dataclasses.replace(scene.settings, smtp_url=relay.url)
    scene.deliver()
    assert len(relay.to(ANN)) == 2
    for received in relay.to(ANN):
        assert f"{scene.settings.base_url}/" in received.part("plain")
        assert EVIL not in received.part("plain") + received.part("html")


@ON_SQLITE
def test_an_address_that_begins_with_two_slashes_leads_nowhere_else(client: FlaskClient) -> None:
    for path in (f"//{EVIL}", f"//{EVIL}/..", f"/\\{EVIL}", f"///{EVIL}/", f"//{EVIL}/subscribe"):
        # Past the test's client, which would take the slashes for a host's.
        environ = EnvironBuilder().get_environ() | {"PATH_INFO": path, "HTTP_HOST": EVIL}
        content, status, headers = Context().run(run_wsgi_app, client.application, environ, buffered=True)
        assert status.startswith("404 "), path
        assert "Location" not in headers
        assert f"//{EVIL}".encode() not in b"".join(content).replace(b'hreflang="es"', b"")


@ON_SQLITE
def test_a_redirect_stays_on_the_site_whatever_the_language_says(client: FlaskClient, town: Town) -> None:
    for language in (f"//{EVIL}", f"https://{EVIL}", "es\r\nSet-Cookie: a=b", "\r\n"):
        for answer in (
            client.get("/subscribe", query_string={"lang": language}),
            client.post("/subscribe", data=FORM | {"lang": language}),
            client.post(town.paths["preferences"], data=FORM, query_string={"lang": language}),
        ):
            assert answer.status_code == 303
            assert answer.headers["Location"].startswith("/")
            assert not answer.headers["Location"].startswith("//")
            assert "\r" not in answer.headers["Location"]
            assert "Set-Cookie" not in answer.headers


def network() -> str:
    db.session.rollback()
    newest = db.session.scalars(select(Consent).order_by(Consent.id.desc())).first()
    assert newest
    assert newest.personal
    return str(newest.personal["network"])


@ON_SQLITE
def test_where_a_form_came_from_is_what_the_configured_proxies_say(client: FlaskClient, another: OpenSite) -> None:
    chain = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9, 192.0.2.5"}
    for site, expected in (
        (client, "127.0.0.0/24"),
        (another(trusted_proxies=1), "192.0.2.0/24"),
        (another(trusted_proxies=2), "203.0.113.0/24"),
        (another(trusted_proxies=4), "127.0.0.0/24"),
    ):
        site.post("/subscribe", data=FORM | {"email": f"{expected[:3]}{id(site)}@example.org"}, headers=chain)
        assert network() == expected


@ON_SQLITE
def test_a_network_is_kept_and_never_the_host(another: OpenSite) -> None:
    site = another(trusted_proxies=1)
    networks = {
        "2001:db8:1:2::3": "2001:db8:1::/48",
        "::ffff:192.0.2.5": "192.0.2.0/24",
        "fe80::1%eth0": "fe80::/48",
        "nonsense": "",
        "192.0.2.5:1234": "",
        "": "127.0.0.0/24",
    }
    for number, (said, expected) in enumerate(networks.items()):
        form = FORM | {"email": f"n{number}@example.org"}
        assert site.post("/subscribe", data=form, headers={"X-Forwarded-For": said}).status_code == 303
        assert network() == expected
