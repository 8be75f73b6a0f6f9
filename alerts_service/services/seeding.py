"""Seeds: addresses of the operators' own that get the first messages of every edition.

While the hold after them runs, everybody else's wait, and the edition can still be cancelled. A seed's
delivery has no subscriber: it stands outside proof and tallies, and its links belong to nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from alerts_service.config import Settings
from alerts_service.models import AT_ONCE, Delivery, DeliveryState, Digest, Edition, Lane, MailKind
from alerts_service.rules import addresses
from alerts_service.services import people

# Before everything else that is due.
_FIRST = AT_ONCE - timedelta(days=1)


@dataclass(frozen=True)
class Seeding:
    """Who gets the seeds, and the real clock that the hold runs on, whatever moment is rehearsed."""

    settings: Settings
    clock: Callable[[], datetime]

    def plant(self, session: Session, edition: Edition) -> None:
        """Queue an edition's seeds and hold the rest, where it has deliveries, as the last step of its compile."""
        digest_id = session.scalar(self._most_received(edition.id)) if self.settings.seed_addresses else None
        if digest_id is None:
            return
        session.execute(
            insert(Delivery), [self._row(edition, digest_id, text) for text in self.settings.seed_addresses]
        )
        if self.settings.seed_hold_seconds:
            edition.held_until = self.clock() + timedelta(seconds=self.settings.seed_hold_seconds)

    def _most_received(self, edition_id: int) -> Select[int]:
        """An address cannot choose its language: the default one, or else any."""
        other_language = Digest.locale != self.settings.languages[0]
        return (
            select(Digest.id)
            .where(Digest.edition_id == edition_id, Digest.recipients > 0)
            .order_by(other_language, Digest.recipients.desc(), Digest.id)
            .limit(1)
        )

    def _row(self, edition: Edition, digest_id: int, text: str) -> dict[str, object]:
        found = addresses.parse(text)
        return {
            "kind": MailKind.DIGEST,
            "lane": Lane.URGENT if edition.urgent else Lane.DIGEST,
            "edition_id": edition.id,
            "digest_id": digest_id,
            "address": found.address,
            "address_hash": people.hash_of(found.key, self.settings),
            "state": DeliveryState.PENDING,
            "created_at": edition.opened_at,
            "due_at": _FIRST,
        }
