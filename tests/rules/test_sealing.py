"""Sealed texts: nobody reads or changes them, a key may go, and they end."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts_service.errors import LinkAltered
from alerts_service.rules.sealing import seal, unseal

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
OLD, NEW = "an old key of the tests 0123456789abcdef", "a new key of the tests 0123456789abcdef"
DAY = timedelta(days=1)


def test_a_sealed_text_is_unreadable_and_comes_back_whole() -> None:
    token = seal([NEW], "form", "ann@example.org ñ", NOW)
    assert "ann" not in token
    assert token.replace("-", "").replace("_", "").replace("=", "").isalnum()
    assert unseal([NEW], "form", token, DAY, NOW) == "ann@example.org ñ"
    assert seal([NEW], "form", "ann@example.org ñ", NOW) != token


def test_a_rotated_key_still_opens_and_a_dropped_one_does_not() -> None:
    token = seal([OLD], "form", "text", NOW)
    assert unseal([NEW, OLD], "form", token, DAY, NOW) == "text"
    with pytest.raises(LinkAltered):
        unseal([NEW], "form", token, DAY, NOW)


@pytest.mark.parametrize("change", [lambda t: "", lambda t: t[:-9], lambda t: t[:20] + "x" + t[21:], lambda t: "é\0"])
def test_what_is_not_ours_is_not_opened(change) -> None:
    with pytest.raises(LinkAltered):
        unseal([NEW], "form", change(seal([NEW], "form", "text", NOW)), DAY, NOW)


def test_a_sealed_text_ends_and_serves_one_purpose() -> None:
    token = seal([NEW], "form", "text", NOW)
    assert unseal([NEW], "form", token, DAY, NOW + DAY) == "text"
    for purpose, at in (("form", NOW + DAY + timedelta(seconds=1)), ("other", NOW)):
        with pytest.raises(LinkAltered):
            unseal([NEW], purpose, token, DAY, at)
