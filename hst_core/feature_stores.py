"""Features on disk: extracted once, kept by content hash (reference §11).

Vectors are stored as they are pooled. Statistics do not belong into the store: they would change
with every image that is added. The files are those of a :class:`~hst_core.row_store.RowStore`,
``rows`` for the whole pictures and ``windows`` beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hst_core.backbone import Backbone
from hst_core.feature_sets import FEATURE_SETS, FeatureSet, feature_set_named
from hst_core.row_store import RowStore

WINDOWS = "windows"
"""Name of the matrix of window vectors in a store."""


class FeatureStore(RowStore):
    """Pooled vectors of one feature set, of whole pictures and of their windows."""

    def __init__(self, folder: Path, feature_set: FeatureSet) -> None:
        self.feature_set = feature_set
        windows = (feature_set.window_count, feature_set.dim)
        super().__init__(
            folder,
            {"feature_set": feature_set.described()},
            (feature_set.dim,),
            {WINDOWS: windows} if feature_set.windows else None,
        )

    @classmethod
    def open(cls, folder: Path | str, feature_set: str | FeatureSet) -> FeatureStore:
        """Open the store in ``folder``, or make it.

        Args:
            folder: where it is.
            feature_set: a set, or the name of one. A store that was made when the set of this
                name was another one goes on with what it holds (:meth:`outdated`).

        Raises:
            FeatureStoreError: if the folder holds another feature set.
        """
        if isinstance(feature_set, str):
            feature_set = _stored_set(Path(folder), feature_set) or feature_set_named(feature_set)
        return cls(Path(folder), feature_set)

    @property
    def outdated(self) -> bool:
        """Whether the set of this name has changed since the store was made."""
        return FEATURE_SETS.get(self.feature_set.name, self.feature_set) != self.feature_set

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.feature_set.dim

    def vectors(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Copy vectors out of the store, [n, dim]."""
        return self.take(rows).astype(np.float32)

    def windows(self, rows: npt.ArrayLike) -> npt.NDArray[np.float16] | None:
        """Copy window vectors out of the store, [n, windows, dim]; None in a set without them."""
        return self.take(rows, WINDOWS) if self.feature_set.windows else None

    def window_matrix(self) -> npt.NDArray[np.float16] | None:
        """Give the window vectors as a view of the file, [N, windows, dim]; None without any."""
        return self.matrix(WINDOWS) if self.feature_set.windows else None


class FeatureMapStore(RowStore):
    """Feature maps of one backbone at one input size, [D0, H * W] each, for the deep tier.

    A map takes about 100 times the room of a vector, so this store is made only where the network
    is trained.
    """

    def __init__(self, folder: Path, backbone: str, input_size: int, channels: int, side: int):
        self.backbone = backbone
        self.input_size = input_size
        self.side = side
        description = {"backbone": backbone, "input_size": input_size}
        super().__init__(folder, description, (channels, side * side))

    @classmethod
    def open(
        cls, folder: Path | str, backbone: Backbone, input_size: int | None = None
    ) -> FeatureMapStore:
        """Open the store of this backbone's maps in ``folder``, or make it.

        Args:
            folder: where it is.
            backbone: gives the maps' shape by one forward pass of a black picture.
            input_size: side in pixels, the backbone's own by default.
        """
        size = input_size or backbone.input_size
        device = backbone.mean.device
        with torch.inference_mode():
            shape = backbone(torch.zeros(1, 3, size, size, device=device)).shape
        return cls(Path(folder), backbone.name, size, int(shape[1]), int(shape[2]))

    def maps(self, rows: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Copy maps out of the store, [n, D0, H * W], locations row by row."""
        return self.take(rows)


class StoredMaps:
    """Feature maps of chosen images, read from disk when they are asked for.

    Args:
        store: holds them.
        rows: [n] of the images in it, in the order wanted.
    """

    def __init__(self, store: FeatureMapStore, rows: npt.NDArray[np.int64]) -> None:
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def __getitem__(self, index: npt.NDArray[np.intp]) -> npt.NDArray[np.float16]:
        """Return maps [n, channels, rows, columns]."""
        maps = self._store.maps(self._rows[index])
        return maps.reshape(*maps.shape[:2], self._store.side, self._store.side)

    def part(self, which: slice) -> StoredMaps:
        """Some of the images."""
        return StoredMaps(self._store, self._rows[which])


def _stored_set(folder: Path, name: str) -> FeatureSet | None:
    """Return the set of this name that a store was made with; None if there is no such store."""
    try:
        found = json.loads((folder / "store.json").read_text(encoding="utf-8"))["feature_set"]
        return FeatureSet.from_description(found) if found["name"] == name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # opening it says what is wrong
