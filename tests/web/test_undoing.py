"""The page behind the link in a goodbye."""

from datetime import timedelta

from flask.testing import FlaskClient

from alerts_service.rules import tokens
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import ANN, heading
from tests.web.conftest import Town, contents


@ON_SQLITE
def test_the_page_shows_one_button_and_only_the_button_brings_anything_back(client: FlaskClient, town: Town) -> None:
    path, before = town.paths["undo"], contents()
    page = client.get(path)
    client.head(path)
    assert contents() == before
    assert (page.headers["Cache-Control"], page.headers["X-Robots-Tag"]) == ("no-store", "noindex")
    assert heading(page.text) == "Bring back your e-alerts"
    assert page.text.count("<form") == page.text.count("<button") == 1
    assert town.cy not in page.text
    answer = client.post(path)
    assert (answer.status_code, heading(answer.text)) == (200, "You get e-alerts")
    assert town.scene.subscriber(town.cy).ended_at is None
    after = contents()
    assert client.post(path).text == answer.text
    assert contents() == after
    assert heading(client.get(f"{path}?lang=es").text) == "Usted recibe alertas"


@ON_SQLITE
def test_altered_foreign_and_old_links_are_refused_and_change_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.now -= timedelta(days=29)
    scene.follow(ANN)
    scene.leave(ANN)
    keys, ended = scene.settings.secret_keys, scene.now
    good = tokens.undo_token(keys, scene.subscriber(ANN).id, ended)
    other = tokens.confirm_token(keys, scene.subscriber(ANN).id, ended)
    before = contents()
    refused = {good: 410, good[:-1]: 404, good + "A": 404, other: 404, scene.unsubscribe_token(ANN): 404, "x": 404}
    for token, status in refused.items():
        assert client.get(f"/undo/{token}").status_code == client.post(f"/undo/{token}").status_code == status
    assert contents() == before
