"""The links of the confirmation mail: the page with the one button, and “this was not me”."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import MailKind, SignUp, Subscription
from alerts_service.rules import tokens
from tests.databases import ON_SQLITE
from tests.scene import Scene, at_once, rows
from tests.web.asking import ANN, heading
from tests.web.conftest import Town, contents

EXPIRED, ALTERED = "This link has expired", "This link is not complete"


def followed() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Subscription).where(Subscription.ended_at.is_(None))).all())


@ON_SQLITE
def test_the_page_shows_what_one_button_would_confirm(client: FlaskClient, scene: Scene) -> None:
    scene.ask(ANN, "idd", "policy", frequency="monthly")
    page = client.get(f"/confirm/{scene.confirm_token(ANN)}").text
    assert heading(page) == "Confirm your e-alerts"
    for words in (ANN, "Intellectual and Developmental Disabilities", "monthly", "By signing up you agree"):
        assert words in page
    assert page.count("<form") == page.count("<button") == page.count('method="post"') == 1
    assert "<input" not in page, "nothing but the button is needed"


def test_a_second_click_answers_like_the_first_and_adds_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.ask(ANN, "idd", "policy")
    path = f"/confirm/{scene.confirm_token(ANN)}"
    before = rows()
    first = client.post(path)
    added = {name: count - before[name] for name, count in rows().items() if count != before[name]}
    assert added == {
        **{"subscribers": 1, "subscriptions": 2, "catch_ups": 2},
        **{"consents": 1, "wordings": 1, "deliveries": 1},
    }
    assert heading(first.text) == "Thank you. Your e-alerts begin."
    assert [row.kind for row in scene.deliveries()] == [MailKind.CONFIRMATION, MailKind.WELCOME]
    after = contents()
    second = client.post(path)
    assert (second.status_code, second.text, str(second.headers)) == (200, first.text, str(first.headers))
    assert contents() == after


def test_two_clicks_at_once_make_one_person(client: FlaskClient, scene: Scene) -> None:
    scene.ask(ANN, "idd")
    path = f"/confirm/{scene.confirm_token(ANN)}"
    answers = at_once(*[lambda: client.application.test_client().post(path).status_code] * 3)
    assert answers == [200, 200, 200]
    assert (rows()["subscribers"], followed()) == (1, 1)


@ON_SQLITE
def test_a_click_after_leaving_says_so_and_does_not_sign_up_again(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.leave(ANN)
    before = contents()
    answer = client.post(f"/confirm/{scene.confirm_token(ANN)}")
    assert (answer.status_code, heading(answer.text)) == (200, "You have left")
    assert contents() == before


@ON_SQLITE
def test_confirming_needs_no_cookie_and_no_body_and_heeds_no_origin(client: FlaskClient, scene: Scene) -> None:
    scene.ask(ANN, "idd")
    path = f"/confirm/{scene.confirm_token(ANN)}"
    answer = client.post(path, data=b"\xff\x00", content_type="a/b", headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert followed() == 1


@ON_SQLITE
def test_an_altered_link_is_refused_with_a_way_on_and_changes_nothing(client: FlaskClient, town: Town) -> None:
    before = contents()
    for name in ("confirm", "not_me"):
        start, token = town.paths[name][:-40], town.paths[name][-40:]
        other = town.paths["not_me" if name == "confirm" else "confirm"].rpartition("/")[2]
        room = town.paths[name].rpartition("/")[0]
        for path in (
            start + token[:-1],
            start + token + "A",
            start + token.swapcase(),
            f"{room}/{other}",
            f"{room}/x",
            f"{room}/%00%ff",
            f"{room}/{'x' * 4000}",
            f"{room}/\u00e9",
        ):
            for method in ("GET", "POST"):
                answer = client.open(path, method=method)
                assert answer.status_code == 404, path
                assert ALTERED in answer.text
                assert 'href="/?lang=en"' in answer.text
    assert contents() == before


@ON_SQLITE
def test_a_link_of_a_sign_up_that_is_not_there_is_refused(client: FlaskClient, scene: Scene) -> None:
    for number in (1, 2**31, -1, 2**62):
        token = tokens.confirm_token(scene.settings.secret_keys, number, scene.now)
        assert client.get(f"/confirm/{token}").status_code == 404
        assert client.post(f"/confirm/{token}").status_code == 404


@ON_SQLITE
def test_an_expired_link_is_refused_in_words_and_changes_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.now -= timedelta(days=8)
    scene.ask(ANN, "idd")
    before = contents()
    for path in (
        f"/confirm/{scene.confirm_token(ANN)}",
        f"/not-me/{tokens.not_me_token(scene.settings.secret_keys, scene.sign_up_id(ANN), scene.now)}",
    ):
        for method in ("GET", "POST"):
            answer = client.open(path, method=method)
            assert (answer.status_code, EXPIRED in answer.text) == (410, True)
    assert contents() == before


@ON_SQLITE
def test_one_button_behind_an_expired_link_mails_a_new_one(client: FlaskClient, scene: Scene) -> None:
    present, scene.now = scene.now, scene.now - timedelta(days=8)
    scene.ask(ANN, "idd", "policy", frequency="monthly", locale="es", source="poster")
    path = f"/confirm/{scene.confirm_token(ANN)}"
    page = client.get(f"{path}?lang=en").text
    assert page.count("<form") == page.count("<button") == 1
    assert f'action="{path}/again"' in page
    assert ANN in page
    assert client.get(f"{path}/again").status_code == 405
    answer = client.post(f"{path}/again")
    assert heading(client.get(answer.headers["Location"]).text) == "Revise su correo"
    scene.now = present
    made = db.session.get_one(SignUp, scene.sign_up_id(ANN))
    assert [topic.slug for topic in made.topics] == ["idd", "policy"]
    assert (made.frequency, made.locale, made.source) == ("monthly", "es", "poster")
    assert [row.kind for row in scene.deliveries()] == [MailKind.CONFIRMATION] * 2
    assert client.post(f"/confirm/{scene.confirm_token(ANN)}").status_code == 200


@ON_SQLITE
def test_nothing_new_is_mailed_for_a_link_that_was_answered_altered_or_is_unknown(
    client: FlaskClient, scene: Scene, town: Town
) -> None:
    client.post(town.paths["not_me"])
    paths = [town.paths["confirm"], town.paths["confirmed"], town.paths["confirm"][:-1], "/confirm/x"]
    paths.append(f"/confirm/{tokens.confirm_token(scene.settings.secret_keys, 999, scene.now)}")
    before = contents()
    assert [client.post(f"{path}/again").status_code for path in paths] == [410, 410, 404, 404, 410]
    assert "Send me a new link" not in client.get(town.paths["confirm"]).text
    assert contents() == before


@ON_SQLITE
def test_saying_not_me_ends_the_request_and_its_link(client: FlaskClient, town: Town) -> None:
    page = client.get(town.paths["not_me"]).text
    assert heading(page) == "This was not you?"
    first = client.post(town.paths["not_me"])
    assert heading(first.text) == "Done. Nothing more will come."
    after = contents()
    second = client.post(town.paths["not_me"])
    assert (second.status_code, second.text) == (200, first.text)
    assert client.post(town.paths["confirm"]).status_code == 410
    assert contents() == after


@ON_SQLITE
def test_saying_not_me_after_a_confirmation_ends_nothing_and_says_how_to_leave(client: FlaskClient, town: Town) -> None:
    client.post(town.paths["confirm"])
    before = contents()
    for method in ("GET", "POST"):
        answer = client.open(town.paths["not_me"], method=method)
        assert heading(answer.text) == "This sign-up was confirmed"
        assert 'href="/preferences?lang=en"' in answer.text
    assert contents() == before
