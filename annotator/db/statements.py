"""Small parts that statements are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, bindparam, insert

_IN = 5_000  # values in one IN list; SQLite and PostgreSQL allow six times as many

T = TypeVar("T")


def one_of(column: ColumnElement[Any], name: str = "ids") -> ColumnElement[bool]:
    """``column IN (:ids)`` with any number of values."""
    return column.in_(bindparam(name, expanding=True))


def many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute for each row; without rows not at all (which SQLAlchemy takes as one empty row)."""
    if rows:
        connection.execute(statement, list(rows))


def added(connection: Connection, table: Any, **values: Any) -> int:
    """Insert one row; returns its id."""
    result = connection.execute(insert(table).values(**values))
    return int((result.inserted_primary_key or (0,))[0])


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Lists that are short enough for one statement with `one_of`."""
    everything = list(values)
    return (everything[i : i + _IN] for i in range(0, len(everything), _IN))
