"""The files that pages load: served by WhiteNoise, compressed beforehand, under addresses that carry a hash.

An address with a hash may be kept for ever. The plain addresses answer, too, for whoever has no page to read
them from. The images of USWDS have the hash in their own names, as its stylesheet asks for them.
"""

import hashlib
from functools import cache
from pathlib import Path
from wsgiref.headers import Headers

from flask import Flask, request
from whitenoise import WhiteNoise

_PREFIX = "/static/"
_COMPRESSED = {".br", ".gz"}
_IMAGES = "uswds"
_HASH_LENGTH = 12
_AN_HOUR = 3600


def register(app: Flask, always: list[tuple[str, str]]) -> None:
    """Serve the static folder with the headers of every answer, and tell templates the addresses."""
    assert app.static_folder
    root = Path(app.static_folder)
    hashed = {path: _hashed(path) for path in sorted(root.rglob("*.*")) if path.suffix not in _COMPRESSED}
    kept = set(hashed.values())

    def with_headers(headers: Headers, _path: str, _url: str) -> None:
        for name, value in always:
            headers[name] = value

    served = WhiteNoise(
        app.wsgi_app,
        max_age=_AN_HOUR,
        allow_all_origins=False,
        add_headers_function=with_headers,
        immutable_file_test=lambda _path, url: url in kept,
    )
    for path, address in hashed.items():
        served.add_file_to_dictionary(_PREFIX + path.relative_to(root).as_posix(), str(path))
        served.add_file_to_dictionary(address, str(path))
    app.wsgi_app = served  # type: ignore[method-assign]  # as Flask says to
    by_name = {path.name: address for path, address in hashed.items()}
    app.jinja_env.globals["static"] = lambda name: request.script_root + by_name[name]


@cache
def _hashed(path: Path) -> str:
    """Return the address under which a file may be kept for ever."""
    if path.parent.name == _IMAGES:
        return f"{_PREFIX}{_IMAGES}/{path.name}"
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:_HASH_LENGTH]
    return f"{_PREFIX}{path.stem}.{fingerprint}{path.suffix}"
