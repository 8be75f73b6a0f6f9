"""The documentation and the code say the same: settings, commands, jobs, URLs, rooms, links."""

import re
from pathlib import Path

import pytest
from flask import Flask

from alerts_service.cli import TABLE
from alerts_service.cli.lazy import Entry
from scheduler import jobs

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def first_column(heading: str) -> list[str]:
    """The code in the first column of the table under a heading of docs/operations.md."""
    section = OPERATIONS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_every_setting_that_the_code_reads_is_documented_and_no_other() -> None:
    source = (ROOT / "alerts_service/config.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"(ALERTS_[A-Z_]+|PORT)"', source))
    assert set(first_column("Settings")) == read


def test_every_command_is_documented_with_the_help_it_prints() -> None:
    expected = []
    for noun, entry in TABLE.items():
        verbs = [(f"alerts {noun}", entry)] if isinstance(entry, Entry) else entry.items()
        expected += [(name if name.startswith("alerts") else f"alerts {noun} {name}", e.help) for name, e in verbs]
    section = OPERATIONS.split("\n## Commands\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE) == expected


def test_every_job_of_the_scheduler_is_documented() -> None:
    assert first_column("Jobs of the scheduler") == [job.id for job in jobs.table()]


def test_every_url_is_documented(app: Flask) -> None:
    documented = {url.split(" ", 1)[1] for url in first_column("URLs")}
    served = {rule.rule for rule in app.url_map.iter_rules()}
    assert served == documented


def test_every_module_of_the_services_has_its_place_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "alerts_service/services").rglob("*.py"):
        if path.stem != "__init__":
            assert f"`{path.stem}`" in text, f"docs/architecture.md does not place services/{path.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_target_of_the_makefile_that_the_documentation_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    command = re.compile(r"(?:^|`)make ([a-z]+)\b", re.MULTILINE)
    named = {name for page in PAGES for name in command.findall(page.read_text(encoding="utf-8"))}
    assert named <= targets
