"""Digest rows: found or made for exact sets of updates, under the turnstile."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from alerts_service.models import AT_ONCE, Digest, DigestUpdate, Update

_CHUNK = 500


@dataclass(frozen=True)
class Content:
    """What a digest is to hold, and how many more people it was matched to."""

    locale: str
    updates: frozenset[int]
    recipients: int

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other digests of its edition."""
        words = ",".join(map(str, sorted(self.updates)))
        return self.locale, hashlib.sha256(words.encode()).hexdigest()[:32]


def ensure(session: Session, edition_id: int, contents: Sequence[Content]) -> list[int]:
    """Return the id of each content's digest in an edition, making those that are missing, counting recipients."""
    known = _known(session, edition_id, contents)
    missing = [content for content in contents if content.key not in known]
    if missing:
        _make(session, edition_id, missing)
        known |= _known(session, edition_id, missing)
    counted = [{"b_id": known[c.key], "b_more": c.recipients} for c in contents if c.recipients]
    if counted:
        more = Digest.__table__.c.recipients + bindparam("b_more")
        statement = update(Digest.__table__).where(Digest.__table__.c.id == bindparam("b_id"))  # type: ignore[arg-type]
        session.connection().execute(statement.values(recipients=more), counted)
    return [known[content.key] for content in contents]


def _make(session: Session, edition_id: int, contents: Sequence[Content]) -> None:
    lapses = _lapses(session, frozenset().union(*(content.updates for content in contents)))
    session.execute(
        insert(Digest),
        [
            {
                "edition_id": edition_id,
                "locale": content.locale,
                "set_key": content.key[1],
                "recipients": 0,
                "recheck_at": min((lapses[u] for u in content.updates if u in lapses), default=None),
            }
            for content in contents
        ],
    )
    known = _known(session, edition_id, contents)
    session.execute(
        insert(DigestUpdate),
        [{"digest_id": known[content.key], "update_id": u} for content in contents for u in sorted(content.updates)],
    )


def _known(session: Session, edition_id: int, contents: Sequence[Content]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    keys = [content.key[1] for content in contents]
    for start in range(0, len(keys), _CHUNK):
        rows = session.execute(
            select(Digest.locale, Digest.set_key, Digest.id).where(
                Digest.edition_id == edition_id, Digest.set_key.in_(keys[start : start + _CHUNK])
            )
        )
        found |= {(locale, key): digest_id for locale, key, digest_id in rows}
    return found


def _lapses(session: Session, update_ids: Iterable[int]) -> dict[int, datetime]:
    """Return when updates lapse. A withdrawn one has: a digest reduced for another reason may still hold it."""
    rows = session.scalars(select(Update).where(Update.id.in_(update_ids)))
    moments = {row.id: AT_ONCE if row.withdrawn_at else row.lapses_at for row in rows}
    return {update_id: moment for update_id, moment in moments.items() if moment}
