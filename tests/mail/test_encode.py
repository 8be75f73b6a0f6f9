"""Bytes once for all recipients: what is spliced is what the standard library would have written."""

import dataclasses
import email
import email.policy
import re
import string
from collections.abc import Callable
from datetime import timedelta
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alerts_service.config import Settings
from alerts_service.mail import digests, encode, places
from alerts_service.mail.encode import EncodingRefused, Words, stencil
from alerts_service.mail.items import DigestContent, Item
from alerts_service.mail.lines import one_line
from alerts_service.mail.places import OTHERS, PREFERENCES, UNSUBSCRIBE, VALUES
from tests.conftest import START

Make = Callable[..., Item]
TOKEN_MARKS = string.ascii_letters + string.digits + "-_"
UNSUBSCRIBES = st.text(alphabet=TOKEN_MARKS, min_size=36, max_size=36)
PREFERS = st.text(alphabet=TOKEN_MARKS, min_size=32, max_size=32)


def words(**changes: str) -> Words:
    said = {"kind": "digest", "locale": "en", "subject": "A title", "text": "Text.\n", "html": "<p>Text.</p>\n"}
    return Words(**(said | changes))


def encoded(
    said: Words,
    settings: Settings,
    *,
    address: str = "reader@example.org",
    list_mail: bool = True,
    unsubscribe: str = "u" * 36,
    preferences: str = "p" * 32,
) -> bytes:
    made = stencil(said, settings=settings, list_mail=list_mail, from_address=settings.from_address)
    return made.fill(
        address=address, message_id="abc@care.example.org", date=START, unsubscribe=unsubscribe, preferences=preferences
    )


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def part(message: EmailMessage, subtype: str) -> str:
    found = message.get_body((subtype,))
    assert found is not None
    assert not found.defects
    return str(found.get_content()).replace("\r\n", "\n")


@given(UNSUBSCRIBES, PREFERS, st.integers(0, 80))
@hypothesis_settings(deadline=None)
def test_every_token_stands_whole_where_it_belongs(settings: Settings, unsubscribe: str, preferences: str, offset: int):
    # The offset moves the links over the line's end, so that soft breaks fall everywhere inside the tokens.
    lead = "é" * (offset % 7) + "x" * offset
    said = words(
        text=f"{lead}https://a.org/unsubscribe/{UNSUBSCRIBE} {lead}https://a.org/preferences/{PREFERENCES}\n",
        html=f'<p>{lead}<a href="https://a.org/unsubscribe/{UNSUBSCRIBE}">x</a>{lead}{PREFERENCES}{UNSUBSCRIBE}</p>\n',
    )
    raw = encoded(said, settings, unsubscribe=unsubscribe, preferences=preferences)
    message = parsed(raw)
    for subtype, wanted in (("plain", said.text), ("html", said.html)):
        assert part(message, subtype) == wanted.replace(UNSUBSCRIBE, unsubscribe).replace(PREFERENCES, preferences)
    assert message["List-Unsubscribe"] == f"<https://alerts.example.org/unsubscribe/{unsubscribe}>"
    assert UNSUBSCRIBE.encode() not in raw
    assert all(len(line) <= 76 for line in raw.partition(b"\r\n\r\n")[2].split(b"\r\n"))


@given(st.text(max_size=300), st.text(max_size=300))
@hypothesis_settings(deadline=None)
def test_both_parts_come_back_as_they_were_written(settings: Settings, text: str, html: str):
    # A mail's lines end where the standard library's do; other line ends are content.
    text, html = (re.sub(r"\r\n?", "\n", said).encode("utf-8", "replace").decode() for said in (text, html))
    message = parsed(encoded(words(text=text + "\n", html=html + "\n"), settings))
    assert part(message, "plain") == text + "\n"
    assert part(message, "html") == html + "\n"


@given(st.text(max_size=60))
@hypothesis_settings(deadline=None)
def test_every_title_comes_back_as_the_subject(settings: Settings, title: str):
    subject = one_line(title)
    message = parsed(encoded(words(subject=subject), settings))
    assert message["Subject"] == subject


def test_every_header_of_list_mail_is_there_once(settings: Settings):
    answering = dataclasses.replace(settings, reply_to="Desk <desk@care.example.org>")
    message = parsed(encoded(words(), answering))
    assert dict(message.items()) == {
        "From": "Resources for Integrated Care <alerts@care.example.org>",
        "To": "reader@example.org",
        "Subject": "A title",
        "Date": "Mon, 30 Nov 2026 12:00:00 +0000",
        "Message-ID": "<abc@care.example.org>",
        "Reply-To": "Desk <desk@care.example.org>",
        "Auto-Submitted": "auto-generated",
        "List-Id": "<e-alerts.care.example.org>",
        "List-Unsubscribe": f"<https://alerts.example.org/unsubscribe/{'u' * 36}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Help": "<https://care.example.org/contact>",
        "Feedback-ID": "digest:en:e-alerts:care-example-or",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="=_part_of_an_e-alert"',
    }
    assert len(message.keys()) == len(set(message.keys()))


def test_mail_to_one_person_has_no_header_of_list_mail(settings: Settings):
    message = parsed(encoded(words(), settings, list_mail=False))
    assert not [name for name in message if name.startswith(("List-", "Feedback-"))]
    assert message["Auto-Submitted"] == "auto-generated"


def test_the_date_is_the_moment_given(settings: Settings):
    message = parsed(encoded(words(), settings))
    assert parsedate_to_datetime(message["Date"]) == START


def test_a_long_one_click_address_stays_on_one_line_and_is_not_encoded(settings: Settings):
    long = dataclasses.replace(settings, base_url="https://alerts.example.org/" + "deep/" * 40 + "in")
    raw = encoded(words(), long)
    line = next(line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe:"))
    assert line == f"List-Unsubscribe: <{long.base_url}/unsubscribe/{'u' * 36}>".encode()
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]


