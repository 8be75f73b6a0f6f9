"""Addresses: what is taken, what is refused, and how two are compared."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from alerts_service.errors import AddressMissing, AddressRefused
from alerts_service.rules import addresses

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "addresses.jsonl"


def samples() -> list[Any]:
    """The public samples beside the repository, or one that says that they are not there."""
    if not CORPUS.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{CORPUS.name}: no samples beside the repository"))]
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [pytest.param(json.loads(line), id=f"sample{number}") for number, line in enumerate(lines, 1)]


@pytest.mark.parametrize("sample", samples())
def test_public_samples_are_taken_or_refused_as_they_should_be(sample: dict[str, str]) -> None:
    try:
        addresses.parse(sample["address"])
    except (AddressRefused, AddressMissing):
        assert sample["want"] in {"reject", "policy"}
    else:
        assert sample["want"] in {"accept", "accept-smtputf8", "policy"}


def test_the_domain_is_sent_in_ascii_and_the_local_part_as_given() -> None:
    found = addresses.parse("Jürgen@Bücher.example")
    assert found.address == "Jürgen@xn--bcher-kva.example"
    assert addresses.parse(" Ann.Lee@EXAMPLE.org ").address == "Ann.Lee@example.org"


def test_addresses_are_compared_without_case_but_with_their_dots_and_tags() -> None:
    assert addresses.parse("Ann@Example.org").key == addresses.parse("ann@EXAMPLE.ORG").key
    keys = {addresses.parse(text).key for text in ("a.nn@example.org", "ann@example.org", "ann+x@example.org")}
    assert len(keys) == 3


def test_dots_and_tags_are_folded_for_the_limit_on_one_mailbox() -> None:
    variants = ("ann@example.org", "a.n.n@example.org", "ANN+one@example.org", "a.nn+two+three@example.org")
    assert {addresses.parse(text).mailbox_key for text in variants} == {"ann@example.org"}
    assert addresses.parse("ann@example.com").mailbox_key != "ann@example.org"


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_nothing_entered_is_asked_for(text: str) -> None:
    with pytest.raises(AddressMissing):
        addresses.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@example",
        "ann@example.org, bob@example.org",
        "Ann <ann@example.org>",
        "ann@example.org\r\nBcc: bob@example.org",
        "ann\x00@example.org",
        "ann@" + "a" * 250 + ".org",
        "ann@[127.0.0.1]",
        "ann@localhost",
    ],
)
def test_what_is_no_address_is_refused_in_one_printable_sentence(text: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        addresses.parse(text)
    said = str(refused.value)
    assert said.isprintable()
    assert said.endswith(".")
    assert "name@example.org" in said


@given(st.text(max_size=80))
def test_any_text_is_refused_or_an_address_that_reads_back_the_same(text: str) -> None:
    with contextlib.suppress(AddressMissing, AddressRefused):
        found = addresses.parse(text)
        assert len(found.address) <= 254
        assert addresses.parse(found.address) == found


def test_a_masked_address_shows_its_first_letter_and_its_domain() -> None:
    assert addresses.mask("ann.lee@example.org") == "a…@example.org"


LOCALS = st.from_regex(r"[a-zA-Z0-9._+\-]{1,6}", fullmatch=True) | st.sampled_from(
    ["info", "INFO", "Sales", "a" * 64, "a" * 65, '"a b"', "jürgen", "a b", "<a", "ann <ann", ""]
)
DOMAINS = st.from_regex(r"[a-zA-Z0-9.\-]{1,9}\.[a-z]{2,3}", fullmatch=True) | st.sampled_from(
    [
        "example.org",
        "Example.ORG",
        "bücher.example",
        "xn--bcher-kva.example",
        "localhost",
        "care.test",
        "[127.0.0.1]",
        "a.b>",
        "example.org.",
        "ab--cd.org",
        f"{'b' * 63}.{'c' * 63}.{'d' * 60}.org",
        f"{'ü' * 50}.{'c' * 63}.{'d' * 60}.org",
        "",
    ]
)


@given(LOCALS, DOMAINS)
def test_every_address_is_read_as_email_validator_reads_it(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    try:
        found = validate_email(text.strip(" "), check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        with pytest.raises(AddressRefused, match=re.escape(str(error)[:20])):
            addresses.parse(text)
    else:
        assert addresses.parse(text).address == (found.ascii_email or f"{found.local_part}@{found.ascii_domain}")
