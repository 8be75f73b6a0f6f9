"""The sign-up form: what it shows, what it takes, and one answer for everybody."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import MailKind, SignUp
from tests.databases import ON_SQLITE
from tests.scene import Scene, rows
from tests.web.asking import ANN, FORM, checked, heading, value
from tests.web.conftest import contents


def sign_up_of(address: str) -> SignUp:
    db.session.rollback()
    return db.session.scalars(select(SignUp).where(SignUp.address == address)).one()


@ON_SQLITE
def test_the_form_offers_every_topic_under_its_category_and_weekly_first(client: FlaskClient) -> None:
    page = client.get("/").text
    assert heading(page) == "Sign up for e-alerts"
    assert (
        page.index("Care models")
        < page.index('value="ltss"')
        < page.index("Conditions")
        < page.index('value="dementia"')
    )
    assert checked(page, "topics") == []
    assert checked(page, "frequency") == ["weekly"]
    assert value(page, "email") == ""


@ON_SQLITE
@pytest.mark.parametrize("query", ["topics=idd+policy", "topics=idd&topics=policy", "topics=idd%20policy%20nonsense"])
def test_an_address_can_choose_topics_frequency_and_source_beforehand(client: FlaskClient, query: str) -> None:
    page = client.get(f"/?{query}&frequency=monthly&source=poster").text
    assert sorted(checked(page, "topics")) == ["idd", "policy"]
    assert checked(page, "frequency") == ["monthly"]
    assert value(page, "source") == "poster"


NONSENSE = [
    "frequency=hourly",
    "topics=%00&frequency=%ff",
    "source=" + "x" * 201,
    "source=a%0Ab",
    "lang=xx",
    "lang=../../etc",
    "topics=" + "x" * 5000,
    '"><script>alert(1)</script>',
    "source=%22%3E%3Cscript%3E",
    "topics=%22%3E%3Cscript%3E",
]


@ON_SQLITE
def test_an_address_that_asks_for_nonsense_still_shows_the_plain_form(client: FlaskClient) -> None:
    for query in NONSENSE:
        answer = client.get(f"/?{query}")
        assert answer.status_code == 200
        assert checked(answer.text, "topics") == []
        assert checked(answer.text, "frequency") == ["weekly"]
        assert "<script" not in answer.text


def test_a_form_that_is_filled_in_makes_a_sign_up_and_the_mail_that_asks(client: FlaskClient, scene: Scene) -> None:
    before = rows()
    answer = client.post("/subscribe", data=FORM | {"source": "poster"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/check-your-inbox?lang=en&again=")
    added = {name: count - before[name] for name, count in rows().items() if count != before[name]}
    assert added == {"sign_ups": 1, "sign_up_topics": 2, "consents": 1, "wordings": 1, "deliveries": 1}
    made = sign_up_of(ANN)
    assert ({topic.slug for topic in made.topics}, made.frequency) == ({"idd", "policy"}, "daily")
    assert (made.source, made.locale) == ("poster", "en")
    assert [row.kind for row in scene.deliveries()] == [MailKind.CONFIRMATION]


@ON_SQLITE
def test_the_consent_that_is_kept_is_the_sentence_that_was_shown(client: FlaskClient, scene: Scene) -> None:
    shown = client.get("/?lang=es").text
    client.post("/subscribe", data=FORM | {"lang": "es"})
    kept = list(db.session.execute(db.metadata.tables["wordings"].select()).mappings())
    assert [row["locale"] for row in kept] == ["es"]
    assert f'<p class="consent">{kept[0]["words"]}</p>' in shown


@ON_SQLITE
def test_the_page_after_the_form_says_what_to_look_for(client: FlaskClient) -> None:
    page = client.post("/subscribe", data=FORM, follow_redirects=True).text
    assert heading(page) == "Look in your inbox"
    assert "service@care.example.org" in page
    assert "Confirm your e-alerts from Resources for Integrated Care" in page
    assert ANN not in page


def test_the_answer_is_the_same_for_a_new_a_known_a_suppressed_and_a_capped_address(
    client: FlaskClient, scene: Scene
) -> None:
    scene.follow("known01@example.org", "idd")
    scene.follow("left001@example.org", "idd")
    scene.leave("left001@example.org")
    scene.suppress("stopped@example.org")
    for _ in range(3):
        scene.ask("often01@example.org")
    seen = set()
    for name in ("new0001", "known01", "left001", "stopped", "often01"):
        answer = client.post("/subscribe", data=FORM | {"email": f"{name}@example.org"})
        page = client.get(answer.headers["Location"])
        # It holds the form as it was given: the same for the same form, but for the chance in it.
        token = answer.headers["Location"].partition("again=")[2].rstrip("=")
        said = [answer.text, str(answer.headers), page.text, str(page.headers)]
        seen.add((answer.status_code, page.status_code, *(text.replace(token, "") for text in said)))
    assert len(seen) == 1


@ON_SQLITE
def test_a_fourth_form_in_a_day_writes_nothing(client: FlaskClient, scene: Scene) -> None:
    for variant in ("ann@example.org", "a.nn@example.org", "ann+idd@example.org"):
        client.post("/subscribe", data=FORM | {"email": variant})
    before = contents()
    assert client.post("/subscribe", data=FORM).status_code == 303
    assert contents() == before


@ON_SQLITE
@pytest.mark.parametrize("address", ["  ann@example.org  ", "ann@EXAMPLE.org", "Ann@example.org"])
def test_an_address_is_taken_as_people_type_it(client: FlaskClient, app: object, address: str) -> None:
    assert client.post("/subscribe", data=FORM | {"email": address}).status_code == 303
    assert rows()["sign_ups"] == 1


def test_an_international_address_is_taken(client: FlaskClient, app: object) -> None:
    assert client.post("/subscribe", data=FORM | {"email": "josé@bücher.example"}).status_code == 303
    assert sign_up_of("josé@xn--bcher-kva.example")


@ON_SQLITE
def test_a_topic_that_is_chosen_twice_counts_once(client: FlaskClient, app: object) -> None:
    assert client.post("/subscribe", data=FORM | {"topics": ["idd", "idd"]}).status_code == 303
    assert rows()["sign_up_topics"] == 1


@ON_SQLITE
def test_a_form_from_another_site_is_no_different(client: FlaskClient, app: object) -> None:
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/subscribe", data=FORM, headers=headers).status_code == 303
