"""The catalogue of sentences is whole: collected from the code as it is, translated, and compiled."""

import io
import re
import subprocess
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from alerts_service.translations import FOLDER

ROOT = FOLDER.parent.parent
SPANISH = FOLDER / "es/LC_MESSAGES"
PLACE = re.compile(r"%\(\w+\)s|\{\w+\}")
# What these say is English wherever it comes from: the Spanish sentence does without.
LEFT_OUT = {"{reason}", "{what}"}


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def sentences(found: Catalog) -> set[str]:
    return {str(message.id) for message in found if message.id}


def texts(message: Message) -> tuple[list[str], list[str]]:
    """The English and the Spanish of a message, singular and plural."""
    english = list(message.id) if isinstance(message.id, tuple) else [message.id]
    spanish = list(message.string) if isinstance(message.string, tuple) else [message.string]
    return [str(text) for text in english], [str(text) for text in spanish]


def test_every_sentence_of_the_code_is_collected(tmp_path: Path) -> None:
    fresh = tmp_path / "messages.pot"
    options = ["-F", str(FOLDER / "babel.cfg"), "-o", str(fresh), "alerts_service", "templates"]
    pybabel = str(Path(sys.executable).with_name("pybabel"))
    subprocess.run([pybabel, "-q", "extract", *options], cwd=ROOT, check=True, timeout=60)
    assert sentences(catalogue(fresh)) == sentences(catalogue(FOLDER / "messages.pot")), "run: make translations"


def test_every_sentence_has_its_spanish_with_the_same_places_to_fill() -> None:
    found = catalogue(SPANISH / "messages.po")
    assert sentences(found) == sentences(catalogue(FOLDER / "messages.pot")), "run: make translations"
    for message in found:
        if message.id:
            english, spanish = texts(message)
            assert not message.fuzzy
            assert all(spanish), english
            places = {place for text in english for place in PLACE.findall(text)}
            assert places - LEFT_OUT <= {p for text in spanish for p in PLACE.findall(text)} <= places, english


def test_what_is_compiled_is_what_is_translated() -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(SPANISH / "messages.po"))
    compiled.seek(0)
    with (SPANISH / "messages.mo").open("rb") as file:
        kept = {str(message.id): message.string for message in read_mo(file) if message.id}
    assert kept == {str(message.id): message.string for message in read_mo(compiled) if message.id}
