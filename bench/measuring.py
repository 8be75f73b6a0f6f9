"""Rounds, medians, and the tables they end in: docs/performance.md, one marked section a bench."""

import argparse
import os
import platform
import re
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alerts_service.clock import utcnow

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
ROUNDS = 3

Name = TypeVar("Name")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Table:
    """One table of a section: a heading of each column, and rows of texts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        """Return the table in Markdown."""
        ruled = [self.columns, ["---"] * len(self.columns), *self.rows]
        return [f"| {' | '.join(row)} |" for row in ruled]


def options(about: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every bench has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds; medians are quoted (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round: only to see that it works")
    parser.add_argument("--large", action="store_true", help="also the sizes that take many minutes")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this database")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write into (default %(default)s)")
    return parser


def interleaved(rounds: int, measures: Mapping[Name, Callable[[], Result]]) -> dict[Name, list[Result]]:
    """Measure each once a round, one after the other, so that what disturbs one disturbs its reference too."""
    found: dict[Name, list[Result]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def median(values: Iterable[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def peak_memory(process: int | None = None) -> int:
    """Return the largest resident size a process (this one) has had since it began, in bytes.

    Not getrusage: its figure is inherited from whoever started the process. One that has just ended has none: 0.
    """
    status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="utf-8")
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def megabytes(size: float) -> str:
    """Say a size in MB."""
    return f"{size / 1_000_000:.0f} MB"


def machine() -> str:
    """Describe what the figures were measured on."""
    return ", ".join(
        [
            f"{os.cpu_count()} cores {_processor()}",
            f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
            f"{platform.system()} {platform.release().split('-')[0]}",
            f"Python {platform.python_version()}",
            f"SQLite {sqlite3.sqlite_version}",
            f"PostgreSQL {_postgresql()}",
            f"{utcnow():%Y-%m-%d}",
        ]
    )


def publish(section: str, body: Sequence[str], page: Path) -> None:
    """Print a section and write it into the page, between its markers; the other sections stay as they are."""
    text = "\n".join(body).strip()
    print(text, flush=True)
    start, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    page_text = page.read_text(encoding="utf-8") if page.exists() else "# Performance\n"
    block = f"{start}\n{text}\n\nMeasured on {machine()}.\n{end}"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(page_text):
        page_text = pattern.sub(lambda _: block, page_text)
    else:
        page_text = f"{page_text.rstrip()}\n\n{block}\n"
    page.write_text(page_text, encoding="utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _postgresql() -> str:
    from bench import installations

    return installations.postgresql_version()
