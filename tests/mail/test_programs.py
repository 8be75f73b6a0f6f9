"""What the mails are made of: valid HTML, shown by Gmail, Outlook and Apple Mail, or harmless where it is not."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alerts_service.config import Settings
from tests.databases import unavailable
from tests.mail import caniemail
from tests.mail.samples import Make, every_mail

# Features by the start of a property's name, where one line of the list is about several.
PROPERTIES = {
    "margin-": "css-margin",
    "padding-inline": "css-padding-inline-start-end",
    "padding-": "css-padding",
    "border-radius": "css-border-radius",
    "border-collapse": "css-border-collapse",
    "border-spacing": "css-border-spacing",
    "border-": "css-border",
    "font-family": "css-font",
}
ELEMENTS = {"ul": "html-lists", "ol": "html-lists", "li": "html-lists", "td": "html-table"}
ELEMENTS |= {"tr": "html-table", "tbody": "html-table"} | {f"h{level}": "html-h1-h6" for level in range(1, 7)}
# As old as HTML and CSS, and so not listed; and what speaks to one program only.
UNLISTED = {
    "a",
    "html",
    "head",
    "meta",
    "title",
    "br",
    "color",
    "-webkit-text-size-adjust",
    "text-size-adjust",
    "mso-hide",
}
# Not shown everywhere. Without it:
HARMLESS = {
    "css-at-media": "the mail has its wide margins on a narrow window, too",
    "css-at-media-prefers-color-scheme": "the mail is light, or the program darkens it by its own rules",
    "css-border-radius": "a button has square corners",
    "css-border-spacing": "cells that are collapsed have no space between them anyway",
    "css-max-height": "the preheader is hidden by display: none and by mso-hide",
    "css-opacity": "the preheader is hidden by display: none and by mso-hide",
    "css-overflow": "the preheader is hidden by display: none and by mso-hide",
    "css-overflow-wrap": "a very long word is broken by word-wrap or word-break, or makes the mail wide",
    "css-padding-inline-start-end": "a list is indented as the program does it",
    "css-white-space": "a line of code is wrapped as any other",
    "css-word-break": "a very long word makes the mail wide",
    "css-word-wrap": "a very long word makes the mail wide",
    "html-body": "the canvas has the colours, too",
    "html-role": "a screen reader names a table that is there for its looks only",
    "html-style": "styles stand on the elements; only those of dark and narrow windows are lost",
}


# The validator of the W3C, as npm has it (vnu-jar).
VALIDATOR = Path(sys.prefix) / "vnu.jar"
# What Outlook on Windows needs to hold the width of a mail, and to keep the preheader hidden.
ALLOWED = {
    "The “width” attribute on the “table” element is obsolete. Use CSS instead.",
    "The “align” attribute on the “td” element is obsolete. Use CSS instead.",
    "CSS: “mso-hide”: Property “mso-hide” doesn't exist.",
}


class _Used(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.features: set[str] = set()
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self.features.add(ELEMENTS.get(tag, tag if tag in UNLISTED else f"html-{tag}"))
        for name, value in attrs:
            self.features |= {f"html-{name}"} & {"html-role", "html-lang", "html-dir", "html-align", "html-width"}
            if name == "style":
                self._declared(value or "")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.features |= {"css-at-media"} if "@media" in data else set()
            self.features |= {"css-at-media-prefers-color-scheme"} if "prefers-color-scheme" in data else set()
            for block in re.findall(r"\{([^{}]*)\}", data):
                self._declared(block)

    def _declared(self, block: str) -> None:
        for declaration in filter(str.strip, block.split(";")):
            name, _, value = declaration.strip().partition(":")
            self.features |= {"css-important"} if "!important" in value else set()
            group = next((feature for start, feature in PROPERTIES.items() if name.startswith(start)), f"css-{name}")
            self.features.add(name if name in UNLISTED else group)


@pytest.mark.parametrize("locale", ["en", "es"])
def test_the_great_mail_programs_show_what_mails_are_made_of(settings: Settings, make_item: Make, locale: str):
    known, poor = caniemail.table(), {}
    used = set().union(*(_Used(words.html).features for words in every_mail(settings, make_item, locale).values()))
    for feature in used - UNLISTED:
        assert feature in known, f"{feature} is on no list: look it up"
        if "n" in known[feature].values():
            poor[feature] = known[feature]
    unlike = poor.keys() ^ HARMLESS.keys()
    assert not unlike, {feature: poor.get(feature) for feature in unlike}


@pytest.mark.slow
def test_every_mail_is_valid_html_but_for_what_outlook_needs(settings: Settings, make_item: Make, tmp_path: Path):
    java = shutil.which("java")
    if java is None or not VALIDATOR.is_file():
        unavailable("the HTML validator is not there: it needs java, and vnu.jar in the environment")
    for locale in ("en", "es"):
        for kind, words in every_mail(settings, make_item, locale).items():
            (tmp_path / f"{kind} {locale}.html").write_text(words.html, encoding="utf-8")
    command = [str(java), "-jar", str(VALIDATOR), "--format", "json", "--stdout", "--exit-zero-always", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert {message["message"] for message in json.loads(done.stdout)["messages"]} == ALLOWED
