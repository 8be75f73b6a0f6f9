"""The wheel: whole, and of use where no checkout is near."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.databases import unavailable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("alerts_service", "scheduler", "templates")
# For translators and for whoever works on the code.
NOT_NEEDED = {"babel.cfg", "messages.pot"}

CONFIRMATION = """
import alerts_service
from alerts_service import clock, config
from alerts_service.mail import compose
assert alerts_service.__file__.startswith({target!r}), alerts_service.__file__
now = clock.utcnow()
words = compose.confirmation(
    sign_up_id=1, topics=["Falls"], frequency="weekly", locale="en", settings=config.load(), now=now, expires_at=now
)
print(words.subject, words.text, words.html)
"""
SITE = """
from alerts_service import create_app
site = create_app().test_client()
for path in ("/", "/static/pages.css", "/static/icon.svg", "/readyz"):
    assert site.get(path).status_code == 200, path
"""
COMMAND = "from alerts_service.cli import main; main()"


def pip(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the environment's own pip."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree and installed into a folder of its own."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "target"))
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    if built.returncode != 0 and "Could not find a version" in built.stderr:
        unavailable("no wheel can be built: setuptools cannot be had here")
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("*.whl")
    placed = pip("install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    assert placed.returncode == 0, placed.stderr
    return target


def run(installed: Path, folder: Path, program: str, *words: str) -> str:
    """Run a program elsewhere, with what was installed before anything else; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "ALERTS_MODE": "demo"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_inside(installed: Path) -> None:
    expected = {
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in NOT_NEEDED
    }
    missing = sorted(str(path) for path in expected if not (installed / path).is_file())
    assert missing == []
    assert not (installed / "tests").exists()


def test_a_mail_can_be_composed_from_it(installed: Path, tmp_path: Path) -> None:
    printed = run(installed, tmp_path, CONFIRMATION.format(target=str(installed)))
    assert "/confirm/" in printed
    assert "Falls" in printed
    assert "<html" in printed


def test_its_command_makes_an_installation_and_its_site_answers(installed: Path, tmp_path: Path) -> None:
    assert "Usage: alerts" in run(installed, tmp_path, COMMAND, "--help")
    assert "The catalogue was loaded" in run(installed, tmp_path, COMMAND, "init")
    assert "Released “" in run(installed, tmp_path, COMMAND, "demo-digest")
    run(installed, tmp_path, SITE)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_an_extra_that_a_locked_package_asks_for_is_locked_with_it(name: str) -> None:
    """Otherwise pip takes the newest version for the extra and refuses the whole list: it has no hash."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    locked = {line.partition("==")[0] for line in lines if re.match(r"[a-z0-9]", line)}
    plain = {entry.partition("[")[0] for entry in locked}
    for distribution in metadata.distributions():
        if distribution.name.lower() not in plain or distribution.name == "alerts-service":
            continue
        for requirement in distribution.requires or []:
            wanted = re.match(r"([\w.-]+)\s*(\[[^\]]+\])", requirement)
            if wanted and "extra ==" not in requirement:
                assert wanted[1] + wanted[2] in locked, f"{distribution.name} asks for {wanted[0]}"
