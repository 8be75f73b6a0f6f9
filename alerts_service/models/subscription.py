"""Subscriptions: subscriber × topic with a frequency, and how far each has been served."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class Subscription(Base):
    """One following of one topic. A change of frequency ends a row and starts the next.

    `since_seq` is the release count when it was confirmed: only releases after it are owed. It, and
    `followed_since`, are carried over a change of frequency. `ended_seq` is the mark at its end.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index(
            "uq_subscriptions_open",
            "subscriber_id",
            "topic_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_subscriptions_matching",
            "frequency",
            "subscriber_id",
            "topic_id",
            "since_seq",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_subscriptions_history", "subscriber_id", "started_at"),
    )

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(big_id(), ForeignKey("subscribers.id"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    frequency: Mapped[str] = mapped_column(String(10))
    since_seq: Mapped[int] = mapped_column(big_id())
    followed_since: Mapped[datetime]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(40))
    ended_seq: Mapped[int | None] = mapped_column(big_id())


class CatchUp(Base):
    """The mark of a subscription that is not where its frequency is.

    All other open subscriptions of a frequency are served up to its `covered_seq`. A mark may only err
    low: that costs time, and the deliveries themselves prevent a repeat.
    """

    __tablename__ = "catch_ups"
    __table_args__ = (Index("ix_catch_ups_frequency", "frequency", "subscriber_id"),)

    subscription_id: Mapped[int] = mapped_column(
        big_id(), ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True
    )
    frequency: Mapped[str] = mapped_column(String(10))
    subscriber_id: Mapped[int] = mapped_column(big_id())
    from_seq: Mapped[int] = mapped_column(big_id())
