"""What the network reads: cached features of a frozen backbone, or photographs to fine-tune on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

#: Sides of the square that is cut from the 512 px picture (reference §6).
CROP_SIDES = (512, 448, 384, 320, 256)


@runtime_checkable
class Inputs(Protocol):
    """Gives the network's input for chosen images, by row."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def load(self, rows: NDArray[np.intp], augment: torch.Generator | None) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`~hst_core.model.HST.forward` for these images.

        Args:
            rows: of the images.
            augment: draws the augmentation; None for evaluation.
        """
        ...


@runtime_checkable
class FeatureArray(Protocol):
    """What gives features by row: an array, a memory map, or a view of a feature store."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def __getitem__(self, rows: NDArray[np.intp], /) -> NDArray[np.floating]:
        """Return [n, channels] or [n, channels, rows, columns], any float dtype."""
        ...


class CachedFeatures:
    """Pooled vectors or feature maps, extracted once.

    Args:
        array: of all images; a memory map stays on disk.
        before_last_stage: they are activations that the network's own last stage goes on from.
    """

    def __init__(self, array: FeatureArray, *, before_last_stage: bool = False) -> None:
        self.array = array
        self._name = "images" if before_last_stage else "features"

    def __len__(self) -> int:
        return len(self.array)

    def load(self, rows: NDArray[np.intp], augment: torch.Generator | None) -> dict[str, Tensor]:
        """Return ``features`` or, before a last stage, ``images``; nothing is augmented."""
        return {self._name: torch.from_numpy(np.asarray(self.array[rows], dtype=np.float32))}


class Photographs:
    """Picture files, decoded and augmented as the paper does it (reference §6).

    In training: resized to 8/7 of ``side``, a square of a side drawn from five cut out at random,
    resized to ``side``, flipped half of the time. In evaluation: resized to ``side`` as a whole.

    Args:
        paths: one per image.
        side: pixels of the square that the backbone sees (paper 448).
        workers: threads that decode; 1 or more.
    """

    def __init__(self, paths: Sequence[Path], side: int = 448, workers: int = 4) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self.paths = list(paths)
        self.side = side
        self._pool = ThreadPoolExecutor(workers)

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, rows: NDArray[np.intp], augment: torch.Generator | None) -> dict[str, Tensor]:
        """Return ``images``, uint8 [batch, 3, side, side]."""
        draws = [None] * len(rows) if augment is None else [_draw(augment) for _ in rows]
        pictures = self._pool.map(self._read, rows.tolist(), draws)
        return {"images": torch.stack(list(pictures))}

    def _read(self, row: int, draw: Draw | None) -> UInt8[Tensor, "3 rows columns"]:
        with Image.open(self.paths[row]) as file:
            upright = ImageOps.exif_transpose(file)
            picture = upright.convert("RGB")
        box = None
        if draw is not None:
            crop, left, top, flip = draw
            width, height = picture.size
            box = (
                left * (1 - crop) * width,
                top * (1 - crop) * height,
                (left * (1 - crop) + crop) * width,
                (top * (1 - crop) + crop) * height,
            )
            if flip:
                picture = ImageOps.mirror(picture)
        square = picture.resize((self.side, self.side), Image.Resampling.BILINEAR, box=box)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


#: Share of the picture's side that is kept, position from left and from top in [0, 1], mirrored.
Draw = tuple[float, float, float, bool]


def _draw(generator: torch.Generator) -> Draw:
    """Draw one augmentation; cutting and resizing are one step, so no pixel is resampled twice."""
    side = CROP_SIDES[int(torch.randint(len(CROP_SIDES), (1,), generator=generator))]
    left, top, flip = torch.rand(3, generator=generator).tolist()
    return side / max(CROP_SIDES), left, top, flip < 0.5
