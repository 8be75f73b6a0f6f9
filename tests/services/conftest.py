"""Fixtures: an installation to play with."""

from datetime import datetime

import pytest
from flask import Flask

from alerts_service.config import Settings
from tests.scene import Scene


@pytest.fixture
def scene(core: Flask, settings: Settings, now: datetime) -> Scene:
    """An installation with the default catalogue, on both databases."""
    return Scene(settings, now)
