"""The network's side of extraction: pictures of one shape in, rows of a store out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from hst_core.backbone import Backbone, build_backbone
from hst_core.feature_sets import FeatureSet
from hst_core.feature_stores import WINDOWS
from hst_core.inference import optimise
from hst_core.pictures import read_picture
from hst_core.pooling import pool, pool_windows
from hst_core.row_store import ROWS, FeatureStoreError

Precision = Literal["auto", "float32", "bfloat16"]
"""What a network computes in; auto takes bfloat16 where the processor has instructions for it."""

Rows = dict[str, npt.NDArray[np.float16]]
"""Rows of some images, by the name of the matrix they belong to."""


def load_backbones(feature_set: FeatureSet, device: str = "cpu") -> dict[str, Backbone]:
    """Build the backbones of a feature set, ready for fast inference; pass them to ``extract``."""
    names = {block.backbone for block in feature_set.blocks}
    return {name: prepared(build_backbone(name), device) for name in sorted(names)}


def prepared(backbone: Backbone, device: str) -> Backbone:
    """Make a backbone ready for fast inference on a device."""
    network = optimise(backbone).to(device)
    # Depthwise convolutions are several times faster with channels last, on CPU and GPU.
    return network.to(memory_format=torch.channels_last)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 instructions; without them it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    return flags.exists() and bool({"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()))


class Forward:
    """Pictures of one shape in, float16 rows of every matrix out; subclasses say what a row is."""

    def __init__(
        self, device: torch.device, precision: Precision, sizes: Sequence[int], step: int = 0
    ) -> None:
        self.device = device
        self.sizes = sizes
        self.step = step
        self.bfloat16 = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))

    def read(self, path: Path) -> dict[int, npt.NDArray[np.uint8]]:
        """Read one picture as it is wanted here; errors as of ``read_picture``."""
        return read_picture(path, self.sizes, self.step)

    def __call__(self, pictures: Mapping[int, npt.NDArray[np.uint8]]) -> Rows:
        """Turn {side: [n, rows, columns, 3]} into {matrix: [n, *row_shape]}."""
        with torch.inference_mode():
            pixels = {side: self._to_device(array) for side, array in pictures.items()}
            limit = torch.finfo(torch.float16).max
            return {
                name: np.asarray(rows.clamp(-limit, limit).half().cpu().numpy())
                for name, rows in self.rows_of(pixels).items()
            }

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Compute the rows of one batch from {side: [n, 3, rows, columns]}."""
        raise NotImplementedError

    def feature_map(self, network: Backbone, pixels: Tensor) -> Tensor:
        """Run one backbone; float32 out, whatever it computed in."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features: Tensor = network(pixels)
        return features.float()

    def _to_device(self, array: npt.NDArray[np.uint8]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        # [n, rows, columns, 3] read as [n, 3, rows, columns] is channels-last already.
        return tensor.permute(0, 3, 1, 2)


class PooledVectors(Forward):
    """The vectors of a feature set."""

    def __init__(
        self,
        feature_set: FeatureSet,
        networks: Mapping[str, Backbone],
        device: torch.device,
        precision: Precision,
    ) -> None:
        for block in feature_set.blocks:
            found = networks[block.backbone].channels
            if found != block.channels:
                raise FeatureStoreError(
                    f"{block.backbone} has {found} channels, feature set {feature_set.name} says "
                    f"{block.channels} (correct the block)"
                )
        sizes = sorted({size for _, size in feature_set.passes})
        super().__init__(device, precision, sizes, feature_set.step)
        self.feature_set = feature_set
        self.networks = networks

    def maps_of(
        self, pictures: Mapping[int, npt.NDArray[np.uint8]]
    ) -> dict[tuple[str, int], Tensor]:
        """Run every pass on {side: [n, rows, columns, 3]}."""
        return {
            (name, size): self.feature_map(self.networks[name], self._to_device(pictures[size]))
            for name, size in self.feature_set.passes
        }

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Pool every block, of the whole pictures and of their windows."""
        blocks = self.feature_set.blocks
        whole: dict[int, Tensor] = {}
        windows: dict[int, Tensor] = {}
        for (name, size), numbers in self.feature_set.passes.items():
            features = self.feature_map(self.networks[name], pixels[size])
            for number in numbers:
                pooling = blocks[number].pooling
                whole[number] = pool(features, pooling)
                if self.feature_set.windows:
                    windows[number] = pool_windows(features, pooling, self.feature_set.windows)
        found = {ROWS: torch.cat([whole[number] for number in range(len(blocks))], 1)}
        if windows:
            found[WINDOWS] = torch.cat([windows[number] for number in range(len(blocks))], 2)
        return found


class FeatureMaps(Forward):
    """The feature maps of one backbone."""

    def __init__(
        self, input_size: int, network: Backbone, device: torch.device, precision: Precision
    ) -> None:
        super().__init__(device, precision, [input_size])
        self.network = network

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Flatten the maps, locations row by row."""
        return {ROWS: self.feature_map(self.network, pixels[self.sizes[0]]).flatten(2)}


def feature_maps(
    feature_set: FeatureSet,
    backbones: Mapping[str, Backbone],
    path: Path,
    *,
    device: str = "cpu",
    precision: Precision = "auto",
) -> dict[tuple[str, int], Float[Tensor, "channels rows columns"]]:
    """Compute the feature maps of one picture that its vector is pooled from.

    Args:
        feature_set: whose maps.
        backbones: as made by ``load_backbones``.
        path: of the picture.
        device: where the backbones are.
        precision: as for ``extract``.

    Returns:
        By (backbone, input size); float32.

    Raises:
        UnreadablePictureError: if the content is no picture.
        OSError: if the file cannot be opened.
    """
    forward = PooledVectors(feature_set, backbones, torch.device(device), precision)
    one = {side: picture[None] for side, picture in forward.read(path).items()}
    with torch.inference_mode():
        return {key: found[0] for key, found in forward.maps_of(one).items()}
