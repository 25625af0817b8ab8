"""SQL of people, categories, pictures, events and decisions.

The other SQL of the tool is beside it: `bulk`, `offers`, `leases`, `model_work` and more.

Functions take the connection of a transaction first; those that change something must be called
inside `Database.writing`. None of them checks what a person typed: that is the service's part.

Statements behind a click are built once, as constants: building one takes SQLAlchemy three times
as long as executing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Connection,
    CursorResult,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from annotator.contradictions import SOURCE as LOOK_AGAIN
from annotator.db import bulk
from annotator.db import cells as packed
from annotator.db import schema as t
from annotator.db.cells import Cells
from annotator.db.statements import added, chunks, many, one_of
from annotator.precision import Answers
from annotator.types import (
    Category,
    Event,
    ExportImage,
    Image,
    KnownCell,
    Provenance,
    User,
)

UNDO = "undo"

_MANY = 200  # neighbouring pictures from which reading them as a run is quicker
_CELLS_EACH = 4  # cells per picture from which reading pictures as a run is quicker
_FEW = 500  # categories from which reading whole pictures is quicker than picking cells

Ids = NDArray[np.int64]


# ------------------------------------------------------------------------------------ people


def users(connection: Connection) -> list[User]:
    """All people, in the order in which they came."""
    rows = connection.execute(select(t.user).order_by(t.user.c.id))
    return [User(*row) for row in rows]


def user(connection: Connection, user_id: int) -> User | None:
    """One person."""
    row = connection.execute(_USER, {"id": user_id}).first()
    return None if row is None else User(*row)


_USER = select(t.user).where(t.user.c.id == bindparam("id"))


def user_named(connection: Connection, name: str) -> User | None:
    """The person of exactly this name."""
    row = connection.execute(select(t.user).where(t.user.c.name == name)).first()
    return None if row is None else User(*row)


def add_user(connection: Connection, name: str, at: datetime) -> int:
    """Add a person; returns the id."""
    return added(connection, t.user, name=name, created_at=at, settings={})


def set_user_settings(connection: Connection, user_id: int, settings: Mapping[str, Any]) -> None:
    """Replace the settings of a person."""
    connection.execute(update(t.user).where(t.user.c.id == user_id).values(settings=dict(settings)))


def count_users(connection: Connection) -> int:
    """How many people there are."""
    return int(connection.scalar(_COUNT_USERS) or 0)


_COUNT_USERS = select(func.count()).select_from(t.user)


# -------------------------------------------------------------------------- categories, images


def categories(connection: Connection) -> list[Category]:
    """All categories in list order."""
    return [Category(*row) for row in connection.execute(_CATEGORIES)]


_CATEGORIES = select(
    t.category.c.id,
    t.category.c.name,
    t.category.c.position,
    t.category.c.present,
    t.category.c.absent,
).order_by(t.category.c.position, t.category.c.id)


def count_categories(connection: Connection) -> int:
    """How many categories there are."""
    return int(connection.scalar(_COUNT_CATEGORIES) or 0)


_COUNT_CATEGORIES = select(func.count()).select_from(t.category)


def category_names_by_key(connection: Connection) -> dict[str, str]:
    """Name by folded name."""
    rows = connection.execute(select(t.category.c.name_key, t.category.c.name))
    return {row.name_key: row.name for row in rows}


def add_categories(connection: Connection, rows: Sequence[tuple[str, str]], at: datetime) -> None:
    """Append categories, given as (name, folded name)."""
    last = connection.scalar(select(func.coalesce(func.max(t.category.c.position), 0)))
    connection.execute(
        insert(t.category),
        [
            {"name": name, "name_key": key, "position": int(last or 0) + i, "added_at": at}
            for i, (name, key) in enumerate(rows, start=1)
        ],
    )


def image(connection: Connection, image_id: int) -> Image | None:
    """One picture."""
    return images(connection, [image_id]).get(image_id)


def image_by_hash(connection: Connection, sha256: str) -> Image | None:
    """The picture of this content."""
    row = connection.execute(select(t.image).where(t.image.c.sha256 == sha256)).first()
    return None if row is None else Image(*row)


def images(connection: Connection, image_ids: Iterable[int]) -> dict[int, Image]:
    """Pictures by id; ids that do not exist are missing."""
    found: dict[int, Image] = {}
    for some in chunks(image_ids):
        rows = connection.execute(_IMAGES, {"ids": some})
        found.update((row.id, Image(*row)) for row in rows)
    return found


_IMAGES = select(t.image).where(one_of(t.image.c.id))
_IMAGES_BETWEEN = (
    select(t.image)
    .where(t.image.c.id.between(bindparam("first"), bindparam("last")))
    .order_by(t.image.c.id)
)


def images_by_hash(connection: Connection, hashes: Iterable[str]) -> dict[str, Image]:
    """Pictures by content; those that do not exist are missing."""
    found: dict[str, Image] = {}
    for some in chunks(hashes):
        rows = connection.execute(select(t.image).where(t.image.c.sha256.in_(some)))
        found.update((row.sha256, Image(*row)) for row in rows)
    return found


def images_after(connection: Connection, image_id: int, limit: int) -> list[Image]:
    """The next pictures by id."""
    statement = select(t.image).where(t.image.c.id > image_id).order_by(t.image.c.id).limit(limit)
    return [Image(*row) for row in connection.execute(statement)]


def add_images(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append pictures; the columns are those of the table, without id, revision and known."""
    many(connection, insert(t.image), rows)


