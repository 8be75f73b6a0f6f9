"""What people do with their own data: links that work once, changes of address, reasons for leaving."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class FreshLink(Base):
    """A mailed link to a person's own data. It works once; how long, its signature says."""

    __tablename__ = "fresh_links"
    # Links carry the id: AUTOINCREMENT keeps SQLite from giving it again after an erasure.
    __table_args__ = (Index("ix_fresh_links_subscriber", "subscriber_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(big_id(), ForeignKey("subscribers.id"))
    asked_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AddressChange(Base):
    """A wish to be mailed at another address: asked, confirmed from the new one, undone from the former one."""

    __tablename__ = "address_changes"
    __table_args__ = (Index("ix_address_changes_subscriber", "subscriber_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(big_id(), ForeignKey("subscribers.id"))
    address: Mapped[str] = mapped_column(String(254))
    address_hash: Mapped[str] = mapped_column(String(64))
    former_address: Mapped[str] = mapped_column(String(254))
    former_hash: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    # Undone, or overtaken by the undoing of an earlier one.
    undone_at: Mapped[datetime | None]


class LeaveReason(Base):
    """How many people gave a reason for leaving on a day. Nothing says who."""

    __tablename__ = "leave_reasons"

    given_on: Mapped[date] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(20), primary_key=True)
    people: Mapped[int]
