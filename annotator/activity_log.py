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
        self._activity = Activity.of([])

    def now(self, connection: Connection) -> Activity:
        """All activity up to the newest event; a minute may be there in several rows.

        Args:
            connection: of a reading transaction.
        """
        with self._guard:
            newest = store.newest_event_id(connection)
            if newest < self._event_id:  # another backup was restored
                self._event_id, self._activity = 0, Activity.of([])
            if newest != self._event_id:
                rows = history.activity_after(connection, self._event_id, newest)
                self._activity = self._activity.joined(Activity.of(rows))
                self._event_id = newest
            return self._activity
