"""Reading a relay's replies from the octets as they come (RFC 5321, 4.2.1)."""

import re
from collections.abc import Iterator

from alerts_service.errors import AlertsError
from alerts_service.mail.lines import one_line

LONGEST_TEXT = 500
_LONGEST_REPLY = 100_000
_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*?))?\r?", re.DOTALL)
_PLAIN = re.compile(rb"[!-~]+(?: [!-~]+)*")


class NoReply(AlertsError):
    """The relay answers with something that is no reply."""


class Replies:
    """What has come of a reply so far; of several lines, the texts are joined."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[bytes] = []

    def read(self, octets: bytes) -> Iterator[tuple[int, str]]:
        """Yield the code and text of every reply that is now whole. Raises NoReply."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            found = _LINE.fullmatch(line)
            if not found:
                raise NoReply
            code, mark, text = found.groups()
            self._texts.append(text or b"")
            if mark != b"-":
                texts, self._texts = self._texts, []
                yield int(code), clean(b" ".join(texts))
        if len(self._rest) + sum(map(len, self._texts)) > _LONGEST_REPLY:
            raise NoReply


def clean(said: bytes) -> str:
    """Return what a relay said as one line of text."""
    if _PLAIN.fullmatch(said):
        return said[:LONGEST_TEXT].decode("ascii")
    return one_line(said.decode("utf-8", "replace"))[:LONGEST_TEXT]
