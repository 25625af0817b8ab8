"""SQL of what the browser of pictures keeps in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from annotator.db import bulk
from annotator.db import schema as t

Ids = NDArray[np.int64]


class ImageFacts(NamedTuple):
    """Pictures by id: ids [n], file names, times when they were added [n] in microseconds."""

    ids: Ids
    names: list[str]
    added: Ids


class EventFacts(NamedTuple):
    """Events by id: ids, users (0: none), sources and times in microseconds, all [n]."""

    ids: Ids
    users: Ids
    sources: list[str]
    at: Ids


def image_facts(connection: Connection, after: int = 0) -> ImageFacts:
    """Pictures with a larger id than this."""
    c = t.image.c
    statement = select(c.id, c.file_name, c.added_at).where(c.id > after).order_by(c.id)
    ids, names, added = _columns(connection, statement, 3)
    return ImageFacts(np.array(ids, dtype=np.int64), list(names), _microseconds(added))


def event_facts(connection: Connection, after: int = 0) -> EventFacts:
    """Events with a larger id than this."""
    c = t.event.c
    statement = select(c.id, c.user_id, c.source, c.at).where(c.id > after).order_by(c.id)
    ids, users, sources, at = _columns(connection, statement, 4)
    return EventFacts(
        np.array(ids, dtype=np.int64),
        np.array([user or 0 for user in users], dtype=np.int64),
        list(sources),
        _microseconds(at),
    )


def decided_cells(connection: Connection) -> Iterator[tuple[Ids, Ids, NDArray[np.int8], Ids]]:
    """All decisions as (image ids, category ids, states, event ids), many at a time."""
    for first, last in bulk.ranges(connection):
        rows = bulk.read_decisions(connection, first, last, scores=False)
        if len(rows):
            yield rows["image"], rows["category"], rows["state"], rows["event"]


def flagged_images(connection: Connection) -> Ids:
    """Pictures with an open flag."""
    statement = select(t.flag.c.image_id).where(t.flag.c.closed_at.is_(None)).distinct()
    return np.array(connection.scalars(statement).all(), dtype=np.int64)


def _columns(connection: Connection, statement: Any, count: int) -> list[tuple[Any, ...]]:
    # Straight from the driver: a hundred thousand row objects would take a second.
    cursor: Any = connection.execute(statement).cursor
    rows = cursor.fetchall()
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _microseconds(times: tuple[Any, ...]) -> Ids:
    """Naive UTC, as text (SQLite) or as datetime (PostgreSQL)."""
    return np.array(times, dtype="datetime64[us]").astype(np.int64)
