"""People's answers to suggestions, counted once and then kept up to date from the event log."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Connection

from annotator.db import store
from annotator.db.cells import Cells
from annotator.precision import Answers

MOST_CELLS = 500_000
"""Changed cells from which counting everything again is quicker."""

Row = tuple[int, int, str, int, int]


class AnswerCounts:
    """What `store.answers` gives, without reading all decisions each time. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._event_id = -1
        self._counts: Counter[Row] = Counter()

    def now(self, connection: Connection) -> Answers:
        """All answers that stand.

        Args:
            connection: of a reading transaction.
        """
        with self._guard:
            newest = store.newest_event_id(connection)
            # Fewer events than before: another backup was restored.
            if self._event_id < 0 or newest < self._event_id or self._is_far(connection):
                self._counts = Counter(
                    {(c, v, source, p, s): n for c, v, source, p, s, n in _rows(connection)}
                )
            elif newest > self._event_id:
                for _, cells in store.cells_after(connection, self._event_id):
                    self._follow(connection, cells)
            self._event_id = newest
            return Answers.of([(*row, count) for row, count in self._counts.items() if count])

    def _is_far(self, connection: Connection) -> bool:
        return store.changed_cells_after(connection, self._event_id) > MOST_CELLS

    def _follow(self, connection: Connection, cells: Cells) -> None:
        named = np.union1d(cells["before_event"], cells["after_event"])
        answering = store.answering_events(connection, named.tolist())
        self._counts.subtract(_counted(cells, "before", answering))
        self._counts.update(_counted(cells, "after", answering))


def _rows(connection: Connection) -> list[tuple[int, int, str, int, int, int]]:
    found = store.answers(connection)
    columns = (
        found.category_ids,
        found.version_ids,
        found.sources,
        found.percent,
        found.states,
        found.counts,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _counted(cells: Cells, side: str, answering: Mapping[int, tuple[int, str]]) -> Counter[Row]:
    """Answers among the rows before or after an event."""
    event, score = cells[f"{side}_event"], cells[f"{side}_score"]
    mine = cells[(event != 0) & ~np.isnan(score)]
    percent = np.rint(mine[f"{side}_score"].astype(np.float64) * 100 + 1e-9).astype(np.int64)
    columns = (mine["category"], mine[f"{side}_event"], percent, mine[side])
    return Counter(
        (category, *answering[event], percent, state)
        for category, event, percent, state in zip(*(c.tolist() for c in columns), strict=True)
        if event in answering
    )
