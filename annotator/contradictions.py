"""Decided cells that the evidence contradicts: likely label errors, most likely first.

The probability of a known cell is out of fold: the model had not seen that label when it judged
the cell, so it cannot repeat a mistake that it was taught.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """How strongly each known cell is contradicted [N, C], 0-1; NaN where nothing is known.

    The probability of the other state, less what is usual for cells of this category and state: a
    category whose present cells are all hard to see would else fill the list by itself.

    Args:
        probability: [N, C] of present, out of fold where known; NaN for a category without model.
        labels: [N, C] -1, 0, 1.
    """
    p = probability.astype(np.float32)
    found = np.full(labels.shape, np.nan, dtype=np.float32)
    for state, against in ((1, 1 - p), (-1, p)):
        mine = (labels == state) & ~np.isnan(p)
        count = np.maximum(mine.sum(axis=0), 1)
        usual = np.where(mine, against, 0).sum(axis=0) / count
        found = np.where(mine, (against - usual) / (1 - usual).clip(1e-6), found)
    return np.asarray(np.clip(found, 0, 1), dtype=np.float32)


def plain_suspicion(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """The probability of the other state alone: self-confidence turned around [N, C]."""
    p = probability.astype(np.float32)
    found = np.where(labels == 1, 1 - p, p)
    return np.where(labels == 0, np.nan, found).astype(np.float32)


def most_suspect(
    values: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the most suspect cells, most suspect first."""
    flat = np.nan_to_num(values, nan=-1.0).ravel()
    order = np.argsort(-flat, kind="stable")[:limit]
    rows, columns = np.unravel_index(order[flat[order] > 0], values.shape)
    return rows, columns
