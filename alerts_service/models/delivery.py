"""Deliveries: one message to one recipient, with its fate. Those not yet ended are the outbox."""

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class DeliveryState(StrEnum):
    """pending → sending → sent; or failed, or cancelled."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Lane(IntEnum):
    """Transactional mail goes before urgent alerts, those before digests."""

    TRANSACTIONAL = 0
    URGENT = 1
    DIGEST = 2


class MailKind(StrEnum):
    """Which mail a delivery is; the name of its folder under templates/mail."""

    DIGEST = "digest"
    CONFIRMATION = "confirmation"
    REMINDER = "reminder"
    ALREADY_SUBSCRIBED = "already_subscribed"
    WELCOME = "welcome"
    PREFERENCES_LINK = "preferences_link"
    GOODBYE = "goodbye"
    DATA_LINK = "data_link"
    ADDRESS_CHANGE = "address_change"
    ADDRESS_CHANGED = "address_changed"


# Due whatever the clock: a rehearsal may compile for a slot that lies ahead of the real time on which
# retries and leases run.
AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)

# As literals, in the indexes and (below) in the queries that are to use them: no plan can know a parameter.
_PENDING = text("state = 'pending'")
_SENDING = text("state = 'sending'")
_ADDRESSED = text("address_hash IS NOT NULL")
_OF_A_DIGEST = text("digest_id IS NOT NULL")


class Delivery(Base):
    """One message to one recipient.

    `address` is that of the first try and then stays; before it, a digest goes to the subscriber's
    present one. `claimed_by` and `claim_number` fence the record: who lost the lease cannot write.
    `attempts` counts the tries that the relay or the recipient's server answered with a refusal.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "edition_id"),
        CheckConstraint("state IN ('pending', 'sending', 'sent', 'failed', 'cancelled')", name="known_state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="stamped_when_sent"),
        CheckConstraint("(digest_id IS NULL) = (edition_id IS NULL)", name="digest_of_an_edition"),
        CheckConstraint("digest_id IS NOT NULL OR address IS NOT NULL", name="somewhere_to_go"),
        Index("ix_deliveries_due", "edition_id", "due_at", "id", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_deliveries_leases", "lease_until", sqlite_where=_SENDING, postgresql_where=_SENDING),
        Index(
            "ix_deliveries_digest",
            "digest_id",
            "state",
            sqlite_where=_OF_A_DIGEST,
            postgresql_where=_OF_A_DIGEST,
        ),
        Index(
            "ix_deliveries_address",
            "address_hash",
            "created_at",
            sqlite_where=_ADDRESSED,
            postgresql_where=_ADDRESSED,
        ),
    )

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    lane: Mapped[int] = mapped_column(SmallInteger)
    subscriber_id: Mapped[int | None] = mapped_column(big_id(), ForeignKey("subscribers.id"))
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("editions.id"))
    digest_id: Mapped[int | None] = mapped_column(big_id(), ForeignKey("digests.id"))
    # What a transactional mail is about, as plain values; digests have none.
    details: Mapped[dict[str, Any] | None]
    address: Mapped[str | None] = mapped_column(String(254))
    address_hash: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10), default=DeliveryState.PENDING)
    reason: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(default=AT_ONCE)
    # When a rate limit gave it its turn; without one it has not been asked.
    paced_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(40))
    claim_number: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    # Set by the first refused try: until when it is tried again.
    give_up_at: Mapped[datetime | None]
    reply: Mapped[str | None] = mapped_column(Text)
    relay_id: Mapped[str | None] = mapped_column(String(200))
    sent_at: Mapped[datetime | None]


IS_PENDING = Delivery.__table__.c.state == literal_column("'pending'")
IS_SENDING = Delivery.__table__.c.state == literal_column("'sending'")
