"""What digests hold, read for mails and pages."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, select, update

from alerts_service.db import db, transaction
from alerts_service.errors import LinkAltered, NotFound
from alerts_service.mail.composer import Composer
from alerts_service.mail.items import DigestContent
from alerts_service.models import Digest, Topic, Update
from alerts_service.rules import tokens
from alerts_service.services import contents, mailing, publishing, reading
from alerts_service.services.contents import FRESH_FOR, Contents
from tests.scene import Scene

ANN, BOB, CAT = "ann@example.org", "bob@example.org", "cat@example.org"


@pytest.fixture
def asked(core: object) -> Iterator[list[str]]:
    """The statements that the database is asked from now on."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def digest_ids(scene: Scene) -> list[int]:
    """Three digests of one weekly edition: of two updates in English, of one, and of two in Spanish."""
    scene.follow(ANN, "idd", "telehealth")
    scene.follow(BOB, "idd")
    scene.follow(CAT, "idd", "telehealth", locale="es")
    scene.release("Earlier", "telehealth", title_es="Antes", summary_es="Algo.")
    scene.release("First", "idd", summary="Some *words*.", url="https://example.org/a", kind="tool")
    scene.tick_at(14, days=1)
    return list(db.session.scalars(select(Digest.id).order_by(Digest.id)))


def titles(found: dict[int, DigestContent], key: int) -> list[str]:
    return sorted(item.title for item in found[key].items)


def test_many_digests_take_few_queries(scene: Scene, digest_ids: list[int], asked: list[str]) -> None:
    reader = Contents(scene.settings)
    found = reader.of_digests([*digest_ids, 9999], now=scene.now)
    # One for the digests, and one in each language for the updates.
    assert len(asked) == 3
    assert reader.of_digests(digest_ids, now=scene.now) == found
    assert len(asked) == 4, "the updates are known"
    assert sorted(found) == digest_ids
    assert sorted((content.locale, len(content.items)) for content in found.values()) == [
        ("en", 1),
        ("en", 2),
        ("es", 2),
    ]
    assert {content.frequency for content in found.values()} == {"weekly"}


def test_no_digests_hold_nothing(scene: Scene) -> None:
    assert Contents(scene.settings).of_digests([], now=scene.now) == {}


def test_every_digest_holds_what_its_readers_are_owed(scene: Scene, digest_ids: list[int]) -> None:
    found = Contents(scene.settings).of_digests(digest_ids, now=scene.now)
    assert sorted(titles(found, key) for key in digest_ids) == [["Antes", "First"], ["Earlier", "First"], ["First"]]
    spanish = next(content for content in found.values() if content.locale == "es")
    assert {item.title: item.lang for item in spanish.items} == {"Antes": "es", "First": "en"}
    for key, content in found.items():
        assert tokens.read_digest(scene.settings.permanent_key or "", content.token) == key


def test_a_content_says_all_that_is_known_of_an_update(scene: Scene) -> None:
    first = scene.release("First", "idd", title_es="Primero", summary_es="Algo.")
    second = scene.release(
        "Second",
        "telehealth",
        "idd",
        summary="Words.",
        kind="webinar",
        credit="1 credit",
        registration_url="https://example.org/r",
    )
    with transaction() as session:
        session.execute(update(Update).where(Update.id == second).values(follow_up_of_id=first))
    item = reading.update(second, "es", scene.settings, now=scene.now).item
    topics = list(
        db.session.execute(
            select(Topic.title_es, Topic.position).where(Topic.slug.in_(["telehealth", "idd"])).order_by(Topic.position)
        )
    )
    assert [(title, position) for title, position in zip(item.topics, item.topic_positions, strict=True)] == topics
    assert (item.title, item.summary, item.lang, item.follow_up_of) == ("Second", "Words.", "en", "Primero")
    assert (item.kind, item.credit, item.registration_url) == ("webinar", "1 credit", "https://example.org/r")
    assert item.released_at == scene.now
    assert not item.withdrawn


def test_a_change_is_seen_in_the_mail_within_seconds_and_on_the_page_at_once(
    scene: Scene, digest_ids: list[int]
) -> None:
    composer, reader = Composer(scene.settings), Contents(scene.settings)
    change = {"address": ANN, "message_id": "a@example.org", "date": scene.now}
    change |= {"unsubscribe": "u" * 36, "preferences": "p" * 32}

    def made() -> bytes:
        scene.now += FRESH_FOR
        found = reader.of_digests(digest_ids, now=scene.now)
        return b"".join(composer.stencil(found[key]).fill(**change) for key in digest_ids)  # type: ignore[arg-type]

    assert b"First" in made()
    with transaction() as session:
        session.execute(update(Update).where(Update.title == "First").values(title="Mended"))
    page = contents.of_digest(digest_ids[0], scene.settings)
    assert page
    assert "Mended" in {item.title for item in page.items}
    assert b"First" not in made()
    with transaction() as session:
        session.execute(update(Topic).where(Topic.slug == "idd").values(title="Renamed topic"))
    assert b"Renamed topic" in made()


def test_a_withdrawn_update_is_marked_on_the_page_of_a_digest(scene: Scene, digest_ids: list[int]) -> None:
    withdrawn = db.session.scalars(select(Update.id).where(Update.title == "First")).one()
    publishing.withdraw(withdrawn, reason="", now=scene.now)
    for key in digest_ids:
        token = tokens.digest_token(scene.settings.permanent_key or "", key)
        seen = reading.digest(token, scene.settings)
        assert [item.title for item in seen.items if item.withdrawn] == ["First"]


def test_what_is_unknown_has_no_page_and_no_preview(scene: Scene) -> None:
    with pytest.raises(LinkAltered):
        reading.digest(tokens.digest_token(scene.settings.permanent_key or "", 9999), scene.settings)
    with pytest.raises(NotFound):
        mailing.preview(9999, locale="en", settings=scene.settings)


def test_a_preview_shows_the_update_alone(scene: Scene) -> None:
    draft = scene.release("A draft", "idd", approve=False)
    words = mailing.preview(draft, locale="en", settings=scene.settings)
    assert words.subject == "A draft"
    assert b"Subject: A draft\r\n" in mailing.sample(words, settings=scene.settings, now=scene.now)


def test_what_was_read_before_the_clock_was_set_back_is_read_again(scene: Scene, digest_ids: list[int]) -> None:
    reader = Contents(scene.settings)
    reader.of_digests(digest_ids, now=scene.now)
    with transaction() as session:
        session.execute(update(Update).where(Update.title == "First").values(title="Mended"))
    assert "First" in titles(reader.of_digests(digest_ids, now=scene.now), digest_ids[0])
    found = reader.of_digests(digest_ids, now=scene.now - FRESH_FOR)
    assert "Mended" in titles(found, digest_ids[0])
