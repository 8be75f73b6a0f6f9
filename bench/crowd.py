"""A crowd with a history: subscribers with 4 topics of 50, ten past editions, and one edition to be compiled.

Everybody follows a set of four topics out of all there are; seven in ten read weekly, the others daily,
and one in fifty both. Eight weekly and two daily editions have been sent, five deliveries a person; the two
daily ones hold updates that the weekly edition asks about. Numbers that look random come from remainders of
large primes, so that both databases hold the same crowd.
"""

import math
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from bench.installations import Installation

TOPICS = 50
TOPICS_EACH = 4
NEW_UPDATES = 30
PAST_UPDATES = 60
_COMBINATIONS = math.comb(TOPICS, TOPICS_EACH)
_GIVEN_DAILY = 12  # of the new updates, those that daily readers have been sent
_DIGESTS_AN_EDITION = 2_000
_LARGE = 4_294_967_291  # the largest prime below 2^32
_AT = "'2026-11-23 14:00:00'"

# SQL for the address of the n-th.
ADDRESS = "'reader' || n || '@mail' || (n % 400) || '.example'"
CATALOGUE = "category,slug,title\n" + "".join(f"All,topic-{n},Topic {n}\n" for n in range(1, TOPICS + 1))


@dataclass(frozen=True)
class Crowd:
    """What was filled in: the edition that waits for its compile."""

    subscribers: int
    edition: int


def fill(into: Installation, subscribers: int) -> Crowd:
    """Fill an installation that was made with CATALOGUE."""
    engine = into.engine()
    with engine.begin() as connection:
        if into.kind == "postgresql":  # what is filled in holds: its references need no checking
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        indexes = _indexes(connection, into.kind)
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        made = [definition for _, definition in indexes]
        for statement in (*_people(into.kind, subscribers), *_updates(), *_history(), *made, _COUNT):
            # Past SQLAlchemy's search for parameters, which would take longer than the database.
            connection.exec_driver_sql(statement.replace("%", "%%") if into.kind == "postgresql" else statement)
        edition = _open_weekly(connection)
    _settle(engine, into.kind)
    engine.dispose()
    return Crowd(subscribers, edition)


def _indexes(connection: Connection, kind: str) -> list[tuple[str, str]]:
    """Return the large tables' indexes with the statements that make them: they are made when all is there."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({})"
    if kind == "postgresql":
        query = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ({})
  AND indexname NOT IN (SELECT conname FROM pg_constraint)"""
    return [(name, made) for name, made in connection.exec_driver_sql(query.format("'subscriptions', 'deliveries'"))]


def mixed(number: str, salt: int, below: int) -> str:
    """Return SQL for a number in [0, below) that looks random and differs by salt."""
    return f"((({number} + {salt}) * 2654435761 % {_LARGE}) * 48271 % {_LARGE} % {below})"


def series(kind: str, last: int) -> str:
    """Return SQL for a table `n` of the numbers from 1 on."""
    if kind == "postgresql":
        return f"generate_series(1, {last}) AS n(n)"
    return f"(WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < {last}) SELECT n FROM c)"


def unlike(kind: str) -> str:
    """Return SQL for 64 characters that differ for every `n`, as hashes of addresses do."""
    if kind == "postgresql":
        return "encode(sha256(convert_to(n::text, 'UTF8')), 'hex')"
    return "lower(hex(randomblob(32)))"


def _people(kind: str, subscribers: int) -> list[str]:
    return [
        f"""
INSERT INTO subscribers (id, address, address_key, address_hash, locale, confirmed_at)
SELECT n, {ADDRESS}, {ADDRESS}, {unlike(kind)}, CASE WHEN {mixed("n", 1, 10)} = 0 THEN 'es' ELSE 'en' END, {_AT}
FROM {series(kind, subscribers)}""",
        """
CREATE TEMPORARY TABLE combinations AS
SELECT row_number() OVER (ORDER BY a.id, b.id, c.id, d.id) - 1 AS number, a.id AS a, b.id AS b, c.id AS c, d.id AS d
FROM topics a JOIN topics b ON b.id > a.id JOIN topics c ON c.id > b.id JOIN topics d ON d.id > c.id""",
        "CREATE INDEX by_number ON combinations (number)",
        f"ANALYZE{' combinations' if kind == 'postgresql' else ''}",
        f"""
INSERT INTO subscriptions (subscriber_id, topic_id, frequency, since_seq, followed_since, started_at)
SELECT p.id, t.id, CASE
    WHEN {_reads_weekly("p.id")} AND NOT ({mixed("p.id", 4, 50)} = 0 AND t.id % 4 = 0) THEN 'weekly'
    ELSE 'daily' END, 0, {_AT}, {_AT}
FROM subscribers p JOIN combinations x ON x.number = {mixed("p.id", 2, _COMBINATIONS)}
JOIN topics t ON t.id IN (x.a, x.b, x.c, x.d)
ORDER BY p.id, t.id""",
        "DROP TABLE combinations",
    ]


def _reads_weekly(person: str) -> str:
    return f"({mixed(person, 3, 1000)} < 720)"


