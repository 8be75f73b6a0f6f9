"""Filling an installation for rehearsal: `alerts demo-data`, a million people in about a minute, in flat memory.

python -m bench.fill [--quick] [--large] [--database sqlite|postgresql]
"""

from bench import installations
from bench.installations import NAMES
from bench.measuring import Table, megabytes, options, publish
from bench.watching import watched

_SIZES, _LARGE, _QUICK = (10_000, 100_000, 1_000_000), 5_000_000, 500
_UPDATES = 30
_ABOUT = f"""
## Filling an installation for rehearsal

`alerts demo-data --subscribers N --updates {_UPDATES}`, the whole command, once at each size.
Must: a million in about a minute on SQLite, and memory that does not grow with the people.
"""


def measure(kind: str, subscribers: int) -> list[str]:
    """Return the row of one size."""
    with installations.installation(kind) as site:
        command = ["demo-data", "--subscribers", str(subscribers), "--updates", str(_UPDATES)]
        done = watched([command], [site.environment], site.folder)
    rate = subscribers / done.seconds
    return [NAMES[kind], f"{subscribers:,}", f"{done.seconds:.1f} s", f"{rate:,.0f}/s", megabytes(done.peak)]


def main() -> None:
    """Measure every size on both databases and write the table."""
    chosen = options(__doc__).parse_args()
    sizes = [_QUICK] if chosen.quick else [*_SIZES, *([_LARGE] if chosen.large else [])]
    kinds = [kind for kind in installations.KINDS if chosen.database in {None, kind}]
    rows = [measure(kind, size) for kind in kinds for size in sizes]
    table = Table(("database", "subscribers", "seconds", "people", "memory"), rows)
    publish("fill", [_ABOUT, *table.lines()], chosen.page)


if __name__ == "__main__":
    main()
