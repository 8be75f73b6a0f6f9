"""Bytes once for all recipients: words become a stencil, which is filled for each of them.

A stencil is the standard library's serialisation (RFC 5322, 2045-2049) of a message with placeholders, cut at
the placeholders (alerts_service.mail.places). Each is checked, when it is made, against the standard library
with a second set of values, byte for byte.

A digest's stencil is joined of parts that many digests share. Each part is proven once, which proves all that is
joined of them: a part is whole lines, and quoted-printable knows nothing beyond a line. Every line is encoded by
itself (a soft line break ends within the line it began in, and a space is judged by the line's own end), so that
the encoding of lines joined is the encodings joined. The same holds for header fields, each of which is
serialised by itself, and for the dots that SMTP doubles at the start of a line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email import quoprimime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from alerts_service.config import Settings
from alerts_service.errors import AlertsError
from alerts_service.mail import links
from alerts_service.mail.headers import Mailbox, Sentence, Verbatim
from alerts_service.mail.places import (
    ADDRESS,
    DATE,
    MESSAGE_ID,
    OTHERS,
    PREFERENCES,
    UNSUBSCRIBE,
    VALUES,
    Piece,
    Pieces,
    Slot,
    cut,
    filled,
    with_others,
)

# RFC 2045, 6.7: a line of quoted-printable has at most 76 characters.
_LINE = 76
_LONGEST_LINE = 998
_CRLF = "\r\n"
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

# What may be filled in: address, Message-ID, date and two tokens, one a line. An address was read by
# rules.addresses; this is the last fence before a header.
_FILLED_IN = re.compile(
    r"[^\s\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\]]{1,64}@[A-Za-z0-9.-]{1,253}\n"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,253}\n"
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}\n"
    r"[A-Za-z0-9_-]*\n[A-Za-z0-9_-]*"
)
# RFC 5321, 4.5.2.
_LEADING_DOT = re.compile(rb"\n\.")
_UNSUBSCRIBE_LENGTH, _PREFERENCES_LENGTH = len(UNSUBSCRIBE), len(PREFERENCES)


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


class Stencil:
    """A message's bytes with places for what differs by recipient."""

    __slots__ = ("_for_data", "_places", "_plain", "_prefers", "_unsubscribes")

    def __init__(self, pieces: Pieces) -> None:
        self._plain = [b"" if isinstance(piece, Slot) else piece for piece in pieces]
        # No value begins a line with a dot, and none ends one.
        self._for_data = [_LEADING_DOT.sub(b"\n..", piece) for piece in self._plain]
        self._places = [(at, piece.value, piece.part) for at, piece in enumerate(pieces) if isinstance(piece, Slot)]
        values = {VALUES[value] for _, value, _ in self._places}
        self._unsubscribes, self._prefers = UNSUBSCRIBE in values, PREFERENCES in values

    def fill(
        self, *, address: str, message_id: str, date: datetime, unsubscribe: str = "", preferences: str = ""
    ) -> bytes:
        """Return the message for one recipient: lines end with CRLF, dots are not yet doubled for SMTP.

        `date` is aware; `message_id` comes without angle brackets. Only a local part that is not ASCII
        makes the bytes anything but ASCII (RFC 6532). Raises EncodingRefused for a value that does not fit.
        """
        return self._filled(self._plain, address, message_id, date_text(date), unsubscribe, preferences)

    def for_data(
        self, *, address: str, message_id: str, date: str, unsubscribe: str = "", preferences: str = ""
    ) -> bytes:
        """Return the message as it follows SMTP's DATA, its dots doubled: only the final dot is to come.

        `date` is `date_text`'s; the rest is as in `fill`.
        """
        return self._filled(self._for_data, address, message_id, date, unsubscribe, preferences)

    def _filled(
        self, literals: list[bytes], address: str, message_id: str, date: str, unsubscribe: str, preferences: str
    ) -> bytes:
        if not self._unsubscribes:
            unsubscribe = ""
        elif len(unsubscribe) != _UNSUBSCRIBE_LENGTH:
            raise EncodingRefused(reason="a token does not fit its place.")
        if not self._prefers:
            preferences = ""
        elif len(preferences) != _PREFERENCES_LENGTH:
            raise EncodingRefused(reason="a token does not fit its place.")
        lines = f"{address}\n{message_id}\n{date}\n{unsubscribe}\n{preferences}"
        if not _FILLED_IN.fullmatch(lines):
            raise EncodingRefused(reason="an address, a Message-ID, a date or a token is not one.")
        values = lines.encode().split(b"\n")
        pieces = literals.copy()
        for at, value, part in self._places:
            pieces[at] = values[value][part]
        return b"".join(pieces)


