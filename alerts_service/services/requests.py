"""The rows of a sign-up: what stands before it, and what it writes. A crowd may ask at once, so each is one statement.

(On SQLite, where a statement is a call and no journey, it writes by four: it cannot put several INSERTs into one.)
The statements go to the driver as they are, with values as the database keeps them; see db.driving().
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from alerts_service.batches import rows
from alerts_service.db import Driver, as_text
from alerts_service.models import AT_ONCE, SIGN_UPS_STOPPED, DeliveryState, Lane
from alerts_service.services import people
from alerts_service.services.asking import ChosenTopic
from alerts_service.services.consents import Last


@dataclass(frozen=True)
class Standing:
    """What is known before a sign-up: whether sign-ups are stopped, the mails of the day to its mailbox, whether the
    address is a subscriber's, the end of its consent chain, those of the topics wanted that are open, and the number
    of the sign-up to come."""

    stopped: bool
    mails: int
    known: bool
    last: Last
    topics: list[ChosenTopic]
    next_id: int


def standing(
    driver: Driver,
    *,
    address_key: str,
    address_hash: str,
    mailbox_hash: str,
    wanted: Sequence[str],
    version: str | None,
    since: datetime,
) -> Standing:
    """Take the turn of a sign-up and read what stands before it.

    The cap counts over all spellings of a mailbox, so they take turns, too.
    """
    if driver.on_postgresql:
        driver.execute(people.turn_of(2), (address_hash, mailbox_hash))
    values = {
        "address_key": address_key,
        "address_hash": address_hash,
        "mailbox_hash": mailbox_hash,
        # PostgreSQL's JSON refuses what no slug holds.
        "wanted": json.dumps([slug for slug in wanted if slug.isprintable()]),
        "version": version,
        "since": since,
    }
    found = driver.execute(_standing(driver.on_postgresql), _stored(driver, values)).fetchall()
    stopped, mails, known, kept, next_id, number, last_hash = found[0][:7]
    topics = [ChosenTopic(topic_id, slug) for *_, topic_id, slug in found if topic_id is not None]
    last = Last(number, last_hash, words_known=kept is not None)
    return Standing(bool(stopped), mails, bool(known), last, topics, next_id)


def keep_words(driver: Driver, words: Mapping[str, Any]) -> None:
    """Keep words agreed to; somebody else may be the first at this very moment."""
    driver.execute(_for_driver(_WORDS, driver.on_postgresql), _stored(driver, words))


def write(driver: Driver, values: Mapping[str, Any], topics: Sequence[ChosenTopic]) -> None:
    """Write the request with its topics, its consent record and its mail. `values`: those named below."""
    fixed = {"lane": int(Lane.TRANSACTIONAL), "due_at": AT_ONCE, "state": str(DeliveryState.PENDING)}
    stored = _stored(driver, {**values, **fixed, "topics": [{"topic_id": topic.id} for topic in topics]})
    for statement in _writing(driver.on_postgresql):
        driver.execute(statement, stored)


def _stored(driver: Driver, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as the driver takes them."""
    stored = dict(values)
    for name, value in values.items():
        if isinstance(value, dict | list):
            stored[name] = json.dumps(value)
        elif isinstance(value, datetime) and not driver.on_postgresql:
            stored[name] = as_text(value)
    return stored


@cache
def _standing(on_postgresql: bool) -> str:
    next_id, wanted = "nextval('sign_ups_id_seq')", "SELECT json_array_elements_text(CAST(:wanted AS json))"
    if not on_postgresql:
        next_id = "(SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'sign_ups')"
        wanted = "SELECT value FROM json_each(:wanted)"
    return _for_driver(
        f"""
WITH asked AS MATERIALIZED (
  SELECT EXISTS (SELECT 1 FROM installation WHERE name = '{SIGN_UPS_STOPPED}') AS stopped,
         (SELECT count(*) FROM sign_ups WHERE mailbox_hash = :mailbox_hash AND requested_at > :since) AS mails,
         EXISTS (SELECT 1 FROM subscribers WHERE address_key = :address_key AND ended_at IS NULL) AS known,
         (SELECT version FROM wordings WHERE version = :version) AS version, {next_id} AS next_id
)
SELECT a.stopped, a.mails, a.known, a.version, a.next_id, c.number, c.hash, t.id, t.slug FROM asked a
LEFT JOIN (
  SELECT number, hash FROM consents WHERE address_hash = :address_hash ORDER BY number DESC LIMIT 1
) AS c ON true
LEFT JOIN topics t ON t.retired_at IS NULL AND t.slug IN ({wanted}) ORDER BY t.position""",  # noqa: S608 - a text of our own
        on_postgresql,
    )


_WORDS = """
INSERT INTO wordings (version, locale, words, first_used_at) VALUES (:version, :locale, :words, :first_used_at)
ON CONFLICT DO NOTHING"""
_INSERTS = (
    """
INSERT INTO sign_ups (id, address, address_hash, mailbox_hash, frequency, locale, source, requested_at, expires_at)
VALUES (:sign_up, :address, :address_hash, :mailbox_hash, :frequency, :locale, :source, :at, :expires_at)""",
    "INSERT INTO sign_up_topics (sign_up_id, topic_id) SELECT CAST(:sign_up AS BIGINT), topic_id FROM {topics}",
    """
INSERT INTO consents (address_hash, number, kind, at, wording_version, facts,
                      personal, salt, personal_digest, previous_hash, hash)
VALUES (:address_hash, :number, :kind, :at, :wording_version, :facts,
        :personal, :salt, :personal_digest, :previous_hash, :hash)""",
    """
INSERT INTO deliveries (kind, lane, address, address_hash, details, state, created_at, due_at)
VALUES (:mail, :lane, :address, :address_hash, :details, :state, :at, :due_at)""",
)


@cache
def _writing(on_postgresql: bool) -> list[str]:
    statements = [insert.replace("{topics}", rows("topics", topic_id="INTEGER")) for insert in _INSERTS]
    if on_postgresql:
        *first, last = statements
        statements = [f"WITH {', '.join(f'i{n} AS ({insert})' for n, insert in enumerate(first))} {last}"]
    return [_for_driver(statement, on_postgresql) for statement in statements]


def _for_driver(statement: str, on_postgresql: bool) -> str:
    """Spell the values' names as psycopg does; sqlite3 reads them as they are."""
    return re.sub(r":(\w+)", r"%(\1)s", statement) if on_postgresql else statement
