"""From the feature map of a picture to vectors: of the whole, and of windows in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Pooling = Literal["mean", "max"]


def pool(
    features: Float[Tensor, "batch channels rows columns"], pooling: Pooling
) -> Float[Tensor, "batch channels"]:
    """Reduce a feature map to one vector by the mean or the maximum over its locations."""
    return features.mean((2, 3)) if pooling == "mean" else features.amax((2, 3))


def pool_windows(
    features: Float[Tensor, "batch channels rows columns"], pooling: Pooling, along: int
) -> Float[Tensor, "batch windows channels"]:
    """Pool ``along`` x ``along`` overlapping windows of half the side, row by row of the picture.

    They are spread evenly from edge to edge, in whole locations of the map.
    """
    places = [(row, column) for row in range(along) for column in range(along)]
    bands = [window_of(features.shape[2:], along, place) for place in places]
    return torch.stack([pool(features[:, :, r, c], pooling) for r, c in bands], dim=1)


def window_of(shape: Sequence[int], along: int, place: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a map [rows, columns] that one window has."""
    return _bands(shape[0], along)[place[0]], _bands(shape[1], along)[place[1]]


def _bands(side: int, along: int) -> list[slice]:
    """Where windows of half of ``side`` locations lie along it."""
    width = (side + 1) // 2
    starts = np.linspace(0, side - width, along).round().astype(int).tolist()
    return [slice(start, start + width) for start in starts]
