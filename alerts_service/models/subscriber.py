"""A person, known by one address."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class Subscriber(Base):
    """A person who has confirmed at least once. Their subscriptions say what they follow now."""

    __tablename__ = "subscribers"
    # Links carry the id: AUTOINCREMENT keeps SQLite from giving an erased person's id to another.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    # The address as compared: casefolded in Python (SQLite's lower() knows ASCII only).
    address_key: Mapped[str] = mapped_column(String(254), unique=True)
    # The keyed hash under which suppressions and consents stand.
    address_hash: Mapped[str] = mapped_column(String(64), unique=True)
    locale: Mapped[str] = mapped_column(String(8))
    confirmed_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    # A pause without an end holds until the person ends it.
    paused_until: Mapped[datetime | None]
    # Set whenever the person may be owed less than before; cleared when their pending deliveries were
    # looked at again. Claims pass over the deliveries of marked people.
    narrowed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(40))
    # Who has the address of this ended row since: its old links are theirs.
    moved_to_id: Mapped[int | None] = mapped_column(big_id())
