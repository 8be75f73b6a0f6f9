"""The preferences link: asking for it, and what it can change."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from alerts_service.db import db
from alerts_service.errors import AddressRefused, Invalid, LinkAltered, LinkExpired
from alerts_service.models import MailKind
from alerts_service.rules import tokens
from alerts_service.services import consents, contents, letters, preferences, subscribers
from tests.relays import Relay
from tests.scene import DAY, HOUR, Scene, at_once, no_room_in, rows

ANN = "ann@example.org"
BOB = "bob@example.org"


def ask_link(scene: Scene, address: str, locale: str = "en") -> None:
    preferences.ask_link(address, locale=locale, **scene.at)


def change(scene: Scene, token: str, *topics: str, frequency: str | None = None, locale: str = "en") -> None:
    form: dict[str, Any] = {"topics": topics, "frequency": frequency, "locale": locale, "page": "/p", "network": ""}
    preferences.change(token, **form, **scene.at)


def read(scene: Scene, token: str) -> preferences.Preferences:
    db.session.rollback()
    return preferences.read(token, **scene.at)


def records(scene: Scene, address: str) -> list[tuple[str, dict[str, Any]]]:
    return [(row.kind, row.facts) for row in consents.history(db.session(), scene.address_hash(address))]


def links(scene: Scene) -> list[tuple[str | None, int | None]]:
    """Where the links were sent, and the subscriber each is about."""
    letters = scene.deliveries(MailKind.PREFERENCES_LINK)
    return [(row.address, (row.details or {})["subscriber"]) for row in letters]


def test_the_mail_to_a_known_address_holds_its_link_and_that_to_an_unknown_one_says_so(
    scene: Scene, relay: Relay
) -> None:
    ann = scene.follow(ANN)
    before = rows()
    ask_link(scene, ANN)
    ask_link(scene, "nobody@example.org")
    assert rows() == before | {"deliveries": before["deliveries"] + 2}
    wanted: list[tuple[str | None, int | None]] = [(ANN, ann), ("nobody@example.org", None)]
    assert links(scene) == wanted
    scene.deliver()
    known, unknown = relay.to(ANN)[-1], relay.to("nobody@example.org")[-1]
    assert known.message["Subject"] == unknown.message["Subject"]
    token = known.part("plain").split("/preferences/")[1].split()[0]
    assert read(scene, token).followed == {"idd": "weekly"}
    assert "/preferences/" not in unknown.part("plain")


def test_the_link_goes_to_the_address_that_confirmed_whatever_the_spelling(scene: Scene) -> None:
    scene.follow(ANN)
    ask_link(scene, ANN.upper())
    assert [address for address, _ in links(scene)] == [ANN]


def test_who_has_left_is_nobody_to_the_link(scene: Scene) -> None:
    scene.follow(ANN)
    scene.leave(ANN)
    ask_link(scene, ANN)
    assert links(scene) == [(ANN, None)]


def test_a_suppressed_address_is_answered_the_same_and_mailed_nothing(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN)
    scene.deliver()
    scene.suppress(ANN)
    ask_link(scene, ANN)
    before = len(relay.received)
    assert scene.deliver().cancelled == 1
    assert len(relay.received) == before
    assert [(row.state, row.reason) for row in scene.deliveries(MailKind.PREFERENCES_LINK)] == [
        ("cancelled", "suppressed")
    ]


def test_an_address_is_mailed_three_links_a_day_also_when_asked_for_at_once(scene: Scene) -> None:
    scene.follow(ANN)
    spellings = [ANN, ANN.upper(), ANN, ANN.title(), ANN]
    assert at_once(*(lambda a=a: ask_link(scene, a) for a in spellings)) == [None] * 5
    assert len(links(scene)) == letters.A_DAY == 3
    ask_link(scene, BOB)
    scene.now += DAY
    ask_link(scene, ANN)
    assert len(links(scene)) == 5


def test_what_is_no_address_is_refused_and_nothing_written(scene: Scene) -> None:
    with pytest.raises(AddressRefused):
        ask_link(scene, "ann@")
    assert rows()["deliveries"] == 0


def test_reading_shows_what_was_chosen_and_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily", locale="es")
    scene.follow(ANN, "policy", "telehealth", frequency="weekly")
    before, token = rows(), scene.preferences_token(ANN)
    seen = read(scene, token)
    assert seen.followed == {"idd": "daily", "policy": "weekly", "telehealth": "weekly"}
    assert (seen.locale, seen.frequency, seen.paused, seen.paused_until) == ("es", "weekly", False, None)
    assert [(each.frequency, each.updates) for each in seen.next] == [("daily", 0), ("weekly", 0)]
    assert seen.next[0].slot_at == scene.now + 2 * HOUR
    assert ANN not in seen.masked_address
    assert rows() == before


def test_exactly_the_chosen_topics_are_followed_and_the_change_is_recorded(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    token = scene.preferences_token(ANN)
    change(scene, token, "policy", "telehealth", frequency="daily", locale="es")
    seen = read(scene, token)
    assert seen.followed == {"policy": "daily", "telehealth": "daily"}
    assert seen.locale == "es"
    kind, facts = records(scene, ANN)[-1]
    assert kind == "changed"
    assert facts == {"added": ["telehealth"], "ended": ["idd"], "moved": ["policy"], "page": "/p"}
    assert consents.verify(db.session(), scene.address_hash(ANN))
    shown = subscribers.show(ANN, **scene.at)["subscriptions"]
    reasons = {row["topic"]: row["ended_reason"] for row in shown if row["ended_at"]}
    assert reasons == {"idd": "left in preferences", "policy": "frequency changed"}


def test_without_a_frequency_each_topic_keeps_its_own_and_a_new_one_gets_the_usual(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    scene.follow(ANN, "policy", "ltss", frequency="monthly")
    token = scene.preferences_token(ANN)
    change(scene, token, "idd", "policy", "ltss", "telehealth")
    monthly = dict.fromkeys(("policy", "ltss", "telehealth"), "monthly")
    assert read(scene, token).followed == {"idd": "daily"} | monthly


def test_choosing_the_same_again_records_nothing(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    before, token = rows(), scene.preferences_token(ANN)
    change(scene, token, "idd", frequency="weekly")
    change(scene, token, "idd", "idd")
    assert rows() == before
    assert scene.subscriber(ANN).narrowed_at is None


def test_a_change_of_frequency_is_still_the_same_following(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.now += DAY
    change(scene, scene.preferences_token(ANN), "idd", frequency="daily")
    first, second = subscribers.show(ANN, **scene.at)["subscriptions"]
    assert (first["ended_at"], second["ended_at"]) == (scene.now.isoformat(), None)
    assert first["followed_since"] == second["followed_since"] != second["started_at"]


def test_the_language_may_change_alone_and_one_that_is_not_offered_is_passed_over(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    before, token = rows(), scene.preferences_token(ANN)
    change(scene, token, "idd", locale="es")
    change(scene, token, "idd", locale="fr")
    assert read(scene, token).locale == "es"
    assert rows() == before


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_half_written(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    before, token = rows(), scene.preferences_token(ANN)
    with pytest.raises(Invalid) as refused:
        change(scene, token, "policy", "no-such-topic", frequency="hourly", locale="es")
    assert [error.field for error in refused.value.errors] == ["topics", "frequency"]
    with pytest.raises(Invalid) as refused:
        change(scene, token, locale="es")
    assert [error.field for error in refused.value.errors] == ["topics"]
    assert rows() == before
    assert (read(scene, token).followed, read(scene, token).locale) == ({"idd": "weekly"}, "en")


def test_a_change_that_fails_in_the_middle_leaves_nothing_half_written(scene: Scene) -> None:
    scene.follow(ANN, "idd", "policy")
    before, token = rows(), scene.preferences_token(ANN)
    with no_room_in("consents"), pytest.raises(DBAPIError):
        change(scene, token, "policy", "telehealth", frequency="daily", locale="es")
    assert rows() == before
    seen = read(scene, token)
    assert (seen.followed, seen.locale) == ({"idd": "weekly", "policy": "weekly"}, "en")
    assert scene.subscriber(ANN).narrowed_at is None


def test_two_changes_at_once_come_out_as_one_after_the_other(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    token = scene.preferences_token(ANN)
    assert at_once(*(lambda t=t: change(scene, token, *t) for t in (["policy"], ["telehealth", "ltss"]))) == [None] * 2
    assert set(read(scene, token).followed) in ({"policy"}, {"telehealth", "ltss"})
    assert consents.verify(db.session(), scene.address_hash(ANN))


def test_a_pause_lasts_until_its_end_or_until_it_is_ended(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.preferences_token(ANN)
    preferences.pause(token, until=scene.now + DAY, **scene.at)
    assert subscribers.state(ANN, **scene.at) == "paused"
    assert read(scene, token).paused_until == scene.now + DAY
    scene.now += DAY
    assert subscribers.state(ANN, **scene.at) == "active"
    assert not read(scene, token).paused
    preferences.pause(token, until=None, **scene.at)
    scene.now += 5 * DAY
    assert subscribers.state(ANN, **scene.at) == "paused"
    for _ in range(2):
        preferences.resume(token, **scene.at)
    assert subscribers.state(ANN, **scene.at) == "active"


def test_what_a_pause_held_is_mailed_once_after_it(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.release("Held")
    token = scene.preferences_token(ANN)
    preferences.pause(token, until=None, **scene.at)
    scene.tick_at(14)
    scene.deliver()
    assert len(relay.to(ANN)) == 2, "confirmation and welcome"
    preferences.resume(token, **scene.at)
    for _ in range(2):
        scene.tick_at(14, days=1)
        scene.deliver()
    assert [received.message["Subject"] for received in relay.to(ANN)[2:]] == ["Held"]


def test_choosing_topics_after_having_left_starts_anew(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    token = scene.preferences_token(ANN)
    scene.leave(ANN)
    scene.release("Meanwhile")
    change(scene, token, "idd", frequency="daily")
    assert subscribers.state(ANN, **scene.at) == "active"
    scene.release("After")
    scene.tick_at(14)
    assert len(scene.deliveries(MailKind.DIGEST)) == 1
    held = contents.of_digest(scene.digest_of(ANN).id, scene.settings)
    assert held
    assert [item.title for item in held.items] == ["After"]
    assert records(scene, ANN)[-1][1]["added"] == ["idd"]


def acts(scene: Scene) -> list[Callable[[str], object]]:
    """Everything that a link can do."""
    return [
        lambda token: read(scene, token),
        lambda token: change(scene, token, "policy"),
        lambda token: preferences.pause(token, until=None, **scene.at),
        lambda token: preferences.resume(token, **scene.at),
        lambda token: preferences.leave_all(token, page="/", network="", **scene.at),
    ]


def test_a_link_works_for_seven_days_and_then_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.preferences_token(ANN)
    scene.now += 7 * DAY
    assert read(scene, token).followed == {"idd": "weekly"}
    scene.now += DAY
    before = rows()
    for act in acts(scene):
        with pytest.raises(LinkExpired):
            act(token)
    assert rows() == before
    assert subscribers.state(ANN, **scene.at) == "active"


def test_an_altered_or_foreign_link_changes_nothing(scene: Scene) -> None:
    scene.follow(ANN)
    key = scene.settings.secret_keys[0]
    token = scene.preferences_token(ANN)
    others = [token[:-1], token.swapcase(), "", scene.unsubscribe_token(ANN), scene.confirm_token(ANN)]
    others += [tokens.preferences_token(key, 999, scene.now), tokens.preferences_token(key + "x", 1, scene.now)]
    before = rows()
    for act in acts(scene):
        for other in others:
            with pytest.raises(LinkAltered):
                act(other)
    assert rows() == before


def test_a_link_made_with_a_key_in_rotation_still_opens(scene: Scene) -> None:
    scene.follow(ANN)
    token = scene.preferences_token(ANN)
    new = "second-secret-key-of-the-tests-01234"
    scene.settings = dataclasses.replace(scene.settings, secret_keys=(new, *scene.settings.secret_keys))
    assert read(scene, token).followed == {"idd": "weekly"}
    scene.settings = dataclasses.replace(scene.settings, secret_keys=(new,))
    with pytest.raises(LinkAltered):
        read(scene, token)
