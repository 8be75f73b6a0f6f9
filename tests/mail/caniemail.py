"""Makes support.txt from the data of caniemail.com: what of HTML and CSS do Gmail, Outlook and Apple Mail show?

`python -m tests.mail.caniemail data/caniemail.json`, with the file of the npm package `caniemail` (MIT), whenever it
has news. A line says the worst of a program's newest versions on all platforms: y(es), a(lmost), n(o); u is not known.
"""

import json
import sys
from pathlib import Path
from typing import Any

PROGRAMS = ("gmail", "outlook", "apple-mail")
TABLE = Path(__file__).with_name("support.txt")


def table() -> dict[str, dict[str, str]]:
    """Return the list as it is kept: by feature, by program."""
    lines = [line.split() for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {slug: dict(zip(PROGRAMS, found, strict=True)) for slug, *found in lines}


def _worst(platforms: dict[str, dict[str, str]]) -> str:
    newest = [list(versions.values())[-1][0] for versions in platforms.values() if versions]
    return max(newest, key="yuan".index, default="u")


def _lines(data: dict[str, Any]) -> list[str]:
    found = [f"# caniemail.com, {data['last_update_date'][:10]}: made by tests/mail/caniemail.py. {' '.join(PROGRAMS)}"]
    for feature in data["data"]:
        if feature["category"] in {"css", "html"}:
            stats = [_worst(feature["stats"].get(program, {})) for program in PROGRAMS]
            found.append(" ".join([feature["slug"], *stats]))
    return found


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    TABLE.write_text("\n".join(_lines(given)) + "\n", encoding="utf-8")
