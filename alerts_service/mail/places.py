"""What differs by recipient: placeholders in words, and their places in bytes.

A placeholder is as long as what is filled in, and made of letters and digits, which no encoding changes. What
is filled in passes through quoted-printable unchanged, too: tokens of letters, digits, "-" and "_" in the bodies,
whole values in headers that are never folded. A soft line break may fall inside a token (RFC 2045, 6.7); then
the token is filled in by slices.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Nobody who writes an update can know them: a reader's token cannot be drawn into a link of their making.
UNSUBSCRIBE = secrets.token_hex(18)
PREFERENCES = secrets.token_hex(16)
# The token of a digest's page: the same for all its recipients.
IN_BROWSER = secrets.token_hex(16)
ADDRESS = f"{secrets.token_hex(16)}@placeholder.invalid"
MESSAGE_ID = f"{secrets.token_hex(16)}@placeholder.invalid"
DATE = secrets.token_hex(16)
VALUES = (ADDRESS, MESSAGE_ID, DATE, UNSUBSCRIBE, PREFERENCES, IN_BROWSER)

# A second set, to prove with: the tokens are of the characters that an encoding is likeliest to touch.
OTHERS = (
    "reader@example.org",
    "other@example.org",
    "Tue, 08 Dec 2026 09:00:00 +0000",
    "-_" * (len(UNSUBSCRIBE) // 2),
    "_-" * (len(PREFERENCES) // 2),
    "--__" * (len(IN_BROWSER) // 4),
)

_SOFT_BREAK = b"=\r\n"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a part of one of the values; `value` is its index in VALUES."""

    value: int
    part: slice


Piece = bytes | Slot
Pieces = tuple[Piece, ...]

_PLACES = re.compile(
    b"|".join(
        b"(" + b"(?:=\r\n)?".join(re.escape(bytes([octet])) for octet in value.encode()) + b")" for value in VALUES
    )
)


def cut(encoded: bytes) -> Pieces:
    """Cut at the placeholders, and at the soft line breaks inside them."""
    return tuple(piece for piece in _cut(encoded) if piece)


def _cut(encoded: bytes) -> Iterator[Piece]:
    end = 0
    for place in _PLACES.finditer(encoded):
        yield encoded[end : place.start()]
        assert place.lastindex is not None
        at = 0
        for number, part in enumerate(place[0].split(_SOFT_BREAK)):
            if number:
                yield _SOFT_BREAK
            whole = part == place[0]
            yield Slot(place.lastindex - 1, slice(None) if whole else slice(at, at + len(part)))
            at += len(part)
        end = place.end()
    yield encoded[end:]


def joined(pieces: Iterable[Piece], *, in_browser: bytes | None = None) -> Pieces:
    """Make one of the bytes that follow each other. `in_browser` is filled in, where it is given."""
    found: list[Piece] = []
    literal: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            literal.append(piece)
        elif in_browser is not None and piece.value == _IN_BROWSER:
            literal.append(in_browser[piece.part])
        else:
            found += b"".join(literal), piece
            literal.clear()
    return (*found, b"".join(literal))


_IN_BROWSER = VALUES.index(IN_BROWSER)


def filled(pieces: Iterable[Piece], values: Sequence[str]) -> bytes:
    """Fill in the values, which stand in the order of VALUES."""
    return b"".join(piece if isinstance(piece, bytes) else values[piece.value].encode()[piece.part] for piece in pieces)


def with_others(words: str) -> str:
    """Return words with the second set in place of the placeholders."""
    for placeholder, other in zip(VALUES, OTHERS, strict=True):
        words = words.replace(placeholder, other)
    return words
