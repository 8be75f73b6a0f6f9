"""The filters: from standard input to standard output, recording nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alerts_service.cli import group
from alerts_service.rules import markup

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def through(*words: str, stdin: str | bytes) -> str:
    """What a filter makes of its input."""
    done = CliRunner().invoke(group, list(words), input=stdin)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return done.stdout


def samples(name: str) -> list[Any]:
    """The public samples beside the repository, or one that says that they are not there."""
    path = CORPUS / name
    if not path.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{name}: no samples beside the repository"))]
    return [pytest.param(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("sample", samples("addresses.jsonl"))
def test_public_samples_of_addresses_are_taken_or_refused_in_one_line(sample: dict[str, str]) -> None:
    printed = through("address", stdin=sample["address"].encode("utf-8", "surrogateescape"))
    assert printed.count("\n") == 1
    found = json.loads(printed)
    if found["ok"]:
        assert set(found) == {"ok", "normalized"}
        assert sample["want"] in {"accept", "accept-smtputf8", "policy"}
    else:
        assert set(found) == {"ok", "reason"}
        assert found["reason"]
        assert sample["want"] in {"reject", "policy"}


@pytest.mark.parametrize("ending", ["", "\n"])
def test_an_address_may_end_with_its_line(ending: str) -> None:
    assert json.loads(through("address", stdin="Ann@EXAMPLE.org" + ending)) == {
        "ok": True,
        "normalized": "Ann@example.org",
    }


@pytest.mark.parametrize(
    "stdin",
    ["", "\n", "ann", "ann@example.org\nbob@example.org", "ann@example.org\r\n", b"\xff\xfe@example.org", "a\0@b.c"],
)
def test_what_is_no_address_is_answered_and_not_a_failure(stdin: str | bytes) -> None:
    assert json.loads(through("address", stdin=stdin))["ok"] is False


@pytest.mark.parametrize("sample", samples("markup.jsonl"))
def test_public_samples_of_attacks_come_out_as_on_pages_and_in_mails(sample: dict[str, str]) -> None:
    payload = sample["payload"]
    stdin = payload.encode("utf-8", "surrogatepass")
    assert through("markup", stdin=stdin) == markup.to_html(payload) + "\n"
    assert through("markup", "--text", stdin=stdin) == markup.to_text(payload) + "\n"


def test_markdown_becomes_the_html_and_the_text_that_mails_carry() -> None:
    markdown = "Join **us**: [the panel](https://example.org/panel)\n\n- one\n- two\n"
    html = through("markup", stdin=markdown)
    assert "<strong>us</strong>" in html
    assert 'href="https://example.org/panel"' in html
    assert "<li>one</li>" in html
    text = through("markup", "--text", stdin=markdown)
    assert "the panel (https://example.org/panel)" in text
    assert "**" not in text
    assert "<" not in text


def test_bytes_that_are_no_text_are_taken_as_well_as_they_can_be() -> None:
    assert "Gr" in through("markup", stdin="Größer".encode("latin-1"))
