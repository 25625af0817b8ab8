"""How sources of evidence become one calibrated probability (reference §11).

The stack is a logistic regression on the values of all sources at known cells. Every value must
come from a fit that had not seen its cell: weights fitted on evidence that knew the answer would
trust it blindly. Where labels are few it stays close to usual weights: values of a fit without a
fifth of a handful of labels say little about what the fit with all of them is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
        kept: whether it is part of the stack: it lowers the out-of-fold log loss, or has a usual
            weight and is not turned around.
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
    """Values of one source at the known cells that the stack is fitted on.

    Attributes:
        name: unlike that of any other source.
        kind: of transfer.
        values: out of fold.
        usual: weight that it is drawn to; one that has any is only left out where the labels
            would turn it around.
        relief: how much less is left to the required source, whose usual weight is 1 alone.
    """

    name: str
    kind: SourceKind
    values: Float32[np.ndarray, " cells"]
    usual: float = 0.0
    relief: float = 0.0


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
        weights = chosen.weights
        by_name = dict(zip(chosen.kept, weights[1:].tolist(), strict=True))
        logit = weights[0] + sum(
            (by_name[s.name] * s.values.astype(np.float64) for s in sources if s.name in by_name),
            start=np.zeros(len(present)),
        )
        calibration = _calibrate(logit, present, category, fold, categories)
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


def rescaled_log_loss(
    logit: Float[np.ndarray, " cells"], present: Float[np.ndarray, " cells"]
) -> float:
    """Return the mean log loss of logits after the best common slope and intercept.

    It judges held-out logits by what they tell, whatever their scale.
    """
    if not len(logit):
        return _log_loss(logit, present)
    standard = (logit - logit.mean()) / max(float(logit.std()), 1e-6)
    values = np.column_stack([np.ones(len(logit)), standard])
    weights = _fit_weights(values, present, _Anchor(np.array([0.0, 1.0]), 1.0))
    return _log_loss(values @ weights, present)


class _Selection(NamedTuple):
    """Names of the sources kept, their weights after the bias, and the losses that decided."""

    kept: list[str]
    weights: NDArray[np.float64]
    with_source: dict[str, float]
    without_source: dict[str, float]


def _select(
    sources: Sequence[StackSource],
    present: NDArray[np.floating],
    fold: NDArray[np.int8],
    required: str,
) -> _Selection:
    """Drop the least useful source until every one left lowers the cross-validated log loss.

    Evidence that would have to be turned around to help is noise, and goes first. Otherwise a
    source with a usual weight stays.
    """
    names, kinds = [s.name for s in sources], [s.kind for s in sources]
    firmness = _firmness(present)
    order = np.argsort(fold, kind="stable")
    values = np.column_stack([np.ones(len(present)), *(s.values for s in sources)])
    values = values[order].astype(np.float64)
    folds = _slices(fold[order])

    def fit(columns: list[int]) -> tuple[NDArray[np.float64], float]:
        anchor = _Anchor(_usual_weights([sources[c - 1] for c in columns[1:]], required), firmness)
        part = values[:, columns]
        weights = _fit_weights(part, present[order], anchor)
        return weights, _cross_validated_loss(part, present[order], folds, weights, anchor)

    columns = list(range(len(names) + 1))
    with_source: dict[str, float] = {}
    without_source: dict[str, float] = {}
    weights, loss = fit(columns)
    while True:
        fits = {c: fit([k for k in columns if k != c]) for c in columns[1:]}
        for column, (_, without) in fits.items():
            name = names[column - 1]
            with_source[name], without_source[name] = loss, without
        others = [c for c in columns[1:] if names[c - 1] != required]
        # Evidence that speaks against itself is noise, however well it happens to fit.
        absurd = [c for c in others if weights[columns.index(c)] < 0 and kinds[c - 1] != "prior"]
        droppable = [c for c in others if not sources[c - 1].usual]
        worst = min(absurd or droppable, key=lambda c: fits[c][1], default=None)
        if worst is None or (not absurd and fits[worst][1] > loss):
            kept = [names[c - 1] for c in columns[1:]]
            return _Selection(kept, weights, with_source, without_source)
        columns.remove(worst)
        weights, loss = fits[worst]


def _slices(ordered: NDArray[np.int8]) -> list[slice]:
    """Return where each fold lies in cells that are ordered by fold."""
    ends = np.append(np.flatnonzero(np.diff(ordered)) + 1, len(ordered))
    return [slice(int(a), int(b)) for a, b in pairwise([0, *ends.tolist()]) if b > a]


class _Anchor(NamedTuple):
    """What weights are drawn to, and how firmly: by four times so many cells of each source."""

    center: NDArray[np.float64]
    firmness: float

    def strength(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the strength of the pull on the weight of each column."""
        strength: NDArray[np.float64] = self.firmness * _scale(values) ** 2
        return strength


