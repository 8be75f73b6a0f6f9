"""Lines: cleaned, cut, wrapped."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from alerts_service.mail.lines import SUBJECT_LENGTH, WIDTH, cut, one_line, wrapped


@given(st.text(max_size=200))
def test_a_line_holds_no_control_character_and_no_line_break(text: str):
    line = one_line(text)
    assert not any(unicodedata.category(mark) in {"Cc", "Zl", "Zp", "Cs"} for mark in line)
    assert len(line.splitlines()) <= 1


@given(st.text(max_size=200))
def test_a_cut_line_is_short_enough_and_begins_like_the_whole(text: str):
    line = one_line(text)
    short = cut(line)
    assert len(short) <= SUBJECT_LENGTH
    assert line.startswith(short.removesuffix("…"))
    assert (short == line) == (len(line) <= SUBJECT_LENGTH)


def test_a_line_is_cut_at_a_word_and_not_after_a_comma():
    assert cut("one two three", 13) == "one two three"
    assert cut("one two three", 12) == "one two…"
    assert cut("one two three", 8) == "one two…"
    assert cut("one two, three", 10) == "one two…"
    assert cut("one two three…", 13) == "one two…"


def test_one_long_word_is_cut_where_it_must_be():
    assert cut("x" * 70) == "x" * 59 + "…"


def test_lists_stay_under_their_mark_and_addresses_whole():
    address = "https://example.org/" + "a" * 80
    text = wrapped(f"- {'word ' * 20}{address} end\n  - inner {'word ' * 20}\n> {'quoted ' * 15}\n    {'code ' * 20}")
    lines = text.split("\n")
    assert f"  {address}" in lines
    assert all(line.startswith(("- ", "  ", "> ")) for line in lines)
    assert all(len(line) <= WIDTH for line in lines if address not in line and "code" not in line)
    assert "    " + "code " * 19 + "code" in lines


@given(st.lists(st.text(alphabet="ab-.–> 1", max_size=120), max_size=4))
def test_wrapping_loses_no_word(lines: list[str]):
    text = "\n".join(lines)
    kept = wrapped(text).replace(">", "").split()
    assert kept == text.replace(">", "").split()
