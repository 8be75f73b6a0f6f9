"""Lines of plain text: cleaned, cut at a word, wrapped."""

import re
import textwrap
import unicodedata

WIDTH = 72
SUBJECT_LENGTH = 60
# Control characters, line and paragraph separators, and marks that turn the direction of what follows.
_UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LEAD = re.compile(r"[ ]*(?:(?:>|-|\d+\.)[ ]+)*")


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters: fit for a header."""
    if text.isprintable():
        return " ".join(text.split())
    kept = (" " if unicodedata.category(mark) in _UNPRINTED else mark for mark in text if mark not in _TURNING)
    return " ".join("".join(kept).split())


def cut(text: str, length: int = SUBJECT_LENGTH) -> str:
    """Return `text` in at most `length` characters, ended at a word with an ellipsis where it is cut."""
    if len(text) <= length:
        return text
    head = text[: length - 1]
    if not text[length - 1].isspace():
        head = head[: head.rfind(" ")] if " " in head else head
    return head.rstrip(" ,;:.…–—-(“") + "…"


def tidy(text: str) -> str:
    """Return a text as mail shows it: wrapped, no space at a line's end, two empty lines in a row at most."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return wrapped(re.sub(r"\n{4,}", "\n\n\n", lines)).strip() + "\n"


def wrapped(text: str) -> str:
    """Return `text` wrapped at WIDTH: lists and quotations stay under their mark, addresses whole."""
    return "\n".join(_wrapped(line) for line in text.split("\n"))


def _wrapped(line: str) -> str:
    # Four spaces are code: broken, it would no longer be what was written.
    if len(line) <= WIDTH or line.startswith("    "):
        return line.rstrip()
    lead = _LEAD.match(line)
    mark = lead[0] if lead else ""
    under = "".join(sign if sign in "> " else " " for sign in mark)
    rows = textwrap.wrap(
        line[len(mark) :],
        WIDTH,
        initial_indent=mark,
        subsequent_indent=under,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(rows)
