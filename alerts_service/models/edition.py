"""Editions, the release count, and how far each frequency has been served."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id

# What stands where a frequency does in an edition that reminds of an event.
REMINDER = "reminder"


class Turnstile(Base):
    """One row: the lock under which releases are numbered and compiles take turns, and the count."""

    __tablename__ = "turnstile"

    id: Mapped[int] = mapped_column(primary_key=True)
    release_seq: Mapped[int] = mapped_column(big_id())


class CoveredFrequency(Base):
    """A frequency: all that was released up to `covered_seq` has been matched in its editions.

    `schedule` is the setting as last seen and `since` when it was first seen: older slots are not due.
    """

    __tablename__ = "frequencies"

    frequency: Mapped[str] = mapped_column(String(10), primary_key=True)
    covered_seq: Mapped[int] = mapped_column(big_id())
    schedule: Mapped[str] = mapped_column(String(60))
    since: Mapped[datetime]


class Edition(Base):
    """One issue of one frequency for one slot. Ids are given at opening; editions compile in their order.

    A reminder is an edition of its own, with REMINDER for its frequency, and one for each update that causes it.
    It covers no releases.
    """

    __tablename__ = "editions"
    __table_args__ = (
        UniqueConstraint("frequency", "slot_at"),
        Index(
            "ix_editions_uncompiled",
            "id",
            sqlite_where=text("compiled_at IS NULL"),
            postgresql_where=text("compiled_at IS NULL"),
        ),
        Index(
            "uq_editions_cause",
            "frequency",
            "cause_id",
            unique=True,
            sqlite_where=text("cause_id IS NOT NULL"),
            postgresql_where=text("cause_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    frequency: Mapped[str] = mapped_column(String(10))
    slot_at: Mapped[datetime]
    # The update that an edition is about; those of a slot are about whatever was released.
    cause_id: Mapped[int | None] = mapped_column(ForeignKey("updates.id"))
    from_seq: Mapped[int] = mapped_column(big_id())
    through_seq: Mapped[int] = mapped_column(big_id())
    # The lane of its deliveries: an edition opened for an urgent update goes before the digests.
    urgent: Mapped[bool] = mapped_column(default=False)
    opened_at: Mapped[datetime]
    compiled_to: Mapped[int] = mapped_column(big_id(), default=0)
    compiled_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_reason: Mapped[str | None] = mapped_column(String(500))
    # Its seeds go out first; the rest waits until then, on the real clock.
    held_until: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancelled_reason: Mapped[str | None] = mapped_column(String(500))
    # When a restored database was told by the journal what of it had been sent.
    rebuilt_at: Mapped[datetime | None]
    # When nothing of it was left in the outbox, and its outcomes were counted into `tallies`.
    tallied_at: Mapped[datetime | None]
