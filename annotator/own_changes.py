"""What a person has changed, named by its key or as the newest, and told in a few words.

Undo is one history per person, over all pages. A page that takes a change back has to name the
one it means, and to say what it was where it cannot be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from annotator.checks import require
from annotator.db import store
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import NotFound
from annotator.types import Event

MOST_TOLD = 5000
"""Cells of a change that are looked at to tell what it was; of a larger one only their number."""

_NAMED = 3
_STATES = {1: "present", -1: "absent", 0: "unknown"}


@dataclass(frozen=True)
class OwnChange:
    """A change of cells.

    Attributes:
        event_id: by which it is taken back.
        source: where it was made: ``focus``, ``sweep``, ``browse``, ``import``, …
        text: "cup present in a.jpg", "dog: 58 present, 2 absent"; holds names as they are.
    """

    event_id: int
    source: str
    at: datetime
    text: str


class OwnChanges:
    """Looks changes of a person up; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, user_id: int) -> OwnChange | None:
        """What undo would take back if no change is named, None if there is nothing left."""
        with self._database.reading() as connection:
            require(store.user(connection, user_id), "user", user_id)
            event = store.newest_undoable(connection, user_id)
            return None if event is None else _told(connection, event)

    def told(self, event_id: int) -> OwnChange:
        """A change in words.

        Raises:
            NotFound: if there is no such event.
        """
        with self._database.reading() as connection:
            return _told(connection, require(store.event(connection, event_id), "event", event_id))

    def event_of(self, user_id: int, key: str) -> int:
        """The event that a person's request with this idempotency key made.

        Raises:
            NotFound: if this person made none under it.
        """
        with self._database.reading() as connection:
            event = store.event_with_key(connection, key)
        if event is None or event.user_id != user_id:
            raise NotFound("this change is not known here (reload to see what there is)")
        return event.id


def _told(connection: Connection, event: Event) -> OwnChange:
    return OwnChange(event.id, event.source, event.at, in_words(connection, event))


def in_words(connection: Connection, event: Event) -> str:
    """What an event did to cells."""
    if not 0 < event.cell_count <= MOST_TOLD:
        return f"{event.cell_count:,} cells"
    cells = np.concatenate(list(store.event_cells(connection, event.id)))
    names = {category.id: category.name for category in store.categories(connection)}
    images = np.unique(cells["image"])
    if len(images) == 1:
        image = store.image(connection, int(images[0]))
        where = "a removed picture" if image is None else image.file_name
        return f"{_of_one_picture(cells, names)} in {where}"
    categories = np.unique(cells["category"])
    if len(categories) == 1:
        counts = [(int((cells["after"] == state).sum()), word) for state, word in _STATES.items()]
        told = ", ".join(f"{count:,} {word}" for count, word in counts if count)
        return f"{_name(names, int(categories[0]))}: {told}"
    return f"{len(cells):,} cells in {len(images):,} pictures"


def _of_one_picture(cells: Cells, names: Mapping[int, str]) -> str:
    """Such as: cup, fork present, dog absent."""
    parts = []
    for state, word in _STATES.items():
        there = [_name(names, int(c)) for c in cells["category"][cells["after"] == state]]
        more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
        if there:
            parts.append(f"{', '.join(there[:_NAMED])}{more} {word}")
    return ", ".join(parts)


def _name(names: Mapping[int, str], category: int) -> str:
    return names.get(category, f"category {category}")
