"""The widget's script: `/widget.js` is the present version, `/widget-<hash>.js` each version that was ever served.

Pages on other sites name these addresses in their markup, some of them with a hash of the content (Subresource
Integrity), and nobody here can change those pages. So a version that was served stays, as a file in `kept/`;
`make widget` puts the present one there, and a test holds it to that. How it looks and what it says is the script's and
the API's matter.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from alerts_service.web.headers import A_YEAR

FOLDER = Path(__file__).parent
PRESENT = FOLDER / "widget.js"
KEPT = FOLDER / "kept"
# How long a page elsewhere may go on with the version before.
_MINUTES_10 = "public, max-age=600"
_FOR_EVER = f"public, max-age={A_YEAR}, immutable"

blueprint = Blueprint("widget", __name__)


@blueprint.get("/widget.js")
def present() -> ResponseReturnValue:
    """The present version."""
    return _script(PRESENT, _MINUTES_10)


@blueprint.get("/widget-<version>.js")
def kept(version: str) -> ResponseReturnValue:
    """A version by its hash, for ever."""
    path = _kept().get(version)
    return _script(path, _FOR_EVER) if path else abort(404)


def version_of(script: bytes) -> str:
    """Return the hash under which a version of the script is kept."""
    return hashlib.sha256(script).hexdigest()[:12]


@cache
def _kept() -> dict[str, Path]:
    return {path.stem.removeprefix("widget-"): path for path in KEPT.glob("widget-*.js")}


@cache
def _packed(path: Path) -> tuple[bytes, bytes]:
    """Return a script as it is, and gzipped: nothing behind this service compresses it."""
    script = path.read_bytes()
    return script, gzip.compress(script, mtime=0)


def _script(path: Path, caching: str) -> Response:
    plain, packed = _packed(path)
    zipped = request.accept_encodings["gzip"] > 0
    answer = Response(packed if zipped else plain, mimetype="text/javascript")
    answer.set_etag(version_of(plain) + ("-gzip" if zipped else ""))
    answer.headers.update(
        {
            "Cache-Control": caching,
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Accept-Encoding",
        }
    )
    if zipped:
        answer.headers["Content-Encoding"] = "gzip"
    answer.make_conditional(request)
    return answer
