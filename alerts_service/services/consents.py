"""The consent record: append-only, one chain of hashes per address."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from alerts_service.db import table, upsert
from alerts_service.models import Consent, Wording
from alerts_service.rules import chains

_INSERT = insert(table(Consent)).inline()
# The end of a chain, and whether the words are known: in one statement, as every sign-up asks.
_LAST = text("""
SELECT w.version AS known, c.number, c.hash FROM (SELECT 1) AS one
LEFT JOIN wordings w ON w.version = :version
LEFT JOIN (
  SELECT number, hash FROM consents WHERE address_hash = :address_hash ORDER BY number DESC LIMIT 1
) AS c ON true""")


@dataclass(frozen=True)
class Origin:
    """Where a person acted: the page, the words shown there, the language, and the network address."""

    page: str
    wording: str
    locale: str
    network: str


@dataclass(frozen=True)
class Last:
    """The end of a chain, and whether the words agreed to are kept already."""

    number: int | None
    hash: str | None
    words_known: bool


def append(
    session: Session,
    *,
    address_hash: str,
    address: str,
    kind: str,
    facts: dict[str, Any],
    origin: Origin,
    now: datetime,
) -> None:
    """Add the next record to an address's chain, within the caller's transaction and its turn."""
    found = session.execute(_LAST, {"address_hash": address_hash, "version": version(origin)}).one()
    last = Last(found.number, found.hash, words_known=found.known is not None)
    if origin.wording and not last.words_known:
        # Somebody else may be the first to agree to them at this very moment.
        session.execute(upsert(Wording).values(words(origin, now)).on_conflict_do_nothing())
    whose = {"address_hash": address_hash, "address": address}
    session.connection().execute(_INSERT, link(last, **whose, kind=kind, facts=facts, origin=origin, now=now))


def link(
    last: Last,
    *,
    address_hash: str,
    address: str,
    kind: str,
    facts: dict[str, Any],
    origin: Origin,
    now: datetime,
) -> dict[str, Any]:
    """Return the row that follows the last of a chain."""
    personal = {"address": address, "network": origin.network}
    salt = secrets.token_hex(16)
    digest = chains.personal_digest(salt, personal)
    number, previous = (last.number or 0) + 1, last.hash or chains.GENESIS
    facts = facts | {"page": origin.page}
    wording = version(origin)
    return {
        "address_hash": address_hash,
        "number": number,
        "kind": kind,
        "at": now,
        "wording_version": wording,
        "facts": facts,
        "personal": personal,
        "salt": salt,
        "personal_digest": digest,
        "previous_hash": previous,
        "hash": chains.link_hash(
            previous=previous, number=number, kind=kind, at=now, wording=wording, facts=facts, digest=digest
        ),
    }


def version(origin: Origin) -> str | None:
    """Return the version of the words agreed to, if there were any."""
    if not origin.wording:
        return None
    return hashlib.sha256(f"{origin.locale}\0{origin.wording}".encode()).hexdigest()[:12]


def verify(session: Session, address_hash: str) -> bool:
    """Say whether the chain of an address is whole: numbers without a gap, each hash right."""
    previous, expected = chains.GENESIS, 1
    for record in history(session, address_hash):
        if not _holds(record, previous, expected):
            return False
        previous, expected = record.hash, expected + 1
    return True


@dataclass(frozen=True)
class Chains:
    """All chains in short: how many, how many of them broken, and a sum of their last hashes in any order."""

    chains: int
    broken: int
    heads: int


def summarise(records: Iterable[Any]) -> Chains:
    """Check every chain in a stream of records, which come by address and number."""
    number = broken = heads = 0
    for _, chain in groupby(records, key=lambda record: record.address_hash):
        previous, expected, whole = chains.GENESIS, 1, True
        for record in chain:
            whole = whole and _holds(record, previous, expected)
            previous, expected = record.hash, expected + 1
        number, broken, heads = number + 1, broken + (not whole), (heads + int(previous, 16)) % 2**256
    return Chains(number, broken, heads)


def history(session: Session, address_hash: str) -> list[Consent]:
    """Return the records of an address, oldest first."""
    query = select(Consent).where(Consent.address_hash == address_hash).order_by(Consent.number)
    return list(session.scalars(query))


def _holds(record: Any, previous: str, number: int) -> bool:
    if record.personal is not None:
        digest = chains.personal_digest(record.salt or "", record.personal)
        if digest != record.personal_digest:
            return False
    right = chains.link_hash(
        previous=previous,
        number=number,
        kind=record.kind,
        at=record.at,
        wording=record.wording_version,
        facts=record.facts,
        digest=record.personal_digest,
    )
    return (record.number, record.previous_hash, record.hash) == (number, previous, right)


def words(origin: Origin, now: datetime) -> dict[str, Any]:
    """Return the row that keeps the very words, once."""
    return {"version": version(origin), "locale": origin.locale, "words": origin.wording, "first_used_at": now}
