"""Consent: an append-only record of who agreed to, or withdrew, what, in which words."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base, big_id


class Wording(Base):
    """The very words somebody agreed to. The version is the start of their SHA-256."""

    __tablename__ = "wordings"

    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    locale: Mapped[str] = mapped_column(String(8))
    words: Mapped[str] = mapped_column(Text)
    first_used_at: Mapped[datetime]


class Consent(Base):
    """One link of the chain of one address: see rules/chains.py for what the hashes cover."""

    __tablename__ = "consents"
    __table_args__ = (UniqueConstraint("address_hash", "number"),)

    id: Mapped[int] = mapped_column(big_id(), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(24))
    at: Mapped[datetime]
    wording_version: Mapped[str | None] = mapped_column(ForeignKey("wordings.version"))
    facts: Mapped[dict[str, Any]]
    # Personal fields stand beside the chain and may be erased; the chain covers their salted digest.
    personal: Mapped[dict[str, Any] | None]
    salt: Mapped[str | None] = mapped_column(String(32))
    personal_digest: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
