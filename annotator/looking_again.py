"""Decided cells that the evidence contradicts, as a queue in which people look at them again.

Asked is what the newest model version had as a known label, whose out-of-fold probability speaks
for the other state, and which nobody has touched since that version looked: of a later decision the
probability says nothing. Whoever answers, confirming or changing, has looked: that answer is never
contradicted again, whatever later versions think, until the cell is decided somewhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.contradictions import QUEUE, SOURCE, Ranking, contradicted
from annotator.db import leases, looking, store
from annotator.db.cells import key_of, keys
from annotator.db.engine import Database
from annotator.scores import ScoreFolder
from annotator.types import ImageState
from annotator.views import View

_ANY = 1 << 30  # number of known cells that no picture reaches: none is ever closed by them
_FAR = 200_000  # changed cells from which asking for every cell is quicker than reading the log
_AT_ONCE = 4_096

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


@dataclass(frozen=True)
class Standing:
    """A ranking and which of its cells are still to be asked.

    Attributes:
        version: id of the model version.
        fitted: newest event whose decisions that version has seen.
        ranking: of the version.
        waits: [n] cells nobody has touched.
    """

    version: int
    fitted: int
    ranking: Ranking
    waits: NDArray[np.bool_]

    @cached_property
    def image_ids(self) -> list[int]:
        """Pictures with a cell that waits, by the most contradicted one of each."""
        ids, first = np.unique(self.ranking.image_ids[self.waits], return_index=True)
        return [int(ident) for ident in ids[np.argsort(first)]]

    @cached_property
    def _by_image(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place in np.flatnonzero(self.waits).tolist():
            image_id = int(self.ranking.image_ids[place])
            found.setdefault(image_id, []).append(int(self.ranking.category_ids[place]))
        return found

    def categories_of(self, image_id: int) -> list[int]:
        """Categories of the cells of a picture that wait, most contradicted first."""
        return self._by_image.get(image_id, [])

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """One number per cell of the ranking [n]."""
        return key_of(self.ranking.image_ids, self.ranking.category_ids)


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
        ranking = found.ranking
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
        """What waits as this transaction sees it; None before the first model.

        A new model version is ranked anew, in about a second at 100,000 pictures x 80 categories;
        otherwise the log is followed from where it was left.
        """
        scores = self._scores(connection)
        if scores is None:
            return None
        newest = store.newest_event_id(connection)
        with self._guard:
            last = self._last
            # Fewer events than before: another backup was restored.
            if last is None or last.version != scores.version or newest < self._event_id:
                self._last = _ranked(connection, scores)
            elif newest > self._event_id:
                self._last = _followed(connection, last, self._event_id)
            self._event_id = newest
            return self._last

    def count(self, connection: Connection) -> int:
        """Pictures with a cell that waits."""
        found = self.now(connection)
        return 0 if found is None else len(found.image_ids)

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
        waiting = [] if found is None else found.image_ids
        wanted = set(waiting)
        mine = []
        for image_id in leases.own_leases(connection, user_id, QUEUE, _ANY):
            if image_id in wanted:
                mine.append(image_id)
            else:
                leases.release(connection, [image_id])
        new = _free(connection, user_id, waiting, set(mine), count - len(mine))
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
    connection: Connection, user_id: int, waiting: Sequence[int], mine: set[int], count: int
) -> list[int]:
    """Up to ``count`` further pictures: unseen ones in order, then those seen longest ago."""
    free: list[int] = []
    for start in range(0, len(waiting), _AT_ONCE):
        if len(free) >= count:
            break
        some = [i for i in waiting[start : start + _AT_ONCE] if i not in mine]
        found = leases.eligible(connection, user_id, QUEUE, some, _ANY)
        free += [image_id for image_id in some if image_id in found]
    if len(free) < count:
        # As many as there are pictures: those that wait may be anywhere among those passed.
        passed = leases.seen_longest_ago(connection, user_id, QUEUE, _ANY, _ANY)
        wanted = set(waiting) - mine - set(free)
        free += [image_id for image_id in passed if image_id in wanted]
    return free[: max(count, 0)]


def _ranked(connection: Connection, scores: ScoreFolder) -> Standing:
    ranking = contradicted(
        np.asarray(scores.image_ids),
        np.asarray(scores.category_ids),
        scores.probability,
        scores.labels,
        scores.model.has_model,
    )
    nothing = np.zeros(len(ranking), dtype=bool)
    standing = Standing(scores.version, scores.event_id, ranking, nothing)
    every = np.arange(len(ranking))
    return replace(standing, waits=_untouched(connection, standing, every))


def _followed(connection: Connection, last: Standing, event_id: int) -> Standing:
    """The same after what changed since an event."""
    touched = np.arange(len(last.ranking))
    if store.changed_cells_after(connection, event_id) <= _FAR:
        parts = [last.keys[:0]]
        parts += [keys(cells) for _, cells in store.cells_after(connection, event_id)]
        touched = np.flatnonzero(np.isin(last.keys, np.concatenate(parts)))
    if not len(touched):
        return last
    waits = last.waits.copy()
    waits[touched] = _untouched(connection, last, touched)
    return replace(last, waits=waits)


def _untouched(connection: Connection, standing: Standing, chosen: Ids) -> NDArray[np.bool_]:
    ranking = standing.ranking
    return looking.unchanged(
        connection,
        ranking.image_ids[chosen],
        ranking.category_ids[chosen],
        ranking.states[chosen],
        until=standing.fitted,
        besides=SOURCE,
    )
