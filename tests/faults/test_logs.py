"""What a mistake of ours leaves in the log."""

import pytest
import structlog
from flask import Flask

from tests.databases import ON_SQLITE


@ON_SQLITE
def test_a_logged_mistake_says_where_it_was_and_shows_no_value(core: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    key, address = core.extensions["alerts"].permanent_key, "ann@" + "example.org"
    try:
        int("no number")
    except ValueError:
        structlog.get_logger().exception("it failed")
    said = "".join(capfd.readouterr())
    assert "it failed" in said
    assert "ValueError" in said
    assert str(key) not in said
    assert address not in said
