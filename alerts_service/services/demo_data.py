"""Filling an installation for rehearsal and load tests: many confirmed people, and released updates.

Set-based: people are written in chunks, their subscriptions by one statement a topic. Everybody has
confirmed before the first update is released; nothing is queued, and no consent is made up.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.db import UTCDateTime, as_stored, is_postgresql, taking_turns, transaction
from alerts_service.errors import WrongState
from alerts_service.models import Subscriber, Topic, Turnstile, Update
from alerts_service.rules import tokens
from alerts_service.rules.slots import Frequency

_CHUNK = 20_000
_CACHE_KILOBYTES = 64 * 1024
_DOMAINS = 400
# Shares of the people, in thousandths, at each frequency where none is asked for.
_FREQUENCY_SHARES = {"weekly": 550, "daily": 250, "immediate": 100, "monthly": 100}
# In thousandths: the most popular topic's share of the people, and the least; each next topic has less.
_TOP_SHARE, _LEAST_SHARE, _FALL = 600, 20, 0.7
_PARAGRAPH = (
    "This update is part of a rehearsal. It describes a practice that health plans and providers have tried "
    "with people who are enrolled in both Medicare and Medicaid, what it took, and what changed for them. "
)


@dataclass(frozen=True)
class Filled:
    """What was written."""

    subscribers: int
    updates: int


@taking_turns
def fill(
    subscribers: int, updates: int, *, frequency: str | None, seed: int, settings: Settings, now: datetime
) -> Filled:
    """Fill an installation that has no subscribers. Raises WrongState where there are some, or no topic."""
    chance = random.Random(seed)  # noqa: S311 - rehearsal data, not a secret
    with transaction(turn=True) as session:
        if not is_postgresql():  # in pages of its own: SQLite's usual cache of 2 MB would be read over and over
            session.execute(text(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}"))
        if session.scalar(select(Subscriber.id).limit(1)) is not None:
            raise WrongState(reason="this installation has subscribers already; demo data goes into an empty one.")
        topics = list(session.scalars(select(Topic.id).where(Topic.retired_at.is_(None)).order_by(Topic.position)))
        if not topics:
            raise WrongState(reason="there is no topic; load a catalogue first.")
        chance.shuffle(topics)
        _write_people(session, subscribers, settings, now)
        _write_subscriptions(session, topics, frequency, seed, now)
        _write_updates(session, updates, topics, chance, now)
        return Filled(subscribers, updates)


def _write_people(session: Session, number: int, settings: Settings, now: datetime) -> None:
    columns = "address, address_key, address_hash, locale, confirmed_at"
    people = _people(number, settings, now)
    if is_postgresql():
        cursor: Any = session.connection().connection.cursor()
        with cursor.copy(f"COPY subscribers ({columns}) FROM STDIN") as copy:
            for row in people:
                copy.write_row(row)
        return
    statement = f"INSERT INTO subscribers ({columns}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - names of our own
    while chunk := list(islice(people, _CHUNK)):
        session.connection().exec_driver_sql(statement, chunk)


def _people(number: int, settings: Settings, now: datetime) -> Iterator[tuple[object, ...]]:
    assert settings.permanent_key, "checked at start"
    confirmed_at = as_stored(now)
    for n in range(1, number + 1):
        address = f"reader{n}@mail{n * 7919 % _DOMAINS}.example"
        locale = "es" if "es" in settings.languages and n % 10 == 0 else settings.languages[0]
        yield address, address, tokens.address_hash(settings.permanent_key, address), locale, confirmed_at


def _write_subscriptions(
    session: Session, topics: Sequence[int], frequency: str | None, seed: int, now: datetime
) -> None:
    """Give every topic its share of the people, picked by arithmetic on their ids, and everybody one at least."""
    statement = """
INSERT INTO subscriptions (subscriber_id, topic_id, frequency, since_seq, followed_since, started_at)
SELECT p.id, {topic}, {frequency}, (SELECT release_seq FROM turnstile), :now, :now FROM {people} WHERE {whose}"""
    chosen = f"'{Frequency(frequency)}'" if frequency else _mixed_frequency()
    shares = [max(_LEAST_SHARE, int(_TOP_SHARE / (rank + 1) ** _FALL)) for rank in range(len(topics))]
    rows = [
        f"({topic}, {_factor(rank + seed)}, {_offset(rank + seed)}, {share})"
        for rank, (topic, share) in enumerate(zip(topics, shares, strict=True))
    ]
    # Person by person, so that the indexes grow at their ends.
    everybody = f"""subscribers p CROSS JOIN (
  WITH t(id, factor, start, share) AS (VALUES {", ".join(rows)}) SELECT * FROM t
) AS t"""  # noqa: S608 - numbers of our own
    whose = f"{_scattered('t.factor', 't.start')} < t.share ORDER BY p.id"
    session.execute(
        _with_now(statement.format(topic="t.id", frequency=chosen, people=everybody, whose=whose)), {"now": now}
    )
    none = "NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber_id = p.id)"
    session.execute(
        _with_now(statement.format(topic=topics[0], frequency=chosen, people="subscribers p", whose=none)), {"now": now}
    )


def _scattered(factor: object, start: object) -> str:
    """SQL for a number from 0 to 999 that looks random over the people and differs by its two salts."""
    return f"((p.id * {factor} + {start}) % 99991) % 1000"


def _factor(salt: int) -> int:
    return 7919 + 104_729 * (salt % 1000)


def _offset(salt: int) -> int:
    return salt % 1000 * 271


def _mixed_frequency() -> str:
    cases, below = [], 0
    for name, share in _FREQUENCY_SHARES.items():
        below += share
        cases.append(f"WHEN {_scattered(_factor(999), _offset(999))} < {below} THEN '{name}'")
    return f"CASE {' '.join(cases)} END"


def _with_now(sql: str) -> Any:
    return text(sql).bindparams(bindparam("now", type_=UTCDateTime()))


def _write_updates(session: Session, number: int, topics: Sequence[int], chance: random.Random, now: datetime) -> None:
    turnstile = session.get_one(Turnstile, 1, populate_existing=True)
    known = {topic.id: topic for topic in session.scalars(select(Topic))}
    for n in range(1, number + 1):
        turnstile.release_seq += 1
        # The first goes to the most popular topics, so that the next edition owes most people something.
        picked = topics[:3] if n == 1 else chance.sample(topics, k=min(len(topics), chance.choice((1, 1, 2))))
        session.add(
            Update(
                seq=turnstile.release_seq,
                kind=chance.choice(("news", "brief", "tip-sheet", "tool", "blog")),
                title=f"Rehearsal update {n}: a practice worth knowing",
                title_es=f"Actualización de ensayo {n}: una práctica que conviene conocer",
                summary=_PARAGRAPH * 4 + f"Number {n}.",
                summary_es=_PARAGRAPH * 4 + f"Número {n}.",
                url=f"https://example.org/updates/{n}",
                topics=[known[topic] for topic in picked],
                created_at=now,
                submitted_at=now,
                approved_at=now,
                released_at=now,
            )
        )
    session.flush()
