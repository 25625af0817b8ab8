"""Losses of HST that look at labels only (HST Eq. 2-6 and 16, reference §3 and §6).

All are means over the cells or pairs that are known, 0 where there is none, and run in single
precision or better whatever the precision of the logits. ``pair_similarity_loss`` lives beside the
prototypes in :mod:`hst_core.cst`, ``threshold_loss`` in :mod:`hst_core.thresholds`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from hst_core.transfer import at_least_float32


def partial_bce(
    logits: Float[Tensor, "batch categories"], labels: Int[Tensor, "batch categories"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy over the known cells (HST Eq. 2 and 16).

    Args:
        logits: classifier output before the sigmoid.
        labels: -1, 0 or 1; 0 is left out and gives no gradient.
    """
    return soft_bce(logits, (labels == 1).to(logits.dtype), labels != 0)


def soft_bce(
    logits: Float[Tensor, "batch categories"],
    targets: Float[Tensor, "batch categories"],
    counted: Bool[Tensor, "batch categories"],
) -> Float[Tensor, ""]:
    """Binary cross-entropy against probabilities in [0, 1], over the counted cells."""
    wide = at_least_float32(logits)
    terms = functional.softplus(wide) - targets.to(wide.dtype) * wide
    return torch.where(counted, terms, 0.0).sum() / counted.sum().clamp(min=1)


def with_pseudo_labels(
    labels: Int[Tensor, "batch categories"], pseudo: Bool[Tensor, "batch categories"]
) -> Int[Tensor, "batch categories"]:
    """Return the labels with the marked unknown cells set to present: ``y u y^``."""
    return torch.where(pseudo & (labels == 0), torch.ones_like(labels), labels)


def hide_known(
    labels: Int[Tensor, "batch categories"], proportion: float, generator: torch.Generator
) -> tuple[Int[Tensor, "batch categories"], Int[Tensor, "batch categories"]]:
    """Split the known labels into evidence and held-out ones, each cell on its own (reference §5).

    Args:
        labels: -1, 0 or 1.
        proportion: share of the known cells to hold out, 0 to 1.
        generator: on the CPU, so that a run is the same on every device.

    Returns:
        Labels to use as evidence, and those held out; each is 0 where the other is not.
    """
    drawn = torch.rand(labels.shape, generator=generator).to(labels.device) < proportion
    zero = torch.zeros_like(labels)
    return torch.where(drawn, zero, labels), torch.where(drawn, labels, zero)


def asymmetric_pair_loss(
    logits: Float[Tensor, "*axes"],
    targets: Int[Tensor, "*axes"],
    gamma_positive: float = 1.0,
    gamma_negative: float = 2.0,
    margin: float = 0.05,
) -> Float[Tensor, ""]:
    """Asymmetric loss of pair probabilities (HST Eq. 6 with its sign mended, reference §3).

    Args:
        logits: of the pair probabilities, any shape.
        targets: 1 both present, -1 at least one absent, 0 ignored.
        gamma_positive: focus on hard present pairs; 0 is plain cross-entropy.
        gamma_negative: the same for absent pairs.
        margin: probability below which an absent pair costs nothing, in [0, 1).

    Returns:
        Mean over the targets other than 0; 0 if there is none.
    """
    wide = at_least_float32(logits)
    # 1 - p as sigmoid(-z) and log p as -softplus(-z): neither is lost to rounding at large |z|.
    complement = torch.sigmoid(-wide)
    positive = _focus(complement, gamma_positive) * functional.softplus(-wide)
    shifted = (torch.sigmoid(wide) - margin).clamp(min=0.0)
    # 1 - p_m >= margin, so its logarithm is finite; without margin softplus is the stable form.
    if margin > 0:
        log_complement = (complement + margin).clamp(max=1.0).log()
    else:
        log_complement = -functional.softplus(wide)
    negative = -_focus(shifted, gamma_negative) * log_complement
    terms = torch.where(targets == 1, positive, torch.where(targets == -1, negative, 0.0))
    return terms.sum() / (targets != 0).sum().clamp(min=1)


def _focus(probability: Tensor, gamma: float) -> Tensor:
    """Raise to the power gamma; the gradient stays finite at 0 for gamma below 1."""
    if math.isclose(gamma, 0.0, abs_tol=1e-12):
        return torch.ones_like(probability)
    if gamma == 1.0:
        return probability
    return (probability if gamma > 1 else probability.clamp(min=1e-12)).pow(gamma)
