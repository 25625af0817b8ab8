"""Decided cells that the evidence contradicts, as a queue in which people look at them again.

Asked is what the newest model version had as a known label, whose out-of-fold probability speaks
for the other state, and which nobody has touched since that version looked: of a later decision the
probability says nothing. Whoever answers, confirming or changing, has looked: that answer is never
contradicted again, whatever later versions think, until the cell is decided somewhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.contradictions import QUEUE, SOURCE, Ranking, contradicted
from annotator.db import leases, looking, store
from annotator.db.cells import key_of, keys
from annotator.db.engine import Database, is_writer
from annotator.scores import ScoreFolder
from annotator.types import ImageState
from annotator.views import View

_ANY = 1 << 30  # number of known cells that no picture reaches: none is ever closed by them
_FAR = 200_000  # changed cells from which asking for every cell is quicker than reading the log
_FIRST_LOT, _LARGEST_LOT = 64, 4_096  # cells

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Contradicted:
    """A decided cell that the evidence contradicts.

    Attributes:
        state: as decided, 1 or -1.
        probability: that it is present, by a fit that had not seen this label.
        suspicion: 0-1, see `annotator.contradictions`.
    """

    image_id: int
    category_id: int
    state: int
    probability: float
    suspicion: float


class Places:
    """Where a ranking has the cells of each picture; made once, as the ranking never changes."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self.keys = key_of(ranking.image_ids, ranking.category_ids)
        self._image_ids, self._number = np.unique(ranking.image_ids, return_inverse=True)
        self._order = np.argsort(self._number, kind="stable")  # within a picture by rank
        self._starts = np.searchsorted(self._number[self._order], np.arange(len(self) + 1))

    def __len__(self) -> int:
        return len(self._image_ids)

    def of(self, image_id: int) -> Ids:
        """Places of the cells of a picture, most contradicted first."""
        number = int(np.searchsorted(self._image_ids, image_id))
        if number == len(self) or self._image_ids[number] != image_id:
            return self._order[:0]
        return self._order[self._starts[number] : self._starts[number + 1]]

    def count(self, waits: NDArray[np.bool_]) -> int:
        """Pictures with one of these cells [n]."""
        return int(np.count_nonzero(np.bincount(self._number[waits], minlength=len(self))))


@dataclass(frozen=True)
class Standing:
    """A ranking and which of its cells are still to be asked.

    Attributes:
        version: id of the model version.
        fitted: newest event whose decisions that version has seen.
        places: of its ranking.
        waits: [n] cells nobody has touched.
    """

    version: int
    fitted: int
    places: Places
    waits: NDArray[np.bool_]

    @cached_property
    def count(self) -> int:
        """Pictures with a cell that waits."""
        return self.places.count(self.waits)

    def categories_of(self, image_id: int) -> list[int]:
        """Categories of the cells of a picture that wait, most contradicted first."""
        mine = self.places.of(image_id)
        return [int(c) for c in self.places.ranking.category_ids[mine[self.waits[mine]]]]

    def images(self) -> Iterator[list[int]]:
        """Pictures with a cell that waits, by the most contradicted one of each, in growing lots.

        A picture may come again in a later lot.
        """
        waiting = self.places.ranking.image_ids[self.waits]
        start, size = 0, _FIRST_LOT
        while start < len(waiting):
            yield list(dict.fromkeys(waiting[start : start + size].tolist()))
            start, size = start + size, min(size * 4, _LARGEST_LOT)


