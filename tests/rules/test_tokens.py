"""Tokens: one purpose each, unforgeable, rotating or permanent."""

import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_service.errors import AlertsError, LinkAltered, LinkExpired
from alerts_service.rules import tokens

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
OLD, NEW, OTHER = "old-secret-key-000000000000000000000", "new-secret-key-00000000000000000000", "x" * 32
PERMANENT = "permanent-key-0000000000000000000000"

MILLISECOND = timedelta(milliseconds=1)

Make = Callable[[str, int], str]
Read = Callable[[Sequence[str], str], object]

# Every purpose, as (make with one key, read with keys). The first four are made of the rotating secret keys.
PURPOSES: dict[str, tuple[Make, Read]] = {
    "confirm": (
        lambda key, n: tokens.confirm_token([key], n, NOW),
        lambda keys, token: tokens.read_confirm(keys, token, NOW),
    ),
    "not-me": (
        lambda key, n: tokens.not_me_token([key], n, NOW),
        lambda keys, token: tokens.read_not_me(keys, token, NOW),
    ),
    "preferences": (
        lambda key, n: tokens.preferences_token(key, n, NOW),
        lambda keys, token: tokens.read_preferences(keys, token, NOW),
    ),
    "form-time": (
        lambda key, n: tokens.form_time([key], NOW - n * MILLISECOND),
        lambda keys, token: tokens.read_form_time(keys, token, NOW) // MILLISECOND,
    ),
    "unsubscribe": (
        lambda key, n: tokens.unsubscribe_token(key, n, 0),
        lambda keys, token: tokens.read_unsubscribe(keys[0], token)[0],
    ),
    "digest": (tokens.digest_token, lambda keys, token: tokens.read_digest(keys[0], token)),
}
ROTATING = ("confirm", "not-me", "preferences", "form-time")
each_purpose = pytest.mark.parametrize("purpose", PURPOSES)
each_rotating = pytest.mark.parametrize("purpose", ROTATING)


@each_purpose
def test_a_token_gives_back_what_it_was_made_for(purpose: str) -> None:
    make, read = PURPOSES[purpose]
    for number in (1, 2**31, 2**39):
        assert read([PERMANENT], make(PERMANENT, number)) == number


@each_purpose
def test_a_token_cannot_be_used_for_another_purpose(purpose: str) -> None:
    made = PURPOSES[purpose][0](PERMANENT, 7)
    for other, (_, read) in PURPOSES.items():
        if other != purpose:
            with pytest.raises(LinkAltered):
                read([PERMANENT], made)


@each_purpose
def test_a_token_of_another_key_is_refused(purpose: str) -> None:
    make, read = PURPOSES[purpose]
    with pytest.raises(LinkAltered):
        read([PERMANENT], make(OTHER, 7))


@each_purpose
def test_a_token_with_any_character_changed_added_or_missing_is_refused(purpose: str) -> None:
    make, read = PURPOSES[purpose]
    token = make(PERMANENT, 7)
    altered = {token + "A", token + "=", token[:-1], token[1:], "", " " + token, token + "\n"}
    for place, character in enumerate(token):
        altered |= {token[:place] + other + token[place + 1 :] for other in "AZ09-_.+/" if other != character}
    for changed in altered:
        with pytest.raises(LinkAltered):
            read([PERMANENT], changed)


@given(st.sampled_from(list(PURPOSES)), st.text(max_size=60))
def test_any_text_is_refused_as_a_token(purpose: str, text: str) -> None:
    with pytest.raises(LinkAltered):
        PURPOSES[purpose][1]([PERMANENT], text)


@each_rotating
def test_a_link_outlives_the_rotation_of_its_key_until_the_key_is_dropped(purpose: str) -> None:
    make, read = PURPOSES[purpose]
    token = make(OLD, 7)
    assert read([NEW, OLD], token) == 7
    with pytest.raises(LinkAltered):
        read([NEW], token)


def test_the_first_of_several_keys_signs() -> None:
    for make, read in (
        (tokens.confirm_token, tokens.read_confirm),
        (tokens.not_me_token, tokens.read_not_me),
    ):
        token = make([NEW, OLD], 7, NOW)
        assert read([NEW], token, NOW) == 7
        with pytest.raises(LinkAltered):
            read([OLD], token, NOW)


@pytest.mark.parametrize(
    ("make", "read"), [(tokens.confirm_token, tokens.read_confirm), (tokens.not_me_token, tokens.read_not_me)]
)
def test_a_link_in_a_mail_expires_after_seven_days(make: Callable[..., str], read: Callable[..., int]) -> None:
    token = make([NEW], 7, NOW)
    assert read([NEW], token, NOW + timedelta(days=7)) == 7
    with pytest.raises(LinkExpired):
        read([NEW], token, NOW + timedelta(days=7, seconds=1))


def test_a_preferences_link_expires_with_the_seventh_day_after_its_own() -> None:
    token = tokens.preferences_token(NEW, 7, NOW)
    last = datetime(2026, 12, 7, 23, 59, 59, tzinfo=UTC)
    assert tokens.read_preferences([NEW], token, last) == 7
    with pytest.raises(LinkExpired):
        tokens.read_preferences([NEW], token, last + timedelta(seconds=1))


