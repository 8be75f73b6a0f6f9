"""Markdown to safe HTML, to plain text, and to the reasons for a refusal."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_service.rules.markup import problems, to_html, to_text

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "markup.jsonl"
TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"} | {
    f"h{level}" for level in range(1, 7)
}


class _Elements(HTMLParser):
    """Collects every element with its attributes, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in _Elements(html).found:
        assert tag in TAGS, tag
        assert set(attributes) <= ({"href"} if tag == "a" else {"start"} if tag == "ol" else set()), attributes
        if "href" in attributes:
            assert re.match(r"(https?://[^/]|mailto:)", attributes["href"] or ""), attributes


def _payloads() -> list[str]:
    if not CORPUS.is_file():
        return []
    return [json.loads(line)["payload"] for line in CORPUS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(not CORPUS.is_file(), reason="the corpus of attacks is not beside this tree")
def test_no_attack_of_the_corpus_survives_alone_or_inside_other_markup():
    payloads = _payloads()
    assert len(payloads) > 50
    for payload in payloads:
        for markdown in (
            payload,
            f"- a\n  {payload}",
            f"[x]({payload})",
            f"[{payload}](https://a.org)",
            f"<{payload}>",
        ):
            assert_harmless(to_html(markdown))
            to_text(markdown)
            problems(markdown)


@given(st.text(alphabet=st.sampled_from("<>/\"'=()[]!#*`_ \n\t:&;javscriptonerhxml0123@.\\"), max_size=80))
def test_no_text_at_all_becomes_markup_that_acts(text: str):
    assert_harmless(to_html(text))
    assert isinstance(to_text(text), str)
    assert isinstance(problems(text), list)


@pytest.mark.parametrize(
    "link",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](<java\tscript:alert(1)>)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:msgbox)",
        "[x](file:///etc/passwd)",
        "[x](ftp://example.org/a)",
        "<javascript:alert(1)>",
        "<data:text/html,x>",
        "[x][there]\n\n[there]: javascript:alert(1)",
        "[there]\n\n[there]: vbscript:x",
        "![x](javascript:alert(1))",
        "![x](data:image/png;base64,AAAA)",
        "[x](/relative)",
        "[x](//example.org/a)",
        "[x](https://cms.gov@evil.example)",
        "[x](https://)",
        "[x](https:///a)",
        "[x](https://[::1)",
        "[x](mailto:)",
    ],
)
def test_a_link_that_must_not_be_followed_is_named_and_does_not_become_a_link(link: str):
    found = problems(link)
    assert len(found) == 1, found
    assert found[0].endswith(".")
    assert "<a" not in to_html(link)
    assert "<img" not in to_html(link)


@pytest.mark.parametrize(
    "text",
    [
        "[the tool](https://example.org/a?b=1&c=2)",
        "[the tool](http://example.org)",
        "<https://example.org/a>",
        "<help@example.org>",
        "[write](mailto:help@example.org?subject=Hello)",
        "![A chart of falls](https://example.org/chart.png)",
        "[https://example.org/a](https://example.org/a)",
        "Plain, 3 < 4 & 5 > 4.",
        "",
    ],
)
def test_ordinary_text_has_no_problems(text: str):
    assert problems(text) == []


def test_what_a_reader_could_not_see_or_would_be_deceived_by_is_refused():
    assert "no text that says what it shows" in problems("![](https://example.org/a.png)")[0]
    assert "has no text" in problems("[](https://example.org)")[0]
    assert "leads to another place" in problems("[https://cms.gov](https://evil.example)")[0]
    assert "invisible control characters" in problems("a\x07b")[0]
    assert "invisible control characters" in problems("a\u202eb")[0]


def test_every_problem_is_told_once():
    assert len(problems("[x](javascript:a) [x](javascript:a) [y](data:b)")) == 2


def test_raw_html_is_shown_as_text():
    assert to_html("<b>bold</b>") == "<p>&lt;b&gt;bold&lt;/b&gt;</p>\n"


def test_an_image_becomes_a_link_under_its_text():
    assert (
        to_html("![A chart](https://example.org/c.png)") == '<p><a href="https://example.org/c.png">A chart</a></p>\n'
    )
    assert to_text("![A chart](https://example.org/c.png)") == "A chart (https://example.org/c.png)"


def test_headings_begin_at_the_level_asked_for_and_skip_none():
    assert re.findall(r"<(h\d)", to_html("# a\n\n### b\n\n# c", top_heading=4)) == ["h4", "h5", "h4"]
    assert re.findall(r"<(h\d)", to_html("### only")) == ["h2"]
    assert re.findall(r"<(h\d)", to_html("# a\n\n## b\n\n### c\n\n#### d", top_heading=4)) == ["h4", "h5", "h6", "h6"]


def test_plain_text_reads_well():
    markdown = """# What is *new*

A **bold** &amp; a [link](https://example.org/a_b?x=1&y=2),
on two lines, to <https://example.org/é> and <help@example.org>.

- one
- two
  - inner
    goes on

3. three
4. four

Then

1. loose

   second paragraph
2. next

> quoted
>
> - in a list

    code  here

---

Last line\\
broken.
"""
    assert (
        to_text(markdown)
        == """What is new

A bold & a link (https://example.org/a_b?x=1&y=2), on two lines, to https://example.org/%C3%A9 and help@example.org.

- one
- two
  - inner goes on

3. three
4. four

Then

1. loose

   second paragraph

2. next

> quoted
>
> - in a list

    code  here

* * *

Last line
broken."""
    )
