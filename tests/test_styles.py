"""The stylesheet: what is served is what the templates and styles/ make, and nothing in it has a left and a right."""

import gzip
import re

import brotli

from styles import __main__ as making
from styles.trimming import Used, trimmed

PHYSICAL = re.compile(r"[{;](?:(?:margin|padding|border)-)?(?:left|right)\b|(?:text-align|float):(?:left|right)")


def test_what_is_served_is_made_of_the_templates_as_they_are() -> None:
    served = (making.STATIC / "pages.css").read_text(encoding="utf-8")
    assert served == making.stylesheet(), "run: make styles"
    for path in making.STATIC.rglob("*.*"):
        if path.suffix in making.COMPRESSED:
            assert gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()) == path.read_bytes()
            assert brotli.decompress(path.with_name(f"{path.name}.br").read_bytes()) == path.read_bytes()


def test_the_stylesheet_is_light_follows_the_direction_of_the_text_and_loads_only_what_is_there() -> None:
    served = making.stylesheet()
    assert len(gzip.compress(served.encode())) < 9_000
    assert PHYSICAL.findall(served) == []
    assert "@font-face" not in served
    assert "Web," not in served
    for address in re.findall(r"url\(([^)]+)\)", served):
        assert (making.STATIC / address).is_file(), address


def test_a_rule_stays_if_all_that_it_names_is_used() -> None:
    used = Used.in_templates(['<p class="note">', '<input class="{% if wrong %}bad{% endif %}">'])
    sheet = """
        .note, .other { color: red; margin: 0 1px 0 2px }
        .note.other, table, #id, .note:disabled { color: blue }
        @media print { .other { color: red } }
        @media screen { p > .bad::before { left: 0; background: url("a.svg") } }
        @font-face { font-family: x }
        input:not(.other) { text-align: right; float: left }
    """
    assert trimmed(sheet, used, lambda address: f"b/{address}") == (
        ".note{color:red;margin:0 0 0 0;margin-inline:2px 1px}"
        "@media screen{p > .bad::before{inset-inline-start:0;background:url(b/a.svg)}}"
        "input:not(.other){text-align:end;float:inline-start}"
    )
