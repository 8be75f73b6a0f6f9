"""Every bench runs, on each database at tiny sizes, and writes its section; what it measures is asserted nowhere."""

import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from bench import measuring
from bench.installations import NAMES
from bench.measuring import Table
from tests.databases import scratch, unavailable

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "database"),
    [
        *product(["compile", "sign_up", "questions", "fill"], NAMES),
        *(("send", "sqlite"), ("lanes", "sqlite"), ("scale", "postgresql")),
    ],
)
def test_a_bench_runs_and_writes_its_table(name: str, database: str, tmp_path: Path) -> None:
    if name in {"send", "scale", "lanes"} and not shutil.which(
        "smtp-sink", path="/usr/sbin:/usr/lib/postfix:/usr/libexec/postfix"
    ):
        unavailable("smtp-sink is not there: apt-get install postfix")
    page = tmp_path / "performance.md"
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--quick", "--database", database, "--page", str(page)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": scratch()},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = page.read_text(encoding="utf-8")
    for words in (f"| {NAMES[database]} |", "Measured on", "Python 3."):
        assert words in written


def test_a_section_is_written_in_place_and_leaves_the_others_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Performance\n\nWhat stands here stays.\n", encoding="utf-8")
    for section, words in (("first", "one"), ("second", "two"), ("first", "three, for a \\1 backslash")):
        measuring.publish(section, [words], page)
    written = page.read_text(encoding="utf-8")
    assert written.startswith("# Performance\n\nWhat stands here stays.\n")
    assert "one" not in written.split("Measured on")[0]
    assert written.index("three, for a \\1 backslash") < written.index("two")
    assert written.count("<!-- first -->") == written.count("<!-- end of first -->") == 1


def test_rounds_are_interleaved_so_that_one_disturbance_meets_both() -> None:
    order: list[str] = []

    def measured(name: str) -> int:
        order.append(name)
        return len(order)

    found = measuring.interleaved(2, {name: partial(measured, name) for name in ("ours", "reference")})
    assert order == ["ours", "reference", "ours", "reference"]
    assert found == {"ours": [1, 3], "reference": [2, 4]}


def test_a_table_is_markdown() -> None:
    assert Table(("a", "b"), [["1", "2"]]).lines() == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