def date_text(moment: datetime) -> str:
    """Return an aware moment as a Date header says it (RFC 5322, 3.3), to the second."""
    return format_datetime(moment)


def stencil(words: Words, *, settings: Settings, list_mail: bool, from_address: str) -> Stencil:
    """Encode a mail once. `list_mail` adds the headers of list mail (RFC 2369, 2919, 8058).

    Raises EncodingRefused when what would be sent is not, byte for byte, what the standard library
    makes of the same words with other values in their places.
    """
    return Stencil(_whole(words, list(_headers(words, settings, list_mail=list_mail, from_address=from_address))))


def _whole(words: Words, headers: _Headers) -> Pieces:
    pieces = cut(_serialised(words, headers))
    others = replace(words, text=with_others(words.text), html=with_others(words.html))
    made = filled(pieces, OTHERS)
    if made != _serialised(others, [(name, with_others(value)) for name, value in headers]):
        raise EncodingRefused(reason="splicing does not give what the standard library serialises.")
    if any(len(line) > _LONGEST_LINE for line in made.split(b"\r\n")):
        raise EncodingRefused(reason=f"a line is longer than {_LONGEST_LINE} octets.")
    return pieces


_SUBJECT_MARK, _TEXT_MARK, _HTML_MARK = "subject--", "text--", "html--"
_MARKS = re.compile(rf"Subject: {_SUBJECT_MARK}\r\n|{_TEXT_MARK}\r\n|{_HTML_MARK}\r\n".encode())


@dataclass(frozen=True)
class Frame:
    """A message without its words: what stands before the Subject, before each of the two bodies, and last."""

    head: Pieces
    to_text: Pieces
    to_html: Pieces
    foot: Pieces

    def around(self, subject: bytes, text: Iterable[Piece], html: Iterable[Piece]) -> Iterator[Piece]:
        """Put the words in: a `subject_line`, and bodies of `lines`."""
        yield from self.head
        yield subject
        yield from self.to_text
        yield from text
        yield from self.to_html
        yield from html
        yield from self.foot


def frame(kind: str, locale: str, *, settings: Settings, list_mail: bool, from_address: str) -> Frame:
    """Encode, and prove, what all mails of a kind and language have in common. Raises EncodingRefused."""
    words = Words(kind, locale, _SUBJECT_MARK, f"{_TEXT_MARK}\n", f"{_HTML_MARK}\n")
    headers = list(_headers(words, settings, list_mail=list_mail, from_address=from_address))
    sections: list[list[Piece]] = [[]]
    for piece in _whole(words, headers):
        if isinstance(piece, Slot):
            sections[-1].append(piece)
        else:
            first, *others = _MARKS.split(piece)
            sections[-1].append(first)
            sections += ([other] for other in others)
    return Frame(*map(tuple, sections))


def subject_line(subject: str) -> bytes:
    """Return the Subject header as the standard library serialises it. Raises EncodingRefused."""
    message = EmailMessage(policy=_POLICY)
    try:
        message["Subject"] = subject
        return message.as_bytes().removesuffix(b"\r\n")
    except ValueError as error:
        raise EncodingRefused(reason=f"{error}.") from None


def lines(words: str) -> Pieces:
    """Encode, cut and prove whole lines of a body, to be joined with others. Raises EncodingRefused.

    None make no lines; the last needs no line end.
    """
    if not words:
        return ()
    pieces = cut(quoted(words))
    message = EmailMessage(policy=_POLICY)
    message.set_content(with_others(words), cte="quoted-printable")
    if filled(pieces, OTHERS) != message.as_bytes().partition(b"\r\n\r\n")[2]:
        raise EncodingRefused(reason="joining does not give what the standard library serialises.")
    return pieces


def quoted(words: str) -> bytes:
    """Return whole lines of a body as quoted-printable, by the standard library's hand. Raises EncodingRefused."""
    try:
        octets = words.encode()
    except UnicodeEncodeError as error:
        raise EncodingRefused(reason=f"{error}.") from None
    body = "".join(f"{line.decode('latin-1')}\n" for line in octets.splitlines())
    return quoprimime.body_encode(body, _LINE, _CRLF).encode("ascii")


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
    yield "To", ADDRESS
    yield "Subject", words.subject
    yield "Date", DATE
    yield "Message-ID", f"<{MESSAGE_ID}>"
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
