"""Compiling an edition: from who is owed what to digests and deliveries, in short batches of people.

Each batch is one transaction under the turnstile: compiles take turns, so that no two editions can owe
one person the same update at the same moment. Editions compile strictly in the order of their ids. A
batch that a crash undid is done again from `compiled_to`. Two passes a batch: people served up to the
edition's `from_seq`, then people who have a mark of their own.
"""

from datetime import datetime

from sqlalchemy import bindparam, delete, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.orm import Session

from alerts_service.db import UTCDateTime, taking_turns, transaction
from alerts_service.models import (
    AT_ONCE,
    CatchUp,
    CoveredFrequency,
    Edition,
    Lane,
    MailKind,
    Subscriber,
    Subscription,
    Update,
)
from alerts_service.services import candidates, digests, matching
from alerts_service.services.digests import Content
from alerts_service.services.matching import Question
from alerts_service.services.seeding import Seeding

BATCH_PEOPLE = 20_000


@taking_turns
def compile_next(now: datetime, batch: int = BATCH_PEOPLE, seeding: Seeding | None = None) -> tuple[bool, int]:
    """Do one batch of the oldest uncompiled edition; return whether there was one, and the deliveries made.

    With its last batch its seeds are queued; they are not counted.
    """
    with transaction(turn=True) as session:
        query = select(Edition).where(Edition.compiled_at.is_(None)).order_by(Edition.id).limit(1)
        edition = session.scalar(query.execution_options(populate_existing=True))
        if edition is None:
            return False, 0
        to = _end_of_batch(session, edition, batch) if _has_work(session, edition, now) else None
        if to is None:
            _finish(session, edition, now)
            if seeding is not None:
                seeding.plant(session, edition)
            return True, 0
        made = _match(session, edition, to, now)
        _settle_marks(session, edition, to, now)
        edition.compiled_to = to
        return True, made


def _has_work(session: Session, edition: Edition, now: datetime) -> bool:
    """Say whether anybody could be owed anything: something new is live, or somebody is behind."""
    behind = exists().where(CatchUp.frequency == edition.frequency, CatchUp.from_seq < edition.through_seq)
    new = exists().where(*candidates.live(now), Update.seq > edition.from_seq, Update.seq <= edition.through_seq)
    return bool(session.scalar(select(or_(behind, new))))


def _end_of_batch(session: Session, edition: Edition, batch: int) -> int | None:
    ids = select(Subscriber.id).where(Subscriber.id > edition.compiled_to).order_by(Subscriber.id).limit(batch)
    last: int | None = session.scalar(select(func.max(ids.subquery().c.id)))
    return last


def _match(session: Session, edition: Edition, to: int, now: datetime) -> int:
    made = 0
    for behind in (False, True):
        low = _lowest_mark(session, edition, to, now) if behind else edition.from_seq
        if low is None:
            continue
        question = Question(
            frequency=edition.frequency,
            from_seq=edition.from_seq,
            # Someone behind in one topic may be up to date in another.
            candidates=candidates.released(session, min(low, edition.from_seq), edition.through_seq, now),
            after=edition.compiled_to,
            to=to,
            behind=behind,
            now=now,
        )
        if question.candidates:
            made += _write(session, edition, question)
    return made


def _lowest_mark(session: Session, edition: Edition, to: int, now: datetime) -> int | None:
    return session.scalar(
        select(func.min(CatchUp.from_seq))
        .join(Subscriber, Subscriber.id == CatchUp.subscriber_id)
        .where(CatchUp.frequency == edition.frequency, ~candidates.away(now))
        .where(CatchUp.subscriber_id > edition.compiled_to, CatchUp.subscriber_id <= to)
    )


