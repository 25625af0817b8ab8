"""Decisions by the million: the same statements as in `store`, in each database's quickest form.

SQLite and PostgreSQL spend most of the time of a bulk change on receiving rows one by one. SQLite
takes them as one JSON text instead, PostgreSQL by COPY and as arrays; three to five times quicker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)

from annotator.db import schema as t
from annotator.db.cells import ROW, Cells

_IMAGES_AT_ONCE = 4_000
SHIFT = 24  # bits of a category id in a packed cell
_COLUMNS = ("image_id", "category_id", "state", "score", "event_id")

JSON_IN_SQLITE = sqlite3.sqlite_version_info >= (3, 38)  # always built in from there on

Ids = NDArray[np.int64]

_DELETE = delete(t.decision).where(
    t.decision.c.image_id == bindparam("i"), t.decision.c.category_id == bindparam("c")
)
_INSERT = insert(t.decision)


def write_decisions(connection: Connection, cells: Cells, *, bulk_from: int = 500) -> None:
    """Make the decision table say what comes after.

    Args:
        connection: of a writing transaction.
        cells: each once, with what is there before.
        bulk_from: number of cells from which the quick form pays.
    """
    if len(cells) < bulk_from:
        _write_singly(connection, cells)
    elif connection.dialect.name == "sqlite" and JSON_IN_SQLITE:
        _write_as_json(connection, cells)
    elif connection.dialect.name == "postgresql":
        _write_by_copy(connection, cells)
    else:
        _write_singly(connection, cells)


def _write_singly(connection: Connection, cells: Cells) -> None:
    gone, made = cells[cells["before"] != 0], cells[cells["after"] != 0]
    if len(gone):
        pairs = zip(gone["image"].tolist(), gone["category"].tolist(), strict=True)
        connection.execute(_DELETE, [{"i": i, "c": c} for i, c in pairs])
    if len(made):
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in _rows_to_insert(made)]
        connection.execute(_INSERT, rows)


def _rows_to_insert(made: Cells) -> list[tuple[Any, ...]]:
    score = made["after_score"].astype(object)
    score[np.isnan(made["after_score"])] = None
    columns = (made["image"], made["category"], made["after"], score, made["after_event"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _write_as_json(connection: Connection, cells: Cells) -> None:
    gone, made = cells[cells["after"] == 0], cells[cells["after"] != 0]
    if len(gone):
        connection.exec_driver_sql(
            "DELETE FROM decision WHERE (image_id, category_id) IN "
            f"(SELECT value >> {SHIFT}, value & {2**SHIFT - 1} FROM json_each(?))",
            (_json(_packed(gone)),),
        )
    # Most changes come from few events and without scores; those need one number per cell.
    plain = np.isnan(made["after_score"])
    into = f"INSERT OR REPLACE INTO decision ({', '.join(_COLUMNS)}) "
    unpacked = f"{{0}} >> {SHIFT + 2}, ({{0}} >> 2) & {2**SHIFT - 1}, ({{0}} & 3) - 1"
    for event in np.unique(made["after_event"][plain]).tolist():
        mine = made[plain & (made["after_event"] == event)]
        numbers = (_packed(mine) << 2) + mine["after"] + 1
        connection.exec_driver_sql(
            f"{into} SELECT {unpacked.format('value')}, NULL, ? FROM json_each(?)",
            (event, _json(numbers)),
        )
    scored = made[~plain]
    if len(scored):
        numbers = (_packed(scored) << 2) + scored["after"] + 1
        rows = zip(
            numbers.tolist(),
            scored["after_score"].tolist(),
            scored["after_event"].tolist(),
            strict=True,
        )
        connection.exec_driver_sql(
            f"{into} SELECT {unpacked.format('(value ->> 0)')}, value ->> 1, value ->> 2 "
            "FROM json_each(?)",
            (
                "["
                + ",".join(f"[{number},{score!r},{event}]" for number, score, event in rows)
                + "]",
            ),
        )


def _packed(cells: Cells) -> Ids:
    packed: Ids = (cells["image"].astype(np.int64) << SHIFT) + cells["category"]
    return packed


def _json(numbers: Ids) -> str:
    return "[" + ",".join(map(str, numbers.tolist())) + "]"


def _write_by_copy(connection: Connection, cells: Cells) -> None:
    gone, made = cells[cells["before"] != 0], cells[cells["after"] != 0]
    driver: Any = connection.connection.cursor()
    if len(gone):
        driver.execute(
            "DELETE FROM decision d USING unnest(%s::bigint[], %s::bigint[]) AS k(i, c) "
            "WHERE d.image_id = k.i AND d.category_id = k.c",
            (gone["image"].tolist(), gone["category"].tolist()),
        )
    if len(made):
        with driver.copy(f"COPY decision ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
            for row in _rows_to_insert(made):
                copy.write_row(row)


def count_images(connection: Connection, cells: Cells, *, bulk_from: int = 500) -> None:
    """Bring revision and known cells of the images up to date with ``cells``.

    Args:
        connection: of a writing transaction.
        cells: each once, with what was there before.
        bulk_from: number of images from which the quick form pays.
    """
    ids, place = np.unique(cells["image"], return_inverse=True)
    change = (cells["after"] != 0).astype(np.int64) - (cells["before"] != 0)
    known = np.bincount(place, weights=change, minlength=len(ids)).astype(np.int64)
    if len(ids) >= bulk_from and connection.dialect.name == "sqlite" and JSON_IN_SQLITE:
        # Few different changes of the count for many images: one statement for each of them.
        for step in np.unique(known).tolist():
            connection.exec_driver_sql(
                "UPDATE image SET revision = revision + 1, known = known + ? "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (step, _json(ids[known == step])),
            )
        return
    pairs = zip(ids.tolist(), known.tolist(), strict=True)
    connection.execute(_COUNT_IMAGE, [{"i": i, "k": k} for i, k in pairs])


_COUNT_IMAGE = (
    t.image.update()
    .where(t.image.c.id == bindparam("i"))
    .values(revision=t.image.c.revision + 1, known=t.image.c.known + bindparam("k"))
)


def read_decisions(
    connection: Connection,
    first: int,
    last: int,
    *,
    states_only: bool = False,
    scores: bool = True,
) -> NDArray[np.void]:
    """Decisions of the images with ids from ``first`` to ``last``, by image and category.

    Returns:
        Array of `cells.ROW`; with ``states_only`` event and score mean nothing, without
        ``scores`` the score.
    """
    here = t.decision.c.image_id.between(first, last)
    event = t.decision.c.event_id
    facts = select(func.min(event), func.max(event), func.count(t.decision.c.score))
    one, other, scored = connection.execute(facts.where(here)).one()
    if one is None:
        return np.zeros(0, dtype=ROW)
    # One text per image and column: making a Python object of every value would take most of the
    # time. Columns that hold a single value, as after an import, need not be read at all.
    columns = [_CELL]
    if not states_only and one != other:
        columns.append(_EVENT)
    if not states_only and scores and scored:
        columns.append(_SCORE)
    statement = (
        select(t.decision.c.image_id, func.count(), *columns)
        .where(here)
        .group_by(t.decision.c.image_id)
    )
    cursor: Any = connection.execute(statement).cursor
    ids, counts, *texts = zip(*cursor.fetchall(), strict=True)
    values = {column: _numbers(text) for column, text in zip(columns, texts, strict=True)}
    rows = np.zeros(len(values[_CELL]), dtype=ROW)
    rows["image"] = np.repeat(ids, counts)
    rows["category"], rows["state"] = values[_CELL] // 4, values[_CELL] % 4 - 1
    rows["event"] = values.get(_EVENT, one)
    score = values.get(_SCORE, np.full(1, -1.0))
    rows["score"] = np.where(score < 0, np.nan, score)
    # No database promises the order of joined values, but it is the same for all columns of a row.
    return rows[np.lexsort((rows["category"], rows["image"]))]


def _numbers(texts: tuple[str, ...]) -> NDArray[np.float64]:
    return np.fromstring(",".join(texts), dtype=np.float64, sep=",")


def _joined(value: ColumnElement[Any]) -> ColumnElement[str]:
    return func.aggregate_strings(cast(value, String), ",")


_CELL = _joined(t.decision.c.category_id * 4 + t.decision.c.state + 1)
_EVENT = _joined(t.decision.c.event_id)
_SCORE = _joined(func.coalesce(t.decision.c.score, -1.0))


def ranges(connection: Connection) -> Iterator[tuple[int, int]]:
    """First and last id of runs of a few thousand images, all of them together."""
    newest = int(connection.scalar(select(func.max(t.image.c.id))) or 0)
    for first in range(1, newest + 1, _IMAGES_AT_ONCE):
        yield first, first + _IMAGES_AT_ONCE - 1
