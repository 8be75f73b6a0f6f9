"""From a claimed delivery to the message for its recipient: a stencil, filled.

What the digests of a batch hold is read at once, when the batch is claimed; each digest's stencil is joined when
its first recipient's turn comes, and kept for the next ones. Deliveries are claimed digest by digest, so a few
stencils are enough; memory does not grow with the number of recipients.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import NamedTuple

from alerts_service.config import Settings
from alerts_service.errors import NotFound
from alerts_service.mail.commands import Message
from alerts_service.mail.composer import Composer
from alerts_service.mail.encode import Stencil, date_text, stencil
from alerts_service.mail.items import DigestContent
from alerts_service.models import MailKind
from alerts_service.rules import tokens
from alerts_service.services import mailing
from alerts_service.services.claiming import Claimed
from alerts_service.services.contents import Contents

_STENCILS_KEPT = 200
_LIST_MAIL = {MailKind.DIGEST, MailKind.WELCOME}
_SECOND = timedelta(seconds=1)


class _Personal(NamedTuple):
    """What differs by recipient, besides the address."""

    message_id: str
    unsubscribe: str
    preferences: str


class Messages:
    """Makes the messages of one worker."""

    def __init__(self, settings: Settings) -> None:
        assert settings.permanent_key, "checked at start"
        self._settings = settings
        self._key = settings.permanent_key
        self._domain = mailing.message_domain()
        self._senders = {
            True: parseaddr(settings.from_address)[1],
            False: parseaddr(settings.service_from)[1],
        }
        self._composer = Composer(settings)
        self._contents = Contents(settings)
        # Of the batch in hand: what its digests hold, and what is each recipient's own. Made in one go, as the same
        # few lines done over and over take half of the time that they take in turn with all others.
        self._held: dict[int, DigestContent] = {}
        self._personal: dict[int, _Personal] = {}
        self._stencils: dict[int, Stencil] = {}
        self._second: datetime | None = None
        self._date = ""

    def announce(self, deliveries: Sequence[Claimed], now: datetime) -> list[str]:
        """Make ready for deliveries that were claimed; return their Message-IDs, in their order."""
        personal = {delivery.id: self._personal_of(delivery, now) for delivery in deliveries}
        self._personal |= personal
        wanted = {each.digest_id for each in deliveries if each.digest_id and each.digest_id not in self._stencils}
        if wanted:
            self._held = self._contents.of_digests(wanted, now=now)
        return [each.message_id for each in personal.values()]

    def make(self, delivery: Claimed, clock: datetime) -> Message:
        """Return the message for a delivery. Raises NotFound or EncodingRefused where none can be made."""
        found = self._personal.pop(delivery.id) if delivery.id in self._personal else self._personal_of(delivery, clock)
        data = self._stencil(delivery, clock).for_data(
            address=delivery.address,
            message_id=found.message_id,
            date=self._date_of(clock),
            unsubscribe=found.unsubscribe,
            preferences=found.preferences,
        )
        return Message(delivery, self._sender(delivery), delivery.address, data)

    def forget(self, deliveries: Iterable[Claimed]) -> None:
        """Drop what was made ready for deliveries that are given back, or lost."""
        for delivery in deliveries:
            self._personal.pop(delivery.id, None)

    def id_of(self, delivery: Claimed) -> str:
        """Return the Message-ID of a delivery: the same at every try."""
        return mailing.message_id(
            delivery_id=delivery.id,
            kind=delivery.kind,
            address=delivery.address,
            frequency=delivery.frequency,
            slot_at=delivery.slot_at,
            domain=self._domain,
            settings=self._settings,
            seed=delivery.subscriber_id is None,
        )

    def _personal_of(self, delivery: Claimed, now: datetime) -> _Personal:
        subscriber = delivery.subscriber_id or (delivery.details or {}).get("subscriber") or 0
        return _Personal(
            self.id_of(delivery),
            tokens.unsubscribe_token(self._key, subscriber, delivery.digest_id or 0),
            tokens.preferences_token(self._settings.secret_keys[0], subscriber, now),
        )

    def _stencil(self, delivery: Claimed, clock: datetime) -> Stencil:
        if delivery.digest_id is None:
            words = mailing.letter_words(delivery, settings=self._settings, now=clock)
            list_mail = delivery.kind in _LIST_MAIL
            sender = self._settings.from_address if list_mail else self._settings.service_from
            return stencil(words, settings=self._settings, list_mail=list_mail, from_address=sender)
        made = self._stencils.get(delivery.digest_id)
        if made is None:
            made = self._composer.stencil(self._content(delivery.digest_id, clock))
            if len(self._stencils) >= _STENCILS_KEPT:
                self._stencils.pop(next(iter(self._stencils)))
            self._stencils[delivery.digest_id] = made
        return made

    def _content(self, digest_id: int, clock: datetime) -> DigestContent:
        found = self._held.get(digest_id) or self._contents.of_digests([digest_id], now=clock).get(digest_id)
        if found is None:
            raise NotFound(what="digest", key=digest_id)
        return found

    def _date_of(self, clock: datetime) -> str:
        if self._second is None or not self._second <= clock < self._second + _SECOND:
            self._second, self._date = clock.replace(microsecond=0), date_text(clock)
        return self._date

    def _sender(self, delivery: Claimed) -> str:
        """The envelope sender: one that names the delivery where bounces are received, else that of the header."""
        if self._settings.bounce_domain:
            return tokens.bounce_sender(self._key, delivery.id, self._settings.bounce_domain)
        return self._senders[delivery.kind in _LIST_MAIL]
