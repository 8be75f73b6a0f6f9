"""One batch of a compile: from who is owed what to digests and deliveries, in a few statements.

Nothing here loops over people, nor over the sets of updates that they are owed: a set's key is made in SQL
from its words. All of it runs under the turnstile, so that no digest appears beside ours. The working
tables last as long as the batch.
"""

from collections.abc import Iterable

from sqlalchemy import TextClause, bindparam, exists, func, or_, select, text
from sqlalchemy.orm import Session

from alerts_service.db import UTCDateTime, is_postgresql
from alerts_service.models import AT_ONCE, Digest, Edition, Lane, MailKind, Update
from alerts_service.services import matching
from alerts_service.services.digests import KEY_LENGTH
from alerts_service.services.matching import Question


def write(session: Session, edition: Edition, question: Question, answer: str | None = None) -> int:
    """Put the answer into digests and deliveries; return how many deliveries were made.

    The answer is what matching says, or another SELECT of the same form.
    """
    words = [f"w{n}" for n in range(len(question.words))]
    _match(session, question, words, answer or matching.statement(question))
    _gather_sets(session, question, words)
    highest = session.scalar(select(func.coalesce(func.max(Digest.id), 0))) or 0
    _make_digests(session, edition)
    _fill_new_digests(session, question, words, highest)
    return _deliver(session, edition, words)


def _match(session: Session, question: Question, words: list[str], answer: str) -> None:
    for table in ("owed", "owed_sets", "owed_digests"):
        session.execute(text(f"DROP TABLE IF EXISTS {table}"))
    columns = ", ".join(f"{word} BIGINT" for word in words)
    session.execute(text(f"CREATE TEMPORARY TABLE owed (subscriber_id BIGINT, locale VARCHAR(8), {columns})"))
    session.execute(matching.with_moment(f"INSERT INTO owed {answer}"), question.parameters)


def _gather_sets(session: Session, question: Question, words: list[str]) -> None:
    names = ", ".join(words)
    # Numbers of our own, written out: a bound value cannot be grouped by.
    session.execute(
        text(f"""
CREATE TEMPORARY TABLE owed_sets AS
SELECT locale, {names}, count(*) AS recipients, {_key(question.words, words)} AS set_key
FROM owed GROUP BY locale, {names}""")  # noqa: S608
    )
    _analyze(session, "owed", "owed_sets")


def _key(places: Iterable[int], words: Iterable[str]) -> str:
    """SQL for what digests.set_key() says of a set."""
    to_hex = "to_hex({})" if is_postgresql() else "printf('%x', {})"
    parts = [
        f"CASE WHEN {word} <> 0 THEN '{place}:' || {to_hex.format(word)} || ';' ELSE '' END"
        for place, word in zip(places, words, strict=True)
    ]
    joined = " || ".join(parts)
    if is_postgresql():
        return f"substr(encode(sha256(convert_to({joined}, 'UTF8')), 'hex'), 1, {KEY_LENGTH})"
    return f"substr(sha256_hex({joined}), 1, {KEY_LENGTH})"


def _make_digests(session: Session, edition: Edition) -> None:
    statement = """
INSERT INTO digests (edition_id, locale, set_key, recipients)
SELECT :edition, s.locale, s.set_key, s.recipients FROM owed_sets s WHERE true
ON CONFLICT (edition_id, locale, set_key) DO UPDATE SET recipients = digests.recipients + excluded.recipients"""
    session.execute(text(statement), {"edition": edition.id})
    session.execute(
        text(
            """
CREATE TEMPORARY TABLE owed_digests AS SELECT i.id AS digest_id, s.*
FROM owed_sets s CROSS JOIN digests i WHERE i.edition_id = :edition AND i.locale = s.locale AND i.set_key = s.set_key
""".replace(":edition", str(edition.id))
        )
    )
    _analyze(session, "owed_digests")


def _fill_new_digests(session: Session, question: Question, words: list[str], highest: int) -> None:
    """Write down what the digests hold that this batch has made: those above the highest id before."""
    holds = " OR ".join(f"(s.{word} & c.{word}) <> 0" for word in words)
    session.execute(
        text(f"""
WITH {matching.contents(question)}
INSERT INTO digest_updates (digest_id, update_id)
SELECT s.digest_id, c.update_id FROM owed_digests s CROSS JOIN contents c
WHERE s.digest_id > :highest AND ({holds}) ORDER BY s.digest_id, c.update_id"""),  # noqa: S608
        {"highest": highest},
    )
    ids = [candidate.id for candidate in question.candidates]
    lapsing = exists().where(Update.id.in_(ids), or_(Update.expires_at.is_not(None), Update.ends_at.is_not(None)))
    if session.scalar(select(lapsing)):
        session.execute(
            text("""
UPDATE digests SET recheck_at = (
  SELECT min(CASE WHEN u.ends_at IS NULL OR u.expires_at < u.ends_at THEN u.expires_at ELSE u.ends_at END)
  FROM digest_updates h JOIN updates u ON u.id = h.update_id WHERE h.digest_id = digests.id)
WHERE id > :highest"""),
            {"highest": highest},
        )


def _deliver(session: Session, edition: Edition, words: list[str]) -> int:
    same = " AND ".join(f"s.{word} = o.{word}" for word in words)
    statement = text(
        f"""
INSERT INTO deliveries (kind, lane, subscriber_id, edition_id, digest_id, state, created_at, due_at)
SELECT '{MailKind.DIGEST}', {int(Lane.URGENT if edition.urgent else Lane.DIGEST)}, o.subscriber_id,
       {edition.id}, s.digest_id, 'pending', :opened, :at_once
FROM owed o JOIN owed_digests s ON s.locale = o.locale AND {same}
ORDER BY s.digest_id, o.subscriber_id"""  # noqa: S608 - numbers and names of our own
    )
    result = session.execute(_with_moments(statement), {"opened": edition.opened_at, "at_once": AT_ONCE})
    return int(result.rowcount)  # type: ignore[attr-defined]


def _with_moments(statement: TextClause) -> TextClause:
    return statement.bindparams(*(bindparam(name, type_=UTCDateTime()) for name in ("opened", "at_once")))


def _analyze(session: Session, *tables: str) -> None:
    """Tell PostgreSQL how large the working tables are; SQLite follows the order in which joins are written."""
    if is_postgresql():
        for table in tables:
            session.execute(text(f"ANALYZE {table}"))
