"""SQL of what happened when: the event log, summed by minute, source and person."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
)

from annotator.db import schema as t
from annotator.db.store import UNDO

Row = tuple[int, str, int, int, int]
"""Minutes since 1970, source, user id or 0, net cells, decided cells."""


def activity_after(connection: Connection, event_id: int, until: int) -> list[Row]:
    """Events newer than ``event_id`` up to ``until``, summed; see `annotator.progress`."""
    found = connection.execute(_ACTIVITY, {"after": event_id, "until": until})
    return [
        (_minutes(minute), source, user_id, int(net), int(decided))
        for minute, source, user_id, net, decided in found
    ]


def _minutes(text: str) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(at.timestamp()) // 60


def _number(*path: str) -> ColumnElement[int]:
    return func.coalesce(t.event.c.summary[path].as_integer(), 0)


_E = t.event.c
# Both databases write a time as 2026-01-02 03:04:05.678, so that its beginning is the minute.
_MINUTE = func.substr(cast(_E.at, String), 1, 16)
_TARGET = t.event.alias("target")
_CATEGORIES = or_(_E.kind == "category", _TARGET.c.kind == "category")  # done, or taken back
_SOURCE = case((_CATEGORIES, "categories"), else_=_E.source)
# What is taken back is taken from the person who had done it, whoever takes it back.
_USER = func.coalesce(_TARGET.c.user_id, _E.user_id, 0)
_OF_DECISIONS = and_(_E.kind == UNDO, _E.summary["undone", "kind"].as_string() == "decide")
_DECIDED = case(
    (_E.kind == "decide", _number("present") + _number("absent")),
    (_OF_DECISIONS, _number("decided")),
    else_=0,
)
_ACTIVITY = (
    select(
        _MINUTE,
        _SOURCE,
        _USER,
        func.sum(_number("added") - _number("removed")),
        func.sum(_DECIDED),
    )
    .select_from(t.event.outerjoin(_TARGET, _E.undoes_event_id == _TARGET.c.id))
    .where(_E.id > bindparam("after"), _E.id <= bindparam("until"))
    .where(_E.kind.not_in(("images", "categories")))
    .group_by(_MINUTE, _SOURCE, _USER)
)
