"""Feature blending, SARB: complement unknown labels with features of known ones (HST w/ FB).

Where an image does not know a category that another image is known to show, the two category
features are blended and the label becomes the other's share. At prototype level the other feature
is a prototype of the category. Blended features go through the graph and the classifier; the loss
is :func:`~hst_core.losses.soft_bce`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hst_core.cst import CategoryPrototypes


class Blended(NamedTuple):
    """Blended features with their soft labels.

    Attributes:
        category_features: blended where possible, else as they were.
        targets: probability of presence, for :func:`~hst_core.losses.soft_bce`.
        counted: cells that have a target, known or blended.
        blended: cells that were blended.
    """

    category_features: Float[Tensor, "batch categories channels"]
    targets: Float[Tensor, "batch categories"]
    counted: Bool[Tensor, "batch categories"]
    blended: Bool[Tensor, "batch categories"]


class FeatureBlending(nn.Module):
    """Blends category features at instance and at prototype level.

    Each level has a learnable share per category, 1/2 at the start. Targets follow the share
    without gradient: otherwise the share would be learned to make the target easy.

    Args:
        categories: number of categories.
    """

    def __init__(self, categories: int) -> None:
        super().__init__()
        # Logits of the share that the image's own feature keeps.
        self.instance_logit = nn.Parameter(torch.zeros(categories))
        self.prototype_logit = nn.Parameter(torch.zeros(categories))

    def instances(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
        generator: torch.Generator,
    ) -> Blended:
        """Blend unknown cells with the known positives of one other image, drawn at random."""
        partner = torch.randperm(len(labels), generator=generator).to(labels.device)
        usable = (labels == 0) & (labels[partner] == 1)
        return _blend(
            category_features, category_features[partner], labels, usable, self.instance_logit
        )

    def prototypes(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        labels: Int[Tensor, "batch categories"],
        prototypes: CategoryPrototypes,
        generator: torch.Generator,
    ) -> Blended:
        """Blend half of the unknown cells with a prototype of the category, drawn at random.

        The prototype, a direction, takes the length of the feature that it is blended with. Only
        half, since otherwise no image would keep an unknown category as its picture shows it.
        """
        number = prototypes.number.clamp(min=1)
        drawn = torch.rand(labels.shape, generator=generator).to(labels.device)
        chosen = (drawn * number).long().minimum(number - 1)
        category = torch.arange(labels.shape[1], device=labels.device)
        other = prototypes.centroids[category, chosen].to(category_features.dtype)
        other = other * category_features.detach().norm(dim=2, keepdim=True)
        half = torch.rand(labels.shape, generator=generator).to(labels.device) < 0.5
        usable = (labels == 0) & prototypes.valid & half
        return _blend(category_features, other, labels, usable, self.prototype_logit)

    def grow(self, added: int) -> None:
        """Append ``added`` categories with a share of 1/2; build the optimiser anew."""
        for name in ("instance_logit", "prototype_logit"):
            old: nn.Parameter = getattr(self, name)
            setattr(self, name, nn.Parameter(torch.cat([old.detach(), old.new_zeros(added)])))


def _blend(
    own: Tensor, other: Tensor, labels: Tensor, usable: Tensor, share_logit: Tensor
) -> Blended:
    share = torch.sigmoid(share_logit).to(own.dtype)
    mixed = torch.lerp(other, own, share[:, None].expand_as(own))
    features = torch.where(usable[..., None], mixed, own)
    targets = torch.where(usable, 1.0 - share.detach(), (labels == 1).to(own.dtype))
    return Blended(features, targets, usable | (labels != 0), usable)
