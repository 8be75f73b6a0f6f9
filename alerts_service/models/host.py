"""Hosts that send: the restore fence's side in the database."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base


class Host(Base):
    """One host that claims deliveries, and the last nonce it committed here before it wrote it to its journal."""

    __tablename__ = "hosts"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(40))
    previous: Mapped[str | None] = mapped_column(String(40))
    renewed_at: Mapped[datetime]
    # When this host found its journal ahead of the database; nobody sends until it has been reconciled there.
    held_at: Mapped[datetime | None]
