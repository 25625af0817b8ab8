"""Near-duplicates: pictures that are linked by a high cosine of their pooled features.

The cosines are those of the neighbour lists in a score folder, taken in a space whose leading axes
are damped; there, two pictures of one scene lie above two of one subject. `CUT` was chosen by eye
on the 5,008 photographs of PASCAL VOC 2007 (feature set `fast`): all 11 pairs from 0.9 on show the
same scene, 6 of the 8 from 0.85 to 0.9, and half of those from 0.8 to 0.85, the others being two
bicycles or two aeroplanes. `balanced` gives the same picture, with 13 pairs from 0.9 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CUT = 0.9
"""Similarity from which pictures count as near-duplicates unless asked otherwise."""

LOWEST_CUT = 0.7
"""Below it, unlike pictures are chained together."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Groups of two pictures or more, one after the other.

    Attributes:
        rows: [M] rows of the grouped pictures, group by group, ascending inside a group.
        starts: [G] where each group begins in `rows`.
        weakest: [G] lowest similarity that was needed to hold the group together.
    """

    rows: Rows
    starts: NDArray[np.int64]
    weakest: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts)

    def sizes(self) -> NDArray[np.int64]:
        """[G] pictures in each group."""
        return np.diff(self.starts, append=len(self.rows))


def near_duplicates(
    neighbours: NDArray[np.integer[Any]],
    similarity: NDArray[np.floating[Any]],
    cut: float,
) -> Groups:
    """Put pictures together that are linked, directly or through others.

    Args:
        neighbours: [N, K] rows of the nearest pictures, nearest first, -1 where there is none.
        similarity: [N, K] cosines, falling in each row.
        cut: from 0 to 1; pairs at least this similar are linked.
    """
    # Rows fall, so few columns have to be read: only as many as the longest list of links needs.
    width = 0
    while width < similarity.shape[1] and (similarity[:, width] >= cut).any():
        width += 1
    linked = (similarity[:, :width] >= cut) & (neighbours[:, :width] >= 0)
    one, place = np.nonzero(linked)
    other = np.asarray(neighbours[one, place], dtype=np.int64)
    strength = np.asarray(similarity[one, place], dtype=np.float32)
    label = _components(len(neighbours), one, other)
    size = np.bincount(label, minlength=1)
    rows = np.flatnonzero(size[label] > 1)
    rows = rows[np.argsort(label[rows], kind="stable")]
    names, starts = np.unique(label[rows], return_index=True)
    weakest = _weakest(one, other, strength, label, names)
    return Groups(rows, starts, weakest)


def _components(count: int, one: Rows, other: Rows) -> NDArray[np.int64]:
    """[count] number of the connected part that each row belongs to."""
    # Imported here: it takes a tenth of a second, which a server that starts need not spend.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(count, count))
    _, label = connected_components(links, directed=False)
    return np.asarray(label, dtype=np.int64)


def _weakest(
    one: Rows,
    other: Rows,
    strength: NDArray[np.float32],
    label: NDArray[np.int64],
    names: NDArray[np.int64],
) -> NDArray[np.float32]:
    """[G] of each picture its strongest link, of each group the lowest of these."""
    strongest = np.zeros(len(label), dtype=np.float32)
    np.maximum.at(strongest, one, strength)
    np.maximum.at(strongest, other, strength)
    lowest = np.ones(int(label.max(initial=0)) + 1, dtype=np.float32)
    linked = np.unique(np.concatenate([one, other]))
    np.minimum.at(lowest, label[linked], strongest[linked])
    return lowest[names]
