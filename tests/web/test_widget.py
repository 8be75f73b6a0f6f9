"""The widget's script: light, open to every page, and every version that was served is still there."""

import gzip

from flask.testing import FlaskClient

from alerts_service.web import widget
from tests.databases import ON_SQLITE

SMALL = 6 * 1024


def test_every_version_is_kept_under_its_hash_the_present_one_too() -> None:
    kept = {path.stem.removeprefix("widget-"): path.read_bytes() for path in widget.KEPT.iterdir()}
    assert {widget.version_of(script) for script in kept.values()} == set(kept)
    assert widget.version_of(widget.PRESENT.read_bytes()) in kept, "run: make widget"


@ON_SQLITE
def test_the_script_is_small_and_any_page_may_load_it(client: FlaskClient) -> None:
    version = widget.version_of(widget.PRESENT.read_bytes())
    present = client.get("/widget.js", headers={"Accept-Encoding": "br, gzip"})
    pinned = client.get(f"/widget-{version}.js", headers={"Accept-Encoding": "br, gzip"})
    for answer in (present, pinned):
        assert answer.mimetype == "text/javascript"
        assert len(answer.data) <= SMALL
        assert gzip.decompress(answer.data) == widget.PRESENT.read_bytes()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Accept-Encoding" in ", ".join(answer.headers.getlist("Vary"))
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert present.headers["Cache-Control"] == "public, max-age=600"
    plain = client.get("/widget.js")
    assert (plain.data, plain.headers.get("Content-Encoding")) == (widget.PRESENT.read_bytes(), None)


@ON_SQLITE
def test_a_script_that_has_not_changed_is_not_sent_again_and_an_unknown_one_is_not_there(client: FlaskClient) -> None:
    again = client.get("/widget.js", headers={"If-None-Match": client.get("/widget.js").headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for version in ("000000000000", "..%2f..%2fwidget", "%00", ""):
        assert client.get(f"/widget-{version}.js").status_code == 404
