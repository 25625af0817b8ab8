"""How many pictures have how many known cells, counted once and then kept up to date.

Every page asks for it every second or two, and every step through a queue does; counting the table
each time would cost a server with many people more than all their decisions.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.db import store
from annotator.db.engine import Database

_NONE = -1  # there is no picture of this id

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """Pictures by the number of their known cells.

    Attributes:
        by_known: [k] pictures with exactly k known cells.
    """

    by_known: Ids

    @property
    def total(self) -> int:
        """All pictures."""
        return int(self.by_known.sum())

    def below(self, cells: int) -> int:
        """Pictures with fewer known cells than this."""
        return int(self.by_known[: max(cells, 0)].sum())


class KnownCounts:
    """Follows the event log. Thread-safe.

    Args:
        database: open.
        most_cells: changed cells from which counting everything again is quicker.
    """

    def __init__(self, database: Database, *, most_cells: int = 200_000) -> None:
        self._database = database
        self._most_cells = most_cells
        self._guard = threading.Lock()
        self._event_id = _NONE
        self._known = np.empty(0, dtype=np.int64)  # by picture id
        self._pictures = Pictures(np.empty(0, dtype=np.int64))

    def now(self) -> Pictures:
        """As committed now."""
        # Looked up inside the guard, so that nobody brings back what was true before.
        with self._guard, self._database.reading() as connection:
            newest = store.newest_event_id(connection)
            last = store.newest_image_id(connection)
            if newest == self._event_id and last == len(self._known) - 1:
                return self._pictures
            touched = self._touched(connection, last)
            self._put(last, *store.known_counts(connection, touched))
            self._event_id = newest
            there = self._known[self._known != _NONE]
            self._pictures = Pictures(np.bincount(there).astype(np.int64))
            return self._pictures

    def _touched(self, connection: Connection, last: int) -> list[int] | None:
        """Pictures that were added or whose cells have changed; None for all of them."""
        before = self._event_id
        if before == _NONE or store.changed_cells_after(connection, before) > self._most_cells:
            return None
        added = np.arange(len(self._known), last + 1, dtype=np.int64)
        changed = [cells["image"] for _, cells in store.cells_after(connection, before)]
        touched: list[int] = np.unique(np.concatenate([added, *changed])).tolist()
        return touched

    def _put(self, last: int, ids: Ids, known: Ids) -> None:
        grown = last + 1 - len(self._known)
        self._known = np.pad(self._known, (0, grown), constant_values=_NONE)
        self._known[ids] = known
