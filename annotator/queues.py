"""What to look at next: pure functions of score and label arrays.

Each returns image ids in the order in which to show them, is deterministic for a seed, and costs
time of order 100 ms at 100,000 pictures x 80 categories. Ties and random order come from a hash of
(seed, image id), so the order of two pictures does not change when others are added.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def uncertainty(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """Expected information of answering all open cells of a picture, in bits [N].

    Args:
        probability: [N, C] of present, 0-1; NaN counts as not known at all: one bit.
        labels: [N, C] -1, 0, 1; known cells carry no information.
    """
    return np.asarray(entropy(probability, labels).sum(axis=1), dtype=np.float32)


def entropy(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """Bits that the answer to each open cell would give [N, C]; as `uncertainty`, 0 if known."""
    # One entry per float16 value: looking up is several times faster than two logarithms a cell.
    bits = _entropy_table()[np.ascontiguousarray(probability, dtype=np.float16).view(np.uint16)]
    bits *= labels == 0
    return bits


def uncertain(
    image_ids: Ids,
    probability: NDArray[np.floating[Any]],
    labels: NDArray[np.int8],
    *,
    seed: int = 0,
) -> Ids:
    """Pictures with an open cell, the one with the most to learn from first.

    Args:
        image_ids: [N]; negative ids are left out.
        probability: [N, C] of present.
        labels: [N, C] as known now.
        seed: decides ties.
    """
    bits = uncertainty(probability, labels)
    order = np.lexsort((shuffle_keys(image_ids, seed), -bits))
    return _open(image_ids, labels, order)


def unlabelled(image_ids: Ids, known_cells: NDArray[np.integer[Any]]) -> Ids:
    """Pictures without any known cell, in the order in which they were added.

    Args:
        image_ids: [N]; negative ids are left out.
        known_cells: [N] number of known cells of each.
    """
    return np.sort(image_ids[(known_cells == 0) & (image_ids >= 0)])


def random(
    image_ids: Ids,
    known_cells: NDArray[np.integer[Any]],
    categories: int,
    *,
    seed: int = 0,
) -> Ids:
    """Pictures with an open cell, shuffled.

    Args:
        image_ids: [N]; negative ids are left out.
        known_cells: [N] number of known cells of each.
        categories: number of cells per picture.
        seed: another seed, another order.
    """
    chosen = image_ids[(known_cells < categories) & (image_ids >= 0)]
    return np.asarray(chosen[np.argsort(shuffle_keys(chosen, seed), kind="stable")])


def _open(image_ids: Ids, labels: NDArray[np.int8], order: NDArray[np.int64]) -> Ids:
    wanted = (labels == 0).any(axis=1) & (image_ids >= 0)
    return np.asarray(image_ids[order[wanted[order]]])


@cache
def _entropy_table() -> NDArray[np.float32]:
    """Binary entropy in bits of every float16 value, clipped to [0, 1]; 1 for NaN."""
    values = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    p = np.clip(np.nan_to_num(values, nan=0.5), 0.0, 1.0)
    inner = np.clip(p, 1e-12, 1.0 - 1e-7)
    bits = -(inner * np.log2(inner) + (1.0 - inner) * np.log2(1.0 - inner))
    return np.where((p > 0) & (p < 1), bits, 0.0).astype(np.float32)


def shuffle_keys(image_ids: Ids, seed: int) -> NDArray[np.uint64]:
    """Splitmix64 of each id: well mixed, and independent of which other ids there are."""
    start = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    mixed = image_ids.astype(np.uint64) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
