"""The words of a digest, in parts: each update once, joined between head, headings and foot.

A digest's words depend on its updates, its locale and its frequency, never on who reads it: where a reader's
own links belong stand the placeholders of alerts_service.mail.places. A part is one template of mail/digest,
filled with few values, as whole lines of text and of HTML. So it can be made, and encoded, once for all the
digests that hold it.
"""

import html
import secrets
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import NamedTuple

from alerts_service.config import Settings
from alerts_service.mail import environment
from alerts_service.mail.encode import Words
from alerts_service.mail.items import Arranged, DigestContent, Section, arrange
from alerts_service.mail.lines import cut, one_line, tidy
from alerts_service.mail.places import IN_BROWSER, PREFERENCES, UNSUBSCRIBE
from alerts_service.rules.markup import to_text

# In a page without its words: where they belong. Each stands on a line of its own, or in one element's line.
SUBJECT, PREHEADER, PARTS = (secrets.token_hex(16) for _ in range(3))
_PREHEADER_LENGTH = 120


class Part(NamedTuple):
    """A part's template, and the values it is filled with. Equal parts of one locale have equal words."""

    template: str
    values: tuple[tuple[str, Hashable], ...]


class Lines(NamedTuple):
    """Whole lines, as they stand in the two bodies of a mail."""

    text: str
    html: str


def digest(content: DigestContent, settings: Settings) -> Words:
    """Compose the words of a whole digest. Its stencil is made without them, by a Composer."""
    arranged = arrange(content.items)
    leads = leading(content, arranged)
    subject = subject_of(content.frequency, len(content.items), leads, content.locale, settings)
    found = [lines(part, content.locale, settings) for part in parts(arranged, content)]
    whole = page(content.frequency, content.locale, settings)
    text = whole.text.replace(f"{PARTS}\n", "".join(part.text for part in found))
    shown = whole.html.replace(SUBJECT, as_html(subject)).replace(PREHEADER, as_html(preheader(arranged)))
    shown = shown.replace(f"{PARTS}\n", "".join(part.html for part in found))
    text, shown = (body.replace(IN_BROWSER, content.token) for body in (text, shown))
    return Words("digest", content.locale, subject, text, shown)


def leading(content: DigestContent, arranged: Arranged) -> str:
    """Return the title that the subject of a digest names: the urgent update's, else the first."""
    return (content.urgent or arranged.in_full[0]).title


def parts(arranged: Arranged, content: DigestContent) -> Iterator[Part]:
    """Name the parts of a digest, in order."""
    count = len(arranged.in_full) + arranged.more
    urgent = content.urgent is not None
    yield Part("title", (("frequency", content.frequency), ("count", count), ("urgent", urgent)))
    coming = (Section("", arranged.coming),) if arranged.coming else ()
    for section in coming + arranged.sections:
        yield Part("heading", (("title", section.title),))
        last = len(section.items) - 1
        for number, item in enumerate(section.items):
            yield Part("opening", (("first", number == 0), ("last", number == last)))
            yield Part("item", (("item", item),))
    if arranged.more:
        yield Part("more", (("more", arranged.more), ("count", count)))


def lines(part: Part, locale: str, settings: Settings) -> Lines:
    """Fill a part's templates."""
    values = dict(part.values) | {"in_browser": _in_browser(settings)}
    text = environment.render(f"digest/{part.template}.txt", locale, settings, **values)
    shown = environment.render(f"digest/{part.template}.html", locale, settings, **values)
    return Lines(_text_lines(text), environment.part_inlined(shown))


def page(frequency: str, locale: str, settings: Settings) -> Lines:
    """Fill what stands around the parts, with SUBJECT, PREHEADER and PARTS in their places."""
    values = {
        "frequency": frequency,
        "subject": SUBJECT,
        "preheader": PREHEADER,
        "parts": PARTS,
        "in_browser": _in_browser(settings),
        "preferences": f"{settings.base_url}/preferences/{PREFERENCES}",
        "unsubscribe": f"{settings.base_url}/unsubscribe/{UNSUBSCRIBE}",
    }
    text = environment.render("digest/body.txt", locale, settings, **values)
    shown = environment.render("digest/body.html", locale, settings, **values)
    return Lines(tidy(text), environment.inlined(shown) + "\n")


def subject_of(frequency: str, count: int, first: str, locale: str, settings: Settings) -> str:
    """Return the subject of a digest of so many updates; `first` is the title that it names."""
    return environment.headings("digest", locale, settings, frequency=frequency, count=count, first=first)[1]


def preheader(arranged: Arranged) -> str:
    """Return what an inbox shows behind the subject: the other titles, or the only summary."""
    first, *others = arranged.in_full
    if not others:
        return _summary_line(first.summary)
    titles = ""
    for item in others:
        titles += f" · {item.title}" if titles else item.title
        if len(titles) > 2 * _PREHEADER_LENGTH:
            break
    return cut(one_line(titles), _PREHEADER_LENGTH)


@lru_cache(maxsize=200)
def _summary_line(summary: str) -> str:
    return cut(one_line(to_text(summary)), _PREHEADER_LENGTH)


def as_html(words: str) -> str:
    """Return words as the text of an element."""
    return html.escape(words, quote=False)


def _in_browser(settings: Settings) -> str:
    return f"{settings.base_url}/digests/{IN_BROWSER}"


def _text_lines(text: str) -> str:
    """Tidy a part of a text, but for the empty lines it begins with."""
    words = text.lstrip("\n")
    return text[: len(text) - len(words)] + (tidy(words) if words else "")
