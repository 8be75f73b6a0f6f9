"""Pages to read: one update, and a digest in the browser."""

from datetime import timedelta

from flask.testing import FlaskClient

from alerts_service.rules import tokens
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import heading
from tests.web.conftest import Town


@ON_SQLITE
def test_an_update_shows_its_words_its_event_and_its_topics(client: FlaskClient, town: Town) -> None:
    page = client.get(town.paths["update"]).text
    assert heading(page) == "A webinar"
    for words in ("<strong>us</strong>", "Thursday, June 11, 2099, 9:00", "Eastern Time", "1 hour", "Alzheimer"):
        assert words in page


@ON_SQLITE
def test_an_update_that_is_not_released_is_not_there(client: FlaskClient, town: Town) -> None:
    later = town.scene.release("Tomorrow", release_at=town.scene.now + timedelta(days=1))
    for number in (town.unreleased, later, 9999, 2**31, 2**63, 10**30):
        answer = client.get(f"/updates/{number}")
        assert answer.status_code == 404
        assert "Not yet" not in answer.text
        assert "Tomorrow" not in answer.text


@ON_SQLITE
def test_a_withdrawn_update_says_so_and_no_longer_its_words(client: FlaskClient, town: Town) -> None:
    page = client.get(town.paths["withdrawn"]).text
    assert "This update was withdrawn." in page
    assert "Wrong words." not in page


@ON_SQLITE
def test_markup_in_an_update_cannot_become_part_of_the_page(client: FlaskClient, scene: Scene) -> None:
    evil = '<script>alert(1)</script> & "quotes"'
    number = scene.release(evil, summary=f"{evil} <img src=x onerror=y>", credit=evil)
    page = client.get(f"/updates/{number}").text
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@ON_SQLITE
def test_a_spanish_reader_gets_the_spanish_words_where_there_are_any(client: FlaskClient, scene: Scene) -> None:
    both = scene.release("Two", title_es="Dos", summary_es="Palabras.", summary="Words.")
    one = scene.release("One", summary="Words.")
    page = client.get(f"/updates/{both}?lang=es").text
    assert (heading(page), "Palabras." in page, "Words." in page) == ("Dos", True, False)
    page = client.get(f"/updates/{one}?lang=es").text
    assert '<h1 lang="en">One</h1>' in page


@ON_SQLITE
def test_a_digest_in_the_browser_is_nobodys_own(client: FlaskClient, town: Town) -> None:
    page = client.get(town.paths["digest"]).text
    assert heading(page) == "Daily e-alert: 2 updates"
    assert "A webinar" in page
    assert "This update was withdrawn." in page
    assert "example.org/u" not in page
    for own in (town.ann, "/unsubscribe/", "/preferences/"):
        assert own not in page


@ON_SQLITE
def test_an_altered_digest_link_is_refused(client: FlaskClient, town: Town) -> None:
    key = str(town.scene.settings.permanent_key)
    good = town.paths["digest"]
    own = town.scene.unsubscribe_token(town.ann, town.digest)
    for token in ("x", good[-32:-1], good[-32:].swapcase(), tokens.digest_token(key, 999), own, "%00", "\u00e9"):
        assert client.get(f"/digests/{token}").status_code == 404
