"""Bytes once for all recipients: words become a stencil, which is filled for each of them.

A stencil is the standard library's serialisation (RFC 5322, 2045-2049) of a message with placeholders,
cut at the placeholders. What is filled in passes through the encoding unchanged: fixed-length tokens of
letters, digits, "-" and "_" in the bodies, whole values in headers that are never folded. A soft line
break of quoted-printable may fall inside a token; then the token is filled in by slices. Each stencil is
checked, when it is made, against the standard library with a second set of values, byte for byte.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from alerts_service.config import Settings
from alerts_service.errors import AlertsError
from alerts_service.mail import links
from alerts_service.mail.headers import Mailbox, Sentence, Verbatim

# Nobody who writes an update can know them: a reader's token cannot be drawn into a link of their making.
UNSUBSCRIBE = secrets.token_hex(18)
PREFERENCES = secrets.token_hex(16)
_ADDRESS = f"{secrets.token_hex(16)}@placeholder.invalid"
_MESSAGE_ID = f"{secrets.token_hex(16)}@placeholder.invalid"
_DATE = secrets.token_hex(16)

# RFC 2045, 6.7: a line of quoted-printable has at most 76 characters.
_LINE = 76
_LONGEST_LINE = 998
# "=_" cannot stand in quoted-printable, so no body contains it (RFC 2046, 5.1.1).
_BOUNDARY = "=_part_of_an_e-alert"
_SENDER_ID_LENGTH = 15

_VERBATIM = ("To", "Message-ID", "Date", "Feedback-ID")
_LIST_HEADERS = ("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help")
_REGISTRY = HeaderRegistry()
for _name in (*_VERBATIM, *_LIST_HEADERS):
    _REGISTRY.map_to_type(_name, Verbatim)
for _name in ("From", "Reply-To"):
    _REGISTRY.map_to_type(_name, Mailbox)
_REGISTRY.map_to_type("Subject", Sentence)
_Headers = Sequence[tuple[str, str]]
_POLICY = SMTP.clone(header_factory=_REGISTRY, max_line_length=_LINE)

# What may be filled in. An address was read by rules.addresses; this is the last fence before a header.
_ADDRESS_FORM = re.compile(r"[^\s\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\]]{1,64}@[A-Za-z0-9.-]{1,253}")
_MESSAGE_ID_FORM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,253}")
_TOKEN_FORM = re.compile(r"[A-Za-z0-9_-]*")


class EncodingRefused(AlertsError):
    """The message cannot be encoded: {reason}"""


@dataclass(frozen=True)
class Words:
    """What a mail says: `kind` is its folder's name, `locale` its language."""

    kind: str
    locale: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class _Slot:
    """A place for a part of one of the values."""

    value: int
    part: slice


@dataclass(frozen=True)
class Stencil:
    """A message's bytes with places for what differs by recipient."""

    pieces: tuple[bytes | _Slot, ...]
    unsubscribes: bool
    prefers: bool

    def fill(
        self, *, address: str, message_id: str, date: datetime, unsubscribe: str = "", preferences: str = ""
    ) -> bytes:
        """Return the message for one recipient: lines end with CRLF, dots are not yet doubled for SMTP.

        `date` is aware; `message_id` comes without angle brackets. Only a local part that is not ASCII
        makes the bytes anything but ASCII (RFC 6532). Raises EncodingRefused for a value that does not fit.
        """
        if not _ADDRESS_FORM.fullmatch(address) or not _MESSAGE_ID_FORM.fullmatch(message_id):
            raise EncodingRefused(reason="an address or a Message-ID is not one.")
        if self.unsubscribes:
            _check_token(unsubscribe, UNSUBSCRIBE)
        if self.prefers:
            _check_token(preferences, PREFERENCES)
        filled = (address, message_id, format_datetime(date), unsubscribe, preferences)
        values = [value.encode("utf-8") for value in filled]
        return b"".join(piece if isinstance(piece, bytes) else values[piece.value][piece.part] for piece in self.pieces)


def stencil(words: Words, *, settings: Settings, list_mail: bool, from_address: str) -> Stencil:
    """Encode a mail once. `list_mail` adds the headers of list mail (RFC 2369, 2919, 8058).

    Raises EncodingRefused when what would be sent is not, byte for byte, what the standard library
    makes of the same words with other values in their places.
    """
    headers = list(_headers(words, settings, list_mail=list_mail, from_address=from_address))
    pieces = tuple(_cut(_serialised(words, headers)))
    values = {piece.value for piece in pieces if isinstance(piece, _Slot)}
    made = Stencil(pieces, _VALUES.index(UNSUBSCRIBE) in values, _VALUES.index(PREFERENCES) in values)
    _prove(made, words, headers)
    return made


