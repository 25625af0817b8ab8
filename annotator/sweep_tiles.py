"""Which cells of one category to show on a page of Sweep: numpy over columns in memory.

A model *suggests present* for an undecided cell at or above the threshold of its category, and
*absent* below it. A page has the surest of them first; a page of both sides has as many of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from annotator.precision import Share
from annotator.scores import ScoreFolder
from annotator.suggestions import probability_of

Side = Literal["present", "absent", "both"]
SIDES: tuple[str, ...] = get_args(Side)

Verdict = Literal["good", "open", "unmeasured", "below"]

_STATES = {"present": (1,), "absent": (-1,), "both": (1, -1)}
_FURTHER = 4  # times as many are looked at where labels known now have changed sides

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """Tiles of a page, most probable first for what is suggested present, least for absent.

    Attributes:
        image_ids: [n].
        probability: [n] of present under the labels known now, 0-1.
        suggested: [n] 1 present, -1 absent.
    """

    image_ids: Ids
    probability: NDArray[np.float32]
    suggested: NDArray[np.int8]

    @classmethod
    def joined(cls, parts: Iterable[Chosen]) -> Chosen:
        """One after the other."""
        columns = zip(*((p.image_ids, p.probability, p.suggested) for p in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


class OpenCells:
    """The undecided cells of one model version, kept up to date from the event log.

    Held category by category, since a page is of one category: 2 bytes a cell. Not thread-safe.

    Attributes:
        scores: of the model version.
        event_id: newest event that is taken into account.
    """

    def __init__(self, scores: ScoreFolder) -> None:
        self.scores = scores
        self.event_id = scores.event_id
        self._states = np.ascontiguousarray(scores.labels.T)  # [C, N] -1, 0, 1 as known now
        self._suggested = _suggested(scores)  # [C, N] 1, -1; 0 where there is nothing to suggest
        is_open = self._states == 0
        self._waiting = {
            state: (is_open & (self._suggested == state)).sum(axis=1) for state in (1, -1)
        }

    def apply(self, event_id: int, image_ids: Ids, category_ids: Ids, states: Ids) -> None:
        """Take the changes of an event into account, which must come after those before it.

        Args:
            event_id: of the event.
            image_ids: [n]; pictures that the model has not seen do no harm.
            category_ids: [n]; neither do categories that are newer than it.
            states: [n] as they are after the event, 0 unknown.
        """
        rows = self.scores.rows(image_ids.astype(np.int64))
        columns = np.array([self.scores.column(c) for c in category_ids.tolist()], dtype=np.int64)
        here = (rows >= 0) & (columns >= 0)
        rows, columns, states = rows[here], columns[here], states[here]
        opened = (states == 0).astype(np.int64) - (self._states[columns, rows] == 0)
        suggested = self._suggested[columns, rows]
        for state, waiting in self._waiting.items():
            np.add.at(waiting, columns[suggested == state], opened[suggested == state])
        self._states[columns, rows] = states
        self.event_id = event_id

    def waiting(self, category_id: int) -> tuple[int, int]:
        """How many undecided cells of a category are suggested present and absent."""
        column = self.scores.column(category_id)
        if column < 0:
            return 0, 0
        return int(self._waiting[1][column]), int(self._waiting[-1][column])

    def count_open(self, category_id: int, image_ids: Collection[int]) -> int:
        """How many of these pictures' cells of a category are undecided and have a suggestion."""
        column = self.scores.column(category_id)
        rows = self.scores.rows(np.fromiter(image_ids, dtype=np.int64, count=len(image_ids)))
        rows = rows[rows >= 0]
        is_open = (self._states[column, rows] == 0) & (self._suggested[column, rows] != 0)
        return int(is_open.sum())

    def threshold(self, category_id: int) -> float:
        """From where on the model suggests present, 0-1."""
        return float(self.scores.model.threshold[self.scores.column(category_id)])

    def choose(self, category_id: int, side: str, count: int, without: Iterable[int]) -> Chosen:
        """The tiles of the next page.

        Probabilities follow the labels known now: a cell whose side has changed since the fit is
        left out of the page.

        Args:
            category_id: one that the model has.
            side: one of `SIDES`; of both each gets half, or what the other has no use for.
            count: at most this many tiles.
            without: image ids not to be shown.
        """
        column = self.scores.column(category_id)
        states = _STATES[side]
        rows = self.scores.rows(np.fromiter(without, dtype=np.int64))
        free = self._states[column] == 0
        free[rows[rows >= 0]] = False
        sides = [self._surest(column, state, free, count) for state in states]
        if len(sides) == 1:
            return sides[0]
        present, absent = sides
        of_present = min(len(present.image_ids), max(count // 2, count - len(absent.image_ids)))
        return Chosen.joined(
            _first(part, number)
            for part, number in ((present, of_present), (absent, count - of_present))
        )

    def _surest(self, column: int, state: int, free: NDArray[np.bool_], count: int) -> Chosen:
        rows = np.flatnonzero(free & (self._suggested[column] == state))
        # Half-precision numbers from 0 to 1 are in the order of their bits; ties go by row.
        bits = np.asarray(self.scores.probability[rows, column]).view(np.uint16).astype(np.int64)
        keys = ((0xFFFF - bits if state > 0 else bits) << 32) + rows
        looked_at = count
        while True:
            first = rows[_smallest(keys, looked_at)]
            probability = self._probability(first, column)
            above = probability >= np.float32(self.scores.model.threshold[column])
            stays = above if state > 0 else ~above
            if stays.sum() >= count or len(first) == len(rows):
                break
            looked_at *= _FURTHER
        order = np.flatnonzero(stays)
        order = order[np.argsort(-state * probability[order], kind="stable")][:count]
        return Chosen(
            np.asarray(self.scores.image_ids[first[order]], dtype=np.int64),
            probability[order],
            np.full(len(order), state, dtype=np.int8),
        )

    def _probability(self, rows: Ids, column: int) -> NDArray[np.float32]:
        """Probability of some cells of a category under the labels known now [n]."""
        probability = np.asarray(self.scores.probability[rows, column], dtype=np.float32)
        states = self._states[:, rows].T
        changed = (states != self.scores.labels[rows]).any(axis=1)
        for place in np.flatnonzero(changed).tolist():
            row = self.scores.image(int(self.scores.image_ids[rows[place]]))
            probability[place] = probability_of(row, states[place], column)
        return probability


def verdict(share: Share, minimum: float) -> Verdict:
    """Whether past suggestions were right often enough for a page of them at once.

    With few answers nothing is known for sure, and answers given on Focus are the hardest ones
    (see `annotator.precision`). So a class counts as ``below`` only when even the upper end of
    the exact interval is: 0 of 1 right says nothing at 95 %, 15 of 20 does.

    Args:
        share: of the suggestions that were right.
        minimum: share that a person asks for, 0-1.
    """
    if share.total == 0:
        return "unmeasured"
    if share.interval()[1] < minimum:
        return "below"
    return "good" if share.right >= minimum * share.total else "open"


def usefulness(waiting: int, share: Share) -> float:
    """Cells that pages of this class may be expected to decide rightly without a flip.

    Laplace's rule stands in for the precision, so that a class without answers counts half.
    """
    return waiting * (share.right + 1) / (share.total + 2)


def _suggested(scores: ScoreFolder) -> NDArray[np.int8]:
    """[C, N] side of each cell; 0 for categories without a model and pictures that are gone."""
    above = scores.probability >= scores.model.threshold
    sides = np.ascontiguousarray(np.where(above.T, np.int8(1), np.int8(-1)))
    sides[~scores.model.has_model] = 0
    sides[:, np.asarray(scores.image_ids) < 0] = 0
    return sides


def _smallest(keys: Ids, count: int) -> Ids:
    """Places of the smallest keys, ascending."""
    if len(keys) > count:
        chosen = np.argpartition(keys, count)[:count]
        return np.asarray(chosen[np.argsort(keys[chosen])])
    return np.argsort(keys)


def _first(tiles: Chosen, count: int) -> Chosen:
    return Chosen(tiles.image_ids[:count], tiles.probability[:count], tiles.suggested[:count])
