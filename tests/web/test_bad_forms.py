"""A form that cannot be taken: a plain sentence, the form as it was filled, a 4xx, and nothing written."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from alerts_service.db import transaction
from tests.databases import ON_SQLITE
from tests.scene import Scene, rows
from tests.web.asking import ANN, FORM, checked, problems, value
from tests.web.conftest import Town, contents

LONG = "x" * 70_000
FORM_ENCODED = "application/x-www-form-urlencoded"
BAD: list[tuple[dict[str, Any], str]] = [
    ({"email": ""}, "Enter your e-mail address."),
    ({"email": "   "}, "Enter your e-mail address."),
    ({"email": "ann"}, "in the form name@example.org"),
    ({"email": "ann@"}, "in the form name@example.org"),
    ({"email": "ann@example"}, "in the form name@example.org"),
    ({"email": "ann@example.org, ben@example.org"}, "in the form name@example.org"),
    ({"email": "Ann <ann@example.org>"}, "in the form name@example.org"),
    ({"email": "ann@example.org\r\nBcc: ben@example.org"}, "in the form name@example.org"),
    ({"email": "ann\0@example.org"}, "in the form name@example.org"),
    ({"email": "ann\u202e@example.org"}, "in the form name@example.org"),
    ({"email": "ann@192.0.2.1"}, "in the form name@example.org"),
    ({"email": f"{LONG}@example.org"}, "in the form name@example.org"),
    ({"topics": []}, "Choose at least one topic."),
    ({"topics": ["nonsense"]}, "There is no topic “nonsense”."),
    ({"topics": ["idd", "nonsense"]}, "There is no topic “nonsense”."),
    ({"topics": ["idd\0"]}, "There is no topic “idd?”."),
    ({"topics": ["IDD"]}, "There is no topic “IDD”."),
    ({"topics": ["idd policy"]}, "There is no topic “idd policy”."),
    ({"topics": [LONG]}, "There is no topic “" + "x" * 64 + "…”."),
    ({"topics": [f"t{number}" for number in range(3000)]}, "There is no topic “t0”."),
    ({"topics": ["\ufffd"]}, "There is no topic “\ufffd”."),
    ({"frequency": ""}, "Choose how often"),
    ({"frequency": "hourly"}, "Choose how often"),
    ({"frequency": "weekly\0"}, "Choose how often"),
    ({"frequency": LONG}, "Choose how often"),
    ({"source": "x" * 201}, "The text in “source” is too long"),
    ({"source": "a\0b"}, "The text in “source” is too long"),
    ({"source": "a\nb"}, "The text in “source” is too long"),
]


@ON_SQLITE
@pytest.mark.parametrize(("changes", "sentence"), BAD, ids=lambda part: repr(part)[:40])
def test_a_form_with_a_mistake_says_it_keeps_the_rest_and_writes_nothing(
    client: FlaskClient, app: object, changes: dict[str, Any], sentence: str
) -> None:
    before = contents()
    form = FORM | changes
    answer = client.post("/subscribe", data=form)
    assert answer.status_code == 422
    assert contents() == before
    assert any(sentence in problem for problem in problems(answer.text)), problems(answer.text)
    assert "<title>Error:" in answer.text
    if "email" not in changes:
        assert value(answer.text, "email") == ANN
    if "topics" not in changes:
        assert sorted(checked(answer.text, "topics")) == ["idd", "policy"]
    if "frequency" not in changes:
        assert checked(answer.text, "frequency") == ["daily"]
    assert len(answer.data) < 200_000


@ON_SQLITE
def test_all_mistakes_are_said_at_once_and_lead_to_their_fields(client: FlaskClient) -> None:
    page = client.post("/subscribe", data={"email": "ann", "frequency": "hourly"}).text
    assert len(problems(page)) == 3
    for target in re.findall(r'<li><a href="#([a-z]+)">', page):
        assert f'id="{target}"' in page
    assert value(page, "email") == "ann"
    assert 'aria-invalid="true" aria-describedby="email-error"' in page


@ON_SQLITE
def test_a_form_with_mistakes_can_be_mended_and_sent(client: FlaskClient) -> None:
    page = client.post("/subscribe", data=FORM | {"topics": ["idd", "nonsense"], "source": "x" * 201}).text
    again: dict[str, Any] = {name: value(page, name) for name in ("email", "source", "lang")}
    again |= {"topics": checked(page, "topics"), "frequency": checked(page, "frequency")[0]}
    assert client.post("/subscribe", data=again).status_code == 303


@ON_SQLITE
def test_a_retired_topic_is_not_offered_and_not_taken(client: FlaskClient, scene: Scene) -> None:
    with transaction() as session:
        session.execute(text("UPDATE topics SET retired_at = :now WHERE slug = 'idd'"), {"now": scene.now})
    before = contents()
    assert 'value="idd"' not in client.get("/").text
    answer = client.post("/subscribe", data=FORM)
    assert answer.status_code == 422
    assert problems(answer.text) == ["There is no topic “idd”. Choose from the list."]
    assert contents() == before


BYTES = [
    b"email=ann%FF@example.org&topics=idd&frequency=daily",
    b"email=%ff%fe@example.org&topics=idd&frequency=daily",
    b"email=\xff\xfe@example.org&topics=idd&frequency=daily",
    b"email=%ED%A0%80@example.org&topics=%ED%A0%80&frequency=%80",
    b"%FF=1",
    b"\x00\x01\x02",
    b"&&&===",
    b"email[]=ann@example.org",
    b"",
]


@ON_SQLITE
@pytest.mark.parametrize("body", BYTES)
def test_bytes_that_are_no_text_are_refused_in_words(client: FlaskClient, app: object, body: bytes) -> None:
    before = contents()
    for path in ("/subscribe", "/preferences"):
        answer = client.post(path, data=body, content_type=FORM_ENCODED)
        assert answer.status_code == 422
        assert problems(answer.text)
        assert contents() == before


@ON_SQLITE
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "nonsense",
        "a/b; charset=x",
    ],
)
def test_a_body_of_another_kind_is_no_form(client: FlaskClient, app: object, kind: str) -> None:
    before = contents()
    answer = client.post("/subscribe", data=b'{"email": "ann@example.org"}', content_type=kind)
    assert 400 <= answer.status_code < 500
    assert answer.mimetype == "text/html"
    assert contents() == before


@ON_SQLITE
def test_a_file_in_place_of_a_field_is_no_answer(client: FlaskClient, app: object) -> None:
    before = contents()
    with_file = FORM | {"email": (__file__, "ann.txt")}
    assert client.post("/subscribe", data=with_file).status_code == 422
    assert contents() == before


@ON_SQLITE
def test_a_body_over_one_mebibyte_is_refused_wherever_it_is_sent(client: FlaskClient, town: Town) -> None:
    before = contents()
    big = urlencode(FORM | {"source": "x" * 1024 * 1024}, doseq=True)
    for name in ("subscribe", "ask", "confirm", "not_me", "preferences", "unsubscribe"):
        answer = client.post(town.paths[name], data=big, content_type=FORM_ENCODED)
        assert answer.status_code == 413, name
        assert "What was sent is too large." in answer.text
        in_parts = client.post(town.paths[name], data=big, content_type="multipart/form-data; boundary=x")
        assert in_parts.status_code == 413, name
    assert contents() == before


def test_either_database_takes_nothing_of_all_that_and_the_next_form_again(client: FlaskClient, app: object) -> None:
    before = contents()
    for changes, _ in BAD:
        assert client.post("/subscribe", data=FORM | changes).status_code == 422
    for body in BYTES:
        assert client.post("/subscribe", data=body, content_type=FORM_ENCODED).status_code == 422
    assert contents() == before
    assert client.post("/subscribe", data=FORM).status_code == 303
    assert rows()["sign_ups"] == 1
