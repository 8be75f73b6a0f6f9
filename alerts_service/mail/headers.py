"""Headers as we write them: never folded, or encoded by our own hand (RFC 5322, 2.2.3; RFC 2047).

The standard library folds a long List-Unsubscribe or Feedback-ID by making it an encoded word, which no
program reads as an address, and reads a subject such as “=?utf-8?q?…?=” as if it were encoded, line
breaks and all. These classes take a value as it is.
"""

from email.header import Header
from email.headerregistry import BaseHeader, UnstructuredHeader
from email.policy import Policy
from email.utils import formataddr, parseaddr
from typing import Any

_LINE = 76


class Verbatim(UnstructuredHeader, BaseHeader):
    """A header of ASCII made by us, on one line, whatever its length."""

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Keep the value as it is."""
        kwds["parse_tree"] = None
        kwds["decoded"] = value

    def fold(self, *, policy: Policy) -> str:
        """Return the header's one line."""
        return f"{self.name}: {self}{policy.linesep}"


class Sentence(Verbatim):
    """A header of words: encoded where they are not ASCII, or look as if they were encoded already."""

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines."""
        return f"{self.name}: {_encoded(str(self), self.name, policy)}{policy.linesep}"


class Mailbox(Verbatim):
    """A mailbox: a name, which may be in any script, and an address in ASCII."""

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines; after an encoded name the address stands on a line of its own."""
        words, address = parseaddr(str(self))
        if words.isascii() and "=?" not in words:
            return f"{self.name}: {formataddr((words, address))}{policy.linesep}"
        encoded = _encoded(words, self.name, policy)
        return f"{self.name}: {encoded}{policy.linesep} <{address}>{policy.linesep}"


def _encoded(words: str, name: str, policy: Policy) -> str:
    if words.isascii() and "=?" not in words:
        return words
    return Header(words, "utf-8", maxlinelen=_LINE, header_name=name).encode(linesep=policy.linesep)
