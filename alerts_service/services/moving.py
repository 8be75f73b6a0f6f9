"""Moving an installation to an empty PostgreSQL: every row, then counts, consent chains and keys compared.

All of it is one transaction over there: whatever fails, nothing is left behind. It is read in one transaction
here, too. Memory does not grow with the number of rows.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Table,
    Text,
    cast,
    create_engine,
    delete,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from alerts_service.db import Base, db
from alerts_service.errors import CopyRefused
from alerts_service.models import Consent, Fact
from alerts_service.services import consents, installing

_ROWS = 5000
# What `alerts init` writes: in a database that is otherwise empty, the copy takes its place.
_OF_INIT = {"installation", "turnstile", "frequencies", "categories", "topics"}

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Moved:
    """What was copied, and found to be the same."""

    tables: int
    rows: int
    consent_chains: int
    key: str


def count_rows() -> int:
    """Return how many rows there are to copy."""
    with _reading() as source:
        return sum(_counts(source).values())


def copy_to(url: str, *, progress: Progress) -> Moved:
    """Copy this installation into the empty PostgreSQL at `url`. Raises CopyRefused, and then leaves nothing there.

    A database without any table gets the schema first. `progress` is told how many more rows are done.
    """
    if make_url(url).get_backend_name() != "postgresql":
        raise CopyRefused(reason="an installation can be copied into PostgreSQL only.")
    try:
        engine = create_engine(url)
    except (ImportError, NoSuchModuleError):
        raise CopyRefused(reason="the driver is missing: pip install alerts-service[postgres].") from None
    try:
        return _copy_all(engine, progress)
    except DBAPIError as error:
        raise CopyRefused(reason=" ".join(str(error.orig).split())[:500]) from None
    finally:
        engine.dispose()


def _copy_all(engine: Engine, progress: Progress) -> Moved:
    with _reading() as source, engine.connect() as target, target.begin():
        _make_room(target)
        for table in Base.metadata.sorted_tables:
            _copy(source, target, table, progress)
        _set_sequences(source, target)
        moved = _compare(source, target)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("ANALYZE"))
    return moved


@contextlib.contextmanager
def _reading() -> Iterator[Connection]:
    """Read everything as it is at one moment."""
    db.session.rollback()
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if db.engine.name == "postgresql" else {}
    with db.engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def _make_room(target: Connection) -> None:
    """Bring the target to this version's schema, and refuse it if it has more than init writes."""
    if not inspect(target).has_table("alembic_version"):
        installing.upgrade(target)
    elif not installing.is_current(target):
        raise CopyRefused(reason="the target is at another version's schema. Run there: alerts init --catalogue none")
    for table in Base.metadata.sorted_tables:
        target.execute(text(f'LOCK TABLE "{table.name}" IN EXCLUSIVE MODE'))
        if table.name not in _OF_INIT and target.scalar(
            select(func.count()).select_from(table.select().limit(1).subquery())
        ):
            raise CopyRefused(reason=f"the target is not empty: there are rows in {table.name}.")
    for table in reversed(Base.metadata.sorted_tables):
        target.execute(delete(table))


def _copy(source: Connection, target: Connection, table: Table, progress: Progress) -> None:
    rows = source.execution_options(stream_results=True, yield_per=_ROWS).execute(
        select(*map(_as_copied, table.columns)).order_by(*table.primary_key)
    )
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    cursor = target.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for chunk in rows.partitions():
            for row in chunk:
                copy.write_row(row)
            progress(len(chunk))


def _as_copied(column: Column[Any]) -> Any:
    """JSON is copied as its text: its null is not the database's."""
    return cast(column, Text) if isinstance(column.type, JSON) else column


def _set_sequences(source: Connection, target: Connection) -> None:
    """Let numbers go on after the highest ever given, which links and Message-IDs may still carry."""
    given: dict[str, int] = {}
    if source.dialect.name == "sqlite":
        given = {row.name: row.seq for row in source.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    for table in Base.metadata.sorted_tables:
        if "id" not in table.columns:
            continue
        sequence = target.scalar(select(func.pg_get_serial_sequence(table.name, "id")))
        if sequence is None:
            continue
        if source.dialect.name == "postgresql":
            last = "SELECT last_value FROM pg_sequences WHERE format('%I.%I', schemaname, sequencename) = :name"
            given[table.name] = source.scalar(text(last), {"name": sequence}) or 0
        highest = max(target.scalar(select(func.max(table.c.id))) or 0, given.get(table.name, 0))
        if highest:
            target.execute(select(func.setval(sequence, highest)))


def _compare(source: Connection, target: Connection) -> Moved:
    here, there = _counts(source), _counts(target)
    for name, number in here.items():
        if there[name] != number:
            raise CopyRefused(reason=f"{name} has {number} rows here and {there[name]} there.")
    chains = [consents.summarise(_consents(connection)) for connection in (source, target)]
    if chains[0] != chains[1]:
        raise CopyRefused(reason="the consent chains are not the same there.")
    if chains[1].broken:
        raise CopyRefused(reason=f"{chains[1].broken} consent chains are broken.")
    keys = [
        connection.scalar(select(Fact.value).where(Fact.name == installing.KEY_FINGERPRINT))
        for connection in (source, target)
    ]
    if keys[0] != keys[1] or keys[0] is None:
        raise CopyRefused(reason="the fingerprint of the permanent key is not the same there.")
    return Moved(len(here), sum(here.values()), chains[1].chains, keys[0])


def _counts(connection: Connection) -> dict[str, int]:
    tables = Base.metadata.sorted_tables
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def _consents(connection: Connection) -> Iterator[Any]:
    query = select(Consent.__table__).order_by(Consent.address_hash, Consent.number)
    yield from connection.execution_options(stream_results=True, yield_per=_ROWS).execute(query)