#: The pull on weights falls with the labels of the rarer state, to its least at so many of them.
_ENOUGH_OF_A_STATE = 2000
_FIRMEST = 20.0


def _firmness(present: NDArray[np.floating]) -> float:
    """Return how firmly weights are held to the usual ones: by 20 where labels are few, down to 1.

    Out of fold values are not alike to those that the weights are for. A fit that lacks one of
    three present labels finds less than the fit with all of them, and what it lacks is the very
    cell it is judged by.
    """
    count = min(present.sum(), (1 - present).sum()) if len(present) else 0.0
    return float(np.clip(_ENOUGH_OF_A_STATE / max(count, 1.0), 1.0, _FIRMEST))


def _usual_weights(sources: Sequence[StackSource], required: str) -> NDArray[np.float64]:
    """Return what bias and weights are drawn to: no bias, and the required source in the rest."""
    rest = 1.0 - sum(s.relief for s in sources)
    return np.array([0.0, *(rest if s.name == required else s.usual for s in sources)])


def _scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spread of each column, 1 for the bias."""
    scale = np.maximum(values.std(axis=0), 1e-3) if len(values) else np.ones(values.shape[1])
    scale[0] = 1.0
    return scale


def _fit_weights(
    values: NDArray[np.float64], present: NDArray[np.floating], anchor: _Anchor
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method under a pull on the weights."""
    penalty, scale = anchor.strength(values), _scale(values)
    weights = anchor.center.copy()
    for _ in range(30):
        p = expit(values @ weights)
        gradient = (p - present) @ values + penalty * (weights - anchor.center)
        hessian = (values * (p * (1 - p))[:, None]).T @ values + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        # Far from the solution a full step may overshoot; one unit of logit at a time cannot.
        largest = np.abs(step * scale).max()
        weights -= step / max(1.0, largest)
        if largest < 1e-5:
            break
    return weights


#: Up to this many cells, held-out losses come from complete refits.
_EXACT_CELLS = 3000


def _cross_validated_loss(
    values: NDArray[np.float64],
    present: NDArray[np.floating],
    folds: Sequence[slice],
    weights: NDArray[np.float64],
    anchor: _Anchor,
) -> float:
    """Return the log loss of cells under weights that had not seen their fold.

    With many cells, leaving a fold out moves the weights so little that one Newton step from the
    solution of all cells, whose sums lack the fold, is as good as a refit and ten times faster.
    """
    logit = np.zeros(len(present))
    if len(present) <= _EXACT_CELLS:
        for held in folds:
            rest = np.r_[0 : held.start, held.stop : len(present)]
            logit[held] = values[held] @ _fit_weights(values[rest], present[rest], anchor)
        return _log_loss(logit, present)
    penalty = anchor.strength(values)
    p = expit(values @ weights)
    error, spread = p - present, values * (p * (1 - p))[:, None]
    hessians = [spread[held].T @ values[held] for held in folds]
    whole = np.sum(hessians, axis=0) + np.diag(penalty)
    for held, hessian in zip(folds, hessians, strict=True):
        # At the solution the sum over all cells is zero, so that without the fold is its negative.
        gradient = -(error[held] @ values[held])
        logit[held] = values[held] @ (weights - np.linalg.solve(whole - hessian, gradient))
    return _log_loss(logit, present)


