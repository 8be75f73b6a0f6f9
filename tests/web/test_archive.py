"""The public archive: topics, their feeds, events' calendar entries; what is not to be seen is not there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar
from sqlalchemy import update

from alerts_service.db import db, transaction
from alerts_service.models import Topic, Update
from alerts_service.services import catalogue, consents, publishing
from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import heading, links

ATOM = "{http://www.w3.org/2005/Atom}"


def entries(client: FlaskClient, path: str) -> list[ElementTree.Element]:
    """The entries of a feed, newest first."""
    return ElementTree.fromstring(client.get(path).data).findall(f"{ATOM}entry")


def write(number: int, summary: str) -> None:
    """Give an update words that would be refused today."""
    with transaction() as session:
        session.execute(update(Update).where(Update.id == number).values(summary=summary))


def calendar(client: FlaskClient, path: str) -> Any:
    """The one event of a calendar file."""
    found = Calendar.from_ical(client.get(path).data)
    (only,) = found.events
    return only


@ON_SQLITE
def test_every_topic_is_listed_under_its_category_and_leads_to_its_form(client: FlaskClient) -> None:
    page = client.get("/topics?lang=es").text
    assert heading(page) == "Temas"
    slugs = [topic["slug"] for topic in catalogue.listing()]
    assert [link for link in links(page) if link.endswith("#follow")] == [f"/topics/{s}?lang=es#follow" for s in slugs]


def test_a_topic_is_read_page_by_page_each_update_once_newest_release_first(client: FlaskClient, scene: Scene) -> None:
    late = scene.release("Made first, released last", release_at=scene.now + timedelta(hours=1))
    made = [scene.release(f"News {number}", *(["idd"] if number % 2 else ["idd", "policy"])) for number in range(44)]
    scene.release("Elsewhere", "policy")
    publishing.release_due(now=scene.now + timedelta(hours=2))
    path, seen = "/topics/idd?lang=en", []
    while path:
        page = client.get(path).text
        seen.append([int(link.split("/")[2].split("?")[0]) for link in links(page) if link.startswith("/updates/")])
        path = next((link for link in links(page) if "lang=en&before=" in link), "")
    assert [len(part) for part in seen] == [20, 20, 5]
    assert [number for part in seen for number in part] == [late, *reversed(made)]


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/topics/nowhere", 404),
        ("/topics/nowhere.atom", 404),
        ("/topics/IDD", 404),
        ("/topics/%00", 404),
        ("/topics/" + "a" * 500, 404),
        ("/topics/idd?before=", 400),
        ("/topics/idd?before=-1", 400),
        ("/topics/idd?before=x", 400),
        ("/topics/idd?before=%C2%B2", 400),
        (f"/topics/idd?before={2**63}", 400),
        ("/topics/idd?before=" + "9" * 5000, 400),
        ("/topics/idd?before=0", 200),
        ("/updates/9999.ics", 404),
        (f"/updates/{2**63}.ics", 404),
        ("/updates/x.ics", 404),
    ],
)
def test_what_cannot_be_read_is_refused_in_plain_words(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert (heading(answer.text) == "This did not work") == (status >= 400)


@ON_SQLITE
def test_the_form_of_a_topic_signs_up_for_it_and_the_consent_names_the_page(client: FlaskClient, scene: Scene) -> None:
    page = client.get("/topics/idd").text
    form = {"lang": "en", "topics": "idd", "archive_of": "idd", "frequency": "daily", "email": "ann@example.org"}
    for name in ("lang", "topics", "archive_of"):
        assert f'<input type="hidden" name="{name}" value="{form[name]}">' in page
    assert client.post("/subscribe", data=form).status_code == 303
    assert (
        client.post("/subscribe", data=form | {"email": "ben@example.org", "archive_of": "//evil"}).status_code == 303
    )
    pages = [consent_page(scene, address) for address in ("ann@example.org", "ben@example.org")]
    assert pages == ["/topics/idd", "/"]


def consent_page(scene: Scene, address: str) -> object:
    """The page that the newest consent record of an address names."""
    db.session.rollback()
    return consents.history(db.session(), scene.address_hash(address))[-1].facts["page"]


@ON_SQLITE
def test_a_feed_says_what_is_new_and_marks_what_was_withdrawn(client: FlaskClient, scene: Scene) -> None:
    first = scene.release("First \u201cwords\u201d & <b>", kind="webinar")
    write(first, "A \x0b\x1b[1m **bold** \ufffe word.")
    wrong = scene.release("Wrong", summary="Secret words.", title_es="Mal", summary_es="Palabras.")
    scene.release("Later", release_at=scene.now + timedelta(days=1))
    scene.release("Replay", kind="webinar-replay", follow_up_of=first)
    before = {
        entry.findtext(f"{ATOM}id"): entry.findtext(f"{ATOM}updated") for entry in entries(client, "/topics/idd.atom")
    }
    publishing.withdraw(wrong, reason="wrong", now=scene.now + timedelta(hours=1))
    found = entries(client, "/topics/idd.atom")
    assert [e.findtext(f"{ATOM}title") for e in found] == [
        "Replay",
        "Withdrawn: Wrong",
        "First \u201cwords\u201d & <b>",
    ]
    assert [e.findtext(f"{ATOM}id") for e in found] == list(before)
    changed = [e.findtext(f"{ATOM}updated") != before[e.findtext(f"{ATOM}id")] for e in found]
    assert changed == [False, True, False]
    words = [e.findtext(f"{ATOM}content") or "" for e in found]
    assert "Secret" not in words[1]
    assert "This update was withdrawn." in words[1]
    assert "<strong>bold</strong>" in words[2]
    base = scene.settings.base_url
    related = [link.get("href") for link in found[0].findall(f"{ATOM}link") if link.get("rel") == "related"]
    assert related == [f"{base}/updates/{first}"]
    assert f'{base}/updates/{first}?lang=en">First' in words[0]
    spanish = entries(client, "/topics/idd.atom?lang=es")
    assert [e.get("{http://www.w3.org/XML/1998/namespace}lang") for e in spanish] == ["en", "es", "en"]


@ON_SQLITE
def test_a_feed_that_has_not_changed_is_not_sent_again(client: FlaskClient, scene: Scene) -> None:
    assert entries(client, "/topics/idd.atom") == []
    empty = client.get("/topics/idd.atom")
    assert empty.data == client.get("/topics/idd.atom").data
    scene.release("News")
    first = client.get("/topics/idd.atom")
    assert first.headers["ETag"] != empty.headers["ETag"]
    for asked in ({"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}):
        again = client.get("/topics/idd.atom", headers=asked)
        assert (again.status_code, again.data) == (304, b"")
    page = client.get("/topics/idd?lang=es").text
    assert 'type="application/atom+xml"' in page
    assert "/topics/idd.atom?lang=es" in page


@ON_SQLITE
def test_a_calendar_entry_has_its_zone_a_lasting_name_and_is_cancelled_when_withdrawn(
    client: FlaskClient, scene: Scene
) -> None:
    times: dict[str, Any] = {
        "starts_at": datetime(2099, 3, 6, 17, tzinfo=UTC),
        "ends_at": datetime(2099, 3, 10, 16, tzinfo=UTC),
    }
    details: dict[str, Any] = {"registration_url": "https://example.org/r", "credit": "1 CE"}
    number = scene.release("A webinar", title_es="Un seminario", **times, **details)
    write(number, "Come, **all**;\n\nplease.\x0b")
    no_event = scene.release("News")
    made = calendar(client, f"/updates/{number}.ics")
    assert b"DTSTART;TZID=America/New_York:20990306T120000\r\n" in client.get(f"/updates/{number}.ics").data
    # The clocks change in between: noon in winter, noon in summer.
    assert (made.start, made.end) == (times["starts_at"], times["ends_at"])
    assert (made.start.hour, made.end.hour) == (12, 12)
    assert made["DTSTAMP"].dt == scene.now.replace(microsecond=0)
    for words in ("Come, all;", "please.", "1 CE", "https://example.org/r"):
        assert words in made["DESCRIPTION"]
    publishing.withdraw(number, reason="wrong", now=scene.now + timedelta(hours=1))
    cancelled = calendar(client, f"/updates/{number}.ics?lang=es")
    assert (made["STATUS"], cancelled["STATUS"]) == ("CONFIRMED", "CANCELLED")
    assert (made["UID"], made["SEQUENCE"]) == (cancelled["UID"], cancelled["SEQUENCE"] - 1)
    assert cancelled["SUMMARY"] == "Un seminario"
    assert "Come" not in cancelled["DESCRIPTION"]
    assert client.get(f"/updates/{no_event}.ics").status_code == 404
    abroad = scene.release("Abroad", zone="Asia/Kolkata", **times)
    assert b"DTSTART;TZID=Asia/Kolkata:20990306T223000\r\n" in client.get(f"/updates/{abroad}.ics").data


@ON_SQLITE
def test_an_update_leads_to_its_topics_and_a_webinar_to_its_replay_once_that_is_released(
    client: FlaskClient, scene: Scene
) -> None:
    over: dict[str, Any] = {"starts_at": scene.now - timedelta(days=2), "ends_at": scene.now - timedelta(days=1)}
    hidden = scene.release("Hidden", approve=False)
    first = scene.release("A webinar", "idd", "policy", registration_url="https://example.org/r", **over)
    early = scene.release("Early", follow_up_of=hidden)
    replay = scene.release("Replay", follow_up_of=first, approve=False)
    page = client.get(f"/updates/{first}").text
    assert "This event is over." in page
    assert "example.org/r" not in page
    assert ".ics" not in page
    assert "Replay" not in page
    for slug in ("idd", "policy"):
        assert f"/topics/{slug}?lang=en#follow" in links(page)
    publishing.approve(replay, now=scene.now)
    assert f"/updates/{replay}?lang=en" in links(client.get(f"/updates/{first}").text)
    assert any(link.endswith(f"/updates/{first}?lang=en") for link in links(client.get(f"/updates/{replay}").text))
    assert "Hidden" not in client.get(f"/updates/{early}").text


@ON_SQLITE
def test_a_retired_topic_keeps_its_archive_and_takes_no_new_followers(client: FlaskClient, scene: Scene) -> None:
    scene.release("News")
    with transaction() as session:
        session.execute(update(Topic).where(Topic.slug == "idd").values(retired_at=scene.now))
    page = client.get("/topics/idd").text
    assert "News" in page
    assert "<form" not in page
    assert 'href="/topics/idd?' not in client.get("/topics").text
