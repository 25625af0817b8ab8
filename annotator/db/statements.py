"""Small parts that statements are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, bindparam


def one_of(column: ColumnElement[Any], name: str = "ids") -> ColumnElement[bool]:
    """``column IN (:ids)`` with any number of values."""
    return column.in_(bindparam(name, expanding=True))


def many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute for each row; without rows not at all (which SQLAlchemy takes as one empty row)."""
    if rows:
        connection.execute(statement, list(rows))
