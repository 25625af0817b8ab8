"""What every transfer module gives: a score per cell and where that score means something."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class TransferScores(NamedTuple):
    """Evidence for the categories of a batch of images.

    Attributes:
        scores: evidence per cell; 0 where it is not valid.
        valid: cells for which there was anything to transfer from.
    """

    scores: Float[Tensor, "batch categories"]
    valid: Bool[Tensor, "batch categories"]


def at_least_float32(values: Tensor) -> Tensor:
    """Return ``values`` in float32 if they are in half precision, else as they are.

    Sums, logarithms and squared norms of float16 values overflow or vanish; everything that
    reduces over categories, channels or images therefore runs in single precision or better.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
