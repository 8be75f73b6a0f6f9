"""Leaving by link: the page with one form, and the POST that mail programs make (RFC 8058)."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import Consent, Subscriber, Subscription, Topic
from alerts_service.rules import tokens
from alerts_service.services import reasons
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import ANN, checked, heading
from tests.web.conftest import OpenSite, Town, contents

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
FORM = "application/x-www-form-urlencoded"
MAIL_PROGRAMS = [
    {"data": ONE_CLICK},
    {"data": ONE_CLICK, "content_type": "multipart/form-data"},
    {"data": "List-Unsubscribe=One-Click", "content_type": FORM},
    {"data": "List-Unsubscribe=One-Click\r\n", "content_type": f"{FORM}; charset=UTF-8"},
    {"data": ONE_CLICK | {"what": "these"}},
    {"data": "", "content_type": FORM},
    {"data": "List-Unsubscribe=One-Click"},
    {"data": b"\xff\x00", "content_type": "nonsense"},
]


def followed() -> list[str]:
    db.session.rollback()
    query = select(Topic.slug).join(Subscription, Subscription.topic_id == Topic.id).join(Subscriber)
    mine = (Subscriber.address == ANN, Subscription.ended_at.is_(None))
    return sorted(db.session.scalars(query.where(*mine)))


def path_of(scene: Scene, digest: int = 0) -> str:
    return f"/unsubscribe/{scene.unsubscribe_token(ANN, digest)}"


@ON_SQLITE
@pytest.mark.parametrize("how", MAIL_PROGRAMS, ids=str)
def test_one_click_ends_everything_however_it_is_sent(client: FlaskClient, town: Town, how: dict[str, Any]) -> None:
    answer = client.post(town.paths["unsubscribe"], **how)
    assert answer.status_code == 200, "no redirect"
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert followed() == []


@ON_SQLITE
def test_who_has_just_left_can_undo_it_from_the_page_and_nobody_who_comes_later(
    client: FlaskClient, scene: Scene
) -> None:
    scene.follow(ANN, "idd", "policy")
    left = client.post(path_of(scene), data={"what": "everything"}).text
    assert followed() == []
    assert "/undo/" not in client.post(path_of(scene), data={"what": "everything"}).text
    undo = re.search(r"/undo/[^\"]+", left)
    assert undo
    assert client.post(undo[0]).status_code == 200
    assert followed() == ["idd", "policy"]
    assert "/undo/" not in client.post(path_of(scene), data=ONE_CLICK).text, "a mail program reads no page"


def test_one_click_can_be_repeated_and_writes_only_once(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    first = client.post(path_of(scene), data=ONE_CLICK)
    assert (first.status_code, followed()) == (200, [])
    after = contents()
    second = client.post(path_of(scene), data=ONE_CLICK, headers={"Origin": "https://mail.example"})
    assert (second.status_code, second.text) == (200, first.text)
    assert contents() == after
    last = db.session.scalars(select(Consent).order_by(Consent.id.desc())).first()
    assert last
    assert (last.kind, last.facts["page"], sorted(last.facts["ended"])) == ("withdrawn", "one-click", ["idd", "policy"])


@ON_SQLITE
def test_the_page_shows_what_would_end_in_one_form(client: FlaskClient, town: Town) -> None:
    page = client.get(town.paths["unsubscribe"]).text
    assert heading(page) == "Leave e-alerts"
    assert page.count("<form") == page.count("<button") == 1
    assert checked(page, "what") == ["everything"]
    assert "a…@example.org" in page
    assert town.ann not in page


@ON_SQLITE
def test_only_the_topics_of_a_mail_can_be_ended(client: FlaskClient, town: Town) -> None:
    path = town.paths["unsubscribe"]
    offered = client.get(path).text.split('id="these-hint">')[1].split("</p>")[0]
    assert "Alzheimer" in offered
    assert "Long-Term Services" not in offered
    answer = client.post(path, data={"what": "these"})
    assert answer.status_code == 200
    assert "Those topics have ended. You still follow:" in answer.text
    assert followed() == ["ltss"]
    after = contents()
    again = client.post(path, data={"what": "these"})
    assert (again.status_code, again.text) == (200, answer.text)
    assert contents() == after
    assert "You have left" in client.post(path, data={"what": "everything"}).text
    assert followed() == []


@ON_SQLITE
def test_a_link_of_no_digest_offers_everything_only(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    page = client.get(path_of(scene)).text
    assert 'name="what"' not in page
    assert client.post(path_of(scene), data={}).status_code == 200
    assert followed() == []


@ON_SQLITE
def test_a_choice_that_the_page_does_not_offer_ends_everything(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    assert client.post(path_of(scene), data={"what": "\0" * 70_000}).status_code == 200
    assert followed() == []


@ON_SQLITE
def test_a_link_works_for_ever_and_is_harmless_after_leaving(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    path = path_of(scene)
    scene.leave(ANN)
    before = contents()
    assert heading(client.get(path).text) == "You have left"
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert contents() == before
    scene.follow(ANN, "policy")
    client.post(path, data=ONE_CLICK)
    assert followed() == []


@ON_SQLITE
def test_altered_links_are_refused_and_change_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    key = str(scene.settings.permanent_key)
    good = scene.unsubscribe_token(ANN)
    foreign = tokens.unsubscribe_token("another-key-of-32-characters-012345", scene.subscriber(ANN).id)
    nobody = tokens.unsubscribe_token(key, 999)
    preferences = scene.preferences_token(ANN)
    before = contents()
    bad = (good[:-1], good + "A", good.swapcase(), good + "%20", foreign, nobody, preferences, "x", "%ff", "x" * 4000)
    for token in bad:
        for method, form in (("GET", None), ("POST", ONE_CLICK), ("POST", {"what": "these"})):
            answer = client.open(f"/unsubscribe/{token}", method=method, data=form)
            assert answer.status_code == 404
            assert "This link is not complete." in answer.text
    assert contents() == before


@ON_SQLITE
def test_a_reason_is_asked_for_only_where_wanted_and_counted_once_without_address(
    client: FlaskClient, another: OpenSite, scene: Scene
) -> None:
    scene.follow(ANN, "idd")
    path = f"/unsubscribe/{scene.unsubscribe_token(ANN)}"
    assert 'name="reason"' not in client.get(path).text
    asking = another(ask_reason=True)
    assert 'value="too_many"' in asking.get(path).text
    for reason in ("too_many", "too_many", "not_relevant"):
        asking.post(path, data={"reason": reason})
    scene.follow("bob@example.org", "idd")
    asking.post(f"/unsubscribe/{scene.unsubscribe_token('bob@example.org')}", data={"reason": "x" * 99})
    scene.follow("cid@example.org", "idd")
    client.post(f"/unsubscribe/{scene.unsubscribe_token('cid@example.org')}", data={"reason": "too_many"})
    db.session.rollback()
    assert [row for row in reasons.totals() if row["people"]] == [{"reason": "too_many", "people": 1}]
