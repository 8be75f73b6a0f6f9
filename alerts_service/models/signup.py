"""Sign-ups: unconfirmed requests, which expire."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from alerts_service.db import Base, big_id
from alerts_service.models.topic import Topic

_WAITING = text("confirmed_at IS NULL")


class SignUp(Base):
    """A request to follow topics, waiting for the person to press the button in their inbox."""

    __tablename__ = "sign_ups"
    __table_args__ = (
        Index("ix_sign_ups_address", "address_hash", "requested_at"),
        Index("ix_sign_ups_mailbox", "mailbox_hash", "requested_at"),
        Index("ix_sign_ups_requested", "requested_at"),
        # Those to be reminded of, and those to be deleted.
        Index("ix_sign_ups_waiting", "expires_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    address_hash: Mapped[str] = mapped_column(String(64))
    # Plus-tags and dots folded away: for the cap on confirmation mails only.
    mailbox_hash: Mapped[str] = mapped_column(String(64))
    frequency: Mapped[str] = mapped_column(String(10))
    locale: Mapped[str] = mapped_column(String(8))
    source: Mapped[str] = mapped_column(String(200), default="")
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(40))

    topics: Mapped[list[Topic]] = relationship(secondary="sign_up_topics", order_by=Topic.position)


class SignUpTopic(Base):
    """A topic asked for in a sign-up."""

    __tablename__ = "sign_up_topics"

    sign_up_id: Mapped[int] = mapped_column(big_id(), ForeignKey("sign_ups.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"), primary_key=True)
