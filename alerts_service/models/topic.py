"""Topics and the categories they stand in: the catalogue."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from alerts_service.db import Base


class Category(Base):
    """A heading of the catalogue."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    title_es: Mapped[str | None] = mapped_column(String(200))
    position: Mapped[int]

    topics: Mapped[list["Topic"]] = relationship(back_populates="category", order_by="Topic.position")

    def title_in(self, locale: str) -> str:
        """Return the title in `locale`, or the English one."""
        return (self.title_es if locale == "es" else None) or self.title


class Topic(Base):
    """A titled thing one can follow. A retired one keeps its history and takes no new followers."""

    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    title_es: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    description_es: Mapped[str | None] = mapped_column(Text)
    # Position in the whole catalogue, not within the category: digests list updates in this order.
    position: Mapped[int]
    retired_at: Mapped[datetime | None]

    category: Mapped[Category] = relationship(back_populates="topics")

    def title_in(self, locale: str) -> str:
        """Return the title in `locale`, or the English one."""
        return (self.title_es if locale == "es" else None) or self.title

    def description_in(self, locale: str) -> str:
        """Return the description in `locale`, or the English one."""
        return (self.description_es if locale == "es" else None) or self.description
