"""Differentiable threshold learning, DTL (HST Eq. 12-15, reference §5).

A threshold turns evidence into a decision. It is learned on known cells as the one parameter of a
logistic model with fixed slope, so that the expected number of decisions equals the number of
known positives. :class:`LearnableThreshold` is the network's; :func:`learn_thresholds` is the same
fixed point for numpy arrays of probabilities.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor, nn
from torch.nn import functional

from hst_core.transfer import TransferScores, at_least_float32

#: Slope of the decision: a score this far above the threshold counts as .73 of a decision.
DEFAULT_TEMPERATURE = 0.05


def threshold_loss(
    scores: Float[Tensor, "batch categories"],
    threshold: Float[Tensor, ""] | Float[Tensor, " categories"],
    labels: Int[Tensor, "batch categories"],
    valid: Bool[Tensor, "batch categories"] | None = None,
    temperature: float = DEFAULT_TEMPERATURE,
) -> Float[Tensor, ""]:
    """Logistic loss of the decisions that a threshold makes on known cells (reference §5).

    The gradient reaches the threshold only: raising scores is the business of other losses.

    Args:
        scores: evidence per cell.
        threshold: one value, or one per category.
        labels: -1, 0 or 1; unknown cells are ignored.
        valid: cells whose score means something; all if None.
        temperature: slope of the decision, in units of the score, above 0.

    Returns:
        Mean over the cells that are known and valid; 0 if there is none.
    """
    known = labels != 0
    counted = known if valid is None else known & valid
    distance = (at_least_float32(scores.detach()) - threshold) / temperature
    terms = functional.softplus(distance) - distance * (labels == 1)
    return torch.where(counted, terms, 0.0).sum() / counted.sum().clamp(min=1)


class LearnableThreshold(nn.Module):
    """A threshold on transfer scores that learns from known cells.

    The parameter wants its own optimiser group: a higher learning rate (1e-3 to 1e-2) and no
    weight decay, which would pull it to 0. See :meth:`optimiser_group`.

    Args:
        categories: number of categories for one threshold each; None for a single one.
        initial: value before :meth:`start`.
        temperature: slope of the decision, in units of the score.
        fixed: True keeps the threshold at ``initial`` (ablation): no gradient, no bisection.
    """

    theta: nn.Parameter

    def __init__(
        self,
        categories: int | None = None,
        *,
        initial: float = 0.5,
        temperature: float = DEFAULT_TEMPERATURE,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        if not 0.0 <= initial <= 1.0:
            raise ValueError(f"initial must be in [0, 1], got {initial} (0.5 is a neutral start)")
        if not temperature > 0.0:
            raise ValueError(f"temperature must be above 0, got {temperature} (use 0.05)")
        shape = () if categories is None else (categories,)
        self.theta = nn.Parameter(torch.full(shape, float(initial)), requires_grad=not fixed)
        self.initial = float(initial)
        self.temperature = float(temperature)
        self.fixed = fixed

    @property
    def per_category(self) -> bool:
        """Whether each category has a threshold of its own."""
        return self.theta.ndim == 1

    def value(self) -> Float[Tensor, ""] | Float[Tensor, " categories"]:
        """Return the threshold as used for decisions: detached, within [0, 1]."""
        return self.theta.detach().clamp(0.0, 1.0)

    def loss(
        self, evidence: TransferScores, labels: Int[Tensor, "batch categories"]
    ) -> Float[Tensor, ""]:
        """Return L_dtl; ``labels`` should be those that were hidden from the evidence."""
        return threshold_loss(evidence.scores, self.theta, labels, evidence.valid, self.temperature)

    def decide(
        self, evidence: TransferScores, labels: Int[Tensor, "batch categories"]
    ) -> Bool[Tensor, "batch categories"]:
        """Mark the unknown cells to take as present: hard, positive only, without gradient."""
        return pseudo_labels(evidence, labels, self.value())

    @torch.no_grad()
    def start(self, evidence: TransferScores, labels: Int[Tensor, "images categories"]) -> None:
        """Set the threshold to the fixed point over the given cells, once, after warm-up.

        Categories without a usable known cell keep their value. A fixed threshold stays.
        """
        if self.fixed:
            return
        counted = (labels != 0) & evidence.valid
        scores = at_least_float32(evidence.scores)
        if not self.per_category:
            if counted.any():
                self.theta.copy_(
                    fixed_point(
                        scores[counted][:, None], labels[counted][:, None] == 1, self.temperature
                    )[0]
                )
            return
        points = fixed_point(scores, labels == 1, self.temperature, counted)
        self.theta.copy_(torch.where(counted.any(dim=0), points, self.theta))

    def grow(self, added: int) -> None:
        """Append thresholds for ``added`` new categories at the initial value.

        A single threshold is shared and stays. The parameter object is replaced: build the
        optimiser anew or add its group again.
        """
        if self.per_category:
            fresh = self.theta.new_full((added,), self.initial)
            self.theta = nn.Parameter(
                torch.cat([self.theta.detach(), fresh]), requires_grad=not self.fixed
            )

    def optimiser_group(self, learning_rate: float = 5e-3) -> dict[str, object]:
        """Return the parameter group: own learning rate, no weight decay."""
        return {"params": [self.theta], "lr": learning_rate, "weight_decay": 0.0}

    def extra_repr(self) -> str:
        """Describe the module in ``print(model)``."""
        kind = f"categories={self.theta.numel()}" if self.per_category else "shared"
        return f"{kind}, temperature={self.temperature}, fixed={self.fixed}"


@torch.no_grad()
def pseudo_labels(
    evidence: TransferScores,
    labels: Int[Tensor, "batch categories"],
    threshold: Float[Tensor, ""] | Float[Tensor, " categories"] | float,
) -> Bool[Tensor, "batch categories"]:
    """Mark the unknown, valid cells whose score reaches the threshold (reference §5).

    Whether the warm-up is over is for the caller to know: before that it does not ask.
    """
    reached = at_least_float32(evidence.scores) >= threshold
    return (labels == 0) & evidence.valid & reached


@torch.no_grad()
def fixed_point(
    scores: Float[Tensor, "images columns"],
    positive: Bool[Tensor, "images columns"],
    temperature: float = DEFAULT_TEMPERATURE,
    counted: Bool[Tensor, "images columns"] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    steps: int = 40,
) -> Float[Tensor, " columns"]:
    """Find by bisection where the expected decisions equal the known positives (reference §5).

    Solves ``sum sigmoid((s - theta) / tau) = number of positives`` per column, the stationary
    point of :func:`threshold_loss`. The left side falls with theta, so the root is unique.

    Args:
        scores: evidence, one column per threshold.
        positive: cells known to be present.
        temperature: slope of the decision.
        counted: cells that take part; all if None.
        bounds: the answer is clamped to this interval.
        steps: halvings of the interval; 40 exhaust float32.
    """
    counted = torch.ones_like(positive) if counted is None else counted
    wanted = (positive & counted).sum(dim=0).to(scores.dtype)
    low = scores.new_full((scores.shape[1],), bounds[0])
    high = scores.new_full((scores.shape[1],), bounds[1])
    for _ in range(steps):
        middle = (low + high) / 2
        decisions = torch.sigmoid((scores - middle) / temperature)
        too_many = torch.where(counted, decisions, 0.0).sum(dim=0) > wanted
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    return (low + high) / 2


def learn_thresholds(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    temperature: float = DEFAULT_TEMPERATURE,
    prior_strength: float = 10.0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float32[np.ndarray, " categories"]:
    """Learn one threshold per category on calibrated probabilities, with numpy alone.

    The fixed point of :class:`LearnableThreshold` in convex form. A category with few known cells
    is drawn towards the threshold shared by all of them; without any it takes that one.

    Args:
        probabilities: [images, categories] in [0, 1]; for known cells from fits that had not seen
            the cell, since thresholds learned on fitted values are too high.
        labels: [images, categories] of -1, 0, 1.
        temperature: slope of the decision, in units of probability.
        prior_strength: number of known cells at the threshold that the shared value is worth.
        bounds: thresholds are kept within this interval.

    Returns:
        Threshold per category, float32; .5 for all if nothing is known.
    """
    matrix = np.asarray(labels)
    rows, columns = np.nonzero(matrix)
    categories = matrix.shape[1]
    if not len(rows):
        return np.full(categories, 0.5, dtype=np.float32)
    scores = np.asarray(probabilities)[rows, columns].astype(np.float32)
    wanted: NDArray[np.float64] = (matrix == 1).sum(axis=0, dtype=np.float64)
    counts = _histogram(scores, columns, categories)
    whole = _solve(counts.sum(axis=0)[None], np.atleast_1d(wanted.sum()), temperature, bounds)
    own = _solve(counts, wanted, temperature, bounds, float(whole[0]), prior_strength)
    return own.astype(np.float32)


#: Points of [0, 1] on which probabilities are counted; their distance is 1/200 of the temperature,
#: and each probability is shared between the two points beside it, so the error is below 1e-6.
_GRID = 4097


def _histogram(
    scores: NDArray[np.float32], group: NDArray[np.intp], groups: int
) -> NDArray[np.float64]:
    """Count scores per group on the grid, so that millions of cells cost one pass in all."""
    position = np.clip(scores, 0.0, 1.0) * np.float32(_GRID - 1)
    left = np.minimum(position.astype(np.intp), _GRID - 2)
    share = position - left
    cell = group * _GRID + left
    counts = np.bincount(cell, weights=1 - share, minlength=groups * _GRID)
    counts[1:] += np.bincount(cell, weights=share, minlength=groups * _GRID)[:-1]
    return counts.astype(np.float64).reshape(groups, _GRID)


def _solve(
    counts: NDArray[np.float64],
    wanted: NDArray[np.float64],
    temperature: float,
    bounds: tuple[float, float],
    prior: float = 0.5,
    prior_strength: float = 0.0,
    steps: int = 24,
) -> NDArray[np.float64]:
    """Bisect one threshold per row of ``counts`` [groups, grid].

    The prior acts as a spring whose stiffness is that of ``prior_strength`` cells lying exactly
    at the threshold, where the logistic curve has slope 1/4.
    """
    grid = np.linspace(0.0, 1.0, _GRID)
    low = np.full(len(counts), bounds[0], dtype=np.float64)
    high = np.full(len(counts), bounds[1], dtype=np.float64)
    for _ in range(steps):
        middle = (low + high) / 2
        distance = (grid - middle[:, None]) / temperature
        decisions = (counts * expit(distance)).sum(axis=1)
        spring = prior_strength * (prior - middle) / (4 * temperature)
        too_many = decisions - wanted + spring > 0
        low, high = np.where(too_many, middle, low), np.where(too_many, high, middle)
    return (low + high) / 2