class LookingAgain:
    """The queue of one workspace. Thread-safe.

    Args:
        database: of the workspace.
        scores: the newest score folder.
    """

    def __init__(
        self, database: Database, scores: Callable[[Connection], ScoreFolder | None]
    ) -> None:
        self._database = database
        self._scores = scores
        self._guard = threading.Lock()
        self._last: Standing | None = None
        self._event_id = 0  # newest event that it takes into account

    def cells(self, limit: int = 50) -> list[Contradicted]:
        """The cells that wait, most suspect first; empty before the first model."""
        with self._database.reading() as connection:
            found = self.now(connection)
        if found is None:
            return []
        ranking = found.places.ranking
        return [
            Contradicted(
                image_id=int(ranking.image_ids[i]),
                category_id=int(ranking.category_ids[i]),
                state=int(ranking.states[i]),
                probability=float(ranking.probability[i]),
                suspicion=float(ranking.suspicion[i]),
            )
            for i in np.flatnonzero(found.waits)[:limit].tolist()
        ]

    def prepare(self) -> None:
        """Rank outside a writing transaction, where nobody waits for it."""
        with self._database.reading() as connection:
            self.now(connection)

    def now(self, connection: Connection) -> Standing | None:
        """What waits as this transaction sees it, or a later one; None before the first model.

        A new model version is ranked anew, in about a second at 100,000 pictures x 80 categories;
        otherwise the log is followed from where it was left.
        """
        scores = self._scores(connection)
        if scores is None:
            return None
        newest = store.newest_event_id(connection)
        with self._guard:
            last = self._last
            if last is None or last.version != scores.version:
                self._last = _ranked(connection, scores)
            elif newest < self._event_id:
                if not is_writer(connection):
                    return last  # began before somebody else brought it further
                # A writer sees every event there is: another backup was restored.
                self._last = _ranked(connection, scores)
            elif newest > self._event_id:
                self._last = _followed(connection, last, self._event_id)
            self._event_id = newest
            return self._last

    def count(self, connection: Connection) -> int:
        """Pictures with a cell that waits."""
        found = self.now(connection)
        return 0 if found is None else found.count

    def hand_out(
        self, connection: Connection, user_id: int, count: int, now: datetime, lease: timedelta
    ) -> list[int]:
        """Pictures for one person, by their most contradicted cell.

        What was handed out stays this person's; pictures passed without an answer come last.

        Args:
            connection: of a writing transaction.
            user_id: who asks.
            count: how many.
            now: the time.
            lease: for how long.
        """
        found = self.now(connection)
        held = leases.own_leases(connection, user_id, QUEUE, _ANY)
        mine = [i for i in held if found is not None and found.categories_of(i)]
        leases.release(connection, [i for i in held if i not in mine])
        new = [] if found is None else _free(connection, user_id, found, mine, count - len(mine))
        leases.renew_leases(connection, user_id, QUEUE, now + lease)
        leases.lease_images(connection, user_id, QUEUE, new, now + lease)
        return [*mine, *new][:count]

    def states(
        self, connection: Connection, view: View, image_ids: Sequence[int], limit: int
    ) -> tuple[ImageState, ...]:
        """States of pictures with the cells to look at again; see `View.states`."""
        found = self.now(connection)
        return tuple(
            state
            if found is None
            else replace(state, again=view.opinions(state.id, found.categories_of(state.id)))
            for state in view.states(image_ids, limit)
        )


def _free(
    connection: Connection, user_id: int, found: Standing, mine: Sequence[int], count: int
) -> list[int]:
    """Up to ``count`` further pictures: unseen ones in order, then those seen longest ago."""
    free: dict[int, None] = {}
    lots = found.images()
    while len(free) < count and (some := next(lots, None)):
        wanted = [image_id for image_id in some if image_id not in mine]
        eligible = leases.eligible(connection, user_id, QUEUE, wanted, _ANY)
        free |= {image_id: None for image_id in wanted if image_id in eligible}
    if len(free) < count:
        # All that were passed: those that wait may be anywhere among them.
        passed = leases.seen_longest_ago(connection, user_id, QUEUE, _ANY, _ANY)
        wanted = [image_id for image_id in passed if image_id not in mine]
        free |= {image_id: None for image_id in wanted if found.categories_of(image_id)}
    return list(free)[: max(count, 0)]


def _ranked(connection: Connection, scores: ScoreFolder) -> Standing:
    ranking = contradicted(
        np.asarray(scores.image_ids),
        np.asarray(scores.category_ids),
        scores.probability,
        scores.labels,
        scores.model.has_model,
    )
    every = np.arange(len(ranking))
    waits = _untouched(connection, ranking, scores.event_id, every)
    return Standing(scores.version, scores.event_id, Places(ranking), waits)


def _followed(connection: Connection, last: Standing, event_id: int) -> Standing:
    """The same after what changed since an event."""
    keys_here = last.places.keys
    touched = np.arange(len(keys_here))
    if store.changed_cells_after(connection, event_id) <= _FAR:
        parts = [keys_here[:0]]
        parts += [keys(cells) for _, cells in store.cells_after(connection, event_id)]
        touched = np.flatnonzero(np.isin(keys_here, np.concatenate(parts)))
    if not len(touched):
        return last
    waits = last.waits.copy()
    waits[touched] = _untouched(connection, last.places.ranking, last.fitted, touched)
    return replace(last, waits=waits)


def _untouched(
    connection: Connection, ranking: Ranking, fitted: int, chosen: Ids
) -> NDArray[np.bool_]:
    """Which of some cells are as the model knew them, and were not looked at again."""
    return looking.unchanged(
        connection,
        ranking.image_ids[chosen],
        ranking.category_ids[chosen],
        ranking.states[chosen],
        until=fitted,
        besides=SOURCE,
    )
