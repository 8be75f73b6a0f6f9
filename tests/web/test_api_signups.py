"""The widget's API: what it tells, what it takes, from whom, and how it refuses."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.models import Consent, Wording
from alerts_service.rules import tokens
from tests.databases import ON_SQLITE
from tests.scene import MINUTE, Scene
from tests.web.asking import ANN
from tests.web.conftest import OpenSite, contents

HOST = "https://www.example.org"
BODY = {"email": ANN, "topics": ["idd", "policy"], "frequency": "daily", "lang": "es", "page": f"{HOST}/a?b=c#d"}


def post(site: FlaskClient, body: Any, **headers: str) -> TestResponse:
    """Send a sign-up."""
    return site.post("/api/v1/signups", json=body, headers={"Origin": HOST} | headers)


def fields(answer: TestResponse) -> list[str]:
    """The fields that a problem is about."""
    assert answer.mimetype == "application/problem+json"
    assert answer.json
    return [error["field"] for error in answer.json["errors"]]


@pytest.fixture
def site(another: OpenSite) -> FlaskClient:
    """A site whose widget stands on one other site."""
    return another(widget_origins=(HOST,))


@pytest.fixture
def filled(site: FlaskClient, settings: Settings) -> dict[str, Any]:
    """What the Spanish widget sends a minute after it was shown."""
    shown = site.get("/api/v1/form?lang=es").json
    assert shown
    started = tokens.form_time(settings.secret_keys, utcnow() - MINUTE)
    return BODY | {"wording": shown["wording"], "started": started}


@ON_SQLITE
def test_the_form_says_all_that_a_widget_shows_in_either_language(client: FlaskClient) -> None:
    english = client.get("/api/v1/form?topics=idd+policy+nonsense&frequency=daily&lang=en")
    spanish = client.get("/api/v1/form?lang=es")
    for answer in (english, spanish):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert "Accept-Language" in answer.headers["Vary"]
    said, dicho = english.json, spanish.json
    assert said
    assert dicho
    assert [topic["slug"] for topic in said["topics"] if topic["chosen"]] == ["idd", "policy"]
    assert [each["value"] for each in said["frequencies"] if each["chosen"]] == ["daily"]
    assert [each["value"] for each in dicho["frequencies"] if each["chosen"]] == ["weekly"]
    assert (said["lang"], said["dir"], said["privacy"]) == ("en", "ltr", "https://care.example.org/privacy")
    assert said["labels"]["sent"][2:] == [
        "From: Resources for Integrated Care (service@care.example.org)",
        "Subject: Confirm your e-alerts from Resources for Integrated Care",
    ]
    for name, words in said["labels"].items():
        assert words != dicho["labels"][name], name
    assert said["consent"] != dicho["consent"]
    assert said["wording"] != dicho["wording"]


def test_a_sign_up_is_taken_and_recorded_with_the_words_that_were_shown(
    site: FlaskClient, scene: Scene, filled: dict[str, Any]
) -> None:
    answer = post(site, filled)
    assert (answer.status_code, answer.json) == (202, {"status": "accepted"})
    assert answer.headers["Access-Control-Allow-Origin"] == HOST
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert [row.address for row in scene.deliveries()] == [ANN]
    record = db.session.scalars(select(Consent)).one()
    assert record.facts == {
        "topics": ["idd", "policy"],
        "frequency": "daily",
        "source": "widget",
        "page": f"{HOST}/a",
    }
    words = db.session.get_one(Wording, filled["wording"])
    assert (words.locale, words.words) == ("es", site.get("/api/v1/form?lang=es").json["consent"])  # type: ignore[index]  # it is JSON


@ON_SQLITE
def test_words_that_were_not_shown_are_agreed_to_by_nobody(
    site: FlaskClient, scene: Scene, filled: dict[str, Any]
) -> None:
    before = contents()
    english = site.get("/api/v1/form?lang=en").json
    assert english
    for version in ("0" * 12, english["wording"]):
        answer = post(site, filled | {"wording": version})
        assert answer.status_code == 422
        assert fields(answer) == ["wording"]
        assert answer.json
        assert answer.json["wording"] == filled["wording"], "the present words come with the refusal"
        assert answer.json["started"] == filled["started"]
    assert contents() == before
    del filled["wording"]
    assert post(site, filled).status_code == 202
    db.session.rollback()
    assert db.session.scalars(select(Consent)).one().wording_version is None, "and no words are made up"


@ON_SQLITE
def test_mistakes_are_tied_to_their_fields_in_the_readers_language(site: FlaskClient, filled: dict[str, Any]) -> None:
    before = contents()
    answer = post(site, filled | {"email": "ann@", "topics": [], "frequency": "hourly"})
    assert answer.status_code == 422
    assert fields(answer) == ["topics", "frequency", "email"]
    assert answer.json
    assert answer.json["errors"][0]["message"] == "Elija al menos un tema."
    assert answer.json["title"] == "Unprocessable Entity"
    assert contents() == before


@ON_SQLITE
def test_the_guards_of_the_form_are_those_of_the_api(
    site: FlaskClient, scene: Scene, settings: Settings, filled: dict[str, Any]
) -> None:
    before = contents()
    assert post(site, filled | {"comment": "Buy now"}).status_code == 202
    too_soon = post(site, filled | {"started": tokens.form_time(settings.secret_keys, utcnow())})
    assert fields(too_soon) == ["started"]
    unsure = post(site, filled | {"email": "ann@gmial.com"})
    assert fields(unsure) == ["email"]
    assert contents() == before
    assert unsure.json
    assert post(site, filled | {"email": "ann@gmial.com", "sure": unsure.json["sure"]}).status_code == 202
    del filled["started"]
    statuses = [post(site, filled | {"email": f"n{number}@example.org"}).status_code for number in range(21)]
    assert statuses == [202] * 20 + [429]
    refused = post(site, filled)
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json
    assert "try again in about" not in refused.json["detail"], "in the reader's language"


@ON_SQLITE
def test_the_answer_is_the_same_for_a_new_a_known_a_suppressed_and_a_capped_address(
    site: FlaskClient, scene: Scene, filled: dict[str, Any]
) -> None:
    scene.follow("known@example.org", "idd")
    scene.suppress("stopped@example.org")
    for _ in range(3):
        scene.ask("often@example.org")
    seen = set()
    for name in ("new", "known", "stopped", "often"):
        answer = post(site, filled | {"email": f"{name}@example.org"})
        seen.add((answer.status_code, answer.text, str(answer.headers)))
    assert len(seen) == 1


@ON_SQLITE
def test_only_pages_of_the_configured_sites_may_send_one_from_a_browser(
    site: FlaskClient, client: FlaskClient, filled: dict[str, Any]
) -> None:
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    asked = site.options("/api/v1/signups", headers=asking | {"Origin": HOST})
    assert asked.headers["Access-Control-Allow-Origin"] == HOST
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type"
    for other, origin in (
        (site, "https://evil.example"),
        (site, f"{HOST}.evil.example"),
        (site, "null"),
        (client, HOST),
    ):
        for answer in (
            other.options("/api/v1/signups", headers=asking | {"Origin": origin}),
            post(other, filled, Origin=origin),
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers, origin
            assert "Origin" in ", ".join(answer.headers.getlist("Vary"))
    refused = post(site, filled | {"email": ""})
    assert refused.headers["Access-Control-Allow-Origin"] == HOST, "a page reads what is wrong, too"


BAD: list[tuple[str | bytes, str, int]] = [
    ("", "application/json", 400),
    ("{", "application/json", 400),
    ("[]", "application/json", 400),
    ("[" * 100_000, "application/json", 400),
    ("1" * 5000, "application/json", 400),
    (b"\xff\xfe{}", "application/json", 400),
    (json.dumps(BODY), "text/plain", 415),
    (json.dumps(BODY), "multipart/form-data; boundary=x", 415),
    ("email=ann@example.org", "application/x-www-form-urlencoded", 415),
    (json.dumps(BODY | {"page": "x" * 1024 * 1024}), "application/json", 413),
    ("{}", "application/json", 422),
    (json.dumps(BODY | {"email": [ANN]}), "application/json", 422),
    (
        json.dumps(BODY | {"email": {"a": ANN}, "topics": {"idd": 1}, "frequency": 7, "lang": []}),
        "application/json",
        422,
    ),
    (json.dumps(BODY | {"topics": "idd"}), "application/json", 422),
    (json.dumps(BODY | {"topics": [1, None, ["idd"]]}), "application/json", 422),
    (json.dumps(BODY | {"email": "ann\ud800@example.org"}), "application/json", 422),
    (json.dumps(BODY | {"topics": ["\udfff", "idd\0"]}), "application/json", 422),
    (json.dumps(BODY | {"wording": 1}), "application/json", 422),
]


def test_whatever_is_sent_is_refused_as_a_problem_and_changes_nothing(site: FlaskClient, app: Flask) -> None:
    before = contents()
    for body, kind, status in BAD:
        answer = site.post("/api/v1/signups", data=body, content_type=kind)
        assert answer.status_code == status, (body[:80], answer.text)
        assert answer.mimetype == "application/problem+json"
        assert answer.json
        assert answer.json["status"] == status
        assert answer.json["detail"]
    for path in ("/api/v1/nothing", "/api/"):
        missing = site.get(path)
        assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    wrong = site.get("/api/v1/signups")
    assert (wrong.status_code, wrong.mimetype) == (405, "application/problem+json")
    assert "POST" in wrong.headers["Allow"]
    assert contents() == before


PAGES = {
    "https://user:pw@www.example.org/": "/api/v1/signups",
    "javascript:alert(1)": "/api/v1/signups",
    "https://[": "/api/v1/signups",
    "null/": "/api/v1/signups",
    f"{HOST}/{'x' * 300}": "/api/v1/signups",
    f"{HOST}/a\u202eb": "/api/v1/signups",
    f"{HOST}/\u00e9?token=1": f"{HOST}/\u00e9",
}


@ON_SQLITE
def test_the_page_it_came_from_is_kept_without_what_may_be_personal(
    site: FlaskClient, app: Flask, filled: dict[str, Any]
) -> None:
    for number, (given, kept) in enumerate(PAGES.items()):
        assert post(site, filled | {"email": f"n{number}@example.org", "page": given}).status_code == 202
        db.session.rollback()
        newest = db.session.scalars(select(Consent).order_by(Consent.id.desc())).first()
        assert newest
        assert newest.facts["page"] == kept
