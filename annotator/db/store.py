"""Every SQL statement of the tool. Functions take the connection of a transaction first.

Those that change something must be called inside `Database.writing`. None of them checks what a
person typed: that is the service's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Connection,
    CursorResult,
    Executable,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from annotator.db import cells as packed
from annotator.db import schema as t
from annotator.db.cells import Cells
from annotator.suggestions import Suggestion
from annotator.types import (
    Category,
    Event,
    ExportImage,
    Image,
    Job,
    KnownCell,
    LeftCell,
    ModelVersion,
    Provenance,
    StoredSuggestion,
    User,
)

UNDO = "undo"
OFFERED, ACCEPTED, REJECTED, WITHDRAWN = "offered", "accepted", "rejected", "withdrawn"
READY, WRITING = "ready", "writing"

_IN = 5_000  # values in one IN list; SQLite and PostgreSQL allow six times as many
_FEW = 500  # categories from which reading whole pictures is quicker than picking cells
_BULK = 1_000  # rows from which the driver's own way of inserting pays
_EXPORT_IMAGES = 2_000

Ids = NDArray[np.int64]
T = TypeVar("T")

# ------------------------------------------------------------------------------------ people


def users(connection: Connection) -> list[User]:
    """All people, in the order in which they came."""
    rows = connection.execute(select(t.user).order_by(t.user.c.id))
    return [User(**row._mapping) for row in rows]


def user(connection: Connection, user_id: int) -> User | None:
    """One person."""
    row = connection.execute(select(t.user).where(t.user.c.id == user_id)).first()
    return None if row is None else User(**row._mapping)


def user_named(connection: Connection, name: str) -> User | None:
    """The person of exactly this name."""
    row = connection.execute(select(t.user).where(t.user.c.name == name)).first()
    return None if row is None else User(**row._mapping)


def add_user(connection: Connection, name: str, at: datetime) -> int:
    """Add a person; returns the id."""
    return _add(connection, t.user, name=name, created_at=at, settings={})


def set_user_settings(connection: Connection, user_id: int, settings: Mapping[str, Any]) -> None:
    """Replace the settings of a person."""
    connection.execute(update(t.user).where(t.user.c.id == user_id).values(settings=dict(settings)))


# -------------------------------------------------------------------------- categories, images


def categories(connection: Connection) -> list[Category]:
    """All categories in list order."""
    c = t.category.c
    statement = select(c.id, c.name, c.position, c.present, c.absent).order_by(c.position, c.id)
    return [Category(*row) for row in connection.execute(statement)]


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
    row = connection.execute(select(t.image).where(t.image.c.id == image_id)).first()
    return None if row is None else Image(**row._mapping)


def image_by_hash(connection: Connection, sha256: str) -> Image | None:
    """The picture of this content."""
    row = connection.execute(select(t.image).where(t.image.c.sha256 == sha256)).first()
    return None if row is None else Image(**row._mapping)


def images(connection: Connection, image_ids: Iterable[int]) -> dict[int, Image]:
    """Pictures by id; ids that do not exist are missing."""
    found: dict[int, Image] = {}
    for some in _chunks(image_ids):
        rows = connection.execute(select(t.image).where(t.image.c.id.in_(some)))
        found.update((row.id, Image(**row._mapping)) for row in rows)
    return found


def images_by_hash(connection: Connection, hashes: Iterable[str]) -> dict[str, Image]:
    """Pictures by content; those that do not exist are missing."""
    found: dict[str, Image] = {}
    for some in _chunks(hashes):
        rows = connection.execute(select(t.image).where(t.image.c.sha256.in_(some)))
        found.update((row.sha256, Image(**row._mapping)) for row in rows)
    return found


def images_after(connection: Connection, image_id: int, limit: int) -> list[Image]:
    """The next pictures by id."""
    statement = select(t.image).where(t.image.c.id > image_id).order_by(t.image.c.id).limit(limit)
    return [Image(**row._mapping) for row in connection.execute(statement)]


def add_images(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append pictures; the columns are those of the table, without id, revision and known."""
    _many(connection, insert(t.image), rows)