def test_bodies_are_quoted_printable_whatever_they_hold(settings: Settings):
    message = parsed(encoded(words(text="áéíóú ñ 汉字\n" * 20, html="<p>汉字</p>\n"), settings))
    assert [part["Content-Transfer-Encoding"] for part in message.iter_parts()] == ["quoted-printable"] * 2
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_a_name_in_another_script_is_encoded_and_reads_back(settings: Settings):
    name = "Recursos para la atención integrada de los beneficiarios de Medicare y Medicaid"
    named = dataclasses.replace(settings, from_address=f"{name} <alerts@care.example.org>")
    raw = encoded(words(subject="Una mirada de cerca: el modelo de atención de un plan…"), named)
    assert parsed(raw)["From"].addresses[0].addr_spec == "alerts@care.example.org"
    # The older decoder: the newer one of Python 3.11 reads a space between two encoded words (RFC 2047, 6.2).
    header = raw.decode().partition("\r\nTo:")[0].removeprefix("From: ").replace("\r\n", "")
    encoded_name, _ = parseaddr(header)
    assert str(make_header(decode_header(encoded_name))) == name
    assert all(len(line) <= 76 for line in raw.split(b"\r\n") if b"=?" in line)
    raw.decode("ascii")


def test_a_name_with_a_comma_is_one_mailbox(settings: Settings):
    named = dataclasses.replace(settings, from_address='"Care, Integrated" <alerts@care.example.org>')
    assert parsed(encoded(words(), named))["From"].addresses[0].display_name == "Care, Integrated"


@pytest.mark.parametrize(
    "title", ["=?utf-8?q?a=0D=0ABcc=3A_x=40example.org?=", "=?utf-8?b?YQ0KQmNjOiB4QGV4YW1wbGUub3Jn?="]
)
def test_a_title_that_looks_encoded_is_shown_as_it_is_and_adds_no_header(settings: Settings, title: str):
    message = parsed(encoded(words(subject=title), settings))
    assert message["Subject"] == title
    assert message["Bcc"] is None


@pytest.mark.parametrize("title", ["a\r\nBcc: x@example.org", "a\nBcc: x@example.org", "a\rb"])
def test_a_subject_of_two_lines_is_refused(settings: Settings, title: str):
    with pytest.raises(EncodingRefused):
        encoded(words(subject=title), settings)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "reader",
        "reader@example.org\r\nBcc: x@example.org",
        "reader@example.org\n",
        "a b@example.org",
        "a,b@example.org",
        "<reader@example.org>",
        "reader@example.org, other@example.org",
        "a@b@example.org",
        "reader@exämple.org",
        "re\u2028ader@example.org",
    ],
)
def test_an_address_that_is_not_one_mailbox_is_refused(settings: Settings, address: str):
    with pytest.raises(EncodingRefused):
        encoded(words(), settings, address=address)


@pytest.mark.parametrize("token", ["u" * 35, "u" * 37, "u" * 35 + "=", "u" * 35 + "\n", "ü" * 36, ""])
def test_a_token_that_does_not_fit_is_refused(settings: Settings, token: str):
    with pytest.raises(EncodingRefused):
        encoded(words(), settings, unsubscribe=token)


def test_a_message_id_with_a_line_break_is_refused(settings: Settings):
    made = stencil(words(), settings=settings, list_mail=False, from_address=settings.from_address)
    with pytest.raises(EncodingRefused):
        made.fill(address="a@example.org", message_id="x@example.org>\r\nBcc: <y", date=START)


def test_only_a_local_part_that_is_not_ascii_makes_bytes_that_are_not(settings: Settings):
    raw = encoded(words(text="é\n", subject="é"), settings, address="josé@example.org")
    assert b"\r\nTo: jos\xc3\xa9@example.org\r\n" in raw
    raw.replace("josé".encode(), b"").decode("ascii")


def test_a_stencil_that_would_splice_wrongly_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    # A token with "=" is altered by quoted-printable: the check against the standard library must see it.
    others = tuple("=" * 36 if value == UNSUBSCRIBE else other for value, other in zip(VALUES, OTHERS, strict=True))
    monkeypatch.setattr(places, "OTHERS", others)
    monkeypatch.setattr(encode, "OTHERS", others)
    with pytest.raises(EncodingRefused, match="standard library"):
        stencil(words(text=UNSUBSCRIBE), settings=settings, list_mail=True, from_address=settings.from_address)
    with pytest.raises(EncodingRefused, match="standard library"):
        encode.lines(f"{UNSUBSCRIBE}\n")


def test_a_digest_reads_back_as_it_was_composed(settings: Settings, make_item: Make):
    items = [
        make_item(
            number,
            title=f"Título número {number}, con “comillas”",
            summary=f"Párrafo {'largo ' * number}con [enlace](https://example.org/{'x' * 90}).\n\n.\n\n..dots",
            starts_at=START + timedelta(days=number) if number % 3 == 0 else None,
        )
        for number in range(1, 15)
    ]
    said = digests.digest(DigestContent(tuple(items), "daily", "es", "D" * 32), settings)
    message = parsed(encoded(said, settings))
    for subtype, wanted in (("plain", said.text), ("html", said.html)):
        expected = wanted.replace(UNSUBSCRIBE, "u" * 36).replace(PREFERENCES, "p" * 32)
        assert part(message, subtype).rstrip("\n") == expected.rstrip("\n")


def test_the_same_words_give_the_same_bytes(settings: Settings):
    assert encoded(words(), settings) == encoded(words(), settings)
