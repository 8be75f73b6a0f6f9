"""Digests: the content made for one exact set of updates, in one locale, within an edition."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class Digest(Base):
    """What some recipients of an edition are given. Its words depend on nobody who reads it.

    `recipients` counts the people matched at compile, so that the proof of an update is no tautology.
    `recheck_at` is when one of its updates lapses (or was withdrawn): from then on a claim passes over
    its deliveries until they have been moved to a reduced digest.
    """

    __tablename__ = "digests"
    __table_args__ = (UniqueConstraint("edition_id", "locale", "set_key"),)

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id"))
    locale: Mapped[str] = mapped_column(String(8))
    set_key: Mapped[str] = mapped_column(String(32))
    recipients: Mapped[int] = mapped_column(default=0)
    recheck_at: Mapped[datetime | None]


class DigestUpdate(Base):
    """A digest holds an update."""

    __tablename__ = "digest_updates"
    __table_args__ = (Index("ix_digest_updates_update", "update_id", "digest_id"),)

    digest_id: Mapped[int] = mapped_column(big_id(), ForeignKey("digests.id"), primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("updates.id"), primary_key=True)


class Drop(Base):
    """How many deliveries an update was taken out of after the compile, and why.

    A delivery that loses an update moves to a reduced digest; this count keeps the proof exact.
    """

    __tablename__ = "drops"

    digest_id: Mapped[int] = mapped_column(big_id(), ForeignKey("digests.id"), primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("updates.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(20), primary_key=True)
    recipients: Mapped[int]
