"""Fixtures: settings without a database, and updates to write about."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts_service.config import Settings
from alerts_service.mail.items import Item
from tests.conftest import START, make_settings


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of an installation that is reached by https."""
    folder: Path = tmp_path_factory.mktemp("mail")
    return make_settings(folder, "sqlite://", base_url="https://alerts.example.org")


@pytest.fixture(scope="session")
def make_item() -> Callable[..., Item]:
    """Make an update; what a test does not say is ordinary."""

    def make(number: int = 1, **changes: Any) -> Item:
        values: dict[str, Any] = {
            "id": number,
            "kind": "tool",
            "title": f"Update number {number}",
            "summary": "What it is **about**.",
            "lang": "en",
            "page_url": f"https://alerts.example.org/updates/{number}",
            "url": None,
            "topics": ("Telehealth",),
            "topic_positions": (3,),
            "released_at": START - timedelta(hours=number),
        }
        return Item(**(values | changes))

    return make
