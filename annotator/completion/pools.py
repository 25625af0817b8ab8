"""The cells that a contract may decide, with their scores, frozen before the audit is drawn.

The random order of a pool follows from a seed and the ids of its cells alone, so anybody can check
that the audited cells are the first ones of that order and that none was left out.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import WorkspaceError
from hst_core.files import replacing

FOLDER = "contracts"

_FAR = 1 << 40  # beyond the seeds of all portions (`finishing.draw`)

# What numpy raises for a file that is missing, cut, changed or none of its own.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Pool:
    """Cells [n], sorted by image, then category.

    Attributes:
        image_ids: [n].
        category_ids: [n].
        score: float32 [n] probability of present.
        inside: [n] False for unknown cells that are no candidates and serve only for counting.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    score: NDArray[np.float32]
    inside: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """One number per cell [n], ascending."""
        shifted = self.image_ids.astype(np.uint64) << np.uint64(32)
        return shifted | self.category_ids.astype(np.uint64)

    def order(self, seed: int, *, inside: bool = True) -> NDArray[np.int64]:
        """Places of the candidates, or of the others, in the random order of this seed."""
        order = np.argsort(mixed(self.keys, seed), kind="stable")
        return np.asarray(order[self.inside[order] == inside])

    def candidates(self) -> Pool:
        """The candidates alone."""
        kept = self.inside
        return Pool(
            self.image_ids[kept], self.category_ids[kept], self.score[kept], self.inside[kept]
        )

    def places(self, image_ids: list[int], category_ids: list[int]) -> NDArray[np.int64]:
        """Where these cells are in the pool."""
        wanted = (np.array(image_ids, dtype=np.uint64) << np.uint64(32)) | np.array(
            category_ids, dtype=np.uint64
        )
        return np.searchsorted(self.keys, wanted)

    def digest(self) -> str:
        """Identifies cells and scores."""
        content = (self.keys, self.score.astype(np.float16), self.inside)
        return hashlib.sha256(b"".join(one.tobytes() for one in content)).hexdigest()

    def save(self, workspace: Path, contract_id: int) -> None:
        """Keep beside the label database until the contract has decided its cells."""
        path = _path(workspace, contract_id)
        score = self.score.astype(np.float16)
        with replacing(path) as file:  # whole or not at all, also for a backup that is being made
            np.savez(file, keys=self.keys, score=score, inside=self.inside)

    @classmethod
    def load(cls, workspace: Path, contract_id: int, digest: str) -> Pool:
        """What `save` kept.

        Raises:
            WorkspaceError: if it is missing or damaged, as after restoring a backup.
        """
        try:
            with _path(workspace, contract_id).open("rb") as file, np.load(file) as content:
                keys, score, inside = (content[name] for name in ("keys", "score", "inside"))
        except _UNREADABLE as error:
            reason = str(getattr(error, "strerror", None) or error).lower()  # without a path
            raise WorkspaceError(
                f"the cells of contract {contract_id} cannot be read: {reason} "
                "(withdraw it and propose a new one)"
            ) from error
        pool = cls(
            (keys >> np.uint64(32)).astype(np.int64),
            (keys & np.uint64(2**32 - 1)).astype(np.int64),
            score.astype(np.float32),
            inside,
        )
        if pool.digest() != digest:
            raise WorkspaceError(
                f"the cells of contract {contract_id} are not those that were drawn from "
                "(withdraw it and propose a new one)"
            )
        return pool


def remove(workspace: Path, contract_id: int) -> None:
    """Forget a pool that is not needed any more."""
    _path(workspace, contract_id).unlink(missing_ok=True)


def another_seed(seed: int) -> int:
    """Of an order that has nothing to do with that of this seed, nor with those close to it."""
    return seed + _FAR


def mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Splitmix64 of each key: as good as random, and reproducible."""
    value = keys + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def unknown_cells(
    probability: NDArray[np.floating[Any]],
    known: NDArray[np.bool_],
    image_ids: NDArray[np.int64],
    category_ids: NDArray[np.int64],
) -> Pool:
    """All unknown cells that have a probability.

    Args:
        probability: [N, C]; NaN for a cell without a model.
        known: [N, C] cells that are decided.
        image_ids: [N], -1 for a picture that left the project.
        category_ids: [C].
    """
    open_ = ~known & ~np.isnan(probability) & (image_ids >= 0)[:, None]
    row, column = np.nonzero(open_)
    images, categories = image_ids[row], category_ids[column]
    order = np.lexsort((categories, images))
    score = probability[row, column].astype(np.float16).astype(np.float32)
    inside = np.ones(len(order), dtype=bool)
    return Pool(images[order], categories[order], score[order], inside)


def _path(workspace: Path, contract_id: int) -> Path:
    return workspace / FOLDER / f"{contract_id}.npz"
