"""Activations before the last stage of the backbone, of the pictures that it is tuned on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hst_core.backbone import Backbone, BackboneError, build_backbone
from hst_core.feature_sets import FeatureSet
from hst_core.features import FeatureMapStore, extract_maps
from hst_core.last_stage import LastStage, split
from hst_core.stopping import Stopped

#: Activations take up to this much of the disk: 24,000 pictures of ``fast``, 9,000 of ``balanced``.
MOST_BYTES = 2**30
#: And up to this share of what is free.
_SHARE_OF_FREE = 0.25


@dataclass(frozen=True)
class Parts:
    """A backbone in two parts.

    Attributes:
        before: frozen.
        stage: as published.
        input_size: side in pixels of what the first part reads.
    """

    before: Backbone
    stage: LastStage
    input_size: int

    @classmethod
    def of(cls, feature_set: FeatureSet) -> Parts | None:
        """Cut the backbone of a feature set; None if a tuned stage could not begin as the base.

        For that the vector must be the mean of one map, and the backbone must have stages.
        """
        if len(feature_set.blocks) != 1 or feature_set.blocks[0].pooling != "mean":
            return None
        block = feature_set.blocks[0]
        try:
            before, stage = split(build_backbone(block.backbone))
        except BackboneError:
            return None
        return cls(before, stage, block.input_size)


class Activations:
    """The activations that are stored; nothing is written before they are first read.

    Args:
        folder: of all features of a workspace.
        parts: of the backbone.
        device: to compute on, as torch names it.
        most_bytes: of disk that they may take.
    """

    def __init__(
        self, folder: Path, parts: Parts, device: str, most_bytes: int = MOST_BYTES
    ) -> None:
        name = f"{parts.before.name}-{parts.input_size}"
        self.store = FeatureMapStore.open(folder / name, parts.before, parts.input_size)
        self._parts = parts
        self._device = device
        self._most_bytes = most_bytes

    @property
    def room(self) -> int:
        """Pictures that fit, those stored included."""
        channels, locations = self.store.row_shape
        bytes_each = 2 * channels * locations
        free = int(_SHARE_OF_FREE * shutil.disk_usage(self.store.folder).free)
        return max(len(self.store), min(self._most_bytes // bytes_each,
                                        len(self.store) + free // bytes_each))  # fmt: skip

    def choose(self, hashes: Sequence[str]) -> list[str]:
        """Return as many of these pictures as fit: those stored, then by chance, always alike."""
        ordered = sorted(hashes, key=lambda sha256: (sha256 not in self.store, sha256))
        stored = sum(sha256 in self.store for sha256 in ordered)
        return ordered[: stored + max(0, self.room - len(self.store))]

    def read(
        self,
        images: Sequence[tuple[str, Path]],
        tell: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Compute those that are missing; pictures that cannot be read stay without.

        Args:
            images: (hash, path).
            tell: told how many of how many are there.
            should_stop: asked after every few pictures; what is finished stays.

        Raises:
            Stopped: if ``should_stop`` says so.
            FeatureStoreError: if they cannot be written.
        """
        try:
            report = extract_maps(
                self.store,
                images,
                self._parts.before,
                device=self._device,
                progress=tell,
                should_stop=should_stop,
            )
        finally:
            self.store.close()
        if report.stopped:
            raise Stopped
