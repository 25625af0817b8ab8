"""SQL of flags: pictures with a note for somebody else."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from annotator.db import schema as t
from annotator.types import Flag

_by, _closer = t.user.alias("flagged_by"), t.user.alias("closed_by_user")
_FLAGS = select(
    t.flag.c.id,
    t.flag.c.image_id,
    t.image.c.file_name,
    t.flag.c.note,
    _by.c.name,
    t.flag.c.at,
    t.flag.c.closed_at,
    _closer.c.name,
).select_from(
    t.flag.join(t.image, t.image.c.id == t.flag.c.image_id)
    .join(_by, _by.c.id == t.flag.c.user_id)
    .outerjoin(_closer, _closer.c.id == t.flag.c.closed_by)
)


def add_flag(connection: Connection, image_id: int, user_id: int, note: str, at: datetime) -> int:
    """Set a flag; returns its id."""
    values = {"image_id": image_id, "user_id": user_id, "note": note, "at": at}
    done = connection.execute(insert(t.flag).values(values).returning(t.flag.c.id))
    return int(done.scalar_one())


def flag(connection: Connection, flag_id: int) -> Flag | None:
    """One flag, open or closed."""
    row = connection.execute(_FLAGS.where(t.flag.c.id == flag_id)).first()
    return None if row is None else Flag(*row)


def same_open_flag(connection: Connection, image_id: int, user_id: int, note: str) -> Flag | None:
    """An open flag by this person with this very note."""
    statement = _FLAGS.where(
        t.flag.c.image_id == image_id,
        t.flag.c.user_id == user_id,
        t.flag.c.note == note,
        t.flag.c.closed_at.is_(None),
    )
    row = connection.execute(statement.limit(1)).first()
    return None if row is None else Flag(*row)


def flags(connection: Connection, *, image_id: int | None, closed: bool, limit: int) -> list[Flag]:
    """Flags, newest first."""
    statement = _FLAGS.order_by(t.flag.c.id.desc()).limit(limit)
    if image_id is not None:
        statement = statement.where(t.flag.c.image_id == image_id)
    if not closed:
        statement = statement.where(t.flag.c.closed_at.is_(None))
    return [Flag(*row) for row in connection.execute(statement)]


def close_flag(connection: Connection, flag_id: int, user_id: int, at: datetime) -> None:
    """Note who closed a flag and when."""
    connection.execute(
        update(t.flag)
        .where(t.flag.c.id == flag_id, t.flag.c.closed_at.is_(None))
        .values(closed_at=at, closed_by=user_id)
    )
