"""The activity of a project, summed once and then kept up to date from new events alone."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from annotator.db import history, store
from annotator.progress import Activity


class ActivityLog:
    """What happened by minute, source and person. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._event_id = 0
        self._sums: dict[tuple[int, str, int], tuple[int, int]] = {}
        self._activity = Activity.of([])

    def now(self, connection: Connection) -> Activity:
        """All activity up to the newest event.

        Args:
            connection: of a reading transaction.
        """
        with self._guard:
            newest = store.newest_event_id(connection)
            if newest < self._event_id:  # another backup was restored
                self._event_id, self._sums = 0, {}
            if newest != self._event_id:
                self._add(history.activity_after(connection, self._event_id, newest))
                self._event_id = newest
                rows = [(*key, *sums) for key, sums in self._sums.items()]
                self._activity = Activity.of(rows)
            return self._activity

    def _add(self, rows: list[history.Row]) -> None:
        for minute, source, user_id, net, decided in rows:
            place = (minute, source, user_id)
            before = self._sums.get(place, (0, 0))
            self._sums[place] = (before[0] + net, before[1] + decided)
