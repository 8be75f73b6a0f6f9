"""A whole installation as its users meet it: the site over HTTP, the commands, the mail as received."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from alerts_service.cli import group
from alerts_service.config import Settings
from tests.relays import Received, Relay


@dataclass
class Installation:
    """What a person, an operator and a mail system can reach of an installation."""

    site: FlaskClient
    relay: Relay
    environment: dict[str, str]

    def alerts(self, *words: str, fails: bool = False) -> str:
        """Run a command as the console script does; return what it printed (with `fails`, what it said on stderr)."""
        done = CliRunner(env=_only(self.environment)).invoke(group, list(words))
        assert (done.exit_code != 0) is fails, f"alerts {' '.join(words)}: {done.output}"
        return (done.stderr if fails else done.stdout).strip()

    def answer(self, *words: str) -> Any:
        """Run a command that answers in JSON."""
        return json.loads(self.alerts(*words, "--json"))

    def add_update(self, title: str, *words: str) -> int:
        """Queue an update and release it; return its id."""
        return int(self.alerts("updates", "add", "--title", title, "--approve", *words).split()[-1])

    def deliver(self) -> None:
        """Send everything that is due."""
        self.alerts("deliver", "--drain")

    def tick(self, now: str) -> None:
        """Do what the scheduler does, at a moment."""
        self.alerts("editions", "open", "--now", now)
        self.alerts("deliver", "--drain", "--now", now)

    def sign_up(self, address: str, *topics: str, frequency: str = "weekly", **fields: str) -> None:
        """Fill in the form, and have the confirmation mailed."""
        form = {"email": address, "topics": list(topics), "frequency": frequency} | fields
        answer = self.site.post("/subscribe", data=form)
        assert answer.status_code == 303, answer.text
        self.deliver()

    def confirm(self, address: str) -> None:
        """Open the link in the newest mail and press the button."""
        path = path_of(self.newest(address), "/confirm/")
        assert self.site.get(path).status_code == 200
        assert self.site.post(path).status_code == 200
        self.deliver()

    def newest(self, address: str) -> Received:
        """The newest mail to an address."""
        assert self.relay.to(address), f"no mail to {address}"
        return self.relay.to(address)[-1]

    def subjects(self, address: str) -> list[str]:
        """The subjects of all mail to an address, oldest first."""
        return [str(received.message["Subject"]) for received in self.relay.to(address)]


def _only(environment: dict[str, str]) -> dict[str, str | None]:
    """Return the changes that leave these settings and no others."""
    others = {name: None for name in os.environ if name.startswith("ALERTS_")}
    return {**others, **environment}


def path_of(received: Received, start: str) -> str:
    """The path of the first link in a mail's text that begins with `start`."""
    found = re.search(rf"https?://[^/\s]+({re.escape(start)}\S+)", received.part("plain"))
    assert found, received.part("plain")
    return urlsplit(found[0]).path


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The settings of the test's installation, as a process finds them."""
    return {
        "PATH": os.environ["PATH"],
        "ALERTS_DATABASE_URL": settings.database_url,
        "ALERTS_STATE_DIR": str(settings.state_dir),
        "ALERTS_SECRET_KEY": settings.secret_keys[0],
        "ALERTS_PERMANENT_KEY": str(settings.permanent_key),
        "ALERTS_BASE_URL": settings.base_url,
        "ALERTS_SMTP_URL": settings.smtp_url,
        "ALERTS_FROM": settings.from_address,
        "ALERTS_SERVICE_FROM": settings.service_from,
        "ALERTS_NAME": settings.name,
        "ALERTS_POSTAL_ADDRESS": settings.postal_address,
        "ALERTS_CONTACT_URL": settings.contact_url,
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture
def installation(client: FlaskClient, relay: Relay, environment: dict[str, str]) -> Installation:
    """An installation with the default catalogue, on both databases."""
    return Installation(client, relay, environment)


@pytest.fixture
def another(client: FlaskClient, relay: Relay, environment: dict[str, str]) -> Callable[..., Installation]:
    """The same database, started with other settings."""
    return lambda **changes: Installation(client, relay, environment | changes)
