"""Fixtures: an installation to play with."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask

from alerts_service.config import Settings
from alerts_service.db import transaction
from alerts_service.models import MailKind
from alerts_service.services import letters
from tests.scene import Scene

QueueLetters = Callable[[int], list[str]]


@pytest.fixture
def scene(core: Flask, settings: Settings, now: datetime) -> Scene:
    """An installation with the default catalogue, on both databases."""
    return Scene(settings, now)


@pytest.fixture
def queue_letters(scene: Scene) -> QueueLetters:
    """Put many mails into the outbox at once; return their addresses."""

    def queue(number: int) -> list[str]:
        addresses = [f"reader{n}@example.org" for n in range(number)]
        with transaction() as session:
            for address in addresses:
                about = {"address": address, "address_hash": scene.address_hash(address)}
                details: dict[str, object] = {"subscriber": None}
                letters.queue(session, MailKind.PREFERENCES_LINK, **about, locale="en", details=details, now=scene.now)
        return addresses

    return queue
