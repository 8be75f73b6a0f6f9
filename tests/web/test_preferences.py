"""Preferences: ask for the link; by it, change, or leave everything."""

import re
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from alerts_service.db import db
from alerts_service.models import MailKind
from alerts_service.rules import tokens
from alerts_service.services import preferences
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import ANN, checked, heading, problems, value
from tests.web.conftest import Town, contents


def path_of(scene: Scene) -> str:
    return f"/preferences/{scene.preferences_token(ANN)}"


def followed(scene: Scene) -> dict[str, str]:
    """Topic and frequency, as the database has them now."""
    db.session.rollback()
    return preferences.read(scene.preferences_token(ANN), **scene.at).followed


@ON_SQLITE
def test_asking_answers_the_same_for_everybody_and_mails_each(client: FlaskClient, scene: Scene) -> None:
    scene.follow("known@example.org", "idd")
    scene.follow("left@example.org", "idd")
    scene.leave("left@example.org")
    scene.suppress("stopped@example.org")
    addresses = [f"{name}@example.org" for name in ("known", "left", "stopped", "new")]
    answers = [client.post("/preferences", data={"email": address}) for address in addresses]
    assert len({(answer.status_code, answer.text, str(answer.headers)) for answer in answers}) == 1
    assert answers[0].status_code == 200
    assert heading(answers[0].text) == "Look in your inbox"
    assert [row.address for row in scene.deliveries(MailKind.PREFERENCES_LINK)] == addresses


@ON_SQLITE
def test_asking_a_fourth_time_in_a_day_answers_the_same_and_mails_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    seen = {client.post("/preferences", data={"email": ANN}).text for _ in range(3)}
    before = contents()
    seen.add(client.post("/preferences", data={"email": ANN}).text)
    assert len(seen) == 1
    assert contents() == before


@ON_SQLITE
def test_asking_for_a_malformed_address_says_so_and_keeps_it(client: FlaskClient, app: object) -> None:
    before = contents()
    for address in ("", "ann", "ann\0@example.org", "x" * 70_000, '"><script>@example.org'):
        answer = client.post("/preferences", data={"email": address})
        assert answer.status_code == 422
        assert len(problems(answer.text)) == 1
        assert value(answer.text, "email").replace("\0", "") == address.replace("\0", "")
        assert "<script" not in answer.text
    assert contents() == before


