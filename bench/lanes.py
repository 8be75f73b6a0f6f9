"""How soon a confirmation is sent while a large digest is going out.

python -m bench.lanes [--recipients N] [--quick] [--database sqlite|postgresql]
"""

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text

from bench import audience, installations, relays
from bench.installations import NAMES, Installation
from bench.measuring import Table, median, options, publish, quantile
from bench.processes import started

_ABOUT = """
## Confirmations beside a digest

A digest is going out to {recipients:,} people (`alerts scheduler --workers N`, to Postfix's `smtp-sink`) while
{asking} people sign up, one every tenth of a second. From the sign-up to the relay's 250 for its confirmation:

Must: 5 s for 99 of 100.
"""
_COLUMNS = ("database", "workers", "median", "99 of 100", "slowest", "digests still waiting at the end")
_LONGEST_SECONDS = 60
_ASKED = "SELECT created_at, sent_at FROM deliveries WHERE kind = 'confirmation'"
_CONFIRMED = "SELECT count(*) FROM deliveries WHERE kind = 'confirmation' AND state = 'sent'"
_SENDING = "SELECT count(*) FROM deliveries WHERE kind = 'digest' AND state = 'sent'"
_LEFT = "SELECT count(*) FROM deliveries WHERE kind = 'digest' AND state <> 'sent'"


def measure(kind: str, workers: int, recipients: int, asking: int) -> list[str]:
    """Return the row of one database and number of workers."""
    with relays.sink() as port, installations.installation(kind, audience.CATALOGUE) as site:
        audience.fill(site, recipients)
        environment = site.environment | {"ALERTS_SMTP_URL": f"smtp://127.0.0.1:{port}"}
        alerts = str(Path(sys.executable).with_name("alerts"))
        with started([alerts, "scheduler", "--workers", str(workers)], environment=environment):
            _until(site, _SENDING, 1)
            site.python("bench.signing_up", str(asking))
            left = _count(site, _LEFT)
            _until(site, _CONFIRMED, asking)
        waits = _waits(site)
    return [
        NAMES[kind],
        str(workers),
        f"{median(waits):.2f} s",
        f"{quantile(waits, 0.99):.2f} s",
        f"{max(waits):.2f} s",
        f"{left:,}",
    ]


def _until(site: Installation, query: str, number: int) -> None:
    """Wait until a count has come to a number. Raises TimeoutError."""
    until = time.monotonic() + _LONGEST_SECONDS
    while _count(site, query) < number:
        if time.monotonic() > until:
            raise TimeoutError(query)
        time.sleep(0.2)


def _count(site: Installation, query: str) -> int:
    return int(_rows(site, query)[0][0])


def _waits(site: Installation) -> list[float]:
    """Return how long, in seconds, each confirmation waited."""
    moments = [[_moment(each) for each in row] for row in _rows(site, _ASKED)]
    return [(sent - asked).total_seconds() for asked, sent in moments]


def _rows(site: Installation, query: str) -> Sequence[Row[Any]]:
    engine = site.engine()
    try:
        with engine.connect() as connection:
            return connection.execute(text(query)).all()
    finally:
        engine.dispose()


def _moment(stored: str | datetime) -> datetime:
    return stored if isinstance(stored, datetime) else datetime.fromisoformat(stored)


def main() -> None:
    """Measure both databases and write the table."""
    parser = options(__doc__)
    parser.add_argument("--recipients", type=int, default=100_000, help="recipients (default %(default)s)")
    chosen = parser.parse_args()
    recipients, asking = (200, 5) if chosen.quick else (chosen.recipients, 100)
    kinds = [kind for kind in installations.KINDS if chosen.database in {None, kind}]
    rows = [measure(kind, workers, recipients, asking) for kind in kinds for workers in (1, 2)]
    about = _ABOUT.format(recipients=recipients, asking=asking)
    publish("lanes", [about, *Table(_COLUMNS, rows).lines()], chosen.page)


if __name__ == "__main__":
    main()
