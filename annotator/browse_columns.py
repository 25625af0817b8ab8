"""The columns that pictures are filtered and sorted by, kept in step with the label database."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator import queues
from annotator.browsing import Columns
from annotator.db import browsing as sql
from annotator.db import store
from annotator.db.cells import Cells
from annotator.scores import ScoreFolder

_FEW = 5_000  # pictures up to which uncertainty is brought up to date one by one

Ids = NDArray[np.int64]


class LiveColumns:
    """Reads everything once, later only what the newer events have changed.

    Not thread-safe: the owner lets one thread at a time in, also while the columns are used.
    """

    def __init__(self) -> None:
        self._columns: Columns | None = None
        self._scores: LiveScores | None = None
        self.event_id = 0

    def get(self, connection: Connection, scores: ScoreFolder | None) -> Columns:
        """The columns as this transaction sees the database.

        Args:
            connection: of a transaction.
            scores: of the newest model version.
        """
        columns, newest = self._columns, store.newest_event_id(connection)
        categories = np.array([c.id for c in store.categories(connection)], dtype=np.int64)
        if columns is None or newest < self.event_id or _gone(columns, categories):
            columns = self._columns = _read(connection, categories)
            self._scores = None
        else:
            _add_categories(columns, categories)
            last = int(columns.image_ids.max(initial=0))
            if store.newest_image_id(connection) > last:
                _add_images(columns, sql.image_facts(connection, last))
                self._scores = None
            if newest > self.event_id:
                _add_events(columns, sql.event_facts(connection, self.event_id))
                self._follow(connection, columns)
        self.event_id = newest
        columns.flagged = np.isin(columns.image_ids, sql.flagged_images(connection))
        if scores is None:
            self._scores = None
        elif self._scores is None or self._scores.folder is not scores:
            self._scores = LiveScores(scores, columns)
        columns.scores = self._scores
        return columns

    def _follow(self, connection: Connection, columns: Columns) -> None:
        touched = [np.zeros(0, dtype=np.int64)]
        for _, cells in store.cells_after(connection, self.event_id):
            touched.append(_apply(columns, cells))
        if self._scores is not None:
            self._scores.labels_changed(np.unique(np.concatenate(touched)))


class LiveScores:
    """Scores of one model version in the order of the columns; each is computed when asked for."""

    def __init__(self, folder: ScoreFolder, columns: Columns) -> None:
        self.folder = folder
        self._columns = columns
        self._rows = folder.rows(columns.image_ids)
        self._probability: dict[int, NDArray[np.float32]] = {}
        self._uncertainty: NDArray[np.float32] | None = None

    def probability(self, category_id: int) -> NDArray[np.float32]:
        """[N] of present at the fit; NaN where the model knows the picture or category not."""
        if category_id not in self._probability:
            place = self.folder.column(category_id)
            values = np.full(len(self._rows), np.nan, dtype=np.float32)
            if place >= 0 and self.folder.model.has_model[place]:
                seen = self._rows >= 0
                values[seen] = self.folder.probability[:, place][self._rows[seen]]
            self._probability[category_id] = values
        return self._probability[category_id]

    def uncertainty(self) -> NDArray[np.float32]:
        """[N] bits to be learned from the open cells; NaN for a picture the model has not seen."""
        if self._uncertainty is None:
            self._uncertainty = np.full(len(self._rows), np.nan, dtype=np.float32)
            self._measure(np.flatnonzero(self._rows >= 0))
        return self._uncertainty

    def similarity(self, image_id: int) -> NDArray[np.float32]:
        """[N] cosine to one picture, 1 for itself; NaN where not among the nearest."""
        near = self.folder.image(image_id)
        values = np.full(len(self._rows), np.nan, dtype=np.float32)
        rows = self._columns.rows(near.neighbours)
        values[rows[rows >= 0]] = near.neighbour_similarity[rows >= 0]
        values[self._columns.row(image_id)] = 1.0
        return values

    def labels_changed(self, rows: Ids) -> None:
        """Bring what depends on labels up to date for some pictures."""
        if self._uncertainty is None:
            return
        if len(rows) > _FEW:
            self._uncertainty = None
        else:
            self._measure(rows[self._rows[rows] >= 0])

    def _measure(self, rows: Ids) -> None:
        if self._uncertainty is None or not len(rows):
            return
        places = self._columns.places(np.asarray(self.folder.category_ids))
        kept = np.flatnonzero(places >= 0)
        probability: NDArray[np.float16] = self.folder.probability
        mine = self._rows[rows]
        if len(mine) < len(probability) or (mine != np.arange(len(mine))).any():
            probability = probability[mine]
        if len(kept) < len(places):
            probability = probability[:, kept]
        labels = self._columns.states[places[kept]][:, rows].T
        self._uncertainty[rows] = queues.uncertainty(probability, labels)


def _read(connection: Connection, categories: Ids) -> Columns:
    facts = sql.image_facts(connection)
    shape = (len(categories), len(facts.ids))
    columns = Columns(
        image_ids=facts.ids,
        names=facts.names,
        folded=[name.casefold() for name in facts.names],
        added=facts.added,
        category_ids=categories,
        states=np.zeros(shape, dtype=np.int8),
        events=np.zeros(shape, dtype=np.int32),
        known=np.zeros(len(facts.ids), dtype=np.int32),
        event_user=np.zeros(1, dtype=np.int64),
        event_source=np.full(1, -1, dtype=np.int32),
        event_at=np.zeros(1, dtype=np.int64),
        sources=[],
        flagged=np.zeros(len(facts.ids), dtype=bool),
    )
    _add_events(columns, sql.event_facts(connection))
    for images, category_ids, states, events in sql.decided_cells(connection):
        place, rows = columns.places(category_ids), columns.rows(images)
        columns.states[place, rows] = states
        columns.events[place, rows] = events
    columns.known[:] = np.count_nonzero(columns.states, axis=0)
    return columns


def _gone(columns: Columns, categories: Ids) -> bool:
    return bool(np.isin(columns.category_ids, categories, invert=True).any())


def _add_categories(columns: Columns, categories: Ids) -> None:
    new = categories[~np.isin(categories, columns.category_ids)]
    if len(new):
        columns.category_ids = np.concatenate([columns.category_ids, new])
        more = ((0, len(new)), (0, 0))
        columns.states = np.pad(columns.states, more)
        columns.events = np.pad(columns.events, more)


def _add_images(columns: Columns, facts: sql.ImageFacts) -> None:
    columns.image_ids = np.concatenate([columns.image_ids, facts.ids])
    columns.names += facts.names
    columns.folded += [name.casefold() for name in facts.names]
    columns.added = np.concatenate([columns.added, facts.added])
    more = (0, len(facts.ids))
    columns.states = np.pad(columns.states, ((0, 0), more))
    columns.events = np.pad(columns.events, ((0, 0), more))
    columns.known = np.pad(columns.known, more)
    columns.forget_names()


def _add_events(columns: Columns, facts: sql.EventFacts) -> None:
    more = (0, int(facts.ids.max(initial=len(columns.event_at) - 1)) + 1 - len(columns.event_at))
    columns.event_user = np.pad(columns.event_user, more)
    columns.event_at = np.pad(columns.event_at, more)
    columns.event_source = np.pad(columns.event_source, more, constant_values=-1)
    codes = {name: code for code, name in enumerate(columns.sources)}
    for name in facts.sources:
        codes.setdefault(name, len(codes))
    columns.sources = list(codes)
    columns.event_user[facts.ids] = facts.users
    columns.event_at[facts.ids] = facts.at
    columns.event_source[facts.ids] = [codes[name] for name in facts.sources]


def _apply(columns: Columns, cells: Cells) -> Ids:
    """Make the columns say what comes after an event; returns the places of its pictures."""
    rows = columns.rows(cells["image"].astype(np.int64))
    place = columns.places(cells["category"].astype(np.int64))
    there = (rows >= 0) & (place >= 0)
    rows, place, cells = rows[there], place[there], cells[there]
    np.add.at(
        columns.known,
        rows,
        (cells["after"] != 0).astype(np.int32) - (columns.states[place, rows] != 0),
    )
    columns.states[place, rows] = cells["after"]
    columns.events[place, rows] = cells["after_event"]
    return rows