def _write(session: Session, edition: Edition, question: Question) -> int:
    """Put the answer into digests and deliveries; the working tables last as long as the batch."""
    words = [f"w{n}" for n in range(question.words)]
    for table in ("owed", "owed_sets"):
        session.execute(text(f"DROP TABLE IF EXISTS {table}"))
    columns = ", ".join(f"{word} BIGINT" for word in words)
    names = ", ".join(words)
    session.execute(text(f"CREATE TEMPORARY TABLE owed (subscriber_id BIGINT, locale VARCHAR(8), {columns})"))
    session.execute(
        matching.with_moment(f"INSERT INTO owed {matching.statement(question)}"),
        question.parameters,
    )
    sets = session.execute(
        text(f"SELECT locale, count(*), {names} FROM owed GROUP BY locale, {names}")  # noqa: S608 - numbered names
    ).all()
    if not sets:
        return 0
    contents = [Content(row[0], frozenset(c.id for c in question.chosen(row[2:])), row[1]) for row in sets]
    found = digests.ensure(session, edition.id, contents)
    session.execute(text(f"CREATE TEMPORARY TABLE owed_sets (locale VARCHAR(8), digest_id BIGINT, {columns})"))
    session.execute(
        text(f"INSERT INTO owed_sets VALUES (:locale, :digest, {', '.join(f':{word}' for word in words)})"),  # noqa: S608
        [
            {"locale": row[0], "digest": digest} | dict(zip(words, row[2:], strict=True))
            for row, digest in zip(sets, found, strict=True)
        ],
    )
    return _deliver(session, edition, words)


def _deliver(session: Session, edition: Edition, words: list[str]) -> int:
    same = " AND ".join(f"s.{word} = o.{word}" for word in words)
    statement = text(
        f"""
INSERT INTO deliveries (kind, lane, subscriber_id, edition_id, digest_id, state, created_at, due_at)
SELECT '{MailKind.DIGEST}', {int(Lane.URGENT if edition.urgent else Lane.DIGEST)}, o.subscriber_id,
       {edition.id}, s.digest_id, 'pending', :opened, :at_once
FROM owed o JOIN owed_sets s ON s.locale = o.locale AND {same}
ORDER BY s.digest_id, o.subscriber_id"""  # noqa: S608 - numbers and names of our own
    )
    moments = [bindparam(name, type_=UTCDateTime()) for name in ("opened", "at_once")]
    result = session.execute(statement.bindparams(*moments), {"opened": edition.opened_at, "at_once": AT_ONCE})
    return int(result.rowcount)  # type: ignore[attr-defined]


def _settle_marks(session: Session, edition: Edition, to: int, now: datetime) -> None:
    """Move the marks of those just served; keep those of the people who are away."""
    mine = (
        CatchUp.frequency == edition.frequency,
        CatchUp.subscriber_id > edition.compiled_to,
        CatchUp.subscriber_id <= to,
    )
    gone = select(Subscriber.id).where(candidates.away(now), Subscriber.id > edition.compiled_to, Subscriber.id <= to)
    # A mark above `through_seq` is that of someone who confirmed after the edition was opened.
    session.execute(
        update(CatchUp)
        .where(*mine, CatchUp.from_seq < edition.through_seq, CatchUp.subscriber_id.not_in(gone))
        .values(from_seq=edition.through_seq)
    )
    session.execute(
        insert(CatchUp).from_select(
            ["subscription_id", "frequency", "subscriber_id", "from_seq"],
            select(Subscription.id, Subscription.frequency, Subscription.subscriber_id, literal(edition.from_seq))
            .outerjoin(CatchUp, CatchUp.subscription_id == Subscription.id)
            .where(
                Subscription.ended_at.is_(None),
                Subscription.frequency == edition.frequency,
                Subscription.subscriber_id.in_(gone),
                CatchUp.subscription_id.is_(None),
            ),
        )
    )


def _finish(session: Session, edition: Edition, now: datetime) -> None:
    """Close the edition: everybody without a mark of their own has now been served up to `through_seq`."""
    session.execute(
        delete(CatchUp).where(CatchUp.frequency == edition.frequency, CatchUp.from_seq == edition.through_seq)
    )
    covered = session.get_one(CoveredFrequency, edition.frequency, populate_existing=True)
    covered.covered_seq = edition.through_seq
    edition.compiled_at = now
