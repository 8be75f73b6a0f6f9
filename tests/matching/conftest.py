"""An installation to play with."""

import pytest
from flask import Flask

from alerts_service.config import Settings
from tests.matching.world import World


@pytest.fixture
def world(core: Flask, settings: Settings) -> World:
    """An installation with nobody in it, on a Monday at 07:00 in New York."""
    return World(settings)
