"""The database: the base of all models, the column types, and the only place that commits.

`transaction()` is the one way to write (`driving()` its like for the one use case that a crowd does at once).
`turn=True` also takes the turnstile, the row under which releases are numbered and compiles take turns (see
docs/architecture.md, matching); it is the first statement, so that on PostgreSQL no snapshot is older than the lock.

SQLite: WAL, foreign keys, a writing transaction begins IMMEDIATE, and its writers take turns by a file lock,
as SQLite's own way of waiting is to sleep and try again. PostgreSQL: READ COMMITTED, and REPEATABLE READ for a
turn, done again when it cannot be serialised (`taking_turns`).
"""

import fcntl
import functools
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Connection, DateTime, Engine, Integer, MetaData, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator, TypeEngine

BUSY_TIMEOUT_SECONDS = 30
_TRIES = 8
# Of PostgreSQL: what has to be done again from its start.
_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"
_TURN = "turn"

P = ParamSpec("P")
R = TypeVar("R")


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, in and out. SQLite drops offsets silently, so a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC; SQLite keeps the wall-clock digits only."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give back an aware moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def big_id() -> TypeEngine[int]:
    """A 64-bit key; plain INTEGER on SQLite, where only that names the row id."""
    return BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """The base of all models: typed columns, named constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    registry = registry(type_annotation_map={datetime: UTCDateTime(), dict[str, Any]: JSON()})


# Sessions never expire what they loaded: a view may read an object after its transaction has ended.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


@contextmanager
def reading() -> Iterator[Session]:
    """Read in a transaction that ends with the block: before the network is used, none may stand open.

    Objects read in it are expired at its end; take plain values out.
    """
    session: Session = db.session()
    try:
        yield session
    finally:
        session.rollback()


@contextmanager
def transaction(turn: bool = False) -> Iterator[Session]:
    """Run one use case in one writing transaction: commit at the end, roll back on any error.

    A read transaction that stands open is ended first: its snapshot would be older than the write.
    """
    session: Session = db.session()
    _end_reading(session)
    session.info["writing"] = True
    options: dict[str, Any] = {"writes": True}
    if turn and is_postgresql():
        options["isolation_level"] = "REPEATABLE READ"
    try:
        session.connection(execution_options=options)
        if turn and is_postgresql():
            session.execute(text("LOCK TABLE turnstile IN EXCLUSIVE MODE"))
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop("writing")


def _end_reading(session: Session) -> None:
    if session.info.get("writing"):
        raise RuntimeError("one use case, one transaction: a service called another that writes")
    if session.in_transaction():
        session.rollback()


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver's own connection, in a transaction. `execute(statement, values)` gives a cursor."""

    execute: Callable[..., Any]
    on_postgresql: bool


@contextmanager
def driving() -> Iterator[Driver]:
    """Run a writing transaction on the driver's own connection: for the use case that a crowd does at once.

    On PostgreSQL the statements go in a pipeline, which waits only where an answer is read, and at the commit.
    Errors come as SQLAlchemy's.
    """
    if db.session.registry.has():
        _end_reading(db.session())
    engine = db.engine
    on_postgresql = engine.dialect.name == "postgresql"
    pooled = engine.raw_connection()
    raw: Any = pooled.driver_connection
    errors = engine.dialect.loaded_dbapi.Error
    try:
        if not on_postgresql:
            fcntl.flock(pooled.info[_TURN], fcntl.LOCK_EX)
            raw.execute("BEGIN IMMEDIATE")
        with raw.pipeline() if on_postgresql else nullcontext():
            yield Driver(raw.execute, on_postgresql)
            raw.execute("COMMIT")
    except errors as error:
        if engine.dialect.is_disconnect(error, raw, None):
            pooled.invalidate(error)
            engine.dispose()  # the others of its time are broken, too
        raise DBAPIError.instance(None, None, error, errors, dialect=engine.dialect) from error
    finally:
        pooled.close()  # gives it back to the pool, which rolls back what was not committed


def taking_turns(use_case: Callable[P, R]) -> Callable[P, R]:
    """Do a use case again that PostgreSQL could not serialise with a change made meanwhile, or broke a deadlock by."""

    @functools.wraps(use_case)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(_TRIES - 1):
            try:
                return use_case(*args, **kwargs)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) not in {_SERIALIZATION_FAILURE, _DEADLOCK}:
                    raise
        return use_case(*args, **kwargs)

    return wrapper


def is_postgresql() -> bool:
    """Say whether the database is PostgreSQL (the other one is SQLite)."""
    return db.engine.dialect.name == "postgresql"


def table(model: type[Base]) -> Table:
    """Return the table of a model: a statement on it costs a tenth of one on the model."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


def upsert(model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that can say ON CONFLICT; both databases write it alike."""
    return postgresql.insert(model) if is_postgresql() else sqlite.insert(model)


def as_stored(moment: datetime) -> str:
    """Return a moment as the database keeps it: for statements of many rows, whose values no column type binds."""
    return storing()(moment)


def storing() -> Callable[[datetime], str]:
    """Return `as_stored` of this database: for many moments."""
    return datetime.isoformat if is_postgresql() else as_text


def as_text(moment: datetime) -> str:
    """Return a moment as SQLite keeps it."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(" ", "microseconds").removesuffix("+00:00")


class _BitOr:
    """SQLite aggregate `bit_or`: PostgreSQL has it built in."""

    def __init__(self) -> None:
        self.value = 0

    def step(self, value: int | None) -> None:
        self.value |= value or 0

    def finalize(self) -> int:
        return self.value


def _sha256_hex(value: str) -> str:
    """SQLite function `sha256_hex`: PostgreSQL can say it with what it has."""
    return hashlib.sha256(value.encode()).hexdigest()


def prepare(engine: Engine) -> None:
    """Hang the SQLite settings on an engine: pragmas at connect, BEGIN under our control, writers in turn."""
    if engine.dialect.name != "sqlite":
        return
    turn_file = f"{engine.url.database}-turn"

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we write BEGIN ourselves, below
        connection.create_aggregate("bit_or", 1, _BitOr)
        connection.create_function("sha256_hex", 1, _sha256_hex, deterministic=True)
        for pragma in (
            "foreign_keys=ON",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        # A file of its own: locks belong to the open file, so that threads take turns, too.
        record.info[_TURN] = os.open(turn_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        if writes:
            fcntl.flock(connection.connection.info[_TURN], fcntl.LOCK_EX)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "checkin")
    def checkin(_connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        fcntl.flock(record.info[_TURN], fcntl.LOCK_UN)

    @event.listens_for(engine, "close")
    def close(_connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        os.close(record.info.pop(_TURN))
