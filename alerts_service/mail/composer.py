"""A digest's stencil, joined of parts that are rendered, inlined and encoded once for all the digests that hold them.

An edition to many people makes tens of thousands of digests of a few hundred updates. A composer keeps what it
has encoded, up to a number of parts, by everything that the part shows: an update whose words have changed is
another part, so that nothing outdated can be found.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from alerts_service.config import Settings
from alerts_service.mail import digests, encode
from alerts_service.mail.digests import PARTS, PREHEADER, SUBJECT, Part
from alerts_service.mail.encode import EncodingRefused, Frame, Stencil
from alerts_service.mail.items import DigestContent, arrange
from alerts_service.mail.places import IN_BROWSER, Pieces, joined

KEPT = 2000


@dataclass(frozen=True)
class _Encoded:
    text: Pieces
    html: Pieces


@dataclass(frozen=True, eq=False)
class _Page:
    """What stands around the parts; the lines of title and preheader are words still, with SUBJECT and PREHEADER."""

    frame: Frame
    text_top: Pieces
    text_foot: Pieces
    html_to_title: Pieces
    title: str
    html_to_preheader: Pieces
    preheader: str
    html_top: Pieces
    html_foot: Pieces


class Composer:
    """Makes stencils of digests for one process. Memory: `kept` parts at most, of a few kilobytes each."""

    def __init__(self, settings: Settings, *, kept: int = KEPT) -> None:
        self._settings = settings
        self._part = lru_cache(maxsize=kept)(self._encoded)
        self._page = lru_cache(maxsize=32)(self._encoded_page)
        self._subject = lru_cache(maxsize=kept)(self._encoded_subject)

    def stencil(self, content: DigestContent) -> Stencil:
        """Return the stencil of a digest: the same bytes as encode.stencil makes of the words of digests.digest.

        Raises EncodingRefused if a part of it cannot be encoded as the standard library would.
        """
        if len(content.token) != len(IN_BROWSER):
            raise EncodingRefused(reason="a token does not fit its place.")
        locale = content.locale
        arranged = arrange(content.items)
        page = self._page(content.frequency, locale)
        leading = digests.leading(content, arranged)
        subject, title = self._subject(page, content.frequency, len(content.items), leading, locale)
        preheader = page.preheader.replace(PREHEADER, digests.as_html(digests.preheader(arranged)))
        found = [self._part(part, locale) for part in digests.parts(arranged, content)]
        text = chain(page.text_top, *(part.text for part in found), page.text_foot)
        html = chain(
            page.html_to_title,
            (title,),
            page.html_to_preheader,
            (encode.quoted(preheader),),
            page.html_top,
            *(part.html for part in found),
            page.html_foot,
        )
        return Stencil(joined(page.frame.around(subject, text, html), in_browser=content.token.encode()))

    def _encoded(self, part: Part, locale: str) -> _Encoded:
        found = digests.lines(part, locale, self._settings)
        return _Encoded(encode.lines(found.text), encode.lines(found.html))

    def _encoded_subject(self, page: _Page, frequency: str, count: int, first: str, locale: str) -> tuple[bytes, bytes]:
        """Return the lines of the Subject header and of the page's title."""
        subject = digests.subject_of(frequency, count, first, locale, self._settings)
        return encode.subject_line(subject), encode.quoted(page.title.replace(SUBJECT, digests.as_html(subject)))

    def _encoded_page(self, frequency: str, locale: str) -> _Page:
        settings = self._settings
        found = digests.page(frequency, locale, settings)
        text_top, _, text_foot = _around(found.text, PARTS)
        to_title, title, rest = _around(found.html, SUBJECT)
        to_preheader, preheader, rest = _around(rest, PREHEADER)
        top, _, foot = _around(rest, PARTS)
        return _Page(
            encode.frame("digest", locale, settings=settings, list_mail=True, from_address=settings.from_address),
            encode.lines(text_top),
            encode.lines(text_foot),
            encode.lines(to_title),
            title,
            encode.lines(to_preheader),
            preheader,
            encode.lines(top),
            encode.lines(foot),
        )


def _around(lines: str, mark: str) -> tuple[str, str, str]:
    """Return the lines before the one with a mark, that line, and the lines after it."""
    before, _, after = lines.partition(mark)
    start = before.rfind("\n") + 1
    end = len(before) + len(mark) + after.index("\n") + 1
    return lines[:start], lines[start:end], lines[end:]
