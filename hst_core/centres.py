"""Centres: the mean direction of what shows a category, and how near every picture is to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


class Centres(NamedTuple):
    """The mean direction of the images known to show each category.

    The mean cosine to any number of prototypes is the cosine to one vector (reference §4). Taking
    the centre for it makes leaving a fold out a subtraction, where clusters would have to be found
    anew: clusters that a cell helped to form know the cell even if it is taken out of its own.

    Attributes:
        vectors: sums of unit vectors, brought to unit length; 0 for a category without positives.
        mean: of the cosine over the images that the fit saw.
        scale: 1 / standard deviation of the cosine; 0 if there is none.
    """

    vectors: Tensor  # [categories, coordinates]
    mean: Tensor  # [categories]
    scale: Tensor  # [categories]

    @classmethod
    def of(cls, units: Tensor, positive: NDArray[np.bool_]) -> Centres:
        """Compute the centres from the positive cells [images, categories]."""
        sums = torch.from_numpy(positive.astype(np.float32)).T @ units
        vectors = functional.normalize(sums, dim=1)
        cosine = units @ vectors.T
        deviation = cosine.std(dim=0, correction=0)
        scale = torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 0.0)
        return cls(vectors, cosine.mean(dim=0), scale)

    def nearness(self, units: Tensor) -> NDArray[np.float32]:
        """Return the standard score of the cosine to each centre; 0 without a centre."""
        values: NDArray[np.float32] = ((units @ self.vectors.T - self.mean) * self.scale).numpy()
        return values
