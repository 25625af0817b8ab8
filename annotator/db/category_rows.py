"""SQL of changing the list of categories: rows that come, go and move, and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from annotator.db import cells as packed
from annotator.db import schema as t
from annotator.db.statements import many
from annotator.types import Event

# What names a category besides decisions, in the order in which it can be put back. Suggestions
# are not among them: they can be made anew.
_KEPT: tuple[Table, ...] = (t.contract, t.audit)

Row = dict[str, Any]


def row(connection: Connection, category_id: int) -> Row | None:
    """Name, folded name, position and time of a category."""
    found = connection.execute(_ROW, {"id": category_id}).mappings().first()
    return None if found is None else dict(found)


_C = t.category.c
_ROW = select(_C.id, _C.name, _C.name_key, _C.position, _C.added_at).where(_C.id == bindparam("id"))


def id_of_key(connection: Connection, key: str) -> int | None:
    """Id of the category with this folded name."""
    return connection.scalar(select(_C.id).where(_C.name_key == key))


def rename(connection: Connection, category_id: int, name: str, key: str) -> None:
    """Give a category another name."""
    statement = update(t.category).where(_C.id == category_id)
    connection.execute(statement.values(name=name, name_key=key))


def set_positions(connection: Connection, positions: Mapping[int, int]) -> None:
    """Move categories: id -> position."""
    statement = (
        update(t.category).where(_C.id == bindparam("key")).values(position=bindparam("place"))
    )
    many(connection, statement, [{"key": i, "place": p} for i, p in positions.items()])


def positions(connection: Connection) -> dict[int, int]:
    """Position by id, in list order."""
    rows = connection.execute(select(_C.id, _C.position).order_by(_C.position, _C.id))
    return {row.id: row.position for row in rows}


def decisions(connection: Connection, category_id: int) -> NDArray[np.void]:
    """All decisions of a category by image, as an array of `cells.ROW`."""
    cursor: Any = connection.execute(_DECISIONS, {"category": category_id}).cursor
    return np.array(cursor.fetchall(), dtype=packed.ROW)


# The key of decisions begins with the image, so each is looked up by it: fifty times quicker than
# walking through the decisions of all categories.
_D = t.decision.c
_DECISIONS = (
    select(_D.image_id, _D.category_id, _D.state, _D.score, _D.event_id)
    .select_from(t.image.join(t.decision, _D.image_id == t.image.c.id))
    .where(_D.category_id == bindparam("category"))
    .order_by(t.image.c.id)
)


def count_suggestions(connection: Connection, category_id: int) -> int:
    """How many suggestions of a category were handed out and not answered."""
    s = t.suggestion.c
    where = (s.category_id == category_id, s.status == "offered")
    rows = connection.execute(select(s.image_id).where(*where).distinct())
    return len(rows.all())


def remove(connection: Connection, category_id: int) -> dict[str, list[Row]]:
    """Remove a category whose cells are all unknown; suggestions of it go away.

    Returns:
        Rows of other tables that named it, by table, as `put_back` wants them.
    """
    kept = {}
    for table in reversed(_KEPT):
        rows = connection.execute(select(table).where(table.c.category_id == category_id))
        kept[table.name] = [_to_json(dict(found)) for found in rows.mappings()]
        connection.execute(delete(table).where(table.c.category_id == category_id))
    connection.execute(delete(t.suggestion).where(t.suggestion.c.category_id == category_id))
    connection.execute(delete(t.category).where(_C.id == category_id))
    return kept


def put_back(connection: Connection, row: Row, kept: Mapping[str, Sequence[Row]]) -> None:
    """Take `remove` back: the category under its old id, without known cells."""
    connection.execute(insert(t.category).values(**_from_json(t.category, row)))
    for table in _KEPT:
        rows = [_from_json(table, one) for one in kept.get(table.name, ())]
        many(connection, insert(table), rows)


def to_json(row: Row) -> Row:
    """A row as an event can keep it."""
    return _to_json(row)


def events_of(connection: Connection, kinds: Iterable[str], limit: int) -> list[Event]:
    """The newest events of some kinds, newest first."""
    c = t.event.c
    statement = select(t.event).where(c.kind.in_(list(kinds))).order_by(c.id.desc()).limit(limit)
    return [Event(*found) for found in connection.execute(statement)]


def _to_json(row: Row) -> Row:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _from_json(table: Table, row: Row) -> Row:
    return {
        name: datetime.fromisoformat(value)
        if isinstance(table.c[name].type, t.UtcDateTime) and value is not None
        else value
        for name, value in row.items()
    }
