"""From a claimed delivery to the message for its recipient: a stencil, filled.

A digest is composed and encoded once and kept for its next recipient; deliveries are claimed digest by digest,
so a few are enough.
"""

from collections.abc import Sequence
from datetime import datetime
from email.utils import parseaddr

from alerts_service.config import Settings
from alerts_service.mail.dialogue import Message
from alerts_service.mail.encode import Stencil, Words, stencil
from alerts_service.models import MailKind
from alerts_service.rules import tokens
from alerts_service.services import mailing
from alerts_service.services.claiming import Claimed

_STENCILS_KEPT = 200
_LIST_MAIL = {MailKind.DIGEST, MailKind.WELCOME}


class Messages:
    """Makes messages for one worker. Memory does not grow with the number of recipients."""

    def __init__(self, settings: Settings) -> None:
        assert settings.permanent_key, "checked at start"
        self._settings = settings
        self._key = settings.permanent_key
        self._senders = {
            True: parseaddr(settings.from_address)[1],
            False: parseaddr(settings.service_from)[1],
        }
        self._domain = mailing.message_domain()
        self._stencils: dict[int, Stencil] = {}
        # Of claimed deliveries that are not made yet: the fence has asked for them before.
        self._ids: dict[int, str] = {}

    def make(self, delivery: Claimed, clock: datetime) -> Message:
        """Return the message for a delivery. Raises NotFound or EncodingRefused where none can be made."""
        subscriber = delivery.subscriber_id or (delivery.details or {}).get("subscriber") or 0
        data = self._stencil(delivery, clock).fill(
            address=delivery.address,
            message_id=self._ids.pop(delivery.id, "") or self.id_of(delivery),
            date=clock,
            unsubscribe=tokens.unsubscribe_token(self._key, subscriber, delivery.digest_id or 0),
            preferences=tokens.preferences_token(self._settings.secret_keys[0], subscriber, clock),
        )
        return Message(delivery, self._sender(delivery), delivery.address, data)

    def announce(self, deliveries: Sequence[Claimed]) -> list[str]:
        """Return the Message-IDs of deliveries that will be made soon, in their order."""
        self._ids = {delivery.id: self.id_of(delivery) for delivery in deliveries}
        return list(self._ids.values())

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
        )

    def _stencil(self, delivery: Claimed, clock: datetime) -> Stencil:
        if delivery.digest_id is None:
            words = mailing.letter_words(delivery, settings=self._settings, now=clock)
            return self._encode(delivery, words)
        made = self._stencils.get(delivery.digest_id)
        if made is None:
            made = self._encode(delivery, mailing.digest_words(delivery.digest_id, settings=self._settings))
            if len(self._stencils) >= _STENCILS_KEPT:
                self._stencils.pop(next(iter(self._stencils)))
            self._stencils[delivery.digest_id] = made
        return made

    def _encode(self, delivery: Claimed, words: Words) -> Stencil:
        list_mail = delivery.kind in _LIST_MAIL
        return stencil(words, settings=self._settings, list_mail=list_mail, from_address=self._from(delivery))

    def _sender(self, delivery: Claimed) -> str:
        """The envelope sender: one that names the delivery where bounces are received, else that of the header."""
        if self._settings.bounce_domain:
            return tokens.bounce_sender(self._key, delivery.id, self._settings.bounce_domain)
        return self._senders[delivery.kind in _LIST_MAIL]

    def _from(self, delivery: Claimed) -> str:
        return self._settings.from_address if delivery.kind in _LIST_MAIL else self._settings.service_from
