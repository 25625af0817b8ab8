"""SQL of what happened when: the event log, summed by minute, source and person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    not_,
    or_,
    select,
)

from annotator.db import cells as packed
from annotator.db import schema as t
from annotator.db.statements import chunks, one_of
from annotator.db.store import UNDO

Row = tuple[int, str, int, int, int]
"""Minutes since 1970, source, user id or 0, net cells, decided cells."""


def activity_after(connection: Connection, event_id: int, until: int) -> list[Row]:
    """Events newer than ``event_id`` up to ``until``, summed; see `annotator.progress`.

    Most events only make unknown cells known, or take that back: their counts say everything. Of
    the others, which took cells from where they had been counted, the cells are read.
    """
    span = {"after": event_id, "until": until}
    rows: list[Row] = []
    for at, then, source, user_id, actor, net in connection.execute(_PLAIN, span):
        minute = _minutes(at)
        if then is None:
            rows.append((minute, source, user_id, int(net), int(net)))
        else:
            rows += _moved(minute, (_minutes(then), source, user_id), int(net))
            rows.append((minute, source, actor, 0, 0))
    others = {ident: facts for ident, *facts in connection.execute(_OTHERS, span)}
    gained = _gained(connection, others)
    origins = _origins(connection, {ident for counts in gained.values() for ident in counts})
    for ident, (at, source, actor) in others.items():
        rows.append((_minutes(at), source, actor, 0, 0))
        for origin, cells in gained[ident].items():
            rows += _moved(_minutes(at), origins[origin], cells)
    return rows


def _moved(minute: int, origin: tuple[int, str, int], cells: int) -> Iterator[Row]:
    """Cells that what was decided at ``origin`` gains (or loses) at a later minute."""
    decided_at, source, user_id = origin
    if cells:
        yield (minute, source, user_id, cells, 0)
        yield (decided_at, source, user_id, 0, cells)


def _gained(connection: Connection, event_ids: Iterable[int]) -> dict[int, Counter[int]]:
    """By event: the events that made cells known, and how many more of them hold after it."""
    found: dict[int, Counter[int]] = {ident: Counter() for ident in event_ids}
    for some in chunks(found):
        for ident, content in connection.execute(_CELLS, {"ids": some}):
            cells = packed.unpack(content)
            for column, step in (("before_event", -1), ("after_event", 1)):
                made, counts = np.unique(cells[column], return_counts=True)
                for event, count in zip(made.tolist(), counts.tolist(), strict=True):
                    if event:
                        found[ident][event] += step * count
    return found


def _origins(connection: Connection, event_ids: Iterable[int]) -> dict[int, tuple[int, str, int]]:
    """Minute, source and person of events that decided cells."""
    found = {}
    for some in chunks(event_ids):
        for ident, at, source, user_id in connection.execute(_ORIGINS, {"ids": some}):
            found[ident] = (_minutes(at), source, user_id)
    return found


def _minutes(text: str) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(at.timestamp()) // 60


def _minute(at: ColumnElement[datetime]) -> ColumnElement[str]:
    # Both databases write a time as 2026-01-02 03:04:05.678, so that its beginning is the minute.
    return func.substr(cast(at, String), 1, 16)


def _number(*path: str) -> ColumnElement[int]:
    return func.coalesce(t.event.c.summary[path].as_integer(), 0)


_E = t.event.c
_TARGET = t.event.alias("target")
_T = _TARGET.c
_CATEGORIES = or_(_E.kind == "category", _T.kind == "category")  # done, or taken back
_SOURCE = case((_CATEGORIES, "categories"), else_=_E.source)
_ACTOR = func.coalesce(_E.user_id, 0)
_IS_UNDO = _E.kind == UNDO
# What is taken back is taken from the person who had done it, whoever takes it back.
_USER = case((_IS_UNDO, func.coalesce(_T.user_id, 0)), else_=_ACTOR)
_MINUTE, _THEN = _minute(_E.at), case((_IS_UNDO, _minute(_T.at)))
_IS_PLAIN = or_(
    and_(_IS_UNDO, _E.cell_count == _number("removed")),
    and_(not_(_IS_UNDO), _E.cell_count == _number("added")),
)
_CHANGED = _E.kind.not_in(("images", "categories"))  # these are never about cells
_SPAN = and_(_E.id > bindparam("after"), _E.id <= bindparam("until"), _CHANGED)
_EVENTS = t.event.outerjoin(_TARGET, _E.undoes_event_id == _T.id)
_PLAIN = (
    select(
        _MINUTE,
        _THEN,
        _SOURCE,
        _USER,
        _ACTOR,
        func.sum(case((_IS_UNDO, -_E.cell_count), else_=_E.cell_count)),
    )
    .select_from(_EVENTS)
    .where(_SPAN, _IS_PLAIN)
    .group_by(_MINUTE, _THEN, _SOURCE, _USER, _ACTOR)
)
_OTHERS = select(_E.id, _MINUTE, _SOURCE, _ACTOR).select_from(_EVENTS).where(_SPAN, not_(_IS_PLAIN))
_ORIGINS = select(
    _E.id, _MINUTE, case((_E.kind == "category", "categories"), else_=_E.source), _ACTOR
).where(one_of(_E.id))
_CELLS = (
    select(t.event_cells.c.event_id, t.event_cells.c.cells)
    .where(one_of(t.event_cells.c.event_id))
    .order_by(t.event_cells.c.event_id, t.event_cells.c.part)
)
