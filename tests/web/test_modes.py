"""Staging and demo: every page says so, and no search engine finds it."""

from flask.testing import FlaskClient

from tests.databases import ON_SQLITE
from tests.web.conftest import OpenSite, Town

BANNER = 'class="mode"'


@ON_SQLITE
def test_a_production_site_has_no_banner(client: FlaskClient, town: Town) -> None:
    assert all(BANNER not in client.get(path).text for path in town.paths.values())


@ON_SQLITE
def test_a_staging_site_and_a_demo_say_what_they_are_on_every_page(another: OpenSite, town: Town) -> None:
    for mode, words in (("staging", "only test addresses are mailed"), ("demo", "mail goes to the local inbox only")):
        site = another(mode=mode)
        for path in [*town.paths.values(), "/nothing", "/confirm/x"]:
            answer = site.get(path)
            assert answer.headers["X-Robots-Tag"] == "noindex"
            if answer.mimetype == "text/html" and answer.status_code != 303:
                assert words in answer.text
        assert words in site.post("/subscribe", data={}).text
        assert site.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
        assert words not in site.get("/?lang=es").text
        assert BANNER in site.get("/?lang=es").text