def move_images(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give pictures a new path: rows of ``key`` (image id), ``path``, ``file_name``."""
    statement = (
        update(t.image)
        .where(t.image.c.id == bindparam("key"))
        .values(path=bindparam("path"), file_name=bindparam("file_name"))
    )
    many(connection, statement, rows)


def image_ids(connection: Connection) -> Ids:
    """All image ids, ascending."""
    return _integers(connection, select(t.image.c.id).order_by(t.image.c.id))


def image_hashes(connection: Connection) -> list[tuple[int, str]]:
    """(id, content hash) of all pictures by id."""
    c = t.image.c
    rows = connection.execute(select(c.id, c.sha256).order_by(c.id))
    return [(ident, sha256) for ident, sha256 in rows]


def count_images(connection: Connection) -> int:
    """How many pictures there are."""
    return int(connection.scalar(select(func.count()).select_from(t.image)) or 0)


def known_counts(connection: Connection, image_ids: Iterable[int] | None = None) -> tuple[Ids, Ids]:
    """Ids of some pictures, or of all, ascending, and how many of their cells are known."""
    dtype = np.dtype([("id", "i8"), ("known", "i8")])
    if image_ids is None:
        rows = _rows(connection.execute(_ALL_KNOWN), dtype)
    else:
        found = [
            _rows(connection.execute(_SOME_KNOWN, {"ids": some}), dtype)
            for some in chunks(sorted(image_ids))
        ]
        rows = np.concatenate([np.empty(0, dtype), *found])
    return rows["id"].copy(), rows["known"].copy()


_ALL_KNOWN = select(t.image.c.id, t.image.c.known).order_by(t.image.c.id)
_SOME_KNOWN = _ALL_KNOWN.where(one_of(t.image.c.id))


def image_names(connection: Connection) -> list[tuple[int, str, str]]:
    """(id, file name, stored path) of all pictures, for matching names in files."""
    c = t.image.c
    rows = connection.execute(select(c.id, c.file_name, c.path).order_by(c.id))
    return [(ident, name, path) for ident, name, path in rows]


def newest_image_id(connection: Connection) -> int:
    """Largest image id, 0 without pictures; changes whenever pictures are added."""
    return int(connection.scalar(_NEWEST_IMAGE) or 0)


_NEWEST_IMAGE = select(func.max(t.image.c.id))


# ------------------------------------------------------------------------------------- events


def add_event(connection: Connection, **values: Any) -> int:
    """Append an event; returns its id. Columns as in the schema."""
    return int((connection.execute(_ADD_EVENT, values).inserted_primary_key or (0,))[0])


_ADD_EVENT = insert(t.event)


def log_event(
    connection: Connection,
    kind: str,
    user_id: int | None,
    at: datetime,
    summary: Mapping[str, Any],
) -> None:
    """Append an event that changes no cell."""
    values = {"kind": kind, "source": kind, "user_id": user_id, "at": at}
    add_event(connection, **values, cell_count=0, summary=dict(summary))


def event(connection: Connection, event_id: int) -> Event | None:
    """One event as it is stored, without its cells."""
    row = connection.execute(_EVENT, {"id": event_id}).first()
    return None if row is None else Event(*row)


_EVENT = select(t.event).where(t.event.c.id == bindparam("id"))


def event_with_key(connection: Connection, key: str) -> Event | None:
    """The event of an idempotency key."""
    row = connection.execute(_EVENT_WITH_KEY, {"key": key}).first()
    return None if row is None else Event(*row)


_EVENT_WITH_KEY = select(t.event).where(t.event.c.idempotency_key == bindparam("key"))


def set_event_result(
    connection: Connection, event_id: int, cell_count: int, summary: Mapping[str, Any]
) -> None:
    """Complete an event whose size is known only after its cells were written."""
    result = {"event": event_id, "cells": cell_count, "told": dict(summary)}
    connection.execute(_SET_EVENT_RESULT, result)


_SET_EVENT_RESULT = (
    update(t.event)
    .where(t.event.c.id == bindparam("event"))
    .values(cell_count=bindparam("cells"), summary=bindparam("told", type_=t.event.c.summary.type))
)


def forget_event(connection: Connection, event_id: int) -> None:
    """Remove an event of this same transaction that has turned out to change nothing."""
    connection.execute(_FORGET_EVENT, {"event": event_id})


_FORGET_EVENT = delete(t.event).where(t.event.c.id == bindparam("event"))


def add_event_cells(connection: Connection, event_id: int, cells: Cells, part: int = 0) -> int:
    """Write the cells of an event, first part ``part``; returns the number of the next part."""
    for piece in packed.parts(cells):
        values = {"event_id": event_id, "part": part, "cells": packed.pack(piece)}
        connection.execute(_ADD_EVENT_CELLS, values)
        part += 1
    return part


_ADD_EVENT_CELLS = insert(t.event_cells)


def event_cells(connection: Connection, event_id: int) -> Iterator[Cells]:
    """Parts of an event, one in memory at a time."""
    part = 0
    while content := connection.scalar(_EVENT_PART, {"event": event_id, "part": part}):
        yield packed.unpack(content)
        part += 1


_EVENT_PART = select(t.event_cells.c.cells).where(
    t.event_cells.c.event_id == bindparam("event"), t.event_cells.c.part == bindparam("part")
)


def cells_after(connection: Connection, event_id: int) -> Iterator[tuple[int, Cells]]:
    """(event id, cells) of all events newer than this one, in order, part by part."""
    for number, part in connection.execute(_PARTS_AFTER, {"event": event_id}).all():
        content = connection.scalar(_EVENT_PART, {"event": number, "part": part})
        yield number, packed.unpack(content or b"")


_PARTS_AFTER = (
    select(t.event_cells.c.event_id, t.event_cells.c.part)
    .where(t.event_cells.c.event_id > bindparam("event"))
    .order_by(t.event_cells.c.event_id, t.event_cells.c.part)
)


def newest_event_id(connection: Connection) -> int:
    """Largest event id, 0 before the first."""
    return int(connection.scalar(_NEWEST_EVENT) or 0)


_NEWEST_EVENT = select(func.max(t.event.c.id))


def changed_cells_after(connection: Connection, event_id: int) -> int:
    """How many cells the events newer than this one changed."""
    return int(connection.scalar(_CHANGED_AFTER, {"event": event_id}) or 0)


_CHANGED_AFTER = select(func.sum(t.event.c.cell_count)).where(t.event.c.id > bindparam("event"))


def newest_undoable(connection: Connection, user_id: int) -> Event | None:
    """A person's newest event that decided cells, is no undo and was not undone.

    Changes of the list of categories are no such event: nobody expects them to be taken back by
    the key that takes back a label.
    """
    row = connection.execute(_NEWEST_UNDOABLE, {"user": user_id}).first()
    return None if row is None else Event(*row)


_NEWEST_UNDOABLE = (
    select(t.event)
    .where(
        t.event.c.user_id == bindparam("user"),
        t.event.c.kind.not_in((UNDO, "category")),
        t.event.c.cell_count > 0,
        t.event.c.undone_by_event_id.is_(None),
    )
    .order_by(t.event.c.id.desc())
    .limit(1)
)


def events(connection: Connection, before: int | None, limit: int) -> list[Event]:
    """The log, newest first, from before an event id on."""
    statement = select(t.event).order_by(t.event.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(t.event.c.id < before)
    return [Event(*row) for row in connection.execute(statement)]


def undone_events(connection: Connection, event_ids: Iterable[int]) -> list[int]:
    """Those of the events that were undone."""
    found: list[int] = []
    for some in chunks(event_ids):
        found += connection.scalars(_UNDONE, {"ids": some})
    return found


_UNDONE = select(t.event.c.id).where(
    one_of(t.event.c.id), t.event.c.undone_by_event_id.is_not(None)
)


def standing_events_after(connection: Connection, event_id: int) -> list[int]:
    """Later events that changed cells, are no undo and were not undone."""
    return list(connection.scalars(_STANDING_AFTER, {"event": event_id}))


_STANDING_AFTER = (
    select(t.event.c.id)
    .where(
        t.event.c.id > bindparam("event"),
        t.event.c.kind != UNDO,
        t.event.c.cell_count > 0,
        t.event.c.undone_by_event_id.is_(None),
    )
    .order_by(t.event.c.id)
)


def mark_undone(connection: Connection, event_id: int, by: int) -> None:
    """Note which event took this one back."""
    connection.execute(_MARK_UNDONE, {"event": event_id, "by": by})


_MARK_UNDONE = (
    update(t.event)
    .where(t.event.c.id == bindparam("event"))
    .values(undone_by_event_id=bindparam("by"))
)


def provenance(connection: Connection, event_ids: Iterable[int]) -> dict[int, Provenance]:
    """Who, when and how of events."""
    e = t.event.c
    found: dict[int, Provenance] = {}
    for some in chunks(event_ids):
        statement = (
            select(e.id, e.source, t.user.c.name, e.model_version_id, e.at)
            .select_from(t.event.outerjoin(t.user, e.user_id == t.user.c.id))
            .where(e.id.in_(some))
        )
        for ident, *facts in connection.execute(statement):
            found[ident] = Provenance(*facts)
    return found


# ---------------------------------------------------------------------------------- decisions


def known_cells(
    connection: Connection, image_ids: Iterable[int], categories: Sequence[Category]
) -> dict[int, tuple[KnownCell, ...]]:
    """Decided cells in the order of the categories; pictures without any are left out."""
    place = {category.id: (i, category.name) for i, category in enumerate(categories)}
    found: dict[int, list[tuple[int, KnownCell]]] = {}
    for some in chunks(image_ids):
        for row in connection.execute(_KNOWN_CELLS, {"ids": some}):
            image_id, category_id, state, source, user, at, score, event_id = row
            number, name = place[category_id]
            cell = KnownCell(category_id, name, state, source, user, at, score, event_id)
            found.setdefault(image_id, []).append((number, cell))
    return {
        image_id: tuple(cell for _, cell in sorted(known, key=lambda pair: pair[0]))
        for image_id, known in found.items()
    }


_KNOWN_CELLS = (
    select(
        t.decision.c.image_id,
        t.decision.c.category_id,
        t.decision.c.state,
        t.event.c.source,
        t.user.c.name,
        t.event.c.at,
        t.decision.c.score,
        t.decision.c.event_id,
    )
    .select_from(
        t.decision.join(t.event, t.decision.c.event_id == t.event.c.id).outerjoin(
            t.user, t.event.c.user_id == t.user.c.id
        )
    )
    .where(one_of(t.decision.c.image_id))
)


def states_in_category(
    connection: Connection, category_id: int, image_ids: Iterable[int]
) -> dict[int, int]:
    """Known state by image id."""
    found: dict[int, int] = {}
    for some in chunks(image_ids):
        rows = connection.execute(_STATES_IN_CATEGORY, {"ids": some, "category": category_id})
        found.update((image_id, state) for image_id, state in rows)
    return found


_STATES_IN_CATEGORY = select(t.decision.c.image_id, t.decision.c.state).where(
    one_of(t.decision.c.image_id), t.decision.c.category_id == bindparam("category")
)


def decision_rows(
    connection: Connection, image_ids: Iterable[int], category_ids: Sequence[int] = ()
) -> NDArray[np.void]:
    """Decisions of pictures, of all categories or of some, as an array of `cells.ROW`."""
    narrow = 0 < len(category_ids) <= _FEW
    statement = _SOME_DECISIONS if narrow else _DECISIONS
    also = {"categories": category_ids} if narrow else {}
    found = [
        _rows(connection.execute(statement, {"ids": some, **also}), packed.ROW)
        for some in chunks(image_ids)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=packed.ROW)


_DECISIONS = select(
    t.decision.c.image_id,
    t.decision.c.category_id,
    t.decision.c.state,
    t.decision.c.score,
    t.decision.c.event_id,
).where(one_of(t.decision.c.image_id))
_SOME_DECISIONS = _DECISIONS.where(one_of(t.decision.c.category_id, "categories"))


def fill_before(connection: Connection, cells: Cells) -> None:
    """Write into ``cells`` what the table says of each of them now."""
    ids, columns = np.unique(cells["image"]), np.unique(cells["category"])
    neighbours = len(ids) > _MANY and ids[-1] - ids[0] < 2 * len(ids)
    # A run is read with all its categories, which is too much for a change of one of them.
    if neighbours and len(cells) > _CELLS_EACH * len(ids):
        rows = bulk.read_decisions(connection, int(ids[0]), int(ids[-1]))
    else:
        rows = decision_rows(connection, ids.tolist(), columns.tolist())
    packed.set_before(cells, rows)


def write_cells(connection: Connection, cells: Cells) -> None:
    """Make the decision table say what comes after; counts and revisions follow.

    ``cells`` hold each cell once, with what is there before.
    """
    bulk.write_decisions(connection, cells)
    bulk.count_images(connection, cells)
    _count_categories(connection, cells)


def _count_categories(connection: Connection, cells: Cells) -> None:
    ids, place = np.unique(cells["category"], return_inverse=True)
    changes = []
    for state in (1, -1):
        change = (cells["after"] == state).astype(np.int64) - (cells["before"] == state)
        changes.append(np.bincount(place, weights=change, minlength=len(ids)).astype(np.int64))
    rows = zip(ids.tolist(), changes[0].tolist(), changes[1].tolist(), strict=True)
    many(connection, _COUNT_CATEGORY, [{"i": i, "p": p, "a": a} for i, p, a in rows if p or a])


_COUNT_CATEGORY = (
    update(t.category)
    .where(t.category.c.id == bindparam("i"))
    .values(
        present=t.category.c.present + bindparam("p"), absent=t.category.c.absent + bindparam("a")
    )
)


def revisions(connection: Connection, image_ids: Iterable[int]) -> dict[int, int]:
    """Revision by image id."""
    found: dict[int, int] = {}
    for some in chunks(image_ids):
        rows = connection.execute(_REVISIONS, {"ids": some})
        found.update((ident, revision) for ident, revision in rows)
    return found


_REVISIONS = select(t.image.c.id, t.image.c.revision).where(one_of(t.image.c.id))


def decided(connection: Connection) -> Iterator[tuple[Ids, Ids, NDArray[np.int8]]]:
    """All decisions as (image ids, category ids, states), many at a time."""
    for first, last in bulk.ranges(connection):
        rows = bulk.read_decisions(connection, first, last, states_only=True)
        if len(rows):
            yield rows["image"], rows["category"], rows["state"]


def iter_export(connection: Connection) -> Iterator[ExportImage]:
    """All pictures with their known cells, by id; a few thousand in memory at a time."""
    for first, last in bulk.ranges(connection):
        rows = bulk.read_decisions(connection, first, last)
        some = connection.execute(_IMAGES_BETWEEN, {"first": first, "last": last})
        pictures = [Image(*row) for row in some]
        ids = np.array([one.id for one in pictures], dtype=np.int64)
        bounds = np.searchsorted(rows["image"], [ids, ids + 1])
        scores = rows["score"].astype(np.float32)
        for one, start, stop in zip(pictures, *bounds.tolist(), strict=True):
            yield ExportImage(
                image=one,
                category_ids=rows["category"][start:stop],
                states=rows["state"][start:stop],
                scores=scores[start:stop],
                event_ids=rows["event"][start:stop],
            )


def answers(connection: Connection) -> Answers:
    """Decided cells that the model had given a probability before a person answered, counted.

    Whole imports are no answers, whoever started them, nor is what was looked at again. Reads the
    whole table of decisions.
    """
    return Answers.of([tuple(row) for row in connection.execute(_ANSWERS)])


def answering_events(
    connection: Connection, event_ids: Iterable[int]
) -> dict[int, tuple[int, str]]:
    """(model version or 0, source) of those of the events in which a person answered."""
    found: dict[int, tuple[int, str]] = {}
    for some in chunks(event_ids):
        rows = connection.execute(_ANSWERING, {"ids": some})
        found.update((ident, (version, source)) for ident, version, source in rows)
    return found


# Who looks again does so because the model disagreed: that says nothing of a suggestion.
_IS_ANSWER = and_(
    t.event.c.kind == "decide", t.event.c.user_id.is_not(None), t.event.c.source != LOOK_AGAIN
)
_SHOWN_VERSION = func.coalesce(t.event.c.model_version_id, 0)
_ANSWERING = select(t.event.c.id, _SHOWN_VERSION, t.event.c.source).where(
    one_of(t.event.c.id), _IS_ANSWER
)
# Rounded to whole per cent; the small addition makes ties go up in every database.
_PERCENT = cast(func.round(t.decision.c.score * 100 + 1e-9), Integer)
_ANSWERED = (
    t.decision.c.category_id,
    _SHOWN_VERSION,
    t.event.c.source,
    _PERCENT,
    t.decision.c.state,
)
_ANSWERS = (
    select(*_ANSWERED, func.count())
    .select_from(t.decision.join(t.event, t.decision.c.event_id == t.event.c.id))
    .where(t.decision.c.score.is_not(None), _IS_ANSWER)
    .group_by(*_ANSWERED)
)


# ------------------------------------------------------------------------------------- helpers


def _rows(result: CursorResult[Any], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Structured array straight from the driver: building row objects would cost more."""
    cursor: Any = result.cursor
    return np.array(cursor.fetchall(), dtype=dtype)


def _integers(connection: Connection, statement: Select[tuple[int]]) -> Ids:
    cursor: Any = connection.execute(statement).cursor
    rows = cursor.fetchall()
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
