"""Spanish and English: what is asked for wins, then the person's own, then the browser's."""

import pytest
from flask.testing import FlaskClient

from tests.databases import ON_SQLITE
from tests.scene import Scene
from tests.web.asking import ANN, FORM, heading, problems
from tests.web.conftest import OpenSite, Town

IN_SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"}
HEADINGS = {
    "sign_up": "Suscríbase a las alertas electrónicas",
    "inbox": "Revise su bandeja de entrada",
}


def language(page: str) -> str:
    return page.split('<html lang="')[1].split('"', maxsplit=1)[0]


@ON_SQLITE
def test_every_page_speaks_spanish_when_asked(client: FlaskClient, town: Town) -> None:
    for name, path in town.paths.items():
        english, spanish = client.get(path), client.get(f"{path}?lang=es")
        if english.mimetype == "text/html" and english.status_code == 200:
            assert (language(english.text), language(spanish.text)) == ("en", "es")
            if name not in {"update", "withdrawn"}:  # whose heading is what an operator wrote
                assert heading(english.text) != heading(spanish.text), name
            assert "Skip to the main content" not in spanish.text


@ON_SQLITE
def test_an_update_names_its_topics_in_spanish(client: FlaskClient, town: Town) -> None:
    assert "Enfermedad de Alzheimer" in client.get(f"{town.paths['update']}?lang=es").text


@ON_SQLITE
@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("es-MX,es;q=0.9", "es"),
        ("fr", "en"),
        ("", "en"),
        ("fr, es;q=0.5", "es"),
        ("en, es;q=0.5", "en"),
        ("\xff;;q=x", "en"),
    ],
)
def test_without_a_wish_a_page_speaks_what_the_browser_prefers(client: FlaskClient, wish: str, expected: str) -> None:
    answer = client.get("/", headers={"Accept-Language": wish})
    assert language(answer.text) == expected
    assert "Accept-Language" in answer.headers["Vary"]


@ON_SQLITE
def test_a_wish_in_the_address_wins_over_the_browser(client: FlaskClient) -> None:
    assert language(client.get("/?lang=en", headers=IN_SPANISH).text) == "en"
    assert language(client.get("/?lang=xx", headers=IN_SPANISH).text) == "es"


@ON_SQLITE
def test_a_persons_own_language_wins_over_the_browser_and_not_over_a_wish(client: FlaskClient, scene: Scene) -> None:
    scene.follow(ANN, "idd", locale="es")
    scene.ask("ben@example.org", locale="es")
    for path in (
        f"/confirm/{scene.confirm_token('ben@example.org')}",
        f"/preferences/{scene.preferences_token(ANN)}",
        f"/unsubscribe/{scene.unsubscribe_token(ANN)}",
    ):
        assert language(client.get(path, headers={"Accept-Language": "en"}).text) == "es"
        assert language(client.get(f"{path}?lang=en").text) == "en"
    answer = client.post(f"/unsubscribe/{scene.unsubscribe_token(ANN)}", headers={"Accept-Language": "en"})
    assert language(answer.text) == "es"


@ON_SQLITE
def test_a_form_answers_in_the_language_it_was_shown_in(client: FlaskClient, scene: Scene) -> None:
    bad = client.post("/subscribe", data={"lang": "es"}, headers={"Accept-Language": "en"})
    assert language(bad.text) == "es"
    assert "Enter your e-mail address." not in problems(bad.text)
    good = client.post("/subscribe", data=FORM | {"lang": "es"})
    assert good.headers["Location"].startswith("/check-your-inbox?lang=es&")
    assert scene.deliveries()[0].details == {"sign_up": 1, "locale": "es"}
    asked = client.post("/preferences", data={"email": ANN, "lang": "es"})
    assert language(asked.text) == "es"


@ON_SQLITE
def test_no_sentence_of_an_error_stays_english(client: FlaskClient) -> None:
    sentences = set()
    for form in (
        {"email": "", "topics": [], "frequency": ""},
        {"email": "ann", "topics": ["nonsense"], "frequency": "weekly", "source": "x" * 300},
    ):
        english = problems(client.post("/subscribe?lang=en", data=form).text)
        spanish = problems(client.post("/subscribe?lang=es", data=form).text)
        assert len(english) == len(spanish) == 3
        sentences |= set(english) & set(spanish)
    assert sentences == set()
    for path in ("/nothing", "/updates/999", "/confirm/x"):
        english_page, spanish_page = client.get(path).text, client.get(f"{path}?lang=es").text
        assert language(spanish_page) == "es"
        lead = english_page.split('<p class="usa-intro">')[1].split("</p>")[0]
        assert lead not in spanish_page


@ON_SQLITE
def test_the_way_to_the_other_language_keeps_what_was_chosen(client: FlaskClient) -> None:
    page = client.get("/?topics=idd+policy&frequency=daily&source=a%26b&lang=en").text
    href = page.split('hreflang="es"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
    assert href == "/?topics=idd+policy&frequency=daily&source=a%26b&lang=es"
    spanish = client.get(href).text
    assert language(spanish) == "es"
    assert spanish.count(" checked") == 3


@ON_SQLITE
def test_an_installation_of_one_language_offers_no_other(another: OpenSite) -> None:
    site = another(languages=("es",))
    page = site.get("/?lang=en").text
    assert language(page) == "es"
    assert "hreflang" not in page