def _updates() -> list[str]:
    rows, topics = [], []
    for n in range(1, PAST_UPDATES + NEW_UPDATES + 1):
        rows.append(
            f"({n}, {n}, 'news', 'Update {n}: a practice worth knowing', '{'What changed, and for whom. ' * 30}',"
            f" 'https://example.org/{n}', false, {_AT}, {_AT}, {_AT}, {_AT})"
        )
        # One in two stands under a second topic, too.
        topics.append(f"({n * 7 % TOPICS + 1}, {n})")
        if n % 2:
            topics.append(f"({(n * 7 + n * 11 % 48 + 1) % TOPICS + 1}, {n})")
    names = "id, seq, kind, title, summary, url, urgent, created_at, submitted_at, approved_at, released_at"
    through = PAST_UPDATES + NEW_UPDATES
    return [
        f"INSERT INTO updates ({names}) VALUES {', '.join(rows)}",
        f"INSERT INTO update_topics (topic_id, update_id) VALUES {', '.join(topics)}",
        f"UPDATE turnstile SET release_seq = {through}",
        f"UPDATE frequencies SET covered_seq = {PAST_UPDATES} WHERE frequency = 'weekly'",
        f"UPDATE frequencies SET covered_seq = {PAST_UPDATES + _GIVEN_DAILY} WHERE frequency = 'daily'",
        f"UPDATE frequencies SET covered_seq = {through} WHERE frequency IN ('immediate', 'monthly')",
    ]


def _history() -> list[str]:
    statements = []
    for edition in range(1, 11):
        daily = edition > 8
        first = PAST_UPDATES + 1 + (edition - 9) * _GIVEN_DAILY // 2 if daily else 1 + (edition - 1) * 7
        held = _GIVEN_DAILY // 2 if daily else 7
        statements += [
            f"""
INSERT INTO editions (id, frequency, slot_at, from_seq, through_seq, urgent, opened_at, compiled_to, compiled_at)
VALUES ({edition}, '{"daily" if daily else "weekly"}', '2026-0{edition // 10 + 1}-{edition % 10 + 1:02} 14:00:00',
        {first - 1}, {first + held - 1}, false, {_AT}, 0, {_AT})""",
            *_digests(edition, first, held),
            _deliveries(edition, daily),
        ]
    return statements


_COUNT = """
UPDATE digests SET recipients = d.number
FROM (SELECT digest_id, count(*) AS number FROM deliveries GROUP BY digest_id) AS d WHERE d.digest_id = digests.id"""


def _digests(edition: int, first: int, held: int) -> list[str]:
    base = edition * _DIGESTS_AN_EDITION
    digests = [f"({base + n}, {edition}, 'en', 'set {n}', 0)" for n in range(_DIGESTS_AN_EDITION)]
    contents = [
        f"({base + n}, {update})"
        for n in range(_DIGESTS_AN_EDITION)
        for update in sorted({first + (n * step + n // 7) % held for step in (1, 3, 5)})
    ]
    return [
        f"INSERT INTO digests (id, edition_id, locale, set_key, recipients) VALUES {', '.join(digests)}",
        f"INSERT INTO digest_updates (digest_id, update_id) VALUES {', '.join(contents)}",
    ]


def _deliveries(edition: int, daily: bool) -> str:
    """All daily readers, or three in four of the weekly ones."""
    whose = (
        f"(NOT {_reads_weekly('p.id')} OR {mixed('p.id', 4, 50)} = 0)"
        if daily
        else f"{_reads_weekly('p.id')} AND {mixed('p.id', 100 + edition, 1000)} < 760"
    )
    return f"""
INSERT INTO deliveries (kind, lane, subscriber_id, edition_id, digest_id, address, state, created_at, due_at,
                        claim_number, reply, relay_id, sent_at)
SELECT 'digest', 2, p.id, {edition}, {edition * _DIGESTS_AN_EDITION} + {mixed("p.id", edition, _DIGESTS_AN_EDITION)},
       p.address, 'sent', {_AT}, '1970-01-01 00:00:00', 1, '250 2.0.0 Ok', '2.0.0 Ok: queued as 4B7A' || p.id, {_AT}
FROM subscribers p WHERE {whose} ORDER BY p.id"""


def _open_weekly(connection: Connection) -> int:
    connection.execute(
        text(f"""
INSERT INTO editions (id, frequency, slot_at, from_seq, through_seq, urgent, opened_at, compiled_to)
VALUES (11, 'weekly', '2026-11-24 14:00:00', {PAST_UPDATES}, {PAST_UPDATES + NEW_UPDATES}, false, {_AT}, 0)""")
    )
    return 11


def _settle(engine: Engine, kind: str) -> None:
    """Do what the database's own housekeeping would have done by now."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if kind == "postgresql" else "ANALYZE"))
        if kind == "postgresql":
            for table in ("editions", "digests", "subscribers", "updates"):
                highest = f"(SELECT max(id) FROM {table})"
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {highest})"))
            connection.execute(text("CHECKPOINT"))
        else:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
