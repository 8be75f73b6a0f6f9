"""What the journal is told: what a turn of the sender is about to send, who left, who is suppressed, who
was erased, whose address became another.

It is enough to make the same deliveries again in an older copy of the database. A digest's delivery is noted
under its edition (frequency and slot), its language and its updates, as the subscriber's number and the
Message-ID; a letter as its number and Message-ID. Numbers are given again after a restore: the Message-ID shows
whether a person or a letter is the same one, a fingerprint of the moment an update was made whether the update is.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from alerts_service import journal
from alerts_service.config import Settings
from alerts_service.db import table
from alerts_service.journal import Journal
from alerts_service.models import Digest, DigestUpdate, Update

_CHUNK = 500
_D, _H, _U = table(Digest).c, table(DigestUpdate).c, table(Update).c
# Made once, as every turn asks.
_CONTENTS = (
    select(_D.id, _D.locale, _U.id, _U.created_at)
    .join(table(DigestUpdate), _H.digest_id == _D.id)
    .join(table(Update), _U.id == _H.update_id)
    .where(_D.id.in_(bindparam("ids", expanding=True)))
)

log = structlog.get_logger()


class Sending(Protocol):
    """A claimed delivery."""

    @property
    def id(self) -> int:
        """The delivery."""

    @property
    def subscriber_id(self) -> int | None:
        """Whose it is."""

    @property
    def digest_id(self) -> int | None:
        """Its digest; a letter has none."""

    @property
    def frequency(self) -> str | None:
        """Of its edition."""

    @property
    def slot_at(self) -> datetime | None:
        """Of its edition."""


@dataclass
class Noting:
    """The deliveries of a turn, and what their digests hold."""

    deliveries: Sequence[Sending] = ()
    locales: dict[int, str] = field(default_factory=dict)
    contents: dict[int, list[int]] = field(default_factory=dict)
    fingerprints: dict[int, str] = field(default_factory=dict)

    def facts(self, message_ids: Sequence[str]) -> dict[str, Any]:
        """Return what the journal keeps; `message_ids` are in the order of the deliveries."""
        letters: list[list[object]] = []
        people: dict[int, list[list[object]]] = {}
        editions: dict[int, list[object]] = {}
        for delivery, message_id in zip(self.deliveries, message_ids, strict=True):
            if delivery.digest_id is None or delivery.slot_at is None:
                letters.append([delivery.id, short(message_id)])
                continue
            if delivery.digest_id not in editions:
                editions[delivery.digest_id] = [delivery.frequency, delivery.slot_at.isoformat()]
            people.setdefault(delivery.digest_id, []).append([delivery.subscriber_id or 0, short(message_id)])
        digests = [
            [*editions[digest], self.locales.get(digest, ""), self.contents.get(digest, []), found]
            for digest, found in people.items()
        ]
        return {"updates": self.fingerprints, "digests": digests, "letters": letters}


def gather(session: Session, deliveries: Sequence[Sending]) -> Noting:
    """Read what the digests of some deliveries hold."""
    found = Noting(deliveries)
    ids = sorted({delivery.digest_id for delivery in deliveries if delivery.digest_id is not None})
    for start in range(0, len(ids), _CHUNK):
        rows = session.connection().execute(_CONTENTS, {"ids": ids[start : start + _CHUNK]})
        for digest, locale, update, created_at in rows:
            found.locales[digest] = locale
            found.contents.setdefault(digest, []).append(update)
            if update not in found.fingerprints:
                found.fingerprints[update] = fingerprint(created_at)
    return found


def left(address_hash: str, topics: Sequence[str], *, settings: Settings, now: datetime) -> None:
    """Note which topics a person has left, before they are told that they have."""
    if topics:
        _write(journal.LEFT, {"hash": address_hash, "topics": list(topics)}, settings, now)


def suppressed(address_hash: str, reason: str, *, settings: Settings, now: datetime) -> None:
    """Note that no mail goes to an address from now on."""
    _write(journal.SUPPRESSED, {"hash": address_hash, "reason": reason}, settings, now)


def erased(address_hash: str, *, settings: Settings, now: datetime) -> None:
    """Note that whoever had an address was erased."""
    _write(journal.ERASED, {"hash": address_hash}, settings, now)


def moved(former_hash: str, address_hash: str, *, settings: Settings, now: datetime) -> None:
    """Note that a person is known under another address from now on."""
    _write(journal.MOVED, {"hash": address_hash, "former": former_hash}, settings, now)


def _write(kind: str, facts: dict[str, Any], settings: Settings, now: datetime) -> None:
    if settings.mode == "demo":
        return
    try:
        Journal(settings.state_dir).write(kind, facts, now, durable=True)
    except OSError:
        # The database has it. What the journal adds is needed only after a restore: no reason to fail the person.
        log.exception("the journal cannot be written", kind=kind)


def fingerprint(created_at: datetime) -> str:
    """Return what tells an update from another that was given the same number."""
    return f"{zlib.crc32(created_at.astimezone(UTC).isoformat().encode()):08x}"


def short(message_id: str) -> str:
    """Return the part of a Message-ID that differs: the domain is the same for all of an installation."""
    return message_id.partition("@")[0]
