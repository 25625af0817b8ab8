"""A small space for pooled features in which everything of the fast tier is computed.

Pooled vectors have a thousand or more channels of very different size, most of them redundant. In
their first few hundred principal axes, logistic regression and nearest neighbours are as good as in
all channels and several times faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

#: Images that the axes are computed from, at most; more change nothing that can be measured.
_SAMPLE = 20_000
#: Up to this many dimensions the axes come from an exact eigendecomposition.
_EXACT = 2048
#: Images converted at a time: bounds the memory beside the result.
_BLOCK = 8192


@dataclass(frozen=True)
class FeatureSpace:
    """Unit length, signed square root, standard score per channel, principal axes.

    The square root evens out channels that are nearly always 0 and sometimes large, as averages of
    rectified activations are. Coordinates are scaled so that the mean squared length over the
    images is 1: a strength of L2 regularisation then means the same for every feature set.

    Attributes:
        mean: of the rooted channels.
        scale: 1 / standard deviation of the rooted channels.
        axes: principal axes.
        spread: standard deviation of the coordinates, descending.
        images: number of images it was made from.
    """

    mean: Float[Tensor, " channels"]
    scale: Float[Tensor, " channels"]
    axes: Float[Tensor, "channels coordinates"]
    spread: Float[Tensor, " coordinates"]
    images: int

    @classmethod
    def fit(
        cls,
        vectors: Float[np.ndarray, "images channels"],
        coordinates: int = 256,
        seed: int = 0,
    ) -> FeatureSpace:
        """Make the space of a set of pooled vectors, at least one.

        Args:
            vectors: pooled features; a memory map of any float type will do, here and below.
            coordinates: most axes to keep; there are never more than images or channels.
            seed: of the sample of images, if there are many.
        """
        if len(vectors) == 0:
            raise ValueError("a feature space needs at least one image, got none")
        rows: np.ndarray | slice = slice(None)
        generator = torch.Generator().manual_seed(seed)
        if len(vectors) > _SAMPLE:
            rows = torch.randperm(len(vectors), generator=generator)[:_SAMPLE].sort()[0].numpy()
        rooted = root(vectors[rows])
        mean, deviation = rooted.mean(dim=0), rooted.std(dim=0, correction=0)
        # A channel that never changes says nothing; dividing by its 0 would.
        scale = torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 0.0)
        standard = (rooted - mean) * scale
        axes = _principal_axes(standard, min(coordinates, *standard.shape), generator)
        total = standard.square().sum(dim=1).mean().sqrt().clamp(min=1e-6)
        axes = axes / total
        spread = (standard @ axes).square().mean(dim=0).sqrt()
        return cls(mean, scale, axes, spread, len(vectors))

    def apply(
        self, vectors: Float[np.ndarray, "images channels"]
    ) -> Float[Tensor, "images coordinates"]:
        """Return the coordinates of pooled vectors.

        Raises:
            ValueError: if the number of channels is not that of the space.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(
                f"vectors must be [images, {len(self.mean)}], got {list(vectors.shape)} "
                "(use the feature set that the model was fitted with)"
            )
        out = torch.empty(len(vectors), self.axes.shape[1])
        shift = (self.mean * self.scale) @ self.axes
        scaled_axes = self.scale[:, None] * self.axes
        for start in range(0, len(vectors), _BLOCK):
            block = root(vectors[start : start + _BLOCK])
            torch.mm(block, scaled_axes, out=out[start : start + _BLOCK])
        return out.sub_(shift)

    def state_dict(self) -> dict[str, Tensor | int]:
        """Return everything needed by :meth:`from_state_dict`."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "axes": self.axes,
            "spread": self.spread,
            "images": self.images,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor | int]) -> FeatureSpace:
        """Restore a space."""
        mean, scale, axes, spread = (
            torch.as_tensor(state[key]) for key in ("mean", "scale", "axes", "spread")
        )
        return cls(mean, scale, axes, spread, int(state["images"]))

    def same_as(self, other: FeatureSpace) -> bool:
        """Tell whether coordinates mean the same in both spaces."""
        return self.axes.shape == other.axes.shape and torch.equal(self.axes, other.axes)


def root(
    vectors: Float[np.ndarray, "images channels"],
) -> Float32[Tensor, "images channels"]:
    """Bring to unit length and take the square root of each channel, keeping its sign."""
    block = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    length = block.norm(dim=1, keepdim=True).clamp(min=1e-12)
    rooted: Tensor = block.abs().div(length).sqrt_().copysign_(block)
    return rooted


def _principal_axes(standard: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the first ``count`` principal axes [channels, count], orthonormal."""
    images, channels = standard.shape
    if channels <= min(_EXACT, 2 * images):
        vectors: Tensor = torch.linalg.eigh(standard.T @ standard)[1].flip(1)[:, :count]
        return vectors.contiguous()
    if images <= _EXACT:
        own = torch.linalg.eigh(standard @ standard.T)[1].flip(1)[:, :count]
        return _orthonormal(standard.T @ own)
    # Subspace iteration: the spectrum of features falls fast enough for a few rounds.
    start = torch.randn(channels, min(count + 32, channels), generator=generator)
    basis = _orthonormal(start)
    for _ in range(3):
        basis = _orthonormal(standard.T @ (standard @ basis))
    small = standard @ basis
    turn = torch.linalg.eigh(small.T @ small)[1].flip(1)[:, :count]
    axes: Tensor = basis @ turn
    return axes


def _orthonormal(matrix: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(matrix)[0]
    return basis
