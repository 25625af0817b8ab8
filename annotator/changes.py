"""What has changed since an event, for pages that show what was so then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, bindparam, select

from annotator.db import cells as packed
from annotator.db import schema as t
from annotator.db import store

MOST_EVENTS = 300
"""Events that are looked at; after more, everything counts as changed."""

MOST_CELLS = 20_000
"""Cells of these events that are looked at."""

_CATEGORIES, _IMAGES, _FLAGS = "categories", "images", "flags"


@dataclass(frozen=True)
class Changes:
    """What has changed since an event.

    Attributes:
        event_id: newest event; ask with it the next time.
        images: image id -> newest event that changed one of its cells.
        everything: too much has changed to be listed; `images` is empty.
        categories: categories were added, renamed, merged or removed.
        pictures: pictures were added.
        flags: a flag was set or closed.
    """

    event_id: int
    images: Mapping[int, int] = field(default_factory=dict)
    everything: bool = False
    categories: bool = False
    pictures: bool = False
    flags: bool = False


def changes_after(connection: Connection, event_id: int) -> Changes:
    """What has changed since an event; one that is not there any more counts as all."""
    newest = store.newest_event_id(connection)
    if newest == event_id:
        return Changes(newest)
    rows = connection.execute(_AFTER, {"event": event_id}).all()
    kinds = {kind for _, kind, _ in rows}
    named = {
        "categories": _CATEGORIES in kinds,
        "pictures": _IMAGES in kinds,
        "flags": _FLAGS in kinds,
    }
    too_many = len(rows) > MOST_EVENTS or sum(count for *_, count in rows) > MOST_CELLS
    # Fewer events than before: another backup was restored.
    if newest < event_id or too_many:
        return Changes(newest, everything=True, categories=True, pictures=True, flags=True)
    images: dict[int, int] = {}
    for ident, cells in connection.execute(_CELLS_AFTER, {"event": event_id}):
        touched = np.unique(packed.unpack(cells)["image"])
        images.update(dict.fromkeys(touched.tolist(), ident))
    return Changes(newest, images, **named)


_AFTER = (
    select(t.event.c.id, t.event.c.kind, t.event.c.cell_count)
    .where(t.event.c.id > bindparam("event"))
    .order_by(t.event.c.id)
    .limit(MOST_EVENTS + 1)
)
_CELLS_AFTER = (
    select(t.event_cells.c.event_id, t.event_cells.c.cells)
    .where(t.event_cells.c.event_id > bindparam("event"))
    .order_by(t.event_cells.c.event_id, t.event_cells.c.part)
)
