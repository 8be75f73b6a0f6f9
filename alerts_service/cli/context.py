"""What commands share: the slim app, moments, answers and refusals."""

import functools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import click
from flask import Flask, current_app, has_app_context
from sqlalchemy.exc import DBAPIError, OperationalError

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import AlertsError, DatabaseUnusable
from alerts_service.services import installing

P = ParamSpec("P")
R = TypeVar("R")


def with_app(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Run a command in an application context, with the settings as its first argument.

    What is refused becomes one line on stderr and exit code 1; so does a start with another permanent key.
    """
    return with_bare_app(_checked(command))


def with_bare_app(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """As `with_app`, for commands that make the installation, or check more of it themselves."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if has_app_context():  # `flask --app wsgi …` has made it
                return command(current_app.extensions["alerts"], *args, **kwargs)
            with _core().app_context():
                try:
                    return command(current_app.extensions["alerts"], *args, **kwargs)
                except DBAPIError:
                    installing.check_schema()  # most likely why: say how to mend it
                    raise
                finally:
                    db.session.remove()
                    db.engine.dispose()
        except AlertsError as error:
            raise Refusal(str(error)) from None
        except OperationalError as error:
            raise Refusal(str(DatabaseUnusable(reason=" ".join(str(error.orig).split())))) from None

    return wrapper


def _checked(command: Callable[Concatenate[Settings, P], R]) -> Callable[Concatenate[Settings, P], R]:
    @functools.wraps(command)
    def wrapper(settings: Settings, /, *args: P.args, **kwargs: P.kwargs) -> R:
        installing.check_key(settings)
        return command(settings, *args, **kwargs)

    return wrapper


def _core() -> Flask:
    try:
        return create_core()
    except OSError as error:  # the folder of the database, or of the permanent key
        raise Refusal(str(error)) from None


class Refusal(click.ClickException):
    """A refusal: one line on stderr, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Print the sentence, without click's “Error:”."""
        click.echo(self.message, err=True, file=file)


class Moment(click.ParamType[datetime]):
    """An ISO 8601 moment; without an offset it is in the service's time zone."""

    name = "iso"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text; the zone is added when the settings are known."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a moment; write it like 2026-12-08T09:00.", param, ctx)


def in_zone(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """Give a moment without an offset the zone it was meant in."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone)


def present(moment: datetime | None, settings: Settings) -> datetime:
    """Return the moment a command is to act at: `--now`, or the real one."""
    return in_zone(moment, settings.timezone) or utcnow()


now_option = click.option(
    "--now",
    type=Moment(),
    metavar="ISO",
    help="Act as if it were this moment (rehearsal); retries keep the real clock.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def answer(value: Any, as_json: bool, words: Callable[[Any], Iterable[str]]) -> None:
    """Print an answer, in JSON or as lines of words."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, default=str))
        return
    for line in words(value):
        click.echo(line)


def pairs(value: dict[str, Any]) -> Iterable[str]:
    """Show plain values as lines of “name: value”."""
    for name, found in value.items():
        text = json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) else found
        yield f"{name.replace('_', ' ')}: {'-' if text is None else text}"
