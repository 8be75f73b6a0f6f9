"""What makes an update fit to be queued."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts_service.rules import announcements
from alerts_service.rules.announcements import NewUpdate

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
GOOD = NewUpdate(
    title="A tool",
    title_es="Una herramienta",
    topics=("idd",),
    summary="What it is **about**: [the page](https://care.example.org/page).",
    summary_es="De qué **trata**.",
    kind="webinar",
    url="https://care.example.org/tool",
    release_at=NOON,
    expires_at=NOON + timedelta(days=3),
    starts_at=NOON + timedelta(days=1),
    ends_at=NOON + timedelta(days=1, hours=1),
    zone="America/New_York",
    registration_url="http://care.example.org/register?a=1",
    credit="1.5 CE hours",
)


def test_a_good_update_has_no_problem_and_no_warning() -> None:
    assert announcements.problems(GOOD) == []
    assert announcements.warnings(GOOD, ("en", "es")) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title_es": "x" * 201}, "Spanish title"),
        ({"title_es": "a\x00b"}, "Spanish title"),
        ({"summary": "x" * 20_001}, "summary"),
        ({"summary": "a\x00b"}, "summary"),
        ({"summary": "a\udcffb"}, "summary"),
        ({"summary_es": "a\x00b"}, "Spanish summary"),
        ({"summary": "[press](javascript:alert(1))"}, "javascript"),
        ({"summary_es": "[pulse](data:text/html,x)"}, "data"),
        ({"credit": "x" * 201}, "credit"),
        ({"credit": "a\nb"}, "credit"),
        ({"kind": "gossip"}, "gossip"),
        ({"topics": ()}, "topic"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "ftp://care.example.org/"}, "url"),
        ({"url": "care.example.org"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://[/"}, "url"),
        ({"url": "https://a b.example.org/"}, "url"),
        ({"url": "https://example.org/\r\nBcc: x"}, "url"),
        ({"url": "https://example.org/" + "x" * 2000}, "url"),
        ({"url": ""}, "url"),
        ({"registration_url": "mailto:ann@example.org"}, "registration-url"),
        ({"ends_at": NOON}, "ends before it starts"),
        ({"ends_at": GOOD.starts_at}, "ends before it starts"),
        ({"starts_at": None}, "needs a start"),
        ({"expires_at": NOON}, "expires before"),
        ({"zone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"zone": "../../etc/passwd"}, "time zone"),
        ({"zone": ""}, "time zone"),
    ],
)
def test_each_fault_is_refused_with_its_reason(changed: dict[str, Any], said: str) -> None:
    found = announcements.problems(replace(GOOD, **changed))
    assert any(said in problem for problem in found), found
    assert all(problem.isprintable() and problem.endswith(".") for problem in found)


def test_every_fault_is_named_at_once() -> None:
    bad = replace(GOOD, title="", topics=(), kind="gossip", url="x", ends_at=NOON)
    assert len(announcements.problems(bad)) == 5


def test_what_an_author_may_have_forgotten_is_a_warning_only() -> None:
    bare = NewUpdate(title="A webinar", topics=("idd",), kind="webinar")
    assert announcements.problems(bare) == []
    assert len(announcements.warnings(bare, ("en", "es"))) == 3
    assert len(announcements.warnings(bare, ("en",))) == 2
