"""Atom feeds (RFC 4287) of topics: their words, which are those of the pages, and their form."""

from datetime import UTC, datetime
from typing import Any

from feedgenerator import Atom1Feed
from feedgenerator.django.utils.xmlutils import SimplerXMLGenerator
from flask import render_template

from alerts_service.config import Settings
from alerts_service.rules.characters import printable
from alerts_service.services.archive import Changed, FeedSeen

# Of a feed that nothing has been published in yet.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class _Feed(Atom1Feed):  # type: ignore[misc]  # the library has no types
    """Atom as the library makes it; an entry says its language, an empty feed does not say that it is new."""

    def item_attributes(self, item: dict[str, Any]) -> dict[str, str]:
        """Say in which language an entry is."""
        return {"xml:lang": item["lang"]}

    def latest_post_date(self) -> datetime:
        """Return when the newest change was."""
        return max((item["updateddate"] for item in self.items), default=_NEVER)

    def add_item_elements(self, handler: SimplerXMLGenerator, item: dict[str, Any]) -> None:
        """Lead to what an entry follows up on, too."""
        super().add_item_elements(handler, item)
        if item["related"]:
            handler.addQuickElement("link", "", {"rel": "related", "href": item["related"]})


def atom(seen: FeedSeen, language: str, settings: Settings) -> tuple[bytes, datetime]:
    """Return a topic's feed, and when it was last changed."""
    page = f"{settings.base_url}/topics/{seen.slug}"
    feed = _Feed(
        title=_text("title", settings, topic=seen),
        link=f"{page}?lang={language}",
        description=printable(seen.description),
        language=language,
        feed_url=f"{page}.atom?lang={language}",
        feed_guid=f"{page}.atom",
        author_name=settings.name,
    )
    for entry in seen.entries:
        _add(feed, entry, language, settings)
    return feed.writeString("utf-8").encode(), feed.latest_post_date()


def _add(feed: _Feed, entry: Changed, language: str, settings: Settings) -> None:
    item = entry.item
    feed.add_item(
        title=_text("entry_title", settings, item=item),
        link=f"{item.page_url}?lang={language}",
        description=None,
        content=_text("entry", settings, item=item),
        pubdate=item.released_at,
        updateddate=entry.changed_at,
        unique_id=entry.key,
        categories=[printable(title) for title in item.topics],
        lang=item.lang,
        related=item.follow_up_url,
    )


def _text(name: str, settings: Settings, **values: object) -> str:
    extension = "html" if name == "entry" else "txt"
    return printable(render_template(f"feeds/{name}.{extension}", settings=settings, **values).strip())
