"""The commands as the console script runs them, on an installation of the test's own."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alerts_service.cli import group
from tests.journeys.conftest import Installation, environment, installation

__all__ = ["Installation", "environment", "installation"]

ANN = "ann@example.org"
TUESDAY = "2099-06-02T09:00:30"


@dataclass
class Commands:
    """`alerts`, under these settings and no others."""

    environment: dict[str, str]

    def run(self, *words: str, stdin: str | bytes | None = None, **changes: str) -> Result:
        """Run a command to its end. A traceback is a failure of the test, not a refusal."""
        others = {name: None for name in os.environ if name.startswith("ALERTS_") or name == "PORT"}
        runner = CliRunner(env={**others, **self.environment, **changes})
        done = runner.invoke(group, list(words), input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def said(self, *words: str, **options: Any) -> str:
        """What a command prints that is done."""
        done = self.run(*words, **options)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def answer(self, *words: str, **options: Any) -> Any:
        """What a command answers with --json, which is all that it prints."""
        return json.loads(self.said(*words, "--json", **options))

    def refusal(self, *words: str, **options: Any) -> str:
        """The one plain line on stderr of a command that is refused."""
        done = self.run(*words, **options)
        assert done.exit_code == 1, done.output
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr.strip()

    def misuse(self, *words: str, **options: Any) -> str:
        """The last line on stderr of a command that is used wrongly."""
        done = self.run(*words, **options)
        assert done.exit_code == 2, done.output
        assert done.stdout == ""
        return done.stderr.strip().splitlines()[-1]

    def add(self, title: str, *words: str) -> int:
        """Queue an update; the last word printed is its id."""
        return int(self.said("updates", "add", "--title", title, *words).split()[-1])


@pytest.fixture
def alerts(environment: dict[str, str]) -> Commands:
    """The commands on an installation with the default catalogue, on both databases."""
    return Commands(environment)


@pytest.fixture
def anew(tmp_path: Path) -> Commands:
    """The commands where nothing has been installed yet."""
    folder = tmp_path / "anew"
    return Commands(
        {
            "PATH": os.environ["PATH"],
            "ALERTS_DATABASE_URL": f"sqlite:///{folder}/alerts.db",
            "ALERTS_STATE_DIR": str(folder / "state"),
            "ALERTS_SECRET_KEY": "a-secret-key-of-thirty-two-characters",
            "ALERTS_BASE_URL": "http://127.0.0.1:8000",
            "ALERTS_FROM": "Alerts <alerts@example.org>",
            "ALERTS_POSTAL_ADDRESS": "1 Main Street, Baltimore",
            "ALERTS_SMTP_URL": "smtp://127.0.0.1:9",
        }
    )


def follow(installation: Installation, address: str, *topics: str, frequency: str = "weekly") -> None:
    """Sign up and confirm, through the site and the mail."""
    installation.sign_up(address, *topics, frequency=frequency)
    installation.confirm(address)