def test_an_unsubscribe_link_never_expires_and_remembers_its_digest() -> None:
    assert tokens.read_unsubscribe(PERMANENT, tokens.unsubscribe_token(PERMANENT, 7, 2**47)) == (7, 2**47)


@given(st.integers(0, 2**40 - 1), st.integers(0, 2**48 - 1))
def test_tokens_spliced_into_bulk_mail_have_one_length_and_safe_characters(subscriber: int, digest: int) -> None:
    made = {
        tokens.unsubscribe_token(PERMANENT, subscriber, digest): 36,
        tokens.preferences_token(NEW, subscriber, NOW): 32,
        tokens.digest_token(PERMANENT, digest): 32,
    }
    for token, length in made.items():
        assert len(token) == length
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_message_id_is_the_same_for_the_same_parts_and_tells_parts_apart() -> None:
    first = tokens.message_id(PERMANENT, "example.org", "daily", "2026", "ann@example.org")
    assert first == tokens.message_id(PERMANENT, "example.org", "daily", "2026", "ann@example.org")
    others = {
        tokens.message_id(PERMANENT, "example.org", "daily", "2026ann@example.org"),
        tokens.message_id(PERMANENT, "example.org", "dail", "y2026", "ann@example.org"),
        tokens.message_id(PERMANENT, "example.org", "daily", "2026", "bob@example.org"),
        tokens.message_id(OTHER, "example.org", "daily", "2026", "ann@example.org"),
    }
    assert len(others) == 4
    assert first not in others
    local, _, domain = first.partition("@")
    assert (local.isalnum(), local.islower(), len(local), domain) == (True, True, 32, "example.org")


def test_an_address_hash_depends_on_key_and_address_and_shows_neither() -> None:
    known = tokens.address_hash(PERMANENT, "ann@example.org")
    assert len(known) == 64
    assert known != tokens.address_hash(PERMANENT, "bob@example.org")
    assert known != tokens.address_hash(OTHER, "ann@example.org")
    assert tokens.fingerprint(PERMANENT) != tokens.fingerprint(OTHER)


def test_both_refusals_tell_the_reader_what_to_do() -> None:
    errors: tuple[AlertsError, ...] = (LinkAltered(), LinkExpired())
    assert [(error.status, "new one" in str(error)) for error in errors] == [(404, True), (410, True)]


@given(st.text(min_size=1, max_size=80), st.binary(max_size=200))
def test_the_codes_are_those_of_the_standard_library(key: str, message: bytes) -> None:
    key = key.encode("utf-8", "replace").decode()
    derived = hmac.digest(key.encode(), b"alerts\0address", "sha256")
    text = message.decode("latin-1")
    assert tokens.address_hash(key, text) == hmac.digest(derived, text.encode(), "sha256").hex()


@given(st.integers(0, 2**48 - 1))
def test_a_bounce_names_its_delivery_whatever_became_of_the_case(delivery: int) -> None:
    sender = tokens.bounce_sender(PERMANENT, delivery, "bounces.example.org")
    local, _, domain = sender.partition("@")
    assert (len(local), domain) == (43, "bounces.example.org")
    assert local.replace("-", "").isalnum()
    for spelled in (sender, sender.upper(), sender.swapcase(), f"{local}@elsewhere.example.net"):
        assert tokens.read_bounce(PERMANENT, spelled) == delivery
    with pytest.raises(LinkAltered):
        tokens.read_bounce(OTHER, sender)


@given(st.integers(0, 2**48 - 1), st.integers(0, 42), st.sampled_from("0189afzAFZ-._ ٣"))
def test_an_envelope_sender_with_another_character_is_refused(delivery: int, place: int, other: str) -> None:
    sender = tokens.bounce_sender(PERMANENT, delivery, "bounces.example.org")
    if sender[place] != other.lower():
        with pytest.raises(LinkAltered):
            tokens.read_bounce(PERMANENT, sender[:place] + other + sender[place + 1 :])


@given(st.text(max_size=80))
def test_any_text_is_refused_as_an_envelope_sender(text: str) -> None:
    for address in (text, f"bounce-{text}@example.org", f"bounce-{text.encode().hex()[:36]:0<36}@example.org"):
        with pytest.raises(LinkAltered):
            tokens.read_bounce(PERMANENT, address)


def test_an_envelope_sender_is_of_no_use_as_another_token_of_the_same_number() -> None:
    bounce, message_id = (
        tokens.bounce_sender(PERMANENT, 7, "example.org"),
        tokens.message_id(PERMANENT, "example.org", 7),
    )
    digest = tokens.digest_token(PERMANENT, 7)
    assert bounce[-35:-12] not in message_id + digest.lower()
    for sender in (bounce.removeprefix("bounce-"), f"<{bounce}>", f"{bounce}@example.org", f"{bounce}\n"):
        with pytest.raises(LinkAltered):
            tokens.read_bounce(PERMANENT, sender)
