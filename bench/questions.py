"""How quickly `explain` and `proof` answer, and how that grows with the deliveries.

    python -m bench.questions [--quick] [--large] [--database sqlite|postgresql]

Asked of the crowd of bench.crowd, whose ten editions have ended: about a million deliveries; --large: five million.
"""

from functools import partial

from bench import crowd, installations
from bench.installations import NAMES
from bench.measuring import Table, interleaved, median, options, publish

_SIZES, _LARGE, _QUICK = (20_000, 200_000), 1_000_000, 500
_QUESTIONS = ("explain p50", "explain p95", "proof p50", "proof p95", "proof of a waiting one p50")
_ABOUT = """
## Asking the record

`explain` (why did this person get, or not get, this update?) and `proof` (what became of this update for everybody?),
asked of many people and updates, after ten editions of five deliveries a person have ended. The last column is the
proof of an update that still waits for its slot: it counts everybody who will get it, so it grows with the people.
Must: 50 ms at five million deliveries; aim: 10 ms.
"""


def measure(kind: str, subscribers: int, rounds: int) -> list[str]:
    """Return the row of one size."""
    with installations.installation(kind, crowd.CATALOGUE) as site:
        crowd.fill(site, subscribers)
        asked = partial(site.python, "bench.asking", str(subscribers))
        found = interleaved(rounds, {"asked": asked})["asked"]
    times = [f"{1000 * median(each[question] for each in found):.1f} ms" for question in _QUESTIONS]
    return [NAMES[kind], f"{5 * subscribers:,}", *times]


def main() -> None:
    """Measure every size on both databases and write the table."""
    chosen = options(__doc__).parse_args()
    sizes = [_QUICK] if chosen.quick else [*_SIZES, *([_LARGE] if chosen.large else [])]
    kinds = [kind for kind in installations.KINDS if chosen.database in {None, kind}]
    rows = [measure(kind, size, 1 if chosen.quick else chosen.rounds) for kind in kinds for size in sizes]
    publish("questions", [_ABOUT, *Table(("database", "deliveries", *_QUESTIONS), rows).lines()], chosen.page)


if __name__ == "__main__":
    main()
