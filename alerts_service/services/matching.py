"""Who is owed which update: ONE query, used by compile, explain and proof.

The rules are in docs/architecture.md. The question is put as bit masks: the updates in question are the
candidates; an update's bit is its place in the release count, counted from the edition's `from_seq`, 62
to a word. Every subscription meets at most one row of `steps`, which says for its topic, and for how far
it has been served, which candidates it is owed; `bit_or` collects a person's topics, what they were given
before is taken away, and the words that remain are the answer. So nothing here grows with people ×
updates, and no statement loops over people.

The joins are written in the order in which SQLite is to make them, which CROSS JOIN is its way to say.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.orm import Session

from alerts_service.db import UTCDateTime

WORD_BITS = 62
_OWN, _URGENT = "steps", "urgent_steps"


@dataclass(frozen=True)
class Candidate:
    """A released update in question: its number in the release count and its topics."""

    id: int
    seq: int
    urgent: bool
    topic_ids: frozenset[int]


@dataclass(frozen=True)
class Question:
    """Who of the subscribers in (`after`, `to`] is owed which of the candidates in an edition?

    `marks` says that somebody among them may have a mark of their own. What they were given before, in other
    editions than `edition_id` from `given_from` on, is taken away; None leaves that to who asks. `away_too` also
    asks about people whose pause is in force.
    """

    frequency: str
    from_seq: int
    candidates: Sequence[Candidate]
    after: int
    to: int
    marks: bool
    now: datetime
    given_from: int | None = 0
    edition_id: int = 0
    away_too: bool = False

    @cached_property
    def words(self) -> list[int]:
        """The words that hold a candidate, as multiples of 62 from `from_seq`: below 0 for older updates."""
        return sorted({word_and_bit(candidate.seq, self.from_seq)[0] for candidate in self.candidates})

    @property
    def parameters(self) -> dict[str, object]:
        """The values bound in the statement."""
        bound = {"frequency": self.frequency, "from_seq": self.from_seq, "after": self.after, "to": self.to}
        if self.given_from is not None:
            bound |= {"given_from": self.given_from, "edition": self.edition_id}
        return bound | {"now": self.now}

    def masks(self, candidates: Iterable[Candidate]) -> list[int]:
        """Return the words in which these candidates' bits, and no others, are set."""
        found = dict.fromkeys(self.words, 0)
        for candidate in candidates:
            word, bit = word_and_bit(candidate.seq, self.from_seq)
            found[word] |= 1 << bit
        return list(found.values())

    def chosen(self, words: Sequence[int]) -> list[Candidate]:
        """Return the candidates whose bits are set."""
        found = dict(zip(self.words, words, strict=True))
        places = ((candidate, word_and_bit(candidate.seq, self.from_seq)) for candidate in self.candidates)
        return [candidate for candidate, (word, bit) in places if found[word] >> bit & 1]


# Literals are made from integers of our own only; everything else is bound.
AWAY = "(p.paused_at IS NOT NULL AND (p.paused_until IS NULL OR p.paused_until > :now))"

_MARKED = """
    AND c.frequency = :frequency AND c.subscriber_id > :after AND c.subscriber_id <= :to AND s.id = c.subscription_id"""


def word_and_bit(seq: int, from_seq: int) -> tuple[int, int]:
    """Return where an update's bit stands: the same in every question about one edition."""
    return divmod(seq - from_seq - 1, WORD_BITS)


def with_moment(sql: str) -> TextClause:
    """Make a statement whose `:now` is bound as a moment of ours."""
    return text(sql).bindparams(bindparam("now", type_=UTCDateTime()))


def statement(question: Question) -> str:
    """Return the SELECT of (subscriber_id, locale, w0, w1, …) for a question that has candidates."""
    words = range(len(question.words))
    sources, parts = [_table(_OWN, question, _steps(question, question.candidates))], [_follow(question, _OWN)]
    # An urgent update is for all frequencies in the first edition after its release only.
    urgent = [c for c in question.candidates if c.urgent and c.seq > question.from_seq]
    if question.frequency == "immediate" and urgent:
        sources.append(_table(_URGENT, question, _steps(question, urgent)))
        parts.append(_follow(question, _URGENT))
    got, owed = "", [f"f.w{n}" for n in words]
    if question.given_from is not None:
        sources += _got(question)
        got = "LEFT JOIN got g ON g.subscriber_id = f.subscriber_id"
        owed = [f"f.w{n} & ~coalesce(g.w{n}, 0)" for n in words]
    absent = f"(false AND {AWAY})" if question.away_too else AWAY
    return f"""
WITH {", ".join(sources)},
follow AS (
  SELECT subscriber_id, {_gathered(words)} FROM ({" UNION ALL ".join(parts)}) AS followed GROUP BY subscriber_id
)
SELECT f.subscriber_id, p.locale, {", ".join(f"{word} AS w{n}" for n, word in enumerate(owed))}
FROM follow f CROSS JOIN subscribers p {got}
WHERE p.id = f.subscriber_id AND NOT {absent} AND ({" OR ".join(f"({word}) <> 0" for word in owed)})
"""  # noqa: S608 - see above


