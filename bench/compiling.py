"""What bench.compile measures, in a process of its own: `compile`, or `bare N` for its reference."""

import json
import sys
from time import perf_counter

from sqlalchemy import text

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.db import db, transaction
from alerts_service.services import compiling
from bench.measuring import peak_memory


def compile_all() -> dict[str, float]:
    """Compile what is open, as a tick of the scheduler does; the transactions of the batches apart."""
    before, made, longest = peak_memory(), 0, 0.0
    started = perf_counter()
    working = True
    while working:
        batch_started = perf_counter()
        working, number = compiling.compile_next(utcnow())
        made += number
        longest = max(longest, perf_counter() - batch_started)
    seconds = perf_counter() - started
    return {
        "seconds": seconds,
        "deliveries": made,
        "longest_batch": longest,
        "grown": peak_memory() - before,
        "peak": peak_memory(),
    }


def bare_insert(rows: int) -> dict[str, float]:
    """Insert as many deliveries by one INSERT … SELECT from a table that holds them ready."""
    with transaction() as session:
        session.execute(
            text(
                "CREATE TEMPORARY TABLE ready AS SELECT p.id AS subscriber_id, 2000 + p.id % 20000 AS digest_id"
                " FROM subscribers p ORDER BY p.id LIMIT :rows"
            ),
            {"rows": rows},
        )
    started = perf_counter()
    with transaction() as session:
        inserted = session.execute(
            text("""
INSERT INTO deliveries (kind, lane, subscriber_id, edition_id, digest_id, state, created_at, due_at)
SELECT 'digest', 2, subscriber_id, 11, digest_id, 'pending', '2026-11-24 14:00:00', '1970-01-01 00:00:00' FROM ready""")
        ).rowcount  # type: ignore[attr-defined]
    return {"seconds": perf_counter() - started, "deliveries": inserted}


def main() -> None:
    """Do one of the two and print what it took."""
    with create_core().app_context():
        done = compile_all() if sys.argv[1] == "compile" else bare_insert(int(sys.argv[2]))
        db.session.remove()
        db.engine.dispose()
    print(json.dumps(done))


if __name__ == "__main__":
    main()
