"""One's own data in the browser: a link that works once, and what it can do."""

import json

from flask.testing import FlaskClient
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.models import AddressChange, FreshLink
from alerts_service.rules import tokens
from alerts_service.services import subscribers
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import ANN, heading, problems
from tests.web.conftest import contents

NEW = "new@example.net"


def fresh(client: FlaskClient, scene: Scene, address: str = ANN) -> str:
    """Ask for a link on the preferences page; return its path."""
    path = f"/preferences/{scene.preferences_token(address)}"
    answer = client.post(path, data={"own_data": "1"})
    assert "It works once, within an hour." in client.get(answer.headers["Location"]).text
    db.session.rollback()
    link = db.session.scalars(select(FreshLink.id).order_by(FreshLink.id.desc()).limit(1)).one()
    return f"/your-data/{tokens.own_data_token(scene.settings.secret_keys, link, scene.now)}"


@ON_SQLITE
def test_a_link_shows_the_whole_address_and_a_look_changes_nothing(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN)
    path = fresh(client, scene)
    before = contents()
    for _ in range(2):
        answer = client.get(path)
        assert ANN in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in answer.headers
    assert client.head(path).status_code == 200
    for bad in (path[:-1], path.swapcase().replace("/YOUR-DATA", "/your-data"), "/your-data/x", "/your-data/%00"):
        assert client.get(bad).status_code == client.post(bad, data={"download": "1"}).status_code == 404
    assert contents() == before


@ON_SQLITE
def test_the_download_is_what_is_shown_and_the_link_is_used_up(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN)
    path = fresh(client, scene)
    answer = client.post(path, data={"download": "1"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="e-alerts.json"'
    db.session.rollback()
    assert json.loads(answer.data) == json.loads(json.dumps(subscribers.show(ANN, **scene.at)))
    after = contents()
    for form in ({"download": "1"}, {"erase": "1", "agreed": "1"}, {"email": NEW}):
        again = client.post(path, data=form)
        assert again.status_code == 410
        assert "This link has been used" in again.text
    assert contents() == after


@ON_SQLITE
def test_an_erasure_needs_the_box_and_leaves_nobody(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN)
    path = fresh(client, scene)
    before = contents()
    refused = client.post(path, data={"erase": "1"})
    assert (refused.status_code, problems(refused.text)) == (422, ["Tick the box to say that you are sure."])
    assert contents() == before
    assert heading(client.post(path, data={"erase": "1", "agreed": "1"}).text) == "Your data is erased"
    assert ANN not in str(contents())


@ON_SQLITE
def test_a_change_of_address_is_asked_for_confirmed_and_undone(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN)
    scene.follow("bob@example.org")
    scene.suppress("stopped@example.org")
    path = fresh(client, scene)
    for address, sentences in (("", 1), ("ann@", 1), (ANN, 1), ('"><script>@x', 1), ("new@gmial.com", 1)):
        refused = client.post(path, data={"email": address})
        assert (refused.status_code, len(problems(refused.text))) == (422, sentences), address
        assert "<script" not in refused.text
    assert 'name="sure" value="gmial.com"' in refused.text
    answers = {client.post(path, data={"email": "new@gmial.com", "sure": "gmial.com"}).text.replace(path, "")}
    for address in ("bob@example.org", "stopped@example.org"):
        path = fresh(client, scene)
        answers.add(client.post(path, data={"email": address}).text.replace(path, ""))
    assert len(answers) == 1, "the page tells nothing about who has the address"
    wish = db.session.scalars(select(AddressChange.id).order_by(AddressChange.id).limit(1)).one()
    link = f"/new-address/{tokens.new_address_token(scene.settings.secret_keys, wish, scene.now)}"
    undo = f"/former-address/{tokens.former_address_token(scene.settings.secret_keys, wish, scene.now)}"
    before = contents()
    page = client.get(link).text
    assert (heading(page), ANN in page) == ("Confirm your new address", False)
    assert client.get(undo).status_code == 404, "nothing to undo yet"
    assert contents() == before
    for _ in range(2):
        assert heading(client.post(link).text) == "Your new address"
    assert scene.subscriber("new@gmial.com").ended_at is None
    assert heading(client.get(undo).text) == "Bring your e-alerts back"
    for _ in range(2):
        assert "come to your former address again" in client.post(undo).text
    assert scene.subscriber(ANN).ended_at is None
    assert client.post(link).status_code == 410
