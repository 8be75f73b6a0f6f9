"""Updates: one thing published under one or more topics."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from alerts_service.db import Base, big_id
from alerts_service.models.topic import Topic

_IS_EVENT = text("starts_at IS NOT NULL")
_FOLLOWS_UP = text("follow_up_of_id IS NOT NULL")


class Update(Base):
    """One update. Its state is what its stamps say: draft, submitted, approved, released or withdrawn.

    `seq` is its number in the one release count; `release_at` is only a not-before.
    """

    __tablename__ = "updates"
    __table_args__ = (
        CheckConstraint("(seq IS NULL) = (released_at IS NULL)", name="numbered_when_released"),
        Index("ix_updates_waiting", "approved_at", "released_at"),
        Index("ix_updates_starts", "starts_at", sqlite_where=_IS_EVENT, postgresql_where=_IS_EVENT),
        Index("ix_updates_follow_up", "follow_up_of_id", sqlite_where=_FOLLOWS_UP, postgresql_where=_FOLLOWS_UP),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int | None] = mapped_column(big_id(), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text)
    title_es: Mapped[str | None] = mapped_column(String(200))
    summary_es: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(String(2000))
    urgent: Mapped[bool] = mapped_column(default=False)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    registration_url: Mapped[str | None] = mapped_column(String(2000))
    credit: Mapped[str | None] = mapped_column(String(200))
    follow_up_of_id: Mapped[int | None] = mapped_column(ForeignKey("updates.id"))
    release_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str | None] = mapped_column(String(500))

    topics: Mapped[list[Topic]] = relationship(secondary="update_topics", order_by=Topic.position)

    @property
    def state(self) -> str:
        """The furthest stamp: withdrawn, released, approved, submitted or draft."""
        stamps = {
            "withdrawn": self.withdrawn_at,
            "released": self.released_at,
            "approved": self.approved_at,
            "submitted": self.submitted_at,
        }
        return next((state for state, stamp in stamps.items() if stamp), "draft")

    @property
    def lapses_at(self) -> datetime | None:
        """When it stops being owed: at its expiry or the end of its event, whichever comes first."""
        return min((at for at in (self.expires_at, self.ends_at) if at), default=None)

    def title_in(self, locale: str) -> str:
        """Return the title in `locale`, or the English one."""
        return (self.title_es if locale == "es" else None) or self.title

    def summary_in(self, locale: str) -> str:
        """Return the summary (Markdown) in `locale`, or the English one."""
        return (self.summary_es if locale == "es" else None) or self.summary


class UpdateTopic(Base):
    """An update stands under a topic; frozen once released."""

    __tablename__ = "update_topics"
    __table_args__ = (Index("ix_update_topics_update", "update_id"),)

    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"), primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("updates.id", ondelete="CASCADE"), primary_key=True)
