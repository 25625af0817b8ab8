"""Decided cells that the evidence contradicts: likely label errors, most likely first.

The probability of a known cell is out of fold: the model had not seen that label when it judged
the cell, so it cannot repeat a mistake that it was taught.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUEUE = SOURCE = "look-again"
"""Name of the queue in which people look at these cells again, and of the decisions made there."""

MOST_CELLS = 50_000
"""Cells of one ranking: more than anybody looks at before the next model version."""

LEAST = 0.5
"""Suspicion from which a cell is contradicted: half way from what is usual to certainty. It then
is likelier to be in the other state, too."""

_COLUMNS = 16

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """Contradicted cells of one fit, most suspect first [n].

    Attributes:
        states: as decided when the model was fitted, 1 or -1.
        probability: of present, out of fold.
        suspicion: 0-1, see `suspicion`.
    """

    image_ids: Ids
    category_ids: Ids
    states: NDArray[np.int8]
    probability: NDArray[np.float32]
    suspicion: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_ids)


def contradicted(
    image_ids: Ids,
    category_ids: Ids,
    probability: NDArray[np.floating[Any]],
    labels: NDArray[np.int8],
    has_model: NDArray[np.bool_],
    *,
    most: int = MOST_CELLS,
) -> Ranking:
    """Known cells with a suspicion of `LEAST` or more.

    Order of a second at 100,000 pictures x 80 categories, a few columns in memory at a time.

    Args:
        image_ids: [N]; negative ids are left out.
        category_ids: [C].
        probability: [N, C] of present, out of fold where known.
        labels: [N, C] -1, 0, 1 as they were in the fit.
        has_model: [C] False for a category whose probability is no evidence.
        most: at most this many, the most suspect.
    """
    found = [
        _contradicted_in(slice(start, start + _COLUMNS), probability, labels, has_model)
        for start in range(0, max(len(category_ids), 1), _COLUMNS)
    ]
    rows, columns, p, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    there = np.flatnonzero(image_ids[rows] >= 0)
    order = there[np.lexsort((columns[there], rows[there], -value[there]))][:most]
    rows, columns = rows[order], columns[order]
    return Ranking(
        image_ids=np.asarray(image_ids[rows], dtype=np.int64),
        category_ids=np.asarray(category_ids[columns], dtype=np.int64),
        states=np.where(labels[rows, columns] > 0, 1, -1).astype(np.int8),
        probability=p[order],
        suspicion=value[order],
    )


def _contradicted_in(
    part: slice,
    probability: NDArray[np.floating[Any]],
    labels: NDArray[np.int8],
    has_model: NDArray[np.bool_],
) -> tuple[NDArray[Any], ...]:
    """Rows, columns, probability and suspicion of the contradicted cells of some columns."""
    known = np.ascontiguousarray(labels[:, part])
    p = np.ascontiguousarray(probability[:, part]).astype(np.float32)
    p[:, ~has_model[part]] = np.nan
    value = suspicion(p, known)
    rows, columns = np.nonzero(value >= LEAST)  # never where nothing is known
    return rows, columns + part.start, p[rows, columns], value[rows, columns]


def suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """How strongly each known cell is contradicted [N, C], 0-1; NaN where nothing is known.

    The probability of the other state, less what is usual for the other cells of this category and
    state: a category whose present cells are all hard to see would else fill the list by itself.

    Args:
        probability: [N, C] of present, out of fold where known; NaN for a category without model.
        labels: [N, C] -1, 0, 1.
    """
    p = probability.astype(np.float32)
    found = np.full(labels.shape, np.nan, dtype=np.float32)
    for state, against in ((1, 1 - p), (-1, p)):
        mine = (labels == state) & ~np.isnan(p)
        own = np.where(mine, against, 0)
        usual = (own.sum(axis=0) - own) / np.maximum(mine.sum(axis=0) - 1, 1)
        found = np.where(mine, (against - usual) / (1 - usual).clip(1e-6), found)
    return np.asarray(np.clip(found, 0, 1), dtype=np.float32)


def plain_suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """The probability of the other state alone: self-confidence turned around [N, C]."""
    p = probability.astype(np.float32)
    found = np.where(labels == 1, 1 - p, p)
    return np.where(labels == 0, np.nan, found).astype(np.float32)
