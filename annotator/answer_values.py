"""Which pictures teach most when answered: pure functions of what a score folder holds.

The value of a picture is summed over its open cells: how uncertain the cell is, times what its
answer would settle elsewhere, times how rare the category is. An answer is evidence for the
pictures that count this one among their nearest, and for the other open cells of the same picture
through co-occurrence. All of it is sparse or in blocks of rows and columns: order of seconds at
100,000 pictures x 80 categories, and memory does not grow with the number of categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.look_alikes import CUT, Groups, near_duplicates
from annotator.queues import entropy, shuffle_keys

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]

NEAREST = 20
"""Neighbours that an answer speaks to; as many as the vote of neighbours reads."""

_COLUMNS = 64
_ROWS = 8_192
_LEVELS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, np.inf)


def rarity(prior: Floats) -> NDArray[np.float32]:
    """[C] bits by which a present label surprises, at least 1.

    Args:
        prior: [C] share of present, 0-1.
    """
    return np.maximum(1.0, -np.log2(np.clip(prior, 1e-6, 1.0))).astype(np.float32)


def answer_values(
    probability: Floats,
    labels: NDArray[np.int8],
    neighbours: NDArray[np.integer[Any]],
    similarity: Floats,
    cooccurrence: Floats,
    prior: Floats,
) -> NDArray[np.float32]:
    """Value of answering all open cells of each picture [N]; 0 for a complete one.

    Args:
        probability: [N, C] of present; NaN counts as not known at all: one bit.
        labels: [N, C] -1, 0, 1.
        neighbours: [N, K] rows of the nearest pictures, -1 where there is none.
        similarity: [N, K] cosine to them.
        cooccurrence: [C, C] as weighted in the stack; only its size counts.
        prior: [C] share of present.
    """
    rare = rarity(prior)
    value = np.zeros(len(labels), dtype=np.float32)
    listening = _listeners(neighbours[:, :NEAREST], similarity[:, :NEAREST])
    for start in range(0, labels.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        bits = entropy(probability[:, part], labels[:, part])
        value += (bits * (1.0 + listening @ bits)) @ rare[part]
    if not cooccurrence.any():
        return value
    strength = np.abs(cooccurrence).astype(np.float32)
    strength /= strength.sum(axis=1).max()
    for start in range(0, len(labels), _ROWS):
        rows = slice(start, start + _ROWS)
        bits = entropy(probability[rows], labels[rows])
        value[rows] += (bits * (bits @ strength)) @ rare
    return value


def most_valuable(
    image_ids: Rows,
    value: NDArray[np.float32],
    neighbours: NDArray[np.integer[Any]],
    similarity: Floats,
    *,
    cut: float = CUT,
    seed: int = 0,
) -> Rows:
    """Image ids of the pictures with a value, most valuable first, near-duplicates apart.

    The second picture of a group of near-duplicates counts half, the third a third: what it could
    teach has mostly been said. No two of a group come in a row unless nothing is left between them.

    Args:
        image_ids: [N]; negative ids are left out.
        value: [N] as from `answer_values`.
        neighbours: [N, K] as there.
        similarity: [N, K], falling in each row.
        cut: similarity from which pictures are near-duplicates.
        seed: decides ties.
    """
    ties = shuffle_keys(image_ids, seed)
    group = _group_numbers(near_duplicates(neighbours, similarity, cut), len(value))
    by_group = np.lexsort((ties, -value, group))
    _, starts, sizes = np.unique(group[by_group], return_index=True, return_counts=True)
    rank = np.empty(len(value), dtype=np.int64)
    rank[by_group] = np.arange(len(value)) - np.repeat(starts, sizes)
    order = np.lexsort((ties, -(value / (rank + 1))))
    order = order[(value[order] > 0) & (image_ids[order] >= 0)]
    return np.asarray(image_ids[order[apart(group[order])]])


def apart(group: Rows) -> Rows:
    """Places in an order that keeps to the given one but puts no group twice in a row.

    Args:
        group: [N] number of the group of each picture, in the order wanted.

    Returns:
        [N] places; where one group is larger than all others together, its rest comes last.
    """
    numbers = group.tolist()
    placed: list[int] = []
    held: list[int] = []  # always of one group: that of the last one placed
    taken = 0
    last = None
    for place, number in enumerate(numbers):
        if number == last:
            held.append(place)
            continue
        placed.append(place)
        last = number
        if taken < len(held):
            placed.append(held[taken])
            last = numbers[held[taken]]
            taken += 1
        if taken == len(held):
            held, taken = [], 0
    return _fill_gaps(group, np.array(placed, dtype=np.int64), np.array(held[taken:], np.int64))


def coverage(
    image_ids: Rows, neighbours: NDArray[np.integer[Any]], similarity: Floats, *, seed: int = 0
) -> Rows:
    """Image ids so that every beginning of the list is spread over all pictures.

    Farthest-first in steps: first pictures that are no neighbour of one chosen before, then those
    that are a distant one, the nearest copies last. Needs no label and no model.

    Args:
        image_ids: [N]; negative ids are left out.
        neighbours: [N, K] rows, -1 where there is none.
        similarity: [N, K] cosine.
        seed: where to begin.
    """
    order = np.argsort(shuffle_keys(image_ids, seed), kind="stable")
    left = order[image_ids[order] >= 0]
    links = _listeners(neighbours[:, :NEAREST], similarity[:, :NEAREST])
    links = links.maximum(links.T).tocsr()
    closest = np.zeros(len(image_ids), dtype=np.float32)
    chosen: list[int] = []
    for level in _LEVELS:
        passed: list[int] = []
        for row in left.tolist():
            if closest[row] > level:
                passed.append(row)
                continue
            chosen.append(row)
            span = slice(links.indptr[row], links.indptr[row + 1])
            near = links.indices[span]
            closest[near] = np.maximum(closest[near], links.data[span])
        left = np.array(passed, dtype=np.int64)
    return np.asarray(image_ids[np.array(chosen, dtype=np.int64)])


def _listeners(neighbours: NDArray[np.integer[Any]], similarity: Floats) -> Any:
    """Sparse [N, N]: entry (n, m) is the similarity with which m counts n among its nearest."""
    # Imported here: it takes a tenth of a second, which a server that starts need not spend.
    from scipy.sparse import csr_array

    listener, place = np.nonzero(neighbours >= 0)
    weight = np.clip(similarity[listener, place].astype(np.float32), 0.0, 1.0)
    speaker = np.asarray(neighbours)[listener, place].astype(np.int64)
    return csr_array((weight, (speaker, listener)), shape=(len(neighbours), len(neighbours)))


def _group_numbers(groups: Groups, count: int) -> Rows:
    """[count] number of the group of each row; pictures without a double are one of their own."""
    number = np.arange(count, dtype=np.int64) + len(groups)
    number[groups.rows] = np.repeat(np.arange(len(groups)), groups.sizes())
    return number


def _fill_gaps(group: Rows, placed: Rows, held: Rows) -> Rows:
    """Put what was held to the end into the last gaps where its group is on neither side."""
    if not len(held):
        return placed
    free = group[placed] != group[held[0]]
    before = np.concatenate([[True], free[:-1]])
    gaps = np.flatnonzero(free & before)[::-1][: len(held)][::-1]
    filled = np.insert(placed, gaps, held[: len(gaps)])
    return np.concatenate([filled, held[len(gaps) :]])