def _log_loss(logit: NDArray[np.floating], present: NDArray[np.floating]) -> float:
    """Mean log loss; log 2 without cells, which is what knowing nothing costs."""
    if not len(logit):
        return float(np.log(2.0))
    return float(np.mean(np.logaddexp(0.0, logit) - present * logit))


#: How many cells the global calibration is worth to a category; infinity keeps it for all.
_SHRINKAGE = (10.0, 30.0, 100.0, 300.0)


def _calibrate(
    logit: NDArray[np.floating],
    present: NDArray[np.floating],
    category: NDArray[np.intp],
    fold: NDArray[np.int8],
    categories: int,
) -> NDArray[np.float64]:
    """Fit slope and intercept per category, drawn to (1, 0) as far as the held-out loss asks."""
    identity = np.stack([np.ones(categories), np.zeros(categories)])
    best, chosen = _log_loss(logit, present), identity
    if not len(logit):
        return identity
    for strength in _SHRINKAGE:
        pull = _pull(logit, strength)
        whole = _calibration(identity, logit, present, category, pull)
        held_logit = np.empty(len(logit))
        for f in np.unique(fold):
            held, rest = fold == f, fold != f
            # Two Newton steps from the solution of all cells are as good as a fit of their own.
            fit = _calibration(whole, logit[rest], present[rest], category[rest], pull, steps=2)
            held_logit[held] = fit[0, category[held]] * logit[held] + fit[1, category[held]]
        loss = _log_loss(held_logit, present)
        if loss < best:
            best, chosen = loss, whole
    return chosen


class _Sums(NamedTuple):
    """Gradient and Hessian of the log loss in slope and intercept, summed per group."""

    g0: NDArray[np.float64]
    g1: NDArray[np.float64]
    h00: NDArray[np.float64]
    h01: NDArray[np.float64]
    h11: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        parameters: NDArray[np.float64],
        logit: NDArray[np.floating],
        present: NDArray[np.floating],
        group: NDArray[np.intp],
    ) -> _Sums:
        """Sum over the cells of each group, at the group's own parameters [2, groups]."""
        p = expit(parameters[0, group] * logit + parameters[1, group])
        error, variance = p - present, p * (1 - p)
        terms = (error * logit, error, variance * logit**2, variance * logit, variance)
        sums = [np.bincount(group, t, parameters.shape[1]).astype(np.float64) for t in terms]
        return cls(*sums)

    def step(
        self, parameters: NDArray[np.float64], pull: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Return the Newton step [2, groups] under a pull to (1, 0), at most one unit long."""
        g0 = self.g0 + pull[0] * (parameters[0] - 1)
        g1 = self.g1 + pull[1] * parameters[1]
        h00, h11 = self.h00 + pull[0], self.h11 + pull[1]
        determinant = h00 * h11 - self.h01**2
        step = np.stack([h11 * g0 - self.h01 * g1, h00 * g1 - self.h01 * g0]) / determinant
        return np.asarray(step / np.maximum(1.0, np.abs(step).max(axis=0)))


def _pull(logit: NDArray[np.floating], strength: float) -> tuple[float, float]:
    """Return how strongly slope and intercept are held, in units of ``strength`` typical cells."""
    variance = strength * float(np.mean(expit(logit) * expit(-logit))) + 1e-6
    return variance * max(1.0, float(np.mean(logit**2))), variance


def _calibration(
    start: NDArray[np.float64],
    logit: NDArray[np.floating],
    present: NDArray[np.floating],
    category: NDArray[np.intp],
    pull: tuple[float, float],
    steps: int = 15,
) -> NDArray[np.float64]:
    """Return slope and intercept per category by Newton's method on their 2 x 2 systems."""
    parameters = start
    for _ in range(steps):
        step = _Sums.of(parameters, logit, present, category).step(parameters, pull)
        parameters = parameters - step
        if np.abs(step).max() < 1e-4:
            break
    # A negative slope would turn the ranking around, on very little data.
    return np.stack([np.clip(parameters[0], 0.2, 5.0), parameters[1]])