_VALUES = (_ADDRESS, _MESSAGE_ID, _DATE, UNSUBSCRIBE, PREFERENCES)
_SOFT_BREAK = b"=\r\n"
_PLACES = re.compile(
    b"|".join(
        b"(" + b"(?:=\r\n)?".join(re.escape(bytes([octet])) for octet in value.encode()) + b")" for value in _VALUES
    )
)


def _cut(message: bytes) -> Iterator[bytes | _Slot]:
    """Cut at the placeholders, and at the soft line breaks inside them."""
    end = 0
    for place in _PLACES.finditer(message):
        yield message[end : place.start()]
        assert place.lastindex is not None
        at = 0
        for number, part in enumerate(place[0].split(_SOFT_BREAK)):
            if number:
                yield _SOFT_BREAK
            whole = part == place[0]
            yield _Slot(place.lastindex - 1, slice(None) if whole else slice(at, at + len(part)))
            at += len(part)
        end = place.end()
    yield message[end:]


# The second set: the characters of tokens that an encoding is likeliest to touch.
_OTHER_TOKENS = {UNSUBSCRIBE: "-_" * (len(UNSUBSCRIBE) // 2), PREFERENCES: "_-" * (len(PREFERENCES) // 2)}
_OTHER_ADDRESS = "reader@example.org"
_OTHER_MESSAGE_ID = "other@example.org"
_OTHER_DATE = datetime.fromisoformat("2026-12-08T09:00:00+00:00")
_OTHER_VALUES = {
    **_OTHER_TOKENS,
    _ADDRESS: _OTHER_ADDRESS,
    _MESSAGE_ID: _OTHER_MESSAGE_ID,
    _DATE: format_datetime(_OTHER_DATE),
}


def _prove(made: Stencil, words: Words, headers: _Headers) -> None:
    filled = made.fill(
        address=_OTHER_ADDRESS,
        message_id=_OTHER_MESSAGE_ID,
        date=_OTHER_DATE,
        unsubscribe=_OTHER_TOKENS[UNSUBSCRIBE],
        preferences=_OTHER_TOKENS[PREFERENCES],
    )
    others = replace(words, text=_with_others(words.text), html=_with_others(words.html))
    if filled != _serialised(others, [(name, _with_others(value)) for name, value in headers]):
        raise EncodingRefused(reason="splicing does not give what the standard library serialises.")
    if any(len(line) > _LONGEST_LINE for line in filled.split(b"\r\n")):
        raise EncodingRefused(reason=f"a line is longer than {_LONGEST_LINE} octets.")


def _with_others(text: str) -> str:
    for placeholder, other in _OTHER_VALUES.items():
        text = text.replace(placeholder, other)
    return text


def _serialised(words: Words, headers: _Headers) -> bytes:
    message = EmailMessage(policy=_POLICY)
    try:
        for name, value in headers:
            message[name] = value
        message.set_content(words.text, cte="quoted-printable")
        message.add_alternative(words.html, subtype="html", cte="quoted-printable")
        message.set_boundary(_BOUNDARY)
        return message.as_bytes()
    except ValueError as error:
        raise EncodingRefused(reason=f"{error}.") from None


def _headers(words: Words, settings: Settings, *, list_mail: bool, from_address: str) -> Iterator[tuple[str, str]]:
    yield "From", from_address
    yield "To", _ADDRESS
    yield "Subject", words.subject
    yield "Date", _DATE
    yield "Message-ID", f"<{_MESSAGE_ID}>"
    if settings.reply_to:
        yield "Reply-To", settings.reply_to
    yield "Auto-Submitted", "auto-generated"
    if list_mail:
        yield from _list_headers(words, settings)


def _list_headers(words: Words, settings: Settings) -> Iterator[tuple[str, str]]:
    yield "List-Id", f"<e-alerts.{settings.mail_domain}>"
    yield "List-Unsubscribe", f"<{settings.base_url}/unsubscribe/{UNSUBSCRIBE}>"
    yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    yield "List-Help", f"<{links.contact(settings)}>"
    # Gmail's feedback loop: up to three identifiers of ours, then one of the sender, 5 to 15 characters.
    sender = f"{settings.mail_domain.replace('.', '-')}-alerts"[:_SENDER_ID_LENGTH]
    yield "Feedback-ID", f"{words.kind}:{words.locale}:e-alerts:{sender}"


def _check_token(token: str, placeholder: str) -> None:
    if len(token) != len(placeholder) or not _TOKEN_FORM.fullmatch(token):
        raise EncodingRefused(reason="a token does not fit its place.")
