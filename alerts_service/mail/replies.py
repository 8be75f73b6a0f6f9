"""Reading a relay's replies from the octets as they come (RFC 5321, 4.2.1)."""

import re
from collections.abc import Iterator

from alerts_service.errors import AlertsError
from alerts_service.mail.lines import one_line

LONGEST_TEXT = 500
_LONGEST_REPLY = 100_000
_CODES = range(200, 600)
_PLAIN = re.compile(rb"[!-~]+(?: [!-~]+)*")


class NoReply(AlertsError):
    """The relay answers with something that is no reply."""


class Replies:
    """What has come of a reply so far; of several lines, the texts are joined. `clean` makes words of them."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[bytes] = []

    @property
    def is_clear(self) -> bool:
        """Whether nothing has come of a reply that is not whole."""
        return not (self._rest or self._texts)

    def read(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the code of every reply that is now whole, and what was said with it. Raises NoReply."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            code, mark, text = _code(line), line[3:4], line[4:].removesuffix(b"\r")
            if mark == b"-":
                self._texts.append(text)
            elif self._texts:
                self._texts.append(text)
                texts, self._texts = self._texts, []
                yield code, b" ".join(texts)
            else:
                yield code, text
        if len(self._rest) + sum(map(len, self._texts)) > _LONGEST_REPLY:
            raise NoReply


def _code(line: bytes) -> int:
    code = int(line[:3]) if line[:3].isdigit() else 0
    if code not in _CODES or line[3:4] not in {b" ", b"-", b"\r", b""}:
        raise NoReply
    return code


def clean(said: bytes) -> str:
    """Return what a relay said as one line of text."""
    if _PLAIN.fullmatch(said):
        return said[:LONGEST_TEXT].decode("ascii")
    return one_line(said.decode("utf-8", "replace"))[:LONGEST_TEXT]