def move_images(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give pictures a new path: rows of ``key`` (image id), ``path``, ``file_name``."""
    statement = (
        update(t.image)
        .where(t.image.c.id == bindparam("key"))
        .values(path=bindparam("path"), file_name=bindparam("file_name"))
    )
    _many(connection, statement, rows)


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


def known_counts(connection: Connection) -> tuple[Ids, Ids]:
    """Ids of all pictures, ascending, and how many of their cells are known."""
    rows = _rows(
        connection.execute(select(t.image.c.id, t.image.c.known).order_by(t.image.c.id)),
        np.dtype([("id", "i8"), ("known", "i8")]),
    )
    return rows["id"].copy(), rows["known"].copy()


def image_names(connection: Connection) -> list[tuple[int, str, str]]:
    """(id, file name, stored path) of all pictures, for matching names in files."""
    c = t.image.c
    rows = connection.execute(select(c.id, c.file_name, c.path).order_by(c.id))
    return [(ident, name, path) for ident, name, path in rows]


def newest_image_id(connection: Connection) -> int:
    """Largest image id, 0 without pictures; changes whenever pictures are added."""
    return int(connection.scalar(select(func.max(t.image.c.id))) or 0)


# ------------------------------------------------------------------------------------- events


def add_event(connection: Connection, **values: Any) -> int:
    """Append an event; returns its id. Columns as in the schema."""
    return _add(connection, t.event, **values)


def event(connection: Connection, event_id: int) -> Event | None:
    """One event as it is stored, without its cells."""
    row = connection.execute(select(t.event).where(t.event.c.id == event_id)).first()
    return None if row is None else Event(**row._mapping)


def event_with_key(connection: Connection, key: str) -> Event | None:
    """The event of an idempotency key."""
    row = connection.execute(select(t.event).where(t.event.c.idempotency_key == key)).first()
    return None if row is None else Event(**row._mapping)


def set_event_result(
    connection: Connection, event_id: int, cell_count: int, summary: Mapping[str, Any]
) -> None:
    """Complete an event whose size is known only after its cells were written."""
    connection.execute(
        update(t.event)
        .where(t.event.c.id == event_id)
        .values(cell_count=cell_count, summary=dict(summary))
    )


def add_event_cells(connection: Connection, event_id: int, cells: Cells, part: int = 0) -> int:
    """Write the cells of an event, first part ``part``; returns the number of the next part."""
    for piece in packed.parts(cells):
        connection.execute(
            insert(t.event_cells), {"event_id": event_id, "part": part, "cells": packed.pack(piece)}
        )
        part += 1
    return part


def event_cells(connection: Connection, event_id: int) -> Iterator[Cells]:
    """Parts of an event, one in memory at a time."""
    c = t.event_cells.c
    numbers = connection.scalars(select(c.part).where(c.event_id == event_id).order_by(c.part))
    for part in numbers.all():
        content = connection.scalar(select(c.cells).where(c.event_id == event_id, c.part == part))
        yield packed.unpack(content or b"")


def cells_after(connection: Connection, event_id: int) -> Iterator[tuple[int, Cells]]:
    """(event id, cells) of all events newer than this one, in order, part by part."""
    c = t.event_cells.c
    numbers = connection.execute(
        select(c.event_id, c.part).where(c.event_id > event_id).order_by(c.event_id, c.part)
    )
    for number, part in numbers.all():
        content = connection.scalar(select(c.cells).where(c.event_id == number, c.part == part))
        yield number, packed.unpack(content or b"")


def newest_event_id(connection: Connection) -> int:
    """Largest event id, 0 before the first."""
    return int(connection.scalar(select(func.max(t.event.c.id))) or 0)


def changed_cells_after(connection: Connection, event_id: int) -> int:
    """How many cells the events newer than this one changed."""
    statement = select(func.sum(t.event.c.cell_count)).where(t.event.c.id > event_id)
    return int(connection.scalar(statement) or 0)


def newest_undoable(connection: Connection, user_id: int) -> Event | None:
    """A person's newest event that changed cells, is no undo and was not undone."""
    c = t.event.c
    statement = (
        select(t.event)
        .where(
            c.user_id == user_id,
            c.kind != UNDO,
            c.cell_count > 0,
            c.undone_by_event_id.is_(None),
        )
        .order_by(c.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return None if row is None else Event(**row._mapping)


def events(connection: Connection, before: int | None, limit: int) -> list[Event]:
    """The log, newest first, from before an event id on."""
    statement = select(t.event).order_by(t.event.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(t.event.c.id < before)
    return [Event(**row._mapping) for row in connection.execute(statement)]


def undone_events(connection: Connection, event_ids: Iterable[int]) -> list[int]:
    """Those of the events that were undone."""
    c = t.event.c
    found: list[int] = []
    for some in _chunks(event_ids):
        statement = select(c.id).where(c.id.in_(some), c.undone_by_event_id.is_not(None))
        found += connection.scalars(statement)
    return found


def mark_undone(connection: Connection, event_id: int, by: int) -> None:
    """Note which event took this one back."""
    connection.execute(
        update(t.event).where(t.event.c.id == event_id).values(undone_by_event_id=by)
    )


def provenance(connection: Connection, event_ids: Iterable[int]) -> dict[int, Provenance]:
    """Who, when and how of events."""
    e = t.event.c
    found: dict[int, Provenance] = {}
    for some in _chunks(event_ids):
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
    connection: Connection, image_ids: Iterable[int]
) -> dict[int, tuple[KnownCell, ...]]:
    """Decided cells in the order of the categories; pictures without any are left out."""
    d, e, c = t.decision.c, t.event.c, t.category.c
    found: dict[int, list[KnownCell]] = {}
    for some in _chunks(image_ids):
        statement = (
            select(
                d.image_id, d.category_id, c.name, d.state, e.source, t.user.c.name, e.at, d.score
            )
            .select_from(
                t.decision.join(t.event, d.event_id == e.id)
                .join(t.category, d.category_id == c.id)
                .outerjoin(t.user, e.user_id == t.user.c.id)
            )
            .where(d.image_id.in_(some))
            .order_by(d.image_id, c.position, c.id)
        )
        for image_id, *facts in connection.execute(statement):
            found.setdefault(image_id, []).append(KnownCell(*facts))
    return {image_id: tuple(known) for image_id, known in found.items()}


def states_in_category(
    connection: Connection, category_id: int, image_ids: Iterable[int]
) -> dict[int, int]:
    """Known state by image id."""
    d = t.decision.c
    found: dict[int, int] = {}
    for some in _chunks(image_ids):
        statement = select(d.image_id, d.state).where(
            d.category_id == category_id, d.image_id.in_(some)
        )
        found.update((image_id, state) for image_id, state in connection.execute(statement))
    return found


def decision_rows(
    connection: Connection, image_ids: Iterable[int], category_ids: Sequence[int] = ()
) -> NDArray[np.void]:
    """Decisions of pictures, of all categories or of some, as an array of `cells.ROW`."""
    d = t.decision.c
    narrow = (d.category_id.in_(category_ids),) if 0 < len(category_ids) <= _FEW else ()
    found = [
        _rows(
            connection.execute(
                select(d.image_id, d.category_id, d.state, d.score, d.event_id).where(
                    d.image_id.in_(some), *narrow
                )
            ),
            packed.ROW,
        )
        for some in _chunks(image_ids)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=packed.ROW)


def fill_before(connection: Connection, cells: Cells) -> None:
    """Write into ``cells`` what the table says of each of them now."""
    images, columns = np.unique(cells["image"]), np.unique(cells["category"])
    packed.set_before(cells, decision_rows(connection, images.tolist(), columns.tolist()))


def write_cells(connection: Connection, cells: Cells) -> None:
    """Make the table say what comes after; counts and revisions follow.

    ``cells`` hold each cell once, with what is there before.
    """
    _delete_decisions(connection, cells[cells["before"] != 0])
    _insert_decisions(connection, cells[cells["after"] != 0])
    _count_images(connection, cells)
    _count_categories(connection, cells)


def _delete_decisions(connection: Connection, cells: Cells) -> None:
    if not len(cells):
        return
    d = t.decision.c
    statement = delete(t.decision).where(
        d.image_id == bindparam("i"), d.category_id == bindparam("c")
    )
    pairs = zip(cells["image"].tolist(), cells["category"].tolist(), strict=True)
    _many(connection, statement, [{"i": i, "c": c} for i, c in pairs])


def _insert_decisions(connection: Connection, cells: Cells) -> None:
    if not len(cells):
        return
    score = cells["after_score"].astype(object)
    score[np.isnan(cells["after_score"])] = None
    names = ("image_id", "category_id", "state", "score", "event_id")
    columns = (cells["image"], cells["category"], cells["after"], score, cells["after_event"])
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    if len(rows) >= _BULK and connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"INSERT INTO decision ({', '.join(names)}) VALUES (?, ?, ?, ?, ?)", rows
        )
    elif len(rows) >= _BULK and connection.dialect.name == "postgresql":
        driver: Any = connection.connection.cursor()
        with driver.copy(f"COPY decision ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        connection.execute(insert(t.decision), [dict(zip(names, row, strict=True)) for row in rows])


def _count_images(connection: Connection, cells: Cells) -> None:
    ids, place = np.unique(cells["image"], return_inverse=True)
    change = (cells["after"] != 0).astype(np.int64) - (cells["before"] != 0)
    known = np.bincount(place, weights=change, minlength=len(ids)).astype(np.int64)
    c = t.image.c
    statement = (
        update(t.image)
        .where(c.id == bindparam("i"))
        .values(revision=c.revision + 1, known=c.known + bindparam("k"))
    )
    pairs = zip(ids.tolist(), known.tolist(), strict=True)
    _many(connection, statement, [{"i": i, "k": k} for i, k in pairs])


def _count_categories(connection: Connection, cells: Cells) -> None:
    ids, place = np.unique(cells["category"], return_inverse=True)
    changes = []
    for state in (1, -1):
        change = (cells["after"] == state).astype(np.int64) - (cells["before"] == state)
        changes.append(np.bincount(place, weights=change, minlength=len(ids)).astype(np.int64))
    c = t.category.c
    statement = (
        update(t.category)
        .where(c.id == bindparam("i"))
        .values(present=c.present + bindparam("p"), absent=c.absent + bindparam("a"))
    )
    rows = zip(ids.tolist(), changes[0].tolist(), changes[1].tolist(), strict=True)
    _many(connection, statement, [{"i": i, "p": p, "a": a} for i, p, a in rows if p or a])


def left_cells(connection: Connection, cells: Cells) -> list[LeftCell]:
    """As they are now, with who made them so; from ``cells`` whose before is the present."""
    made_by = provenance(connection, np.unique(cells["before_event"]).tolist())
    return [
        LeftCell(
            int(cell["image"]),
            int(cell["category"]),
            int(cell["before"]),
            made_by[int(cell["before_event"])].user if cell["before"] else None,
        )
        for cell in cells
    ]


def revisions(connection: Connection, image_ids: Iterable[int]) -> dict[int, int]:
    """Revision by image id."""
    found: dict[int, int] = {}
    for some in _chunks(image_ids):
        statement = select(t.image.c.id, t.image.c.revision).where(t.image.c.id.in_(some))
        found.update((ident, revision) for ident, revision in connection.execute(statement))
    return found


def decided(connection: Connection) -> Iterator[tuple[Ids, Ids, NDArray[np.int8]]]:
    """All decisions as (image ids, category ids, states), many at a time, in any order."""
    d = t.decision.c
    # One integer per row halves the time of reading three.
    number = (d.image_id * 2**24 + d.category_id) * 4 + d.state + 1
    cursor: Any = connection.execute(select(number)).cursor
    while rows := cursor.fetchmany(1 << 18):
        values = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        cell = values >> 2
        yield cell >> 24, cell & (2**24 - 1), ((values & 3) - 1).astype(np.int8)


def iter_export(connection: Connection) -> Iterator[ExportImage]:
    """All pictures with their known cells, by id; a few thousand in memory at a time."""
    d = t.decision.c
    after = 0
    while some := images_after(connection, after, _EXPORT_IMAGES):
        after = some[-1].id
        statement = (
            select(d.image_id, d.category_id, d.state, d.score, d.event_id)
            .where(d.image_id.between(some[0].id, after))
            .order_by(d.image_id, d.category_id)
        )
        rows = _rows(connection.execute(statement), packed.ROW)
        ids = np.array([one.id for one in some])
        bounds = np.searchsorted(rows["image"], [ids, ids + 1])
        for one, first, last in zip(some, *bounds.tolist(), strict=True):
            part = rows[first:last]
            yield ExportImage(
                image=one,
                category_ids=part["category"],
                states=part["state"],
                scores=part["score"].astype(np.float32),
                event_ids=part["event"],
            )


# -------------------------------------------------------------------------------- suggestions


def offer(
    connection: Connection, image_id: int, version: int, suggestions: Iterable[Suggestion]
) -> None:
    """Note what is suggested for a picture now; earlier open suggestions no longer stand."""
    c = t.suggestion.c
    of_image = c.image_id == image_id
    connection.execute(
        delete(t.suggestion).where(
            of_image, c.model_version_id == version, c.status.in_((OFFERED, WITHDRAWN))
        )
    )
    connection.execute(
        update(t.suggestion).where(of_image, c.status == OFFERED).values(status=WITHDRAWN)
    )
    rows = [_suggestion_row(image_id, version, s) for s in suggestions if s.source != "prior"]
    _many(connection, insert(t.suggestion), rows)


def _suggestion_row(image_id: int, version: int, suggestion: Suggestion) -> dict[str, Any]:
    reasons = [
        {
            "source": reason.source,
            "text": reason.text,
            "contribution": round(reason.contribution, 4),
            "category_ids": list(reason.category_ids),
            "image_count": reason.image_count,
        }
        for reason in suggestion.reasons
    ]
    return {
        "image_id": image_id,
        "category_id": suggestion.category_id,
        "model_version_id": version,
        "source": suggestion.source,
        "score": suggestion.probability,
        "threshold": suggestion.threshold,
        "status": OFFERED,
        "reasons": reasons,
        "event_id": None,
    }


def answer_suggestions(connection: Connection, cells: Cells, event_id: int) -> None:
    """Note what was decided about suggested cells: accepted, rejected, or withdrawn if unknown."""
    c = t.suggestion.c
    status = {1: ACCEPTED, -1: REJECTED, 0: WITHDRAWN}
    statement = (
        update(t.suggestion)
        .where(c.image_id == bindparam("i"), c.category_id == bindparam("c"))
        .where(c.status != WITHDRAWN)
        .values(status=bindparam("s"), event_id=event_id)
    )
    triples = zip(*(cells[n].tolist() for n in ("image", "category", "after")), strict=True)
    _many(connection, statement, [{"i": i, "c": c, "s": status[s]} for i, c, s in triples])


def reopen_suggestions(connection: Connection, cells: Cells, undone: int) -> None:
    """Take the answers of an undone event back; ``cells`` are those of the event that undoes."""
    c = t.suggestion.c
    status = {1: ACCEPTED, -1: REJECTED, 0: OFFERED}
    statement = (
        update(t.suggestion)
        .where(c.image_id == bindparam("i"), c.category_id == bindparam("c"))
        .where(c.event_id == undone)
        .values(status=bindparam("s"), event_id=bindparam("e"))
    )
    names = ("image", "category", "after", "after_event")
    rows = zip(*(cells[n].tolist() for n in names), strict=True)
    answers = [{"i": i, "c": c, "s": status[s], "e": e or None} for i, c, s, e in rows]
    _many(connection, statement, answers)


def withdraw_decided_suggestions(connection: Connection, event_id: int) -> None:
    """Close open suggestions whose cells a bulk event has decided: nobody answered them."""
    c, d = t.suggestion.c, t.decision.c
    same_cell = and_(d.image_id == c.image_id, d.category_id == c.category_id)
    made_now = select(d.state).where(same_cell, d.event_id == event_id).exists()
    connection.execute(
        update(t.suggestion)
        .where(c.status == OFFERED, made_now)
        .values(status=WITHDRAWN, event_id=event_id)
    )


def reopen_withdrawn_suggestions(connection: Connection, event_id: int) -> None:
    """Take `withdraw_decided_suggestions` back."""
    connection.execute(
        update(t.suggestion)
        .where(t.suggestion.c.event_id == event_id)
        .values(status=OFFERED, event_id=None)
    )


def suggestion_rows(connection: Connection, image_id: int) -> list[StoredSuggestion]:
    """All stored suggestions of a picture, oldest model version first."""
    c = t.suggestion.c
    rows = connection.execute(
        select(t.suggestion)
        .where(c.image_id == image_id)
        .order_by(c.model_version_id, c.score.desc(), c.category_id)
    )
    return [StoredSuggestion(**row._mapping) for row in rows]


# ------------------------------------------------------------------------------------- queues


def release_expired(connection: Connection, now: datetime) -> None:
    """Forget leases that have run out."""
    connection.execute(delete(t.lease).where(t.lease.c.expires_at <= now))


def own_leases(connection: Connection, user_id: int, queue: str, below: int) -> list[int]:
    """Pictures handed out to a person in a queue, in that order.

    Those with ``below`` known cells or more are closed and given back.
    """
    lease, picture = t.lease.c, t.image.c
    statement = (
        select(lease.image_id, picture.known)
        .join(t.image, picture.id == lease.image_id)
        .where(lease.user_id == user_id, lease.queue == queue)
        .order_by(lease.place)
    )
    rows = connection.execute(statement).all()
    release(connection, [ident for ident, known in rows if known >= below])
    return [ident for ident, known in rows if known < below]


def release(connection: Connection, image_ids: Sequence[int]) -> None:
    """Give pictures back to everybody."""
    if image_ids:
        connection.execute(delete(t.lease).where(t.lease.c.image_id.in_(image_ids)))


def release_own(connection: Connection, user_id: int, image_ids: Sequence[int]) -> None:
    """Give pictures back as far as they are this person's."""
    c = t.lease.c
    connection.execute(delete(t.lease).where(c.user_id == user_id, c.image_id.in_(image_ids)))


def lease_images(
    connection: Connection, user_id: int, queue: str, image_ids: Sequence[int], until: datetime
) -> None:
    """Keep pictures for one person, also those that this person had already, in this order."""
    if not image_ids:
        return
    release(connection, image_ids)
    last = connection.scalar(
        select(func.max(t.lease.c.place)).where(
            t.lease.c.user_id == user_id, t.lease.c.queue == queue
        )
    )
    connection.execute(
        insert(t.lease),
        [
            {
                "image_id": ident,
                "user_id": user_id,
                "queue": queue,
                "place": int(last or 0) + i,
                "expires_at": until,
            }
            for i, ident in enumerate(image_ids, start=1)
        ],
    )


def renew_leases(connection: Connection, user_id: int, queue: str, until: datetime) -> None:
    """Keep what a person has in a queue for longer."""
    connection.execute(
        update(t.lease)
        .where(t.lease.c.user_id == user_id, t.lease.c.queue == queue)
        .values(expires_at=until)
    )


def add_visit(
    connection: Connection, user_id: int, queue: str, image_id: int, at: datetime
) -> None:
    """Note that a person is through with a picture in a queue."""
    c = t.visit.c
    where = (c.user_id == user_id, c.queue == queue, c.image_id == image_id)
    changed: CursorResult[Any] = connection.execute(update(t.visit).where(*where).values(at=at))
    if not changed.rowcount:
        values = {"user_id": user_id, "queue": queue, "image_id": image_id, "at": at}
        connection.execute(insert(t.visit), values)


def count_visits(connection: Connection, user_id: int, queue: str) -> int:
    """How many pictures of a queue a person has been through."""
    c = t.visit.c
    statement = select(func.count()).where(c.user_id == user_id, c.queue == queue)
    return int(connection.scalar(statement) or 0)


def _free_for(user_id: int) -> Select[tuple[int]]:
    """Pictures that are not leased by somebody else."""
    picture = t.image.c
    return (
        select(picture.id)
        .outerjoin(t.lease, t.lease.c.image_id == picture.id)
        .where(or_(t.lease.c.user_id.is_(None), t.lease.c.user_id == user_id))
    )


def eligible(
    connection: Connection, user_id: int, queue: str, image_ids: Sequence[int], below: int
) -> set[int]:
    """Those of the pictures that are open, nobody else's, and not yet seen in this queue."""
    picture, visit = t.image.c, t.visit.c
    visited = select(visit.image_id).where(
        visit.user_id == user_id, visit.queue == queue, visit.image_id == picture.id
    )
    statement = _free_for(user_id).where(
        picture.id.in_(image_ids), picture.known < below, ~visited.exists()
    )
    return set(connection.scalars(statement))


def seen_longest_ago(
    connection: Connection, user_id: int, queue: str, below: int, limit: int
) -> list[int]:
    """Open pictures that a person has been through in a queue, for the next round."""
    visit = t.visit.c
    statement = (
        _free_for(user_id)
        .join(t.visit, visit.image_id == t.image.c.id)
        .where(visit.user_id == user_id, visit.queue == queue, t.image.c.known < below)
        .order_by(visit.at, visit.image_id)
        .limit(limit)
    )
    return list(connection.scalars(statement))


def count_open(connection: Connection, below: int) -> int:
    """How many pictures have fewer known cells than this."""
    return int(connection.scalar(select(func.count()).where(t.image.c.known < below)) or 0)


# ------------------------------------------------------------------------ model versions, jobs


def add_model_version(connection: Connection, **values: Any) -> int:
    """Reserve a version before its files are written (status ``writing``); returns its id."""
    values = {"status": WRITING, "folder": "", "metrics": {}, "sources": [], **values}
    return _add(connection, t.model_version, **values)


def set_model_version(connection: Connection, version_id: int, **values: Any) -> None:
    """Change columns of a version, such as its status when its files are complete."""
    connection.execute(
        update(t.model_version).where(t.model_version.c.id == version_id).values(**values)
    )


def model_version(connection: Connection, version_id: int) -> ModelVersion | None:
    """One version."""
    c = t.model_version.c
    row = connection.execute(select(t.model_version).where(c.id == version_id)).first()
    return None if row is None else ModelVersion(**row._mapping)


def ready_versions(connection: Connection, limit: int = 5) -> list[int]:
    """Ids of the newest complete versions, newest first."""
    c = t.model_version.c
    statement = select(c.id).where(c.status == READY).order_by(c.id.desc()).limit(limit)
    return list(connection.scalars(statement))


def model_versions(connection: Connection, limit: int = 50) -> list[ModelVersion]:
    """The newest versions whatever their status, newest first."""
    statement = select(t.model_version).order_by(t.model_version.c.id.desc()).limit(limit)
    return [ModelVersion(**row._mapping) for row in connection.execute(statement)]


def add_job(connection: Connection, **values: Any) -> int:
    """Add a job; returns its id."""
    return _add(connection, t.job, **values)


def set_job(connection: Connection, job_id: int, **values: Any) -> None:
    """Change columns of a job."""
    connection.execute(update(t.job).where(t.job.c.id == job_id).values(**values))


def jobs(
    connection: Connection,
    *,
    kind: str | None = None,
    status: str | None = None,
    limit: int = 20,
) -> list[Job]:
    """The newest jobs, newest first."""
    c = t.job.c
    statement = select(t.job).order_by(c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(c.kind == kind)
    if status is not None:
        statement = statement.where(c.status == status)
    return [Job(**row._mapping) for row in connection.execute(statement)]


def fail_jobs_of(connection: Connection, pid: int | None, reason: str, at: datetime) -> int:
    """Mark running jobs of a dead process as failed, of any process if None; returns how many."""
    c = t.job.c
    mine = () if pid is None else (c.pid == pid,)
    changed = connection.execute(
        update(t.job)
        .where(c.status == "running", *mine)
        .values(status="failed", reason=reason, finished_at=at)
    )
    return changed.rowcount


def counts(connection: Connection, categories_total: int) -> dict[str, int]:
    """Pictures, people, open and untouched pictures."""
    known = t.image.c.known
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((known < categories_total, 1), else_=0)), 0),
            func.coalesce(func.sum(case((known == 0, 1), else_=0)), 0),
        ).select_from(t.image)
    ).one()
    people = connection.scalar(select(func.count()).select_from(t.user))
    return {
        "images": int(row[0]),
        "images_open": int(row[1]),
        "images_untouched": int(row[2]),
        "users": int(people or 0),
    }


# ------------------------------------------------------------------------------------- helpers


def _add(connection: Connection, table: Any, **values: Any) -> int:
    result = connection.execute(insert(table).values(**values))
    return int((result.inserted_primary_key or (0,))[0])


def _many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute for each row; without rows not at all (which SQLAlchemy takes as one empty row)."""
    if rows:
        connection.execute(statement, list(rows))


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    everything = list(values)
    return (everything[i : i + _IN] for i in range(0, len(everything), _IN))


def _rows(result: CursorResult[Any], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Structured array straight from the driver: building row objects would cost more."""
    cursor: Any = result.cursor
    return np.array(cursor.fetchall(), dtype=dtype)


def _integers(connection: Connection, statement: Select[tuple[int]]) -> Ids:
    cursor: Any = connection.execute(statement).cursor
    rows = cursor.fetchall()
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
