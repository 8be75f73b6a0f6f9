"""A stylesheet cut down to what some pages can use. Pure: text in, text out.

A rule stays if every class and element its selector names occurs in the pages. Left and right become start and
end, so that a right-to-left page is the mirror of a left-to-right one. Fonts are the system's own; an image stays
where it is vendored, and is asked for through a function.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import tinycss2
from tinycss2.ast import AtRule, Declaration, Node, QualifiedRule

# What Markdown and every page have, besides what templates name.
ALWAYS = frozenset(
    ["html", "body", "p", "ul", "ol", "li", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "strong", "em"]
)
SYSTEM_FONTS = "system-ui,-apple-system,Segoe UI,Roboto,Helvetica Neue,Arial,sans-serif"
_STATES_WE_HAVE_NOT = re.compile(
    r":disabled|aria-disabled|:indeterminate|data-indeterminate|-webkit-search|-moz-|\[type=(?!email|submit)"
)
_NOT = re.compile(r":not\([^()]*\)")
_PSEUDO = re.compile(r"::?[\w-]+(?:\([^()]*\))?")
_ATTRIBUTE = re.compile(r"\[[^\]]*\]")
_CLASS = re.compile(r"\.((?:\\.|[\w-])+)")
_ELEMENT = re.compile(r"(?<![\w.#\\-])([a-zA-Z][\w-]*)")
_URL = re.compile(r"url\(\"?([^)\"]+)\"?\)")
_PREFIXED = re.compile(r"-(?:webkit|moz|ms)-(?!text-size-adjust)")
# Physical properties and their logical twins (CSS Logical Properties and Values, level 1).
_LOGICAL = {
    "left": "inset-inline-start",
    "right": "inset-inline-end",
    **{
        f"{box}-{side}": f"{box}-inline-{end}"
        for box in ("margin", "padding")
        for side, end in (("left", "start"), ("right", "end"))
    },
    **{
        f"border-{side}{part}": f"border-inline-{end}{part}"
        for side, end in (("left", "start"), ("right", "end"))
        for part in ("", "-color", "-width", "-style")
    },
}
_SIDES = 4


@dataclass(frozen=True)
class Used:
    """What pages name: the elements, and every word that may be a class."""

    elements: frozenset[str]
    words: frozenset[str]

    @classmethod
    def in_templates(cls, templates: Iterable[str]) -> "Used":
        """Collect from the text of templates."""
        text = "\n".join(templates)
        return cls(
            frozenset(re.findall(r"<([a-z][a-z0-9]*)", text)) | ALWAYS,
            frozenset(re.findall(r"[A-Za-z][\w:-]*", text)),
        )

    def selector(self, selector: str) -> bool:
        """Say whether a selector can match anything."""
        if _STATES_WE_HAVE_NOT.search(selector):
            return False
        selector = _NOT.sub("", selector)
        classes = {name.replace("\\", "") for name in _CLASS.findall(selector)}
        bare = _CLASS.sub("", _PSEUDO.sub("", _ATTRIBUTE.sub("", selector)))
        return "#" not in bare and classes <= self.words and set(_ELEMENT.findall(bare)) <= self.elements


def trimmed(sheet: str, used: Used, image: Callable[[str], str]) -> str:
    """Return the rules of a stylesheet that can match; `image` says where the image of an address is served."""
    return "".join(_rules(tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True), used, image))


def with_images(text: str, image: Callable[[str], str]) -> str:
    """Return a text of CSS that asks for its images where they are served."""
    return _URL.sub(lambda found: f"url({image(found[1])})", text)


def _rules(nodes: Iterable[Node], used: Used, image: Callable[[str], str]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, QualifiedRule):
            yield _rule(node, used, image)
        elif isinstance(node, AtRule) and node.content is not None and node.lower_at_keyword in {"media", "supports"}:
            inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
            kept = "".join(_rules(inner, used, image))
            if kept:
                yield f"@{node.at_keyword} {_squeezed(tinycss2.serialize(node.prelude))}{{{kept}}}"


def _rule(rule: QualifiedRule, used: Used, image: Callable[[str], str]) -> str:
    selectors = [part.strip() for part in _parts(_squeezed(tinycss2.serialize(rule.prelude)))]
    kept = [selector for selector in selectors if used.selector(selector)]
    if not kept:
        return ""
    nodes = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
    declared = [_declared(node, image) for node in nodes if isinstance(node, Declaration)]
    body = ";".join(text for text in declared if text)
    return f"{','.join(kept)}{{{body}}}" if body else ""


def _parts(prelude: str) -> list[str]:
    """Part a list of selectors at its commas, but for those within brackets."""
    return re.split(r",(?![^()]*\))", prelude)


def _declared(node: Declaration, image: Callable[[str], str]) -> str:
    value = _squeezed(tinycss2.serialize(node.value))
    if _PREFIXED.match(node.name):
        return ""
    if node.name == "font-family" and "Web" in value:
        value = SYSTEM_FONTS
    name, value = _mirrored(node.lower_name, with_images(value, image))
    return f"{name}:{value}{'!important' if node.important else ''}"


def _mirrored(name: str, value: str) -> tuple[str, str]:
    """Return a declaration that follows the direction of the text."""
    sides = value.split()
    if name in {"margin", "padding"} and len(sides) == _SIDES and sides[1] != sides[3] and "(" not in value:
        top, right, bottom, left = sides
        return name, f"{top} 0 {bottom} 0;{name}-inline:{left} {right}"
    if name in {"text-align", "float", "clear"} and value in {"left", "right"}:
        start, end = ("start", "end") if name == "text-align" else ("inline-start", "inline-end")
        return name, start if value == "left" else end
    return _LOGICAL.get(name, name), value


def _squeezed(text: str) -> str:
    return " ".join(text.split())