@ON_SQLITE
def test_the_page_shows_what_is_chosen_and_hides_the_address(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy", frequency="daily")
    page = client.get(path_of(scene)).text
    assert sorted(checked(page, "topics")) == ["idd", "policy"]
    assert checked(page, "frequency") == ["daily"]
    assert checked(page, "language") == ["en"]
    assert "a…@example.org" in page
    assert ANN not in page


def test_a_saved_form_is_what_the_next_look_shows(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    form = {"topics": ["policy", "dementia"], "frequency": "monthly", "language": "es"}
    answer = client.post(path_of(scene), data=form)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{path_of(scene)}?said=saved"
    assert followed(scene) == {"policy": "monthly", "dementia": "monthly"}
    page = client.get(answer.headers["Location"]).text
    assert '<html lang="es"' in page
    assert 'role="status"' in page
    after = contents()
    assert client.post(path_of(scene), data=form).status_code == 303
    assert contents() == after, "saving the same again changes nothing"


@ON_SQLITE
def test_a_topic_may_have_a_frequency_of_its_own_beside_the_one_for_all(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy", "ltss", frequency="daily")
    form = {"topics": ["idd", "policy", "dementia"], "frequency": "weekly", "language": "en"}
    own = {"frequency-policy": "monthly", "frequency-dementia": "immediate", "frequency-idd": "", "frequency-x": "?"}
    assert client.post(path_of(scene), data=form | own).status_code == 303
    mixed = {"idd": "weekly", "policy": "monthly", "dementia": "immediate"}
    assert followed(scene) == mixed
    page = client.get(path_of(scene)).text
    assert checked(page, "frequency") == ["weekly"]
    assert chosen_apart(page) == {"policy": "monthly", "dementia": "immediate"}
    assert client.post(path_of(scene), data=form | {f"frequency-{k}": v for k, v in mixed.items()}).status_code == 303
    assert followed(scene) == mixed, "saving what is shown changes nothing"
    refused = client.post(path_of(scene), data=form | own | {"frequency-policy": "hourly"})
    assert (refused.status_code, len(problems(refused.text))) == (422, 1)
    assert followed(scene) == mixed


@ON_SQLITE
def test_a_pause_is_made_and_ended_on_the_page_which_says_what_it_holds(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.release("Held")
    day = (scene.now.astimezone(scene.settings.timezone) + timedelta(days=30)).date()
    for text in (
        "yesterday",
        "2020-01-01",
        (day - timedelta(days=30)).isoformat(),
        "9999-12-31",
        "2026-1-1\0",
        "x" * 70_000,
    ):
        refused = client.post(path_of(scene), data={"pause": "1", "until": text})
        assert (refused.status_code, len(problems(refused.text))) == (422, 1), text
        assert checked(refused.text, "topics") == ["idd"]
    assert scene.subscriber(ANN).paused_at is None
    for until in (day.isoformat(), ""):
        answer = client.post(path_of(scene), data={"pause": "1", "until": until})
        page = client.get(answer.headers["Location"]).text
        assert "Your e-alerts are paused." in page
        assert "1 update (weekly)" in page
        ends = scene.subscriber(ANN).paused_until
        assert (ends and ends.astimezone(scene.settings.timezone).isoformat()[:19]) == (
            f"{day}T00:00:00" if until else None
        )
    answer = client.post(path_of(scene), data={"resume": "1"})
    page = client.get(answer.headers["Location"]).text
    assert "The next one brings what was held." in page
    assert "1 update is waiting" in page


def chosen_apart(page: str) -> dict[str, str]:
    """The frequencies of single topics that a page shows as chosen."""
    found = re.findall(r'<select [^>]*name="frequency-([\w-]+)".*?</select>', page, re.DOTALL)
    blocks = re.findall(r"<select .*?</select>", page, re.DOTALL)
    marks = [re.search(r'value="(\w+)" selected', block) for block in blocks]
    return {slug: mark[1] for slug, mark in zip(found, marks, strict=True) if mark}


@ON_SQLITE
def test_leaving_everything_is_one_button_and_can_be_pressed_again(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    first = client.post(path_of(scene), data={"leave_all": "1"})
    assert first.status_code == 303
    after = contents()
    second = client.post(path_of(scene), data={"leave_all": "1"})
    assert (second.status_code, second.headers["Location"]) == (303, first.headers["Location"])
    assert contents() == after
    page = client.get(first.headers["Location"]).text
    assert "You have left all e-alerts." in page
    assert "leave_all" not in page


@ON_SQLITE
def test_somebody_who_has_left_can_choose_again(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.leave(ANN)
    assert "You follow no topic now." in client.get(path_of(scene)).text
    client.post(path_of(scene), data={"topics": "policy", "frequency": "daily", "language": "en"})
    assert followed(scene) == {"policy": "daily"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"topics": []}, "Choose at least one topic."),
    ({"topics": ["nonsense"]}, "There is no topic “nonsense”."),
    ({"topics": ["idd\0"]}, "There is no topic “idd?”."),
    ({"frequency": "hourly"}, "Choose how often"),
    ({"frequency": "weekly\0"}, "Choose how often"),
]


@ON_SQLITE
def test_a_form_with_a_mistake_keeps_what_was_filled_in_and_writes_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    before = contents()
    for changes, sentence in BAD:
        form: dict[str, Any] = {"topics": ["policy"], "frequency": "monthly", "language": "en"} | changes
        answer = client.post(path_of(scene), data=form)
        assert answer.status_code == 422
        assert any(sentence in problem for problem in problems(answer.text))
        assert checked(answer.text, "topics") == [topic for topic in form["topics"] if topic == "policy"]
        if "frequency" not in changes:
            assert checked(answer.text, "frequency") == ["monthly"]
    assert contents() == before


@ON_SQLITE
def test_a_language_that_is_not_offered_changes_none(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    for language in ("xx", "", "\0", "x" * 70_000):
        assert client.post(path_of(scene), data={"topics": "idd", "language": language}).status_code == 303
    assert scene.subscriber(ANN).locale == "en"


@ON_SQLITE
def test_altered_and_expired_links_are_refused_and_change_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd")
    good, days = path_of(scene), timedelta(days=8)
    person = scene.subscriber(ANN).id
    old = tokens.preferences_token(scene.settings.secret_keys[0], person, scene.now - days)
    foreign = tokens.preferences_token("another-key-of-32-characters-012345", person, scene.now)
    nobody = tokens.preferences_token(scene.settings.secret_keys[0], 999, scene.now)
    before = contents()
    refused = {f"/preferences/{old}": 410}
    bad = (foreign, nobody, good[-32:-1], good[-32:].swapcase(), "x", "\u00e9", "%00", "x" * 4000)
    refused |= {f"/preferences/{token}": 404 for token in bad}
    for path, status in refused.items():
        assert client.get(path).status_code == status, path
        for form in ({"topics": "policy", "frequency": "daily"}, {"leave_all": "1"}):
            answer = client.post(path, data=form)
            assert answer.status_code == status
            assert 'href="/preferences?lang=en"' in answer.text, "a new link can be had"
    assert contents() == before


@ON_SQLITE
def test_one_persons_link_does_not_reach_another(client: FlaskClient, town: Town) -> None:
    client.post(town.paths["preferences_left"], data={"leave_all": "1"})
    assert town.scene.subscriber(town.ann).ended_at is None
