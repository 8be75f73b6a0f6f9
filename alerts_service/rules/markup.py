"""What people write about an update: Markdown in; safe HTML, plain text, or the reasons to refuse it, out.

CommonMark without raw HTML (markdown-it-py), then an allow-list (nh3): two fences, one behind the other.
Links lead to http, https and mailto addresses with a host of their own, or are not links. Images are
shown as links to them under their text: pages load nothing from elsewhere, and mail needs no image.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from alerts_service.rules.markup_text import plain

_TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_SCHEMES = {"http", "https", "mailto"}
_DEEPEST = 6
# Marks that turn the direction of the text around them: they can make an address look like another.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


class _Parser(MarkdownIt):
    """CommonMark that reads every link, so that those it must not lead to can be named."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the base class's name
        return True


_PARSER = _Parser("commonmark", {"html": False})


def to_html(markdown: str, *, top_heading: int = 2) -> str:
    """Return safe HTML. Its highest heading is of level `top_heading`, and none is skipped below it."""
    tokens = _read(markdown)
    _set_headings(tokens, top_heading)
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return nh3.clean(
        str(html),
        tags=_TAGS | _HEADINGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=_SCHEMES,
        url_relative="deny",
        link_rel=None,
    )


def to_text(markdown: str) -> str:
    """Return plain text: one line a paragraph, lists with "-", links as "text (address)"."""
    return plain(_read(markdown))


def problems(markdown: str) -> list[str]:
    """Return, as sentences, why this text cannot be published; nothing, when it can."""
    found = _characters(markdown)
    for token in _PARSER.parse(markdown):
        found += _inline_problems(token.children or [])
    return list(dict.fromkeys(found))


def leads_nowhere(address: str) -> str | None:
    """Return, as the end of a sentence, why a link must not lead to `address`; None when it may."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return "which is not an address"
    if parts.scheme not in _SCHEMES:
        return "but links must begin with https://, http:// or mailto:"
    if parts.scheme == "mailto":
        return None if "@" in parts.path else "which is not an e-mail address"
    if parts.username is not None:
        return "which hides its host behind a user name"
    if not host or "\\" in address or not address.isprintable() or " " in address:
        return "which is not an address"
    return None


def _read(markdown: str) -> list[Token]:
    tokens = _PARSER.parse(_TURNING.sub("", markdown))
    for token in tokens:
        if token.children:
            token.children = list(_sound(token.children))
    return tokens


def _sound(children: Sequence[Token]) -> Iterator[Token]:
    """Yield inline tokens with images as links, links without text named, and unsafe links as their text."""
    linked = dropped = False
    for index, token in enumerate(children):
        if token.type == "link_open":
            dropped = leads_nowhere(str(token.attrs["href"])) is not None
            linked = not dropped
            if linked:
                yield token
            if children[index + 1].type == "link_close":
                yield _text(str(token.attrs["href"]))
        elif token.type == "link_close":
            if not dropped:
                yield token
            linked = dropped = False
        elif token.type == "image":
            yield from _pictured(token, linked=linked)
        else:
            yield token


def _pictured(image: Token, *, linked: bool) -> Iterator[Token]:
    address = str(image.attrs["src"])
    words = _text(_words(image.children) or address)
    if linked or leads_nowhere(address):
        yield words
        return
    yield Token("link_open", "a", 1, attrs={"href": address})
    yield words
    yield Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _words(children: Sequence[Token] | None) -> str:
    return "".join(child.content for child in children or []).strip()


def _set_headings(tokens: list[Token], top: int) -> None:
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    levels = {tag: f"h{min(_DEEPEST, top + rank)}" for rank, tag in enumerate(used)}
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = levels[token.tag]


def _characters(markdown: str) -> list[str]:
    controls = any(unicodedata.category(mark) == "Cc" and mark not in "\t\n\r" for mark in markdown)
    if controls or _TURNING.search(markdown):
        return ["The text holds invisible control characters; remove them."]
    return []


def _inline_problems(children: Sequence[Token]) -> list[str]:
    found = []
    for index, token in enumerate(children):
        if token.type == "image":
            found += _image_problems(token)
        elif token.type == "link_open":
            end = next(at for at in range(index, len(children)) if children[at].type == "link_close")
            found += _link_problems(str(token.attrs["href"]), _words(children[index + 1 : end]))
    return found


def _image_problems(image: Token) -> list[str]:
    address = str(image.attrs["src"])
    if not _words(image.children):
        return [f"The image “{address}” has no text that says what it shows; write ![text](address)."]
    wrong = leads_nowhere(address)
    return [f"The image “{_words(image.children)}” is at “{address}”, {wrong}."] if wrong else []


def _link_problems(address: str, words: str) -> list[str]:
    wrong = leads_nowhere(address)
    if wrong:
        return [f"The link “{words or address}” leads to “{address}”, {wrong}."]
    if not words:
        return [f"The link to “{address}” has no text; write [text](address)."]
    shown = re.match(r"https?://([^/\s?#]+)", words)
    if shown and shown[1].casefold() != (urlsplit(address).hostname or "").casefold():
        return [f"The link “{words}” leads to another place: “{address}”."]
    return []
