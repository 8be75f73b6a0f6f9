"""`make styles`: write the pages' stylesheet, its images, and each of them compressed, into alerts_service/static.

The stylesheet is USWDS (the US Web Design System), trimmed to what the templates use, and pages.css after it. Run
it after a change to a template's classes or to pages.css; a test says when that was forgotten.
"""

import gzip
import hashlib
import re
from pathlib import Path

import brotli

from styles.trimming import Used, trimmed, with_images

ROOM = Path(__file__).resolve().parent
STATIC = ROOM.parent / "alerts_service/static"
TEMPLATES = ROOM.parent / "templates"
# As published: https://www.npmjs.com/package/@uswds/uswds
VERSION = "3.14.0"
SHEET = ROOM / "uswds/uswds.min.css"
IMAGES = ROOM / "uswds/img"
COMPRESSED = {".css", ".svg"}


def stylesheet() -> str:
    """Return the stylesheet of the pages as it should be. Raises FileNotFoundError for an image that is not here."""
    published = SHEET.read_bytes()
    used = Used.in_templates(path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.rglob("*.html")))
    named = f"USWDS {VERSION}, trimmed; uswds.min.css has the SHA-256 {hashlib.sha256(published).hexdigest()}"
    own = re.sub(r"/\*.*?\*/", "", (ROOM / "pages.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    own = re.sub(r"\s*([{};,])\s*", r"\1", " ".join(own.split()))
    return f"/*! {named}. */\n{trimmed(published.decode(), used, served)}\n{with_images(own, served)}\n"


def served(address: str) -> str:
    """Return where an image is served, seen from the stylesheet: its name carries its hash."""
    path = IMAGES / Path(address).name
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return f"uswds/{path.stem}-{fingerprint}{path.suffix}"


def write() -> None:
    """Write what is served, and each file compressed beside it."""
    (STATIC / "pages.css").write_text(stylesheet(), encoding="utf-8")
    for path in IMAGES.iterdir():
        (STATIC / served(path.name)).write_bytes(path.read_bytes())
    for path in sorted(STATIC.rglob("*.*")):
        if path.suffix in COMPRESSED:
            plain = path.read_bytes()
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(plain, 9, mtime=0))
            path.with_name(f"{path.name}.br").write_bytes(brotli.compress(plain))


if __name__ == "__main__":
    write()
