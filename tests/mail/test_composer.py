"""Digests joined of parts: the bytes that the standard library makes of the whole."""

import dataclasses
import gc
import re
import string
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markupsafe import Markup

from alerts_service.config import Settings
from alerts_service.mail import digests, encode, environment
from alerts_service.mail.composer import Composer
from alerts_service.mail.encode import EncodingRefused, Stencil, stencil
from alerts_service.mail.items import DigestContent, Item, arrange
from alerts_service.mail.places import IN_BROWSER, OTHERS, PREFERENCES, UNSUBSCRIBE, VALUES, filled, joined
from tests.conftest import START

Make = Callable[..., Item]
FREQUENCIES = ["immediate", "daily", "weekly", "monthly"]
TOKEN_MARKS = string.ascii_letters + string.digits + "-_"
# What an encoding by lines, a header, an element or SMTP could take for its own.
TRICKS = [
    *(
        ".",
        "..",
        ".\r\n.",
        "=",
        "=3D",
        "=\r\n",
        "From ",
        ">From ",
        "\r",
        "\r\n",
        "\n",
        " ",
        "\t",
        "é",
        "汉",
        "\u2028",
        "\x85",
    ),
    *(
        "\x0b",
        "\x0c",
        "x" * 75,
        "x" * 76,
        "x" * 77,
        "é" * 26,
        " " * 77,
        "<b>",
        "&amp;",
        "--=_part_of_an_e-alert",
        "=?utf-8?q?a?=",
    ),
    *(
        "subject--",
        "text--",
        "html--",
        "<!--to-->",
        "<!--from-->",
        "https://example.org/a.b",
        "\u202e",
        "**",
        "- ",
        "    ",
    ),
]
WORDS = st.lists(st.one_of(st.sampled_from(TRICKS), st.text(max_size=8)), max_size=8).map("".join)
TEXTS = WORDS.map(lambda words: words.encode("utf-8", "replace").decode())
TITLES = TEXTS.map(lambda words: f"T{words}")


@pytest.fixture(scope="module")
def composer(settings: Settings) -> Composer:
    """One composer for all digests of this module, as a worker has."""
    return Composer(settings)


@st.composite
def _items(draw: st.DrawFn, settings: Settings) -> Item:
    number = draw(st.integers(1, 30))
    topic = draw(st.integers(0, 3))
    event = draw(st.booleans())
    return Item(
        id=number,
        kind=draw(st.sampled_from(["tool", "webinar", "news"])),
        title=draw(TITLES),
        summary=draw(TEXTS),
        lang=draw(st.sampled_from(["en", "es"])),
        page_url=f"{settings.base_url}/updates/{number}",
        url=draw(st.sampled_from([None, "https://example.org/" + "a" * 90])),
        topics=(draw(TITLES), "Policy & more"),
        topic_positions=(topic, 4),
        released_at=START - timedelta(hours=number),
        starts_at=START + timedelta(days=number) if event else None,
        registration_url=draw(st.sampled_from([None, "https://events.example.org/?a=1&b=2"])),
        credit=draw(st.one_of(st.none(), TEXTS)),
        follow_up_of=draw(st.one_of(st.none(), TITLES)),
        urgent=draw(st.booleans()),
    )


def whole(content: DigestContent, settings: Settings) -> Stencil:
    """Encode a digest as one mail, by the standard library."""
    words = digests.digest(content, settings)
    return stencil(words, settings=settings, list_mail=True, from_address=settings.from_address)


def fill(made: Stencil, unsubscribe: str = "u" * 36, preferences: str = "p" * 32) -> bytes:
    return made.fill(
        address="reader@example.org",
        message_id="abc@care.example.org",
        date=START,
        unsubscribe=unsubscribe,
        preferences=preferences,
    )


def for_data(made: Stencil) -> bytes:
    return made.for_data(
        address="reader@example.org",
        message_id="abc@care.example.org",
        date=encode.date_text(START),
        unsubscribe="u" * 36,
        preferences="p" * 32,
    )


def simple(items: list[Item], **changes: str) -> DigestContent:
    return DigestContent(tuple(items), **({"frequency": "weekly", "locale": "en", "token": "D" * 32} | changes))


@given(st.data())
@hypothesis_settings(deadline=None, max_examples=60)
def test_a_digest_of_parts_is_the_standard_librarys_of_the_whole(
    settings: Settings, composer: Composer, data: st.DataObject
):
    items = data.draw(st.lists(_items(settings), min_size=1, max_size=16))
    token = data.draw(st.text(TOKEN_MARKS, min_size=32, max_size=32))
    content = DigestContent(
        tuple(items), data.draw(st.sampled_from(FREQUENCIES)), data.draw(st.sampled_from(["en", "es"])), token
    )
    unsubscribe = data.draw(st.text(TOKEN_MARKS, min_size=36, max_size=36))
    preferences = data.draw(st.text(TOKEN_MARKS, min_size=32, max_size=32))
    made = composer.stencil(content)
    assert fill(made, unsubscribe, preferences) == fill(whole(content, settings), unsubscribe, preferences)
    assert for_data(made) == re.sub(rb"(?m)^\.", b"..", fill(made))


