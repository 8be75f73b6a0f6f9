"""Compiling an edition, beside the bare INSERT … SELECT of as many rows into the same indexed table.

    python -m bench.compile [--quick] [--large] [--database sqlite|postgresql]

Each size is filled in once (bench.crowd: 4 topics each of 50, 30 new updates, ten past editions of five
deliveries a person); every measurement is made in a fresh copy of that database, by a process of its own.
--large adds 5 million subscribers on PostgreSQL.
"""

from functools import partial

from bench import crowd, installations
from bench.installations import NAMES, Installation
from bench.measuring import Table, interleaved, median, megabytes, options, publish

_SIZES = (10_000, 100_000, 1_000_000)
_LARGE = 5_000_000
_QUICK = 500
_HEADINGS = ("database", "subscribers", "deliveries", "compile", "bare insert", "ratio", "longest batch", "memory")
_ABOUT = """
## Compiling an edition

A weekly edition of 30 updates, for people who follow 4 topics each of 50, after ten editions (five deliveries a
person). Beside it, in the same run: one `INSERT … SELECT` of as many rows into the same table with the same indexes.
Must: 7 × its time on SQLite, 5 × on PostgreSQL; aim: 4 ×. Memory is the peak of the compiling process.
"""


def measure(kind: str, subscribers: int, rounds: int) -> list[str]:
    """Return the row of one size."""
    with installations.installation(kind, crowd.CATALOGUE) as filled:
        crowd.fill(filled, subscribers)
        expected = int(_compile(filled)["deliveries"])
        found = interleaved(rounds, {"ours": partial(_compile, filled), "bare": partial(_bare, filled, expected)})
    ours = median(each["seconds"] for each in found["ours"])
    bare = median(each["seconds"] for each in found["bare"])
    longest = median(each["longest_batch"] for each in found["ours"])
    peak = max(each["peak"] for each in found["ours"])
    return [
        NAMES[kind],
        f"{subscribers:,}",
        f"{expected:,}",
        f"{ours:.2f} s",
        f"{bare:.2f} s",
        f"**{ours / bare:.1f} ×**",
        f"{longest:.2f} s",
        megabytes(peak),
    ]


def _compile(filled: Installation) -> dict[str, float]:
    with installations.copy(filled) as copied:
        return dict(copied.python("bench.compiling", "compile"))


def _bare(filled: Installation, rows: int) -> dict[str, float]:
    with installations.copy(filled) as copied:
        return dict(copied.python("bench.compiling", "bare", str(rows)))


def main() -> None:
    """Measure every size on both databases and write the table."""
    chosen = options(__doc__).parse_args()
    sizes = {kind: [_QUICK] if chosen.quick else [*_SIZES] for kind in installations.KINDS}
    if chosen.large:
        sizes["postgresql"].append(_LARGE)
    rows = [
        measure(kind, size, 1 if chosen.quick else chosen.rounds)
        for kind in installations.KINDS
        if chosen.database in {None, kind}
        for size in sizes[kind]
    ]
    publish("compile", [_ABOUT, *Table(_HEADINGS, rows).lines()], chosen.page)


if __name__ == "__main__":
    main()
