"""Where in a picture the base looks: exact class activation maps (reference §2, §11).

The base is linear in the rooted channels of a pooled vector. A channel that is a mean over
locations is shared out in proportion to what each location put into the mean; one that is a
maximum belongs to the location of the maximum. The shares of a channel add up to 1, so that the
map adds up to the logit: nothing is approximated, and nothing but the forward pass is needed. The
most telling window has a map of the same kind, which is 0 outside the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from hst_core.feature_sets import FeatureSet
from hst_core.linear import LinearBase
from hst_core.pooling import Pooling, pool, window_of
from hst_core.projection import FeatureSpace, root


@dataclass(frozen=True)
class ChannelClassifier:
    """The base of one category as a function of the pooled vector's channels.

    The logit is ``weight . (root(vector) - centre) + bias``.

    Attributes:
        weight: of the rooted channels.
        centre: mean of the rooted channels over the images of the fit.
        bias: logit of an image at that mean.
    """

    weight: Float[Tensor, " channels"]
    centre: Float[Tensor, " channels"]
    bias: float

    @classmethod
    def of(cls, space: FeatureSpace, base: LinearBase, category: int) -> ChannelClassifier:
        """Read the classifier of one category through the feature space."""
        weight = space.scale * (space.axes @ base.weight[0][:, category])
        return cls(weight, space.mean, float(base.bias[0, category]))


@dataclass(frozen=True)
class ActivationMap:
    """What each location of a picture adds to the base's logit of one category.

    Attributes:
        contributions: in logits, relative to a location of the average picture.
        bias: logit of the average picture; with all contributions it gives the picture's logit.
    """

    contributions: Float32[np.ndarray, "rows columns"]
    bias: float

    @property
    def logit(self) -> float:
        """What the base says of the picture."""
        return self.bias + float(self.contributions.sum(dtype=np.float64))

    def times(self, factor: float) -> ActivationMap:
        """Return the map of a multiple of the logit."""
        return ActivationMap(np.float32(factor) * self.contributions, factor * self.bias)

    def shown(self) -> Float32[np.ndarray, "rows columns"]:
        """Return what speaks for the category, the strongest location as 1; 0 if nothing does."""
        positive = np.maximum(self.contributions, 0.0)
        shown: NDArray[np.float32] = positive / max(float(positive.max(initial=0.0)), 1e-30)
        return shown


def activation_map(
    classifier: ChannelClassifier,
    feature_set: FeatureSet,
    maps: Mapping[tuple[str, int], Float[Tensor, "channels rows columns"]],
    weights: tuple[float, float] = (1.0, 0.0),
) -> ActivationMap:
    """Spread the base's logit over the locations of a picture.

    Args:
        classifier: of the category.
        feature_set: says how vectors are pooled from maps.
        maps: of the picture by (backbone, input size), as
            :func:`~hst_core.forward.feature_maps` gives them.
        weights: of the logit of the picture and of its best window, as a stack has them; the map
            adds up to their weighted sum.

    Returns:
        The map on the finest grid of all blocks; coarser blocks are spread evenly over the finer
        locations that they cover.

    Raises:
        ValueError: if the classifier is of another feature set.
    """
    if len(classifier.weight) != feature_set.dim:
        raise ValueError(
            f"the classifier has {len(classifier.weight)} channels, feature set "
            f"{feature_set.name} has {feature_set.dim} (use the one it was fitted on)"
        )
    of_block = [maps[block.backbone, block.input_size].float() for block in feature_set.blocks]
    whole = _region(classifier, feature_set, of_block, None)
    along = feature_set.windows
    if not along or not weights[1]:
        return whole.times(weights[0] + weights[1])
    places = [(row, column) for row in range(along) for column in range(along)]
    windows = [_region(classifier, feature_set, of_block, place) for place in places]
    best = max([whole, *windows], key=lambda found: found.logit)
    return ActivationMap(
        weights[0] * whole.contributions + weights[1] * best.contributions,
        (weights[0] + weights[1]) * classifier.bias,
    )


def _region(
    classifier: ChannelClassifier,
    feature_set: FeatureSet,
    of_block: Sequence[Tensor],
    window: tuple[int, int] | None,
) -> ActivationMap:
    """Map the logit of the whole picture, or of one of its windows by its row and column."""
    parts = [
        (slice(None), slice(None))
        if window is None
        else window_of(found.shape[1:], feature_set.windows, window)
        for found in of_block
    ]
    cut = [found[:, part[0], part[1]] for found, part in zip(of_block, parts, strict=True)]
    pooled = [
        pool(found[None], block.pooling)[0]
        for found, block in zip(cut, feature_set.blocks, strict=True)
    ]
    rooted = root(torch.cat(pooled)[None].cpu().numpy())[0]
    rows, columns = (max(found.shape[axis] for found in of_block) for axis in (1, 2))
    total = torch.zeros(rows, columns)
    for number, (block, channels) in enumerate(
        zip(feature_set.blocks, feature_set.slices, strict=True)
    ):
        weight = classifier.weight[channels]
        shares = _shares(cut[number], pooled[number], block.pooling).cpu()
        own = torch.einsum("d,dhw->hw", weight * rooted[channels], shares)
        own = own - (weight @ classifier.centre[channels]) / own.numel()
        placed = torch.zeros(of_block[number].shape[1:])
        placed[parts[number]] = own
        total += _overlap(rows, placed.shape[0]) @ placed @ _overlap(columns, placed.shape[1]).T
    return ActivationMap(total.numpy(), classifier.bias)


def _shares(
    found: Float[Tensor, "channels rows columns"],
    vector: Float[Tensor, " channels"],
    pooling: Pooling,
) -> Float[Tensor, "channels rows columns"]:
    """Return the share of each location in its channel's pooled value; they add up to 1.

    Of a mean, only locations that pull in its direction have a share. For activations that are
    never negative these are all, and the share is the location's part of the sum.
    """
    value = vector[:, None, None]
    part = (found == value).float() if pooling == "max" else (found * value.sign()).clamp(min=0)
    whole = part.sum(dim=(1, 2), keepdim=True)
    even = torch.full_like(part, 1 / max(1, part[0].numel()))
    return torch.where(whole > 0, part / whole.clamp(min=1e-30), even)


def _overlap(fine: int, coarse: int) -> Float[Tensor, "fine coarse"]:
    """Return how much of each coarse cell lies in each fine one; columns add up to 1."""
    start, end = torch.arange(fine) / fine, torch.arange(1, fine + 1) / fine
    lower, upper = torch.arange(coarse) / coarse, torch.arange(1, coarse + 1) / coarse
    width = torch.minimum(end[:, None], upper) - torch.maximum(start[:, None], lower)
    return width.clamp(min=0) * coarse
