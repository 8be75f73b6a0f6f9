"""Words and links of each mail."""

import dataclasses
import html
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from alerts_service.config import Settings
from alerts_service.mail import compose, encode
from alerts_service.mail.encode import Words
from alerts_service.mail.places import PREFERENCES, UNSUBSCRIBE
from alerts_service.rules import tokens
from tests.conftest import START
from tests.mail.samples import EXPIRES, FOLLOWING, Make, digest_of, every_mail


class _Page(HTMLParser):
    """What a page shows, where its links lead, and the elements it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words = ""
        self.links: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._link = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "a":
            self._link = dict(attrs)["href"] or ""
            self.links[self._link] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "title"}:
            self.words += data
        if self._link:
            self.links[self._link] += data

    @property
    def levels(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if re.fullmatch(r"h\d", tag)]


def test_both_parts_of_every_mail_have_the_same_links(settings: Settings, make_item: Make):
    for kind, words in every_mail(settings, make_item).items():
        in_text = {address.rstrip(")") for address in re.findall(r"https?://[^\s<>]+", words.text)}
        # The name in the masthead leads home, in HTML only.
        in_html = {link for link in _Page(words.html).links if link != "https://alerts.example.org/"}
        assert in_html - {"mailto:"} == in_text - {"https://alerts.example.org/"}, kind


def test_both_parts_of_a_digest_say_the_same(settings: Settings, make_item: Make):
    event = make_item(
        1,
        kind="webinar",
        starts_at=START + timedelta(days=3),
        ends_at=START + timedelta(days=3, hours=1),
        registration_url="https://events.example.com/1",
        credit="1 CE credit",
    )
    words = digest_of([event, make_item(2, follow_up_of="An earlier thing", topics=("A", "B"))], settings)
    html = " ".join(_Page(words.html).words.split())
    text = " ".join(words.text.split())
    for said in (
        "Weekly e-alert: 2 updates",
        "Coming events",
        "Update number 1",
        "Webinar",
        "Thursday, December 3, 2026, 7:00–8:00 a.m. Eastern Time (EST)",
        "Credit: 1 CE credit",
        "What it is about.",
        "Topics: A; B",
        "Follows up on: An earlier thing",
        "You get this because you asked Resources for Integrated Care for weekly e-alerts.",
        "7500 Security Boulevard, Baltimore, MD 21244",
    ):
        assert said in html, said
        assert said in text, said


@pytest.mark.parametrize(
    ("frequency", "sentence"),
    [
        ("daily", "for daily e-alerts."),
        ("weekly", "for weekly e-alerts."),
        ("monthly", "for monthly e-alerts."),
        ("immediate", "for e-alerts; urgent ones come at once."),
    ],
)
def test_the_foot_says_why_this_came(settings: Settings, make_item: Make, frequency: str, sentence: str):
    words = digest_of([make_item()], settings, frequency=frequency)
    because = f"You get this because you asked Resources for Integrated Care {sentence}"
    assert because in " ".join(words.text.split())
    assert because in " ".join(words.html.split())


def test_a_digest_links_its_updates_ones_own_list_and_the_way_out(settings: Settings, make_item: Make):
    words = digest_of([make_item(4, url="https://www.example.org/tool")], settings)
    links = _Page(words.html).links
    assert links["https://alerts.example.org/updates/4"] == "Update number 4"
    assert links["https://www.example.org/tool"] == "Read more on example.org"
    assert links[f"https://alerts.example.org/preferences/{PREFERENCES}"] == "See or change your e-alerts"
    assert links[f"https://alerts.example.org/unsubscribe/{UNSUBSCRIBE}"] == "Unsubscribe"
    assert links[f"https://alerts.example.org/digests/{'D' * 32}"] == "View this e-mail in your browser"
    assert links["https://care.example.org/contact"] == "Contact us"


def test_a_long_digest_shows_twelve_and_links_the_rest(settings: Settings, make_item: Make):
    words = digest_of([make_item(number) for number in range(19)], settings)
    assert words.subject.startswith("19 updates: ")
    text = " ".join(words.text.split())
    assert f"and 7 more. Read all 19 updates in your browser: https://alerts.example.org/digests/{'D' * 32}" in text
    assert "and 7 more." in words.html
    assert words.html.count("<h3") == 12
    assert " more" not in digest_of([make_item(number) for number in range(12)], settings).text


def test_the_subject_of_one_update_is_its_title(settings: Settings, make_item: Make):
    assert (
        digest_of([make_item(title="Tip sheet: preventing falls")], settings).subject == "Tip sheet: preventing falls"
    )


def test_the_subject_of_several_counts_them_and_names_the_first(settings: Settings, make_item: Make):
    soon = make_item(9, title="A webinar", starts_at=START + timedelta(days=1))
    assert digest_of([make_item(1), make_item(2), soon], settings).subject == "3 updates: A webinar…"


def test_a_long_subject_is_cut_at_a_word(settings: Settings, make_item: Make):
    title = "Promoting disability-competent care during public health emergencies: replay"
    one = digest_of([make_item(title=title)], settings).subject
    two = digest_of([make_item(title=title), make_item(2)], settings).subject
    assert one == "Promoting disability-competent care during public health…"
    assert two == "2 updates: Promoting disability-competent care during…"


def _preheader(words: Words) -> str:
    found = re.search(r'<div class="preheader"[^>]*>(.*)</div>', words.html)
    assert found
    return html.unescape(found[1])


def test_an_inbox_shows_the_other_titles_behind_the_subject(settings: Settings, make_item: Make):
    items = [make_item(1), make_item(2, title="Tips &  tools"), make_item(3), make_item(4)]
    assert _preheader(digest_of(items, settings)) == "Tips & tools · Update number 3 · Update number 4"
    many = _preheader(digest_of([make_item(number) for number in range(40)], settings))
    assert many.startswith("Update number 1 · Update number 2 · ")
    assert many.endswith("…")
    assert 100 < len(many) <= 120


def test_an_inbox_shows_the_summary_behind_the_subject_of_one_update(settings: Settings, make_item: Make):
    assert _preheader(digest_of([make_item(summary="What it\nis **about**.")], settings)) == "What it is about."


def test_staging_marks_every_subject_within_the_same_length(settings: Settings, make_item: Make):
    staging = dataclasses.replace(settings, mode="staging")
    for words in every_mail(staging, make_item).values():
        assert words.subject.startswith("[TEST] ")
        assert len(words.subject) <= 60


@pytest.mark.parametrize("title", ["a\r\nBcc: x@example.org", "a\nb\x00c", "a\u2028b\u202ec"])
def test_a_subject_holds_no_control_character(settings: Settings, make_item: Make, title: str):
    subject = digest_of([make_item(title=title)], settings).subject
    assert subject.isprintable()


def test_what_people_wrote_is_text_in_html_and_itself_in_text(settings: Settings, make_item: Make):
    risky = "<script>alert('1')</script> & “more”"
    named = dataclasses.replace(settings, name=risky, postal_address=risky)
    item = make_item(title=risky, topics=(risky,), credit=risky, follow_up_of=risky, summary=risky)
    for words in (
        digest_of([item], named),
        compose.welcome(
            subscriber_id=1,
            following=[(risky, "daily")],
            next_slots={},
            latest=[item],
            locale="en",
            settings=named,
            now=START,
        ),
    ):
        assert "<script" not in words.html
        assert "&amp;lt;" not in words.html
        assert risky in " ".join(words.text.split())
        assert risky in " ".join(_Page(words.html).words.split())


def test_a_title_in_another_language_says_which(settings: Settings, make_item: Make):
    english, spanish = make_item(1, lang="en"), make_item(2, lang="es", title="Una mirada de cerca")
    page = _Page(digest_of([english, spanish], settings, locale="es").html)
    assert [attributes.get("lang") for tag, attributes in page.elements if tag == "h3"] == ["en", None]
    page = _Page(digest_of([english, spanish], settings).html)
    assert [attributes.get("lang") for tag, attributes in page.elements if tag == "h3"] == [None, "es"]
    assert ("html", {"lang": "en", "dir": "ltr"}) in page.elements


def test_the_words_do_not_depend_on_the_order_in_which_updates_are_given(settings: Settings, make_item: Make):
    items = [make_item(number) for number in range(5)]
    assert digest_of(items, settings) == digest_of(items[::-1], settings)


def test_every_mail_is_built_to_be_read_by_everyone(settings: Settings, make_item: Make):
    for kind, words in every_mail(settings, make_item).items():
        page = _Page(words.html)
        tags = [tag for tag, _ in page.elements]
        assert not {"img", "script", "form", "link", "iframe"} & set(tags), kind
        assert page.levels[0] == 1
        assert page.levels.count(1) == 1, kind
        assert all(after - before <= 1 for before, after in zip(page.levels, page.levels[1:], strict=False)), kind
        assert all(attributes.get("role") == "presentation" for tag, attributes in page.elements if tag == "table")
        assert all(text.strip() for text in page.links.values()), kind
        assert "prefers-color-scheme: dark" in words.html
        assert "7500 Security Boulevard" in words.text


def test_no_mail_weighs_more_than_it_must(settings: Settings, make_item: Make):
    for locale in ("en", "es"):
        weights = {kind: len(sent(words, settings)) for kind, words in every_mail(settings, make_item, locale).items()}
        assert {kind: weight for kind, weight in weights.items() if weight > 10_000} == {}
    twelve = digest_of([make_item(number) for number in range(12)], settings)
    assert len(sent(twelve, settings)) < 17_000
    paragraphs = "\n\n".join(["Some words, **loud** ones and [a link](https://example.org/a)."] * 300)[:20_000]
    long = digest_of([make_item(number, summary=paragraphs) for number in range(12)], settings)
    assert len(long.html.encode()) < 100_000, "Gmail clips more than 102 KB"
    assert "… and 10 more." in long.text


def sent(words: Words, settings: Settings) -> bytes:
    """A mail as it goes out."""
    made = encode.stencil(words, settings=settings, list_mail=True, from_address=settings.from_address)
    tokens = {"unsubscribe": "u" * 36, "preferences": "p" * 32}
    return made.fill(address="ann@example.org", message_id="a@example.org", date=START, **tokens)


def test_no_mail_but_a_digest_holds_a_place_for_a_token(settings: Settings, make_item: Make):
    for kind, words in every_mail(settings, make_item).items():
        held = [token for token in (UNSUBSCRIBE, PREFERENCES) if token in words.text]
        assert held == ([UNSUBSCRIBE, PREFERENCES] if kind in {"digest", "alert"} else []), kind


def test_the_confirmation_link_comes_first_and_names_the_sign_up(settings: Settings, make_item: Make):
    words = every_mail(settings, make_item)["confirmation"]
    confirm, not_me = re.findall(r"https://alerts\.example\.org/([a-z-]+)/(\S+)", words.text)
    assert (confirm[0], not_me[0]) == ("confirm", "not-me")
    assert tokens.read_confirm(settings.secret_keys, confirm[1], START) == 3
    assert tokens.read_not_me(settings.secret_keys, not_me[1], START) == 3
    assert "Monday, December 7, 2026, 7:00 a.m. Eastern Time (EST)" in " ".join(words.text.split())
    assert words.subject == "Confirm your e-alerts from Resources for Integrated Care"


def test_a_second_sign_up_says_what_is_followed_and_asks_for_the_new_topics(settings: Settings, make_item: Make):
    mails = every_mail(settings, make_item)
    assert "- Dementia" in mails["adding"].text
    assert "/confirm/" in mails["adding"].text
    assert "/confirm/" not in mails["already"].text
    for kind in ("adding", "already"):
        assert "- Telehealth: weekly" in mails[kind].text
        assert "- Policy & Programs: as soon as they are published" in mails[kind].text
        assert "/preferences/" in mails[kind].text


def test_a_second_sign_up_for_nothing_new_asks_for_nothing(settings: Settings):
    again = compose.already_subscribed(
        sign_up_id=3,
        following=FOLLOWING,
        adding=[],
        frequency="weekly",
        subscriber_id=7,
        locale="en",
        settings=settings,
        now=START,
        expires_at=EXPIRES,
    )
    assert "/confirm/" not in again.text
    assert again.subject == "You already get e-alerts from Resources for Integrated Care"


def test_an_urgent_alert_says_so_in_its_heading_and_names_its_cause_and_a_later_digest_does_not(
    settings: Settings, make_item: Make
):
    items = [make_item(1, topic_positions=(1,)), make_item(2, urgent=True)]
    for asked, subject, heading in (
        ({"frequency": "immediate"}, "2 updates: Update number 2…", "Urgent e-alert: 2 updates"),
        ({"frequency": "immediate", "locale": "es"}, "2 novedades: Update number 2…", "Alerta urgente: 2 novedades"),
        ({"frequency": "weekly"}, "2 updates: Update number 1…", "Weekly e-alert: 2 updates"),
    ):
        words = digest_of(items, settings, **asked)
        assert words.subject == subject
        assert heading in words.text
        assert f">{heading}</h1>" in words.html
    alone = digest_of(items[1:], settings, frequency="immediate")
    assert ">Urgent e-alert</h1>" in alone.html


def test_the_goodbye_says_until_when_it_can_be_undone(settings: Settings, make_item: Make):
    text = " ".join(every_mail(settings, make_item)["goodbye"].text.split())
    assert "Monday, December 28, 2026, 7:00 a.m. Eastern Time (EST)" in text
    found = re.search(r"/undo/(\S+)", text)
    assert found
    assert tokens.read_undo(settings.secret_keys, found[1], START) == (7, START)


def test_the_welcome_says_when_the_next_digest_comes_and_how_to_leave(settings: Settings, make_item: Make):
    text = " ".join(every_mail(settings, make_item)["welcome"].text.split())
    assert "Next weekly e-alert: Monday, December 7, 2026, 7:00 a.m. Eastern Time (EST)" in text
    found = re.search(r"/unsubscribe/(\S+)", text)
    assert found
    assert tokens.read_unsubscribe(settings.permanent_key or "", found[1]) == (7, 0)


def test_a_link_for_an_unknown_address_leads_to_the_sign_up_page(settings: Settings, make_item: Make):
    text = every_mail(settings, make_item)["unknown"].text
    assert "/preferences/" not in text
    assert "https://alerts.example.org/\n" in text


def test_without_a_contact_page_the_mailbox_that_takes_replies_is_named(settings: Settings, make_item: Make):
    bare = dataclasses.replace(settings, contact_url="", reply_to="Desk <desk@care.example.org>")
    words = digest_of([make_item()], bare)
    assert "Contact us: desk@care.example.org" in words.text
    assert 'href="mailto:desk@care.example.org"' in words.html
