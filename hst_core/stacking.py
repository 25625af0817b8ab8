"""How sources of evidence become one calibrated probability (reference §11).

The stack is a logistic regression on the values of all sources at known cells. Every value must
come from a fit that had not seen its cell: weights fitted on evidence that knew the answer would
trust it blindly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8
from numpy.typing import NDArray
from scipy.special import expit

SourceKind = Literal["classifier", "cst", "ist", "prior"]


@dataclass(frozen=True)
class SourceWeight:
    """What the stack made of one source.

    Attributes:
        name: of the source.
        kind: which kind of transfer it is.
        weight: factor of its values in the logit; 0 if it was not kept.
        kept: whether it lowers the out-of-fold log loss.
        loss_with: out-of-fold log loss per cell of the stack with it.
        loss_without: the same without it.
    """

    name: str
    kind: SourceKind
    weight: float
    kept: bool
    loss_with: float
    loss_without: float


class StackSource(NamedTuple):
    """Values of one source at the known cells that the stack is fitted on."""

    name: str
    kind: SourceKind
    values: Float32[np.ndarray, " cells"]


def assign_folds(
    labels: Int8[np.ndarray, "images categories"],
    number_of_folds: int,
    seed: int = 0,
    previous: Int8[np.ndarray, "old_images old_categories"] | None = None,
) -> Int8[np.ndarray, "images categories"]:
    """Put every known cell into a fold; within a category each fold gets its share of each sign.

    A cell that had a fold keeps it, so that a model fitted earlier without that fold has still not
    seen the cell. Unknown cells get -1.

    Args:
        labels: -1, 0 or 1.
        number_of_folds: at least 2.
        seed: of the order in which cells are dealt out.
        previous: folds of an earlier call; images and categories may have been appended since.
    """
    folds = np.full(labels.shape, -1, dtype=np.int8)
    if previous is not None:
        rows, columns = previous.shape
        folds[:rows, :columns] = np.where(labels[:rows, :columns] != 0, previous, -1)
    for column in range(labels.shape[1]):
        for sign in (1, -1):
            cells = np.flatnonzero(labels[:, column] == sign)
            fresh = cells[folds[cells, column] < 0]
            if not len(fresh):
                continue
            taken = np.bincount(
                folds[cells, column][folds[cells, column] >= 0], minlength=number_of_folds
            )
            # One generator per column, so that the order of the categories changes nothing.
            generator = np.random.default_rng(seed)
            folds[fresh, column] = generator.permutation(_deal(taken, len(fresh)))
    return folds


def _deal(taken: NDArray[np.intp], count: int) -> NDArray[np.int8]:
    """Return folds for ``count`` more cells that leave all folds as equal as can be."""
    folds = len(taken)
    wanted = np.sort(taken)
    # Raise the smallest to a common level until the cells are used up.
    level = min((count + int(wanted[:k].sum())) // k for k in range(1, folds + 1))
    add = np.maximum(level - taken, 0)
    rest = count - int(add.sum())
    order = np.argsort(taken + add, kind="stable")
    for i in range(rest):
        add[order[i % folds]] += 1
    return np.repeat(np.arange(folds, dtype=np.int8), add)


@dataclass(frozen=True)
class EvidenceStack:
    """Weights of the sources and the calibration of each category.

    Attributes:
        bias: added to the weighted sum.
        sources: in the order given, dropped ones with weight 0.
        calibration: [slope; intercept] per category, applied to the stack's logit.
        loss: out-of-fold log loss per cell of the calibrated stack.
    """

    bias: float
    sources: tuple[SourceWeight, ...]
    calibration: Float32[np.ndarray, "2 categories"]
    loss: float

    @classmethod
    def fit(
        cls,
        sources: Sequence[StackSource],
        present: Float[np.ndarray, " cells"],
        category: NDArray[np.intp],
        fold: Int8[np.ndarray, " cells"],
        categories: int,
        *,
        required: str = "base",
    ) -> EvidenceStack:
        """Choose sources and fit weights and calibration on known cells.

        Args:
            sources: values of each at the cells, all out of fold.
            present: 1.0 for a present cell, 0.0 for an absent one.
            category: of each cell.
            fold: of each cell; the losses that decide are cross-validated over these.
            categories: their number.
            required: the source that is never dropped.
        """
        chosen = _select(sources, present, fold, required)
        values = _matrix([s for s in sources if s.name in chosen.kept], len(present))
        weights = _fit_weights(values, present, _start_of(sources, chosen.kept, required))
        logit = values @ weights
        calibration = _calibrate(logit, present, category, fold, categories)
        by_name = dict(zip(chosen.kept, weights[1:].tolist(), strict=True))
        final = calibration[0, category] * logit + calibration[1, category]
        return cls(
            bias=float(weights[0]),
            sources=tuple(
                SourceWeight(
                    s.name,
                    s.kind,
                    by_name.get(s.name, 0.0),
                    s.name in by_name,
                    chosen.with_source[s.name],
                    chosen.without_source[s.name],
                )
                for s in sources
            ),
            calibration=calibration.astype(np.float32),
            loss=_log_loss(final, present),
        )

    def weight(self, name: str) -> float:
        """Return the weight of a source, 0 if it is not part of the stack."""
        return next((s.weight for s in self.sources if s.name == name), 0.0)

    def logit(
        self, values: Mapping[str, Float32[np.ndarray, "images categories"]], shape: tuple[int, int]
    ) -> Float32[np.ndarray, "images categories"]:
        """Return the bias plus the weighted values of the named sources, before calibration."""
        total = np.full(shape, self.bias, dtype=np.float32)
        for name, value in values.items():
            weight = self.weight(name)
            if weight != 0.0:
                total += np.float32(weight) * value
        return total

    def probability(
        self, logit: Float32[np.ndarray, "images categories"]
    ) -> Float32[np.ndarray, "images categories"]:
        """Calibrate logits of the stack."""
        calibrated: NDArray[np.float32] = expit(self.calibration[0] * logit + self.calibration[1])
        return calibrated

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed by :meth:`from_state_dict`."""
        return {
            "bias": self.bias,
            "sources": [vars(s) for s in self.sources],
            "calibration": torch.from_numpy(self.calibration),
            "loss": self.loss,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> EvidenceStack:
        """Restore a stack."""
        return cls(
            float(state["bias"]),
            tuple(SourceWeight(**s) for s in state["sources"]),
            np.asarray(state["calibration"], dtype=np.float32),
            float(state["loss"]),
        )


class _Selection(NamedTuple):
    kept: list[str]
    with_source: dict[str, float]
    without_source: dict[str, float]


def _select(
    sources: Sequence[StackSource],
    present: NDArray[np.floating],
    fold: NDArray[np.int8],
    required: str,
) -> _Selection:
    """Drop the least useful source until every one left lowers the cross-validated log loss."""
    kept = [s.name for s in sources]
    with_source: dict[str, float] = {}
    without_source: dict[str, float] = {}

    def loss_of(names: Sequence[str]) -> float:
        chosen = [s for s in sources if s.name in names]
        return _cross_validated_loss(
            _matrix(chosen, len(present)), present, fold, _start_of(sources, names, required)
        )

    loss = loss_of(kept)
    while True:
        without = {name: loss_of([k for k in kept if k != name]) for name in kept}
        for name in kept:
            with_source[name], without_source[name] = loss, without[name]
        candidates = {name: value for name, value in without.items() if name != required}
        worst = min(candidates, key=lambda name: candidates[name], default=None)
        if worst is None or candidates[worst] > loss:
            return _Selection(kept, with_source, without_source)
        kept.remove(worst)
        loss = without[worst]


def _start_of(
    sources: Sequence[StackSource], names: Sequence[str], required: str
) -> NDArray[np.float64]:
    """Weights that the fit is drawn to: the base as it is, everything else nothing."""
    return np.array([0.0, *(float(s.name == required) for s in sources if s.name in names)])


def _matrix(sources: Sequence[StackSource], cells: int) -> NDArray[np.float64]:
    return np.column_stack([np.ones(cells), *(s.values for s in sources)]).astype(np.float64)


def _fit_weights(
    values: NDArray[np.float64],
    present: NDArray[np.floating],
    center: NDArray[np.float64],
    strength: float = 1.0,
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method, weights drawn to ``center`` as by a few cells."""
    scale = np.maximum(values.std(axis=0), 1e-3) if len(values) else np.ones(values.shape[1])
    scale[0] = 1.0
    penalty = strength * scale**2 / 4
    weights = center.copy()
    for _ in range(30):
        p = expit(values @ weights)
        gradient = values.T @ (p - present) + penalty * (weights - center)
        hessian = (values * (p * (1 - p))[:, None]).T @ values + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        # Far from the solution a full step may overshoot; one unit of logit at a time cannot.
        largest = np.abs(step * np.maximum(scale, 1.0)).max()
        weights -= step / max(1.0, largest)
        if largest < 1e-6:
            break
    return weights


def _cross_validated_loss(
    values: NDArray[np.float64],
    present: NDArray[np.floating],
    fold: NDArray[np.int8],
    center: NDArray[np.float64],
) -> float:
    logit = np.zeros(len(present))
    for f in np.unique(fold):
        held = fold == f
        logit[held] = values[held] @ _fit_weights(values[~held], present[~held], center)
    return _log_loss(logit, present)


def _log_loss(logit: NDArray[np.floating], present: NDArray[np.floating]) -> float:
    """Mean log loss; log 2 without cells, which is what knowing nothing costs."""
    if not len(logit):
        return float(np.log(2.0))
    return float(np.mean(np.logaddexp(0.0, logit) - present * logit))


#: How many cells the global calibration is worth to a category; infinity keeps it for all.
_SHRINKAGE = (10.0, 30.0, 100.0, 300.0, np.inf)


def _calibrate(
    logit: NDArray[np.floating],
    present: NDArray[np.floating],
    category: NDArray[np.intp],
    fold: NDArray[np.int8],
    categories: int,
) -> NDArray[np.float64]:
    """Fit slope and intercept per category, drawn to (1, 0) as far as the held-out loss asks."""
    best, strength = np.inf, np.inf
    for candidate in _SHRINKAGE:
        held_logit = np.zeros(len(present))
        for f in np.unique(fold):
            held = fold == f
            fit = _calibration(logit[~held], present[~held], category[~held], categories, candidate)
            held_logit[held] = fit[0, category[held]] * logit[held] + fit[1, category[held]]
        loss = _log_loss(held_logit, present)
        if loss < best:
            best, strength = loss, candidate
    return _calibration(logit, present, category, categories, strength)


def _calibration(
    logit: NDArray[np.floating],
    present: NDArray[np.floating],
    category: NDArray[np.intp],
    categories: int,
    strength: float,
) -> NDArray[np.float64]:
    """Newton's method for all categories at once on their 2 x 2 systems."""
    slope, intercept = np.ones(categories), np.zeros(categories)
    if not np.isfinite(strength) or not len(logit):
        return np.stack([slope, intercept])

    def total(values: NDArray[np.floating]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(category, values, categories).astype(np.float64)
        return sums

    pull = strength * float(np.mean(expit(logit) * expit(-logit))) + 1e-6
    pull_slope = pull * max(1.0, float(np.mean(logit**2)))
    for _ in range(15):
        p = expit(slope[category] * logit + intercept[category])
        error, variance = p - present, p * (1 - p)
        g0 = total(error * logit) + pull_slope * (slope - 1)
        g1 = total(error) + pull * intercept
        h00 = total(variance * logit**2) + pull_slope
        h01, h11 = total(variance * logit), total(variance) + pull
        determinant = h00 * h11 - h01**2
        step0 = (h11 * g0 - h01 * g1) / determinant
        step1 = (h00 * g1 - h01 * g0) / determinant
        limit = np.maximum(1.0, np.maximum(np.abs(step0), np.abs(step1)))
        slope, intercept = slope - step0 / limit, intercept - step1 / limit
        if max(np.abs(step0).max(), np.abs(step1).max()) < 1e-5:
            break
    # A negative slope would turn the ranking around: never on so little data.
    return np.stack([np.clip(slope, 0.2, 5.0), intercept])
