"""Feature sets: which backbones, at which sizes and poolings, make the vector of a picture.

A *feature set* is a list of blocks, each one backbone at one input size with one kind of pooling;
an image's vector is the blocks side by side. Blocks differ in scale, so whoever fits a model on
them standardises each block over its own images; ``FeatureSet.slices`` says where each block lies.

A set can ask for *windows* too: the same vector of overlapping parts of the picture, pooled from
the same maps, so that they cost room and no time. What is small in a picture fills a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hst_core.pooling import Pooling
from hst_core.row_store import FeatureStoreError


@dataclass(frozen=True)
class FeatureBlock:
    """One backbone at one input size with one kind of pooling.

    Attributes:
        backbone: a name of ``hst_core.backbone``.
        input_size: side in pixels of the square that the whole picture is resized to, or has the
            area of; nothing is cut.
        pooling: over the locations of the feature map.
        channels: length of the block, D0 of the backbone.
    """

    backbone: str
    input_size: int
    pooling: Pooling
    channels: int


@dataclass(frozen=True)
class FeatureSet:
    """Blocks that together make an image's vector.

    Attributes:
        name: of the set.
        blocks: in the order of the vector.
        windows: windows along each side of a picture, each half as wide and as high as the
            picture; 0 for none.
        step: pictures keep their proportions, as :func:`~hst_core.pictures.input_shape` says; 0
            for squares.
    """

    name: str
    blocks: tuple[FeatureBlock, ...]
    windows: int = 0
    step: int = 0

    @property
    def dim(self) -> int:
        """Length of an image's vector."""
        return sum(block.channels for block in self.blocks)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each block lies in a vector; standardise each of them on its own."""
        ends = np.cumsum([block.channels for block in self.blocks]).tolist()
        return tuple(slice(end - b.channels, end) for b, end in zip(self.blocks, ends, strict=True))

    @property
    def window_count(self) -> int:
        """Number of windows of a picture."""
        return self.windows**2

    @property
    def passes(self) -> dict[tuple[str, int], list[int]]:
        """Give the forward passes needed, (backbone, input size), each with its block numbers."""
        passes: dict[tuple[str, int], list[int]] = {}
        for number, block in enumerate(self.blocks):
            passes.setdefault((block.backbone, block.input_size), []).append(number)
        return passes

    def described(self) -> dict[str, Any]:
        """Say what the set is in plain values; what it lacks is left out, as in older stores."""
        found = asdict(self)
        for name in ("windows", "step"):
            if not found[name]:
                del found[name]
        return found

    @classmethod
    def from_description(cls, found: Mapping[str, Any]) -> FeatureSet:
        """Read what :meth:`described` gave."""
        blocks = tuple(FeatureBlock(**block) for block in found["blocks"])
        windows, step = (int(found.get(name, 0)) for name in ("windows", "step"))
        return cls(str(found["name"]), blocks, windows, step)


#: Pixels per location of the backbones: with other sides their maps would be cut or padded.
_STRIDE = 32


def _lite(number: int, size: int, pooling: Pooling = "mean") -> FeatureBlock:
    return FeatureBlock(f"efficientnet-lite{number}", size, pooling, 1280)


FEATURE_SETS: dict[str, FeatureSet] = {
    feature_set.name: feature_set
    for feature_set in (
        FeatureSet("fast", (_lite(0, 224),), windows=3, step=_STRIDE),
        FeatureSet("balanced", (_lite(2, 352),), windows=3, step=_STRIDE),
        FeatureSet("best", (_lite(2, 480),), windows=3, step=_STRIDE),
        FeatureSet(
            "tiny",
            (FeatureBlock("tiny", 64, "mean", 128), FeatureBlock("tiny", 64, "max", 128)),
            windows=3,
            step=8,
        ),
    )
}


def feature_set_named(name: str) -> FeatureSet:
    """Look up one of ``FEATURE_SETS``.

    Raises:
        FeatureStoreError: if there is none of this name.
    """
    if name not in FEATURE_SETS:
        raise FeatureStoreError(
            f"feature set must be one of {', '.join(FEATURE_SETS)}, got {name!r}"
        )
    return FEATURE_SETS[name]
