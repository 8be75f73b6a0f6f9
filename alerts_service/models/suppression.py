"""Suppressions: addresses we must not mail, and why. They outlive the subscriber."""

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id

_STANDING = text("lifted_at IS NULL")


class Suppression(Base):
    """One address, known only by its keyed hash, that no mail goes to until this is lifted."""

    __tablename__ = "suppressions"
    __table_args__ = (
        Index(
            "uq_suppressions_standing",
            "address_hash",
            unique=True,
            sqlite_where=_STANDING,
            postgresql_where=_STANDING,
        ),
    )

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(String(500), default="")
    suppressed_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_reason: Mapped[str | None] = mapped_column(String(200))
