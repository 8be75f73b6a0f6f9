"""The catalogue: topics in categories, loaded from YAML or CSV and read for forms."""

import csv
import io
import re
from dataclasses import dataclass
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from alerts_service.db import db, transaction
from alerts_service.errors import CatalogueRefused
from alerts_service.models import Category, Topic

_COLUMNS = ("category", "category_es", "slug", "title", "title_es", "description", "description_es")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LIMITS = {"slug": 64, "title": 200, "title_es": 200, "category": 200, "category_es": 200}


@dataclass(frozen=True)
class TopicChoice:
    """A topic as a form offers it."""

    slug: str
    title: str
    description: str


@dataclass(frozen=True)
class CategoryChoices:
    """A category and the topics in it that can be followed."""

    title: str
    topics: list[TopicChoice]


@dataclass(frozen=True)
class Loaded:
    """How many topics a file added, changed and left as they were."""

    added: int
    changed: int
    unchanged: int


def choices(locale: str) -> list[CategoryChoices]:
    """Return what can be followed, in catalogue order, in the reader's language."""
    query = select(Category).options(selectinload(Category.topics)).order_by(Category.position)
    found = [CategoryChoices(c.title_in(locale), _open_topics(c, locale)) for c in db.session.scalars(query)]
    return [category for category in found if category.topics]


def _open_topics(category: Category, locale: str) -> list[TopicChoice]:
    return [
        TopicChoice(topic.slug, topic.title_in(locale), topic.description_in(locale))
        for topic in category.topics
        if topic.retired_at is None
    ]


def listing() -> list[dict[str, str]]:
    """Return slug, title and category of every topic that can be followed."""
    query = (
        select(Topic.slug, Topic.title, Category.title)
        .join(Category)
        .where(Topic.retired_at.is_(None))
        .order_by(Topic.position)
    )
    return [{"slug": slug, "title": title, "category": category} for slug, title, category in db.session.execute(query)]


def load(text: str, *, kind: str) -> Loaded:
    """Add the topics of a file (`yaml` or `csv`) and change those already there; topics it does not name stay.

    Raises CatalogueRefused, with the line or topic and the reason; then nothing is changed.
    """
    rows = _csv_rows(text) if kind == "csv" else _yaml_rows(text)
    _check(rows)
    with transaction() as session:
        return _store(session, rows)


def _yaml_rows(text: str) -> list[dict[str, str]]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogueRefused(reason=f"it is not YAML ({' '.join(str(error).split())})") from None
    categories = tree.get("categories") if isinstance(tree, dict) else None
    if not isinstance(categories, list):
        raise CatalogueRefused(reason="it has no list called “categories”")
    return [_row(category, topic) for category in categories for topic in _topics_of(category)]


def _topics_of(category: Any) -> list[Any]:
    topics = category.get("topics") if isinstance(category, dict) else None
    if not isinstance(topics, list) or not all(isinstance(topic, dict) for topic in topics):
        raise CatalogueRefused(reason="each category needs a title and a list called “topics”")
    return topics


def _row(category: dict[str, Any], topic: dict[str, Any]) -> dict[str, str]:
    merged = {"category": category.get("title"), "category_es": category.get("title_es")} | topic
    return {name: str(merged.get(name) or "").strip() for name in _COLUMNS}


def _csv_rows(text: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"category", "slug", "title"} <= set(reader.fieldnames or ()):
        raise CatalogueRefused(reason="its first line must name the columns category, slug and title")
    return [{name: (row.get(name) or "").strip() for name in _COLUMNS} for row in reader]


def _check(rows: list[dict[str, str]]) -> None:
    if not rows:
        raise CatalogueRefused(reason="it holds no topic")
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        where = f"topic {number} (“{row['slug'] or row['title']}”)"
        if not _SLUG.fullmatch(row["slug"]) or row["slug"] in seen:
            raise CatalogueRefused(reason=f"{where} needs a slug of its own, made of a-z, 0-9 and hyphens")
        if not row["title"] or not row["category"]:
            raise CatalogueRefused(reason=f"{where} needs a title and a category")
        if any(len(row[name]) > most or not row[name].isprintable() for name, most in _LIMITS.items()):
            raise CatalogueRefused(reason=f"{where} has a text that is too long or cannot be printed")
        seen.add(row["slug"])


def _store(session: Session, rows: list[dict[str, str]]) -> Loaded:
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for position, row in enumerate(rows, 1):
        category = _category(session, row, position)
        topic = session.scalar(select(Topic).where(Topic.slug == row["slug"]))
        outcome = "unchanged" if topic else "added"
        if topic is None:
            topic = Topic(slug=row["slug"])
            session.add(topic)
        topic.category = category
        topic.position = position
        for name in ("title", "title_es", "description", "description_es"):
            setattr(topic, name, row[name] or (None if name.endswith("_es") else ""))
        if outcome == "unchanged" and session.is_modified(topic):
            outcome = "changed"
        counts[outcome] += 1
        session.flush()
    return Loaded(**counts)


def _category(session: Session, row: dict[str, str], position: int) -> Category:
    slug = re.sub(r"[^a-z0-9]+", "-", row["category"].casefold()).strip("-")[:64] or f"category-{position}"
    category = session.scalar(select(Category).where(Category.slug == slug))
    if category is None:
        category = Category(slug=slug, position=position)
        session.add(category)
    category.title = row["category"]
    category.title_es = row["category_es"] or category.title_es
    return category
