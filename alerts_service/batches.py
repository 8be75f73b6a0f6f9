"""Many rows in one go: how a statement is given them on either database.

PostgreSQL takes them as one table, made of one JSON value. SQLite does so, too, or runs the statement for each of
them, which costs less there: a statement is a call and no journey.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from alerts_service.db import is_postgresql


def rows(parameter: str, **columns: str) -> str:
    """Return SQL for a table of rows given as one JSON parameter: a list of objects. Values are the columns' types."""
    if is_postgresql():
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(CAST(:{parameter} AS json)) AS {parameter}({typed})"
    named = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {named} FROM json_each(:{parameter})) AS {parameter}"  # noqa: S608 - names of our own


def update_each(
    session: Session, statement: str, columns: Mapping[str, str], given: Sequence[tuple[object, ...]]
) -> int:
    """Run an UPDATE for each of many rows, known in it as `given`; return how many rows it has changed.

    `columns` are their names with PostgreSQL's types; `{table}` stands where a FROM clause belongs.
    """
    if not given:
        return 0
    if is_postgresql():
        values = json.dumps([dict(zip(columns, row, strict=True)) for row in given])
        whole = text(statement.format(table=f"FROM {rows('given', **columns)}"))
        return int(session.execute(whole, {"given": values}).rowcount)  # type: ignore[attr-defined]  # an UPDATE has it
    return int(session.connection().exec_driver_sql(_for_one(statement, tuple(columns)), list(given)).rowcount)


@functools.cache
def _for_one(statement: str, columns: tuple[str, ...]) -> str:
    """Spell the given columns as numbered parameters."""
    numbers = {name: f"?{number}" for number, name in enumerate(columns, start=1)}
    return re.sub(r"\bgiven\.(\w+)", lambda found: numbers[found[1]], statement.format(table=""))
