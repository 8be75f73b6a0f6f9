"""The hash chain: anything altered shows."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_service.rules import chains


@dataclass(frozen=True)
class Link:
    """The fields that one record's hash covers."""

    previous: str = chains.GENESIS
    number: int = 1
    kind: str = "asked"
    at: datetime = datetime(2026, 11, 30, 12, 0, 0, 5, tzinfo=UTC)
    wording: str | None = "0123456789ab"
    facts: Any = None
    digest: str = "d" * 64

    @property
    def hash(self) -> str:
        return chains.link_hash(**{**vars(self), "facts": self.facts or {"topics": ["idd"], "page": "/"}})


@pytest.mark.parametrize(
    "changed",
    [
        {"previous": "1" * 64},
        {"number": 2},
        {"kind": "confirmed"},
        {"at": Link.at + timedelta(microseconds=1)},
        {"wording": None},
        {"wording": "0123456789ac"},
        {"facts": {"topics": ["idd"], "page": "/other"}},
        {"facts": {"topics": ["idd", "ltss"], "page": "/"}},
        {"facts": {"topics": ["idd"], "page": "/", "more": None}},
        {"digest": "e" * 64},
    ],
)
def test_a_change_of_any_field_changes_the_hash(changed: dict[str, Any]) -> None:
    assert replace(Link(), **changed).hash != Link().hash


def test_a_moment_has_one_hash_in_whatever_zone_it_is_written() -> None:
    elsewhere = Link.at.astimezone(timezone(timedelta(hours=-5)))
    assert replace(Link(), at=elsewhere).hash == Link().hash


def test_the_order_of_facts_does_not_matter() -> None:
    assert chains.canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    turned = replace(Link(), facts={"page": "/", "topics": ["idd"]})
    assert turned.hash == Link().hash


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_two_values_have_two_digests(one: dict[str, str], other: dict[str, str]) -> None:
    same = chains.personal_digest("salt", one) == chains.personal_digest("salt", other)
    assert same is (one == other)


def test_without_its_salt_a_personal_digest_cannot_be_found_by_guessing() -> None:
    personal = {"address": "ann@example.org", "network": ""}
    assert chains.personal_digest("one salt", personal) != chains.personal_digest("another", personal)
