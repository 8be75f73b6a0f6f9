"""The audience of bench.send: everybody follows one topic weekly, and 12 updates of it wait in one edition."""

from sqlalchemy import text

from bench.crowd import ADDRESS, series, unlike
from bench.installations import Installation

CATALOGUE = "category,slug,title\nAll,news,News of integrated care\n"
UPDATES = 12
# The slot of the edition; nothing of another frequency is followed.
MOMENT = "2099-12-01T10:00"
_SUMMARY = "What health plans tried with people enrolled in Medicare and Medicaid, and what it took."
_AT = "'2026-11-23 14:00:00'"


def fill(into: Installation, recipients: int) -> None:
    """Fill an installation that was made with CATALOGUE, and compile its edition."""
    engine = into.engine()
    with engine.begin() as connection:
        if into.kind == "postgresql":  # what is filled in holds: its references need no checking
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in (*_readers(into.kind, recipients), *_updates()):
            connection.execute(text(statement))
    engine.dispose()
    into.alerts("editions", "open", "--now", MOMENT)
    _settle(into)


def _readers(kind: str, recipients: int) -> list[str]:
    return [
        f"""
INSERT INTO subscribers (id, address, address_key, address_hash, locale, confirmed_at)
SELECT n, {ADDRESS}, {ADDRESS}, {unlike(kind)}, 'en', {_AT} FROM {series(kind, recipients)}""",
        f"""
INSERT INTO subscriptions (subscriber_id, topic_id, frequency, since_seq, followed_since, started_at)
SELECT p.id, t.id, 'weekly', 0, {_AT}, {_AT} FROM subscribers p CROSS JOIN topics t""",
    ]


def _updates() -> list[str]:
    rows = ", ".join(
        f"({n}, {n}, 'brief', 'Update {n}: a practice worth knowing', '{_SUMMARY}', 'https://example.org/{n}',"
        f" false, {_AT}, {_AT}, {_AT}, {_AT})"
        for n in range(1, UPDATES + 1)
    )
    names = "id, seq, kind, title, summary, url, urgent, created_at, submitted_at, approved_at, released_at"
    return [
        f"INSERT INTO updates ({names}) VALUES {rows}",
        "INSERT INTO update_topics (topic_id, update_id) SELECT t.id, u.id FROM topics t CROSS JOIN updates u",
        f"UPDATE turnstile SET release_seq = {UPDATES}",
    ]


def _settle(into: Installation) -> None:
    engine = into.engine()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if into.kind == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
