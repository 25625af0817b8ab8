"""Decided cells that the evidence contradicts: likely label errors, most likely first.

The probability of a known cell is out of fold: the model had not seen that label when it judged
the cell, so it cannot repeat a mistake that it was taught.

People overlook what is there more often than they see what is not, files may have either kind of
error, and the same probability of the other state means more for the kind that is frequent. So
both kinds are counted where the evidence is surest, and the rarer one is discounted by as much. A
weak model errs there, too: unless the kind that seems frequent is seen clearly more often than the
probabilities expect, nothing is discounted.
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
"""Suspicion above which a cell is contradicted: the model finds the other state likelier, also
after the discount of the rarer kind of error. No probability that the label is wrong."""

_COLUMNS = 16

_SUREST_PRESENT, _SUREST_ABSENT = 0.25, 0.5
"""Where errors are counted: as many of the most probable cells of a category as this share of its
present ones, and of the least probable ones as this share of its absent ones."""

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
    """Known cells with a suspicion above `LEAST`.

    Order of a second at 100,000 pictures x 80 categories, a few columns in memory at a time.

    Args:
        image_ids: [N]; negative ids are left out.
        category_ids: [C].
        probability: [N, C] of present, out of fold where known.
        labels: [N, C] -1, 0, 1 as they were in the fit.
        has_model: [C] False for a category whose probability is no evidence.
        most: at most this many, the most suspect.
    """
    parts = [
        slice(start, start + _COLUMNS) for start in range(0, max(len(category_ids), 1), _COLUMNS)
    ]
    weights = sum((_kinds(*_columns(one, probability, labels, has_model)) for one in parts), _NONE)
    found = [
        _contradicted_in(one, *_columns(one, probability, labels, has_model), weights.discounts())
        for one in parts
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


def _columns(
    part: slice,
    probability: NDArray[np.floating[Any]],
    labels: NDArray[np.int8],
    has_model: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Probability and labels of some columns; NaN for a category without a model."""
    p = np.ascontiguousarray(probability[:, part]).astype(np.float32)
    p[:, ~has_model[part]] = np.nan
    return p, np.ascontiguousarray(labels[:, part])


def _contradicted_in(
    part: slice,
    probability: NDArray[np.float32],
    labels: NDArray[np.int8],
    discounts: tuple[float, float],
) -> tuple[NDArray[Any], ...]:
    """Rows, columns, probability and suspicion of the contradicted cells of some columns."""
    value = _discounted(probability, labels, discounts)
    rows, columns = np.nonzero(value > LEAST)  # never where nothing is known
    return rows, columns + part.start, probability[rows, columns], value[rows, columns]


def suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """How strongly each known cell is contradicted [N, C], 0-1; NaN where nothing is known.

    The probability of the other state, with its odds divided by as much as errors of this kind
    are rarer than those of the other one.

    Args:
        probability: [N, C] of present, out of fold where known; NaN for a category without model.
        labels: [N, C] -1, 0, 1.
    """
    p = probability.astype(np.float32)
    return _discounted(p, labels, _kinds(p, labels).discounts())


@dataclass(frozen=True)
class _Kinds:
    """Cells of which the evidence is surest, and those of them that are labelled otherwise.

    Attributes:
        present: cells that are present almost surely.
        overlooked: of these, labelled absent.
        absent: cells that are absent almost surely.
        imagined: of these, labelled present.
        expect_absent: of the first ones, that would be labelled absent if the model were right.
        expect_present: the same, of the second ones labelled present.
    """

    present: int
    overlooked: int
    absent: int
    imagined: int
    expect_absent: float
    expect_present: float

    def __add__(self, other: _Kinds) -> _Kinds:
        return _Kinds(
            self.present + other.present,
            self.overlooked + other.overlooked,
            self.absent + other.absent,
            self.imagined + other.imagined,
            self.expect_absent + other.expect_absent,
            self.expect_present + other.expect_present,
        )

    def discounts(self) -> tuple[float, float]:
        """What the odds of an error are multiplied by: of present and of absent labels, 0-1."""
        overlooked = (self.overlooked + _DOUBT) / (self.present + 2 * _DOUBT)
        imagined = (self.imagined + _DOUBT) / (self.absent + 2 * _DOUBT)
        present, absent = imagined / (1 - overlooked), overlooked / (1 - imagined)
        if present < absent:
            clear = _clearly_more(self.overlooked, self.expect_absent)
            return (present / absent, 1.0) if clear else (1.0, 1.0)
        clear = _clearly_more(self.imagined, self.expect_present)
        return (1.0, absent / present) if clear else (1.0, 1.0)


def _clearly_more(seen: int, expected: float) -> bool:
    """Whether so many are no chance: two standard deviations above what is expected."""
    return bool(seen - expected > 2 * np.sqrt(seen + 1))


_DOUBT = 1.0  # errors of each kind that are taken for seen, so that a few labels say little
_NONE = _Kinds(0, 0, 0, 0, 0.0, 0.0)


def _kinds(probability: NDArray[np.float32], labels: NDArray[np.int8]) -> _Kinds:
    """Count both kinds of error in each column where its evidence is surest."""
    total = _NONE
    for p, mine in zip(probability.T, labels.T, strict=True):
        there = (mine != 0) & ~np.isnan(p)
        p, is_present = p[there], mine[there] > 0
        sure = round(_SUREST_PRESENT * int(is_present.sum()))
        unlikely = round(_SUREST_ABSENT * int((~is_present).sum()))
        if not len(p):
            continue
        ends = np.clip([unlikely, len(p) - sure], 0, len(p) - 1)
        order = np.argpartition(p, ends)  # whole sorting takes several times as long
        first, last = order[:unlikely], order[len(p) - sure :]
        total += _Kinds(
            sure,
            int((~is_present[last]).sum()),
            unlikely,
            int(is_present[first].sum()),
            float((1 - p[last]).sum(dtype=np.float64)),
            float(p[first].sum(dtype=np.float64)),
        )
    return total


def _discounted(
    probability: NDArray[np.float32], labels: NDArray[np.int8], discounts: tuple[float, float]
) -> NDArray[np.float32]:
    against = plain_suspicion(probability, labels)
    odds = np.where(labels > 0, *discounts).astype(np.float32) * against
    return np.asarray(odds / (odds + 1 - against), dtype=np.float32)


def plain_suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """The probability of the other state alone: self-confidence turned around [N, C]."""
    p = probability.astype(np.float32)
    found = np.where(labels == 1, 1 - p, p)
    return np.where(labels == 0, np.nan, found).astype(np.float32)
