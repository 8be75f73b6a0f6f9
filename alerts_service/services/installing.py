"""Making and checking an installation: schema, permanent key, catalogue, release count.

Alembic is imported where it is used: every command checks the key, and few need the migrations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.orm import Session

from alerts_service import config
from alerts_service.config import Settings
from alerts_service.db import db, is_postgresql, transaction
from alerts_service.errors import KeyMismatch, SchemaOutdated
from alerts_service.models import CoveredFrequency, Fact, Topic, Turnstile
from alerts_service.rules import tokens
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue

if TYPE_CHECKING:
    from alembic.config import Config

KEY_FINGERPRINT = "permanent_key_fingerprint"
MESSAGE_DOMAIN = "message_domain"
BASE_URL = "base_url"
_UPGRADE_LOCK = 0x616C657274  # any number, the same on every host: one upgrade at a time


def init(settings: Settings, *, catalogue_file: str | None = None, now: datetime) -> list[str]:
    """Create or upgrade the installation; safe to repeat. Returns what was done, a sentence each."""
    done = [_upgrade()]
    key = settings.permanent_key or config.make_key(config.permanent_key_path(settings.state_dir))
    with transaction(turn=True) as session:
        _remember(session, KEY_FINGERPRINT, tokens.fingerprint(key))
        # Message-IDs keep the domain of the first start: it may not change under a delivery being retried.
        _remember(session, MESSAGE_DOMAIN, settings.mail_domain)
        if settings.mode != "demo":
            # Started under another one, nothing is sent: it may be a copy (see fencing).
            _remember(session, BASE_URL, settings.base_url)
        if session.get(Turnstile, 1) is None:
            session.add(Turnstile(id=1, release_seq=0))
        _start_frequencies(session, settings, now)
        empty = session.scalar(select(Topic.id).limit(1)) is None
    if empty and catalogue_file != "none":
        done.append(_load_catalogue(catalogue_file))
    elif catalogue_file not in {None, "none"}:
        done.append(f"There are topics already. To add to them: alerts topics load {catalogue_file}")
    return done


def check(settings: Settings) -> None:
    """Refuse a start on an older schema (SchemaOutdated) or with another permanent key (KeyMismatch)."""
    check_schema()
    check_key(settings)


def check_schema() -> None:
    """Refuse an older schema."""
    if not schema_is_current():
        raise SchemaOutdated


def check_key(settings: Settings) -> None:
    """Refuse another permanent key than the one the database was made with: links and hashes rest on it."""
    kept = db.session.get(Fact, KEY_FINGERPRINT)
    if kept is None or not settings.permanent_key or kept.value != tokens.fingerprint(settings.permanent_key):
        raise KeyMismatch
    db.session.rollback()


def schema_is_current() -> bool:
    """Say whether the database is at the newest migration."""
    with db.engine.connect() as connection:
        return is_current(connection)


def is_current(connection: Connection) -> bool:
    """Say whether the database behind a connection is at the newest migration."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> "Config":
    """Return what Alembic needs to know; also for generating a new migration (CONTRIBUTING.md)."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    alembic.set_main_option("path_separator", "os")
    return alembic


def upgrade(connection: Connection) -> None:
    """Bring the database behind a connection to this version's schema, within its transaction."""
    from alembic import command

    alembic = alembic_config()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "head")


def _upgrade() -> str:
    with _exclusive_connection() as connection:
        fresh = not inspect(connection).has_table("alembic_version")
        upgrade(connection)
    return "The database was created." if fresh else "The database is at this version's schema."


@contextmanager
def _exclusive_connection() -> Iterator[Connection]:
    """One upgrade at a time: an immediate transaction on SQLite, an advisory lock on PostgreSQL."""
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        if is_postgresql():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        yield connection


def _remember(session: Session, name: str, value: str) -> None:
    kept = session.get(Fact, name)
    if kept is None:
        session.add(Fact(name=name, value=value))
    elif name == KEY_FINGERPRINT and kept.value != value:
        raise KeyMismatch


def _start_frequencies(session: Session, settings: Settings, now: datetime) -> None:
    for frequency in Frequency:
        if session.get(CoveredFrequency, frequency) is None:
            schedule = settings.schedule_texts[frequency]
            session.add(CoveredFrequency(frequency=frequency, covered_seq=0, schedule=schedule, since=now))


def _load_catalogue(file: str | None) -> str:
    path = Path(file) if file else Path(__file__).with_name("default_catalogue.yaml")
    loaded = catalogue.load(path.read_text(encoding="utf-8"), kind="csv" if path.suffix.lower() == ".csv" else "yaml")
    return f"The catalogue was loaded: {loaded.added} topics."