def owed(session: Session, question: Question) -> list[tuple[int, list[Candidate]]]:
    """Answer a question about few people, as (subscriber, updates owed): for explain, preferences and tests."""
    if not question.candidates:
        return []
    rows = session.execute(with_moment(statement(question)), question.parameters)
    return [(row[0], question.chosen(row[2:])) for row in rows]


def contents(question: Question) -> str:
    """Return a common table `contents` of (update_id, w0, …): each candidate's bit."""
    rows = [(candidate.id, *question.masks([candidate])) for candidate in question.candidates]
    return _values("contents", ["update_id"], len(question.words), rows)


def _got(question: Question) -> list[str]:
    """What each person was given before, in a few editions: found by person, as a batch holds few of all."""
    words = range(len(question.words))
    lowest = min(candidate.seq for candidate in question.candidates)
    # What was rebuilt after a restore may hold updates that got their number later.
    holding = f"""
holding AS MATERIALIZED (
  SELECT e.id FROM editions e
  WHERE e.id >= :given_from AND ((e.id <> :edition AND e.through_seq >= {_big(lowest)}) OR e.rebuilt_at IS NOT NULL)
)"""  # noqa: S608 - see above
    given = f"""
given AS MATERIALIZED (
  SELECT h.digest_id, {_gathered(words, "c.")} FROM holding e CROSS JOIN digests i CROSS JOIN digest_updates h
  CROSS JOIN contents c
  WHERE i.edition_id = e.id AND h.digest_id = i.id AND c.update_id = h.update_id GROUP BY h.digest_id
)"""  # noqa: S608 - see above
    got = f"""
got AS (
  SELECT d.subscriber_id, {_gathered(words, "g.")} FROM deliveries d CROSS JOIN given g
  WHERE d.subscriber_id > :after AND d.subscriber_id <= :to AND d.edition_id >= :given_from
    AND d.edition_id IN (SELECT id FROM holding) AND d.state <> 'cancelled' AND g.digest_id = d.digest_id
  GROUP BY d.subscriber_id
)"""  # noqa: S608 - see above
    return [contents(question), holding, given, got]


def _follow(question: Question, part: str) -> str:
    """The subscriptions of one part, each with the words of its one step."""
    words = ", ".join(f"t.w{n}" for n in range(len(question.words)))
    frequency = "s.frequency = :frequency" if part == _OWN else "s.frequency <> :frequency"
    people, served, whose = "subscriptions s", ":from_seq", ""
    if question.marks and part == _OWN:
        served = "coalesce(c.from_seq, :from_seq)"
        people = "subscriptions s LEFT JOIN catch_ups c ON c.subscription_id = s.id"
        if all(candidate.seq <= question.from_seq for candidate in question.candidates):
            # Everybody without a mark was served past every candidate.
            people, whose = "catch_ups c CROSS JOIN subscriptions s", _MARKED
    floor = f"CASE WHEN s.since_seq > {served} THEN s.since_seq ELSE {served} END"
    return f"""
  SELECT s.subscriber_id, {words} FROM {people} CROSS JOIN {part} t
  WHERE s.ended_at IS NULL AND {frequency} AND s.subscriber_id > :after AND s.subscriber_id <= :to
    AND t.topic_id = s.topic_id AND {floor} >= t.low AND {floor} < t.high {whose}"""  # noqa: S608 - see above


def _steps(question: Question, candidates: Iterable[Candidate]) -> list[tuple[int, ...]]:
    """For each topic, a step function: served so far -> the words still owed.

    A subscription served up to `floor` is owed the topic's candidates with a number above it.
    """
    topics: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda candidate: candidate.seq):
        for topic_id in candidate.topic_ids:
            topics[topic_id].append(candidate)
    rows = []
    for topic_id, own in sorted(topics.items()):
        bounds = pairwise([-1, *(candidate.seq for candidate in own)])
        for position, (low, high) in enumerate(bounds):
            rows.append((topic_id, low, high, *question.masks(own[position:])))
    # A row that no subscription meets keeps VALUES from being empty.
    return rows or [(-1, -1, -1, *question.masks([]))]


def _table(name: str, question: Question, rows: Iterable[tuple[int, ...]]) -> str:
    return _values(name, ["topic_id", "low", "high"], len(question.words), rows)


def _values(name: str, columns: list[str], words: int, rows: Iterable[tuple[int, ...]]) -> str:
    """Return a common table of numbers, typed so that SQLite can look them up by an index of its own."""
    named = ", ".join([*columns, *(f"w{n}" for n in range(words))])
    listed = ", ".join(f"({', '.join(map(_big, row))})" for row in rows)
    return f"{name}({named}) AS (VALUES {listed})"


def _big(value: int) -> str:
    return f"CAST({value} AS BIGINT)"


def _gathered(words: range, prefix: str = "") -> str:
    return ", ".join(f"bit_or({prefix}w{n}) AS w{n}" for n in words)