@given(st.lists(st.one_of(TEXTS, st.sampled_from([UNSUBSCRIBE, f"{PREFERENCES}é{IN_BROWSER}"])), max_size=12))
@hypothesis_settings(deadline=None)
def test_lines_encoded_apart_and_joined_are_the_lines_encoded_at_once(texts: list[str]):
    bodies = [f"{text}\n" for text in texts]
    together = joined(piece for body in bodies for piece in encode.lines(body))
    message = EmailMessage(policy=SMTP.clone(max_line_length=76))
    joined_words = "".join(bodies)
    for placeholder, other in zip(VALUES, OTHERS, strict=True):
        joined_words = joined_words.replace(placeholder, other)
    message.set_content(joined_words, cte="quoted-printable")
    body = message.as_bytes().partition(b"\r\n\r\n")[2]
    assert filled(together, OTHERS) == (body if bodies else b"")


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("count", [1, 2, 12, 13, 40])
def test_a_digest_of_parts_looks_as_a_page_inlined_at_once(
    settings: Settings, make_item: Make, frequency: str, count: int
):
    # A style that looks at a part's neighbours, or at its place in the page, would be seen here.
    items = [
        make_item(
            number,
            starts_at=START + timedelta(days=number) if number % 4 == 1 else None,
            registration_url="https://events.example.org/1",
            credit="1 credit",
            url="https://example.org/a",
            follow_up_of="An earlier one" if number % 5 == 0 else None,
            topics=(f"Topic {number % 3}", "Other"),
            topic_positions=(number % 3, 4),
            summary="## Head\n\nWords, [a link](https://example.org/b)\n\n- a\n  - b\n\n> said\n\n    code\n\n***",
        )
        for number in range(count)
    ]
    content = simple(items, frequency=frequency)
    arranged = arrange(items)
    raw = Markup().join(_raw(part, settings) for part in digests.parts(arranged, content))
    page = environment.render(
        "digest/body.html",
        "en",
        settings,
        frequency=frequency,
        subject=digests.digest(content, settings).subject,
        preheader=digests.preheader(arranged),
        parts=raw,
        preferences=f"{settings.base_url}/preferences/{PREFERENCES}",
        unsubscribe=f"{settings.base_url}/unsubscribe/{UNSUBSCRIBE}",
        in_browser=f"{settings.base_url}/digests/{content.token}",
    )
    assert digests.digest(content, settings).html.split() == environment.inlined(page).split()


def _raw(part: digests.Part, settings: Settings) -> Markup:
    found = environment.render(
        f"digest/{part.template}.html",
        "en",
        settings,
        in_browser=f"{settings.base_url}/digests/{'D' * 32}",
        **dict(part.values),
    )
    return Markup(found.partition("<!--to-->")[0].rpartition("<!--from-->")[2] + "\n")


def test_an_edited_update_is_shown_as_it_is_now(settings: Settings, composer: Composer, make_item: Make):
    before = make_item(1, title="As it was", url="https://example.org/a")
    composer.stencil(simple([before, make_item(2)]))
    for changes in (
        {"title": "As it is"},
        {"summary": "Other words."},
        {"topics": ("Renamed",)},
        {"url": "https://example.org/b"},
        {"starts_at": START},
        {"follow_up_of": "Another"},
        {"kind": "brief"},
    ):
        content = simple([dataclasses.replace(before, **changes), make_item(2)])
        assert fill(composer.stencil(content)) == fill(whole(content, settings)), changes


def test_a_language_is_not_shown_in_the_words_of_another(settings: Settings, composer: Composer, make_item: Make):
    for locale in ("en", "es", "en"):
        content = simple([make_item(1), make_item(2)], locale=locale)
        assert fill(composer.stencil(content)) == fill(whole(content, settings))


def test_every_digest_leads_to_its_own_page(settings: Settings, composer: Composer, make_item: Make):
    items = [make_item(number) for number in range(14)]
    for mark in "DEF":
        raw = fill(composer.stencil(simple(items, token=mark * 32))).replace(b"=\r\n", b"")
        # The paragraph about what is not shown, and the foot, in both parts.
        assert re.findall(rb"/digests/(.{32})", raw) == [mark.encode() * 32] * 4


@pytest.mark.parametrize("token", ["", "D" * 31, "D" * 33])
def test_a_digest_whose_page_has_no_fitting_token_is_refused(composer: Composer, make_item: Make, token: str):
    with pytest.raises(EncodingRefused):
        composer.stencil(simple([make_item()], token=token))


def test_memory_does_not_grow_with_the_number_of_updates_met(settings: Settings, make_item: Make):
    composer = Composer(settings, kept=40)

    def meet(first: int) -> int:
        for number in range(first, first + 100):
            composer.stencil(simple([make_item(number, title=f"{number} {'long ' * 20}")]))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        settled = meet(0)
        assert meet(1000) - settled < 60_000
    finally:
        tracemalloc.stop()


def test_dots_are_doubled_for_smtp_where_they_begin_a_line(settings: Settings, composer: Composer, make_item: Make):
    # Lines long enough that a soft line break falls before each dot in turn.
    for lead in range(60, 80):
        content = simple([make_item(1, summary=f"    {'x' * lead}.....{'y' * 40}")])
        made = composer.stencil(content)
        plain, doubled = fill(made).split(b"\r\n"), for_data(made).split(b"\r\n")
        assert [line[1:] if line.startswith(b".") else line for line in doubled] == plain
        assert all(line.startswith(b"..") for line in doubled if line.startswith(b"."))
        assert doubled[-1] == b""


@pytest.mark.parametrize("date", ["", "today", "Mon, 30 Nov 2026 12:00:00 +0000\r\nBcc: x@example.org", "2026-11-30"])
def test_a_date_that_is_not_one_is_refused(composer: Composer, make_item: Make, date: str):
    made = composer.stencil(simple([make_item()]))
    with pytest.raises(EncodingRefused):
        made.for_data(
            address="a@example.org", message_id="a@b.org", date=date, unsubscribe="u" * 36, preferences="p" * 32
        )
