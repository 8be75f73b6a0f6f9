"""Tallies: what became of an edition's deliveries, counted once when it had nothing left to send."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base

# Not a state of a delivery: how many people the compile matched to an update.
MATCHED = "matched"


class Tally(Base):
    """How many of an edition's deliveries ended in one state, for one reason (empty where there is none)."""

    __tablename__ = "tallies"

    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(10), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200), primary_key=True)
    recipients: Mapped[int]


class UpdateTally(Base):
    """The same for one update in an edition, with those it was taken away from; and how many were matched."""

    __tablename__ = "update_tallies"

    update_id: Mapped[int] = mapped_column(ForeignKey("updates.id"), primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(10), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200), primary_key=True)
    recipients: Mapped[int]
