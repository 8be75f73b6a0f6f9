"""Digest rows for exact sets of updates, found or made one by one: for what is settled after a compile."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from alerts_service.models import AT_ONCE, Digest, DigestUpdate, Edition, Update
from alerts_service.services import matching

KEY_LENGTH = 32


def set_key(seqs: Iterable[int], from_seq: int) -> str:
    """Return what tells a set of updates from the others of an edition; issuing says the same in SQL."""
    words: dict[int, int] = defaultdict(int)
    for seq in seqs:
        word, bit = matching.word_and_bit(seq, from_seq)
        words[word] |= 1 << bit
    text = "".join(f"{word}:{mask:x};" for word, mask in sorted(words.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def ensure(session: Session, edition_id: int, locale: str, updates: frozenset[int]) -> int:
    """Return the id of an edition's digest that holds these updates, in a locale; make it where there is none."""
    edition = session.get_one(Edition, edition_id)
    rows = session.scalars(select(Update).where(Update.id.in_(updates))).all()
    key = set_key([row.seq or 0 for row in rows], edition.from_seq)
    same = (Digest.edition_id == edition_id, Digest.locale == locale, Digest.set_key == key)
    known: int | None = session.scalar(select(Digest.id).where(*same))
    return known if known is not None else _make(session, edition_id, locale, key, rows)


def _make(session: Session, edition_id: int, locale: str, key: str, updates: Iterable[Update]) -> int:
    # A withdrawn one has lapsed: a digest reduced for another reason may still hold it.
    lapses = [AT_ONCE if row.withdrawn_at else row.lapses_at for row in updates]
    digest = Digest(
        edition_id=edition_id,
        locale=locale,
        set_key=key,
        recipients=0,
        recheck_at=min((moment for moment in lapses if moment), default=None),
    )
    session.add(digest)
    session.flush()
    session.execute(insert(DigestUpdate), [{"digest_id": digest.id, "update_id": row.id} for row in updates])
    return digest.id
