"""Who is owed which update: ONE query, used by compile, explain and proof.

The rules are in docs/architecture.md. The question is put as bit masks: the updates in question are the
candidates, one bit each, 62 to a word. Every subscription meets at most one row of `steps`, which says
for its topic, and for how far it has been served, which candidates it is owed; `bit_or` collects a
person's topics, what they were given before is taken away, and the words that remain are the answer. So
nothing here grows with people × updates, and no statement loops over people.

`behind` parts the people in two: those without a mark of their own (all served up to the edition's
`from_seq`) and those who have one. Both are asked the same; the second over more candidates.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.orm import Session

from alerts_service.db import UTCDateTime

WORD_BITS = 62
_OWN, _URGENT = 0, 1


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

    Without `less_given` what they were given before is not taken away: for those who take it away themselves.
    """

    frequency: str
    from_seq: int
    candidates: Sequence[Candidate]
    after: int
    to: int
    behind: bool
    now: datetime
    less_given: bool = True

    @property
    def words(self) -> int:
        """How many 62-bit words the candidates need."""
        return -(-len(self.candidates) // WORD_BITS)

    @property
    def parameters(self) -> dict[str, object]:
        """The values bound in the statement."""
        return {
            "frequency": self.frequency,
            "from_seq": self.from_seq,
            "after": self.after,
            "to": self.to,
            "now": self.now,
        }

    def chosen(self, words: Iterable[int]) -> list[Candidate]:
        """Return the candidates whose bits are set."""
        mask = sum(word << (WORD_BITS * position) for position, word in enumerate(words))
        return [candidate for bit, candidate in enumerate(self.candidates) if mask >> bit & 1]


# Literals are made from integers of our own only; everything else is bound.
AWAY = "(p.paused_at IS NOT NULL AND (p.paused_until IS NULL OR p.paused_until > :now))"


def with_moment(sql: str) -> TextClause:
    """Make a statement whose `:now` is bound as a moment of ours."""
    return text(sql).bindparams(bindparam("now", type_=UTCDateTime()))


def statement(question: Question) -> str:
    """Return the SELECT of (subscriber_id, locale, w0, w1, …) for a question that has candidates."""
    words = range(question.words)
    parts = [_follow(question, _OWN)]
    if question.frequency == "immediate" and any(candidate.urgent for candidate in question.candidates):
        parts.append(_follow(question, _URGENT))
    owed = ", ".join(f"f.w{n} & ~coalesce(g.w{n}, 0) AS w{n}" for n in words)
    some = " OR ".join(f"(f.w{n} & ~coalesce(g.w{n}, 0)) <> 0" for n in words)
    return f"""
WITH steps(part, topic_id, low, high, {_names(words)}) AS (VALUES {_steps(question)}),
contents(update_id, {_names(words)}) AS (VALUES {_contents(question)}),
follow AS (
  SELECT subscriber_id, {_gathered(words)} FROM ({" UNION ALL ".join(parts)}) AS followed GROUP BY subscriber_id
),
{_got(words) if question.less_given else _got_nothing(words)}
SELECT f.subscriber_id, p.locale, {owed}
FROM follow f JOIN subscribers p ON p.id = f.subscriber_id
LEFT JOIN got g ON g.subscriber_id = f.subscriber_id
WHERE NOT {AWAY} AND ({some})
"""  # noqa: S608 - see above


def owed(session: Session, question: Question) -> list[tuple[int, list[Candidate]]]:
    """Answer a question about few people, as (subscriber, updates owed): for explain and for tests."""
    if not question.candidates:
        return []
    rows = session.execute(with_moment(statement(question)), question.parameters)
    return [(row[0], question.chosen(row[2:])) for row in rows]


def _got(words: range) -> str:
    """What people were given before: the words that their live deliveries hold."""
    return f"""
given AS MATERIALIZED (
  SELECT u.digest_id, {_gathered(words, "c.")}
  FROM digest_updates u JOIN contents c ON c.update_id = u.update_id GROUP BY u.digest_id
),
got AS (
  SELECT d.subscriber_id, {_gathered(words, "g.")}
  FROM deliveries d JOIN given g ON g.digest_id = d.digest_id
  WHERE d.subscriber_id > :after AND d.subscriber_id <= :to AND d.state <> 'cancelled'
  GROUP BY d.subscriber_id
)"""  # noqa: S608 - see above


def _got_nothing(words: range) -> str:
    return f"got AS (SELECT {_big(0)} AS subscriber_id, {', '.join(f'{_big(0)} AS w{n}' for n in words)} WHERE false)"


def _follow(question: Question, part: int) -> str:
    """The subscriptions of one part, each with the words of its one step."""
    words = ", ".join(f"t.w{n}" for n in range(question.words))
    frequency = "s.frequency = :frequency" if part == _OWN else "s.frequency <> :frequency"
    marked = "EXISTS (SELECT 1 FROM catch_ups k WHERE k.frequency = :frequency AND k.subscriber_id = s.subscriber_id)"
    join, served = "", ":from_seq"
    if question.behind and part == _OWN:
        join = "LEFT JOIN catch_ups c ON c.subscription_id = s.id"
        served = "coalesce(c.from_seq, :from_seq)"
    floor = f"CASE WHEN s.since_seq > {served} THEN s.since_seq ELSE {served} END"
    return f"""
  SELECT s.subscriber_id, {words} FROM subscriptions s {join}
  JOIN steps t ON t.part = {part} AND t.topic_id = s.topic_id AND {floor} >= t.low AND {floor} < t.high
  WHERE s.ended_at IS NULL AND {frequency} AND s.subscriber_id > :after AND s.subscriber_id <= :to
    AND {"" if question.behind else "NOT "}{marked}"""  # noqa: S608 - see above


def _steps(question: Question) -> str:
    """For each topic, a step function: served so far -> the words still owed.

    A subscription served up to `floor` is owed the topic's candidates with a number above it.
    """
    rows = []
    for part, topic_id, own in _by_topic(question):
        bounds = [-1, *(candidate.seq for _, candidate in own)]
        for position, (low, high) in enumerate(pairwise(bounds)):
            mask = sum(1 << bit for bit, _ in own[position:])
            rows.append(f"({part}, {topic_id}, {_big(low)}, {_big(high)}, {_word_literals(mask, question.words)})")
    # A row that no subscription meets keeps VALUES from being empty.
    return ", ".join(rows) or f"(-1, -1, {_big(-1)}, {_big(-1)}, {_word_literals(0, question.words)})"


def _by_topic(question: Question) -> Iterable[tuple[int, int, list[tuple[int, Candidate]]]]:
    topics: dict[tuple[int, int], list[tuple[int, Candidate]]] = defaultdict(list)
    for bit, candidate in enumerate(question.candidates):
        for topic_id in candidate.topic_ids:
            topics[_OWN, topic_id].append((bit, candidate))
            # An urgent update is for all frequencies in the first edition after its release only.
            if candidate.urgent and candidate.seq > question.from_seq:
                topics[_URGENT, topic_id].append((bit, candidate))
    for (part, topic_id), own in sorted(topics.items()):
        yield part, topic_id, sorted(own, key=lambda pair: pair[1].seq)


def _contents(question: Question) -> str:
    return ", ".join(
        f"({candidate.id}, {_word_literals(1 << bit, question.words)})"
        for bit, candidate in enumerate(question.candidates)
    )


def _word_literals(mask: int, words: int) -> str:
    low = (1 << WORD_BITS) - 1
    return ", ".join(_big(mask >> (WORD_BITS * n) & low) for n in range(words))


def _big(value: int) -> str:
    return f"CAST({value} AS BIGINT)"


def _names(words: range) -> str:
    return ", ".join(f"w{n}" for n in words)


def _gathered(words: range, prefix: str = "") -> str:
    return ", ".join(f"bit_or({prefix}w{n}) AS w{n}" for n in words)
