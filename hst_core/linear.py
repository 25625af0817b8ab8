"""The base: L2 logistic regression on pooled features, every category at once (reference §11).

One solver serves all convex fits of the fast tier: many independent problems, the columns, share
their design matrix, so that each step is a matrix product. A category contributes one column for
the model itself and one per fold for its out-of-fold values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from hst_core.stacking import rescaled_log_loss
from hst_core.stopping import ShouldStop, check_stop


class LogisticProblem(NamedTuple):
    """Weighted logistic regressions that share a linear map from parameters to logits.

    Attributes:
        forward: parameters [parameters, columns] -> logits [rows, columns].
        adjoint: residuals [rows, columns] -> gradient [parameters, columns].
        targets: wanted probabilities in [0, 1].
        weights: of each row in each column; 0 takes it out.
        penalty: strength of L2 on each parameter, at least 0.
        curvature: rough diagonal of the Hessian, above 0; it decides the speed, not the result.
        offset: added to the logits; 0 if None.
    """

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]
    targets: Float[Tensor, "rows columns"]
    weights: Float[Tensor, "rows columns"]
    penalty: Float[Tensor, "parameters columns"]
    curvature: Float[Tensor, "parameters columns"]
    offset: Float[Tensor, "rows columns"] | None = None

    def losses(self, logits: Tensor, parameters: Tensor) -> Tensor:
        """Sum of the weighted log losses plus the penalty, one per column."""
        data = (self.weights * (softplus(logits) - self.targets * logits)).sum(dim=0)
        return data + 0.5 * (self.penalty * parameters.square()).sum(dim=0)

    def gradient(self, logits: Tensor, parameters: Tensor) -> Tensor:
        """Derivative of :meth:`losses`."""
        residual = torch.sigmoid(logits).sub_(self.targets).mul_(self.weights)
        return self.adjoint(residual).addcmul_(self.penalty, parameters)


def minimise(
    problem: LogisticProblem,
    start: Float[Tensor, "parameters columns"],
    *,
    tolerance: float = 1e-3,
    iterations: int = 100,
    memory: int = 8,
    should_stop: ShouldStop | None = None,
) -> Float[Tensor, "parameters columns"]:
    """Solve all columns by L-BFGS, each with its own step.

    A step costs one product with the design matrix and one with its transpose: the logits along
    the search direction are linear in the step, so trying another length costs neither.

    Args:
        problem: what to solve.
        start: first guess, such as an earlier solution.
        tolerance: ends when the expected decrease is below tolerance^2 per unit of row weight.
        iterations: most steps.
        memory: pairs of differences kept.
        should_stop: asked before every step.
    """
    parameters = start.clone()
    offset = 0.0 if problem.offset is None else problem.offset
    logits = problem.forward(parameters) + offset
    loss = problem.losses(logits, parameters)
    gradient = problem.gradient(logits, parameters)
    small = tolerance**2 * problem.weights.sum(dim=0).clamp(min=1.0)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(iterations):
        check_stop(should_stop)
        direction = _direction(gradient, problem.curvature, history)
        slope = (gradient * direction).sum(dim=0)
        if bool((-slope < small).all()):
            break
        along = problem.forward(direction)
        step, loss = _step(problem, logits, parameters, along, direction, loss, slope)
        move = direction.mul_(step)
        logits.add_(along.mul_(step))
        parameters.add_(move)
        after = problem.gradient(logits, parameters)
        change = after - gradient
        product = (move * change).sum(dim=0)
        # A column that no longer moves must not disturb its own memory.
        inverse = torch.where(product > 1e-12, 1.0 / product.clamp(min=1e-12), 0.0)
        history = [*history[1 - memory :], (move, change, inverse)]
        gradient = after
    return parameters


def _direction(
    gradient: Tensor, curvature: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """Two-loop recursion of L-BFGS, preconditioned by the curvature."""
    direction = gradient.clone()
    shares = []
    for move, change, inverse in reversed(history):
        share = inverse * (move * direction).sum(dim=0)
        direction.addcmul_(change, share, value=-1.0)
        shares.append(share)
    direction.div_(curvature)
    for (move, change, inverse), share in zip(history, reversed(shares), strict=True):
        direction.addcmul_(move, share - inverse * (change * direction).sum(dim=0))
    return direction.neg_()


def _step(
    problem: LogisticProblem,
    logits: Tensor,
    parameters: Tensor,
    along: Tensor,
    direction: Tensor,
    loss: Tensor,
    slope: Tensor,
) -> tuple[Tensor, Tensor]:
    """Halve the step of each column until its loss falls as it should."""
    step = torch.ones_like(loss)
    # Sums over many rows carry rounding errors in proportion to their size.
    slack = 1e-6 * loss.abs()
    for _ in range(30):
        reached = problem.losses(
            torch.addcmul(logits, along, step), torch.addcmul(parameters, direction, step)
        )
        failed = ~(reached <= loss + 1e-4 * step * slope + slack)
        if not bool(failed.any()):
            return step, reached
        step = torch.where(failed, step / 2, step)
    return torch.where(failed, 0.0, step), torch.where(failed, loss, reached)


@dataclass(frozen=True)
class LinearConfig:
    """How the base is fitted.

    Attributes:
        l2: strengths to choose from, in units where features have mean squared length 1.
        prior_weight: known cells that the common share of positives is worth; it keeps the
            intercept finite for a category with positives only.
        tolerance: of the solver.
        reuse_growth: an earlier choice of strength is kept until the number of known cells has
            grown by this factor.
        most_cells: known cells of a category that a fit uses at most; beyond that a sample stands
            for the others of its sign.
        choice_categories: categories that take part in the choice of the strength, at most.
    """

    l2: tuple[float, ...] = (0.03, 0.1, 0.2, 0.4, 1.0)
    prior_weight: float = 1.0
    tolerance: float = 1e-3
    reuse_growth: float = 1.25
    most_cells: int = 20_000
    choice_categories: int = 24


@dataclass(frozen=True)
class LinearBase:
    """Fitted logistic regressions; entry 0 of the first axis is the model, then one per fold.

    Attributes:
        weight: of the coordinates; ``weight[1 + f]`` has not seen the known cells of fold f.
        bias: log odds at the mean of the features.
        l2: strength chosen out of fold.
        known: number of known cells it was fitted on.
    """

    weight: Float[Tensor, "fits coordinates categories"]
    bias: Float[Tensor, "fits categories"]
    l2: float
    known: int

    @classmethod
    def fit(
        cls,
        coordinates: Float[Tensor, "images coordinates"],
        labels: Int8[np.ndarray, "images categories"],
        folds: Int8[np.ndarray, "images categories"],
        number_of_folds: int,
        config: LinearConfig,
        *,
        previous: LinearBase | None = None,
        should_stop: ShouldStop | None = None,
    ) -> LinearBase:
        """Fit every category on its known cells.

        Args:
            coordinates: mean squared length about 1 (:class:`~hst_core.projection.FeatureSpace`).
            labels: -1, 0 or 1.
            folds: fold of each known cell; what unknown cells hold is not used.
            number_of_folds: at least 2.
            config: strengths to choose from.
            previous: an earlier fit in the same space, with the same fold for each cell that was
                known then; it may have fewer categories.
            should_stop: asked before every step of the solver.
        """
        fitter = _Fitter(coordinates, labels, folds, number_of_folds, config, should_stop)
        known = int(np.count_nonzero(labels))
        start = fitter.start(previous)
        if previous is None or known > config.reuse_growth * previous.known:
            l2, start = fitter.choose(start)
        else:
            l2 = previous.l2
        parameters = fitter.solve(start, l2)
        return cls(parameters[:, :-1], parameters[:, -1], l2, known)

    def logits(
        self, coordinates: Float[Tensor, "images coordinates"], fit: int = 0
    ) -> Float[Tensor, "images categories"]:
        """Return the logits of one fit: 0 is the model, 1 + f the one without fold f."""
        return torch.addmm(self.bias[fit], coordinates, self.weight[fit])

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed by :meth:`from_state_dict`."""
        return {"weight": self.weight, "bias": self.bias, "l2": self.l2, "known": self.known}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> LinearBase:
        """Restore a fit."""
        return cls(state["weight"], state["bias"], float(state["l2"]), int(state["known"]))


class _Group(NamedTuple):
    """Categories that are solved together, and the rows that any of them knows."""

    categories: NDArray[np.intp]
    rows: NDArray[np.intp]


class _Fitter:
    """Builds and solves the problems of :meth:`LinearBase.fit`, a group of categories at a time."""

    #: Logits up to which all categories are solved at once; bounds the memory of a fit.
    _CELLS = 2**22

    def __init__(
        self,
        coordinates: Tensor,
        labels: NDArray[np.int8],
        folds: NDArray[np.int8],
        number_of_folds: int,
        config: LinearConfig,
        should_stop: ShouldStop | None,
    ) -> None:
        self.coordinates, self.labels, self.folds = coordinates, labels, folds
        self.number_of_folds, self.config, self.should_stop = number_of_folds, config, should_stop
        self.positives = (labels == 1).sum(axis=0)
        self.counts = (labels != 0).sum(axis=0)
        self.share = (self.positives.sum() + 1.0) / (self.counts.sum() + 10.0)

    def start(self, previous: LinearBase | None) -> Tensor:
        """Return a first guess [fits, coordinates + 1, categories]."""
        fits, size = self.number_of_folds + 1, self.coordinates.shape[1]
        start = torch.zeros(fits, size + 1, self.labels.shape[1])
        weight = self.config.prior_weight
        rate = (self.positives + weight * self.share) / (self.counts + weight)
        start[:, -1] = torch.from_numpy(np.log(rate / (1 - rate)).astype(np.float32))
        if previous is not None and len(previous.bias) == fits:
            old = previous.bias.shape[1]
            start[:, :-1, :old] = previous.weight
            start[:, -1, :old] = previous.bias
        return start

    def choose(self, start: Tensor) -> tuple[float, Tensor]:
        """Return the strength with the lowest out-of-fold log loss, and a start near its solution.

        The logits are rescaled before they are judged: strong regularisation shrinks them, which
        the stack undoes.
        """
        categories = self._telling_categories()
        best: tuple[float, float, Tensor] | None = None
        for l2 in sorted(self.config.l2, reverse=True):
            start = self.solve(start, l2, categories)
            loss = rescaled_log_loss(*self._held_out(start, categories))
            if best is not None and loss > best[0]:
                break  # the loss is close to convex in log l2
            best = (loss, l2, start)
        if best is None:
            raise ValueError("l2 must name at least one strength, got none")
        return best[1], best[2]

    def solve(self, start: Tensor, l2: float, categories: NDArray[np.intp] | None = None) -> Tensor:
        """Solve the columns of some categories, all if None; the others stay as in ``start``."""
        wanted = np.arange(self.labels.shape[1]) if categories is None else categories
        out = start.clone()
        for group in self._groups(wanted):
            guess = start[:, :, group.categories].permute(1, 0, 2)
            solved = minimise(
                self._problem(group, l2),
                guess.reshape(len(guess), -1),
                tolerance=self.config.tolerance,
                should_stop=self.should_stop,
            )
            out[:, :, group.categories] = solved.reshape(guess.shape).permute(1, 0, 2)
        return out

    def _telling_categories(self) -> NDArray[np.intp]:
        """Return categories with both signs, from few to many positives."""
        fit = np.flatnonzero((self.positives > 0) & (self.positives < self.counts))
        fit = fit[np.argsort(self.positives[fit], kind="stable")]
        count = min(len(fit), self.config.choice_categories)
        return fit[np.linspace(0, len(fit) - 1, count).round().astype(np.intp)] if count else fit

    def _groups(self, categories: NDArray[np.intp]) -> Iterator[_Group]:
        """Take all categories at once if that is little work, else each with its own rows."""
        images, fits = len(self.labels), self.number_of_folds + 1
        together = images * fits * len(categories) <= self._CELLS
        for group in [categories] if together else np.split(categories, len(categories)):
            rows = np.zeros(images, dtype=bool)
            for category in group:
                rows |= self._rows(int(category))
            yield _Group(group, np.flatnonzero(rows))

    def _rows(self, category: int) -> NDArray[np.bool_]:
        """Mark the images whose cell of this category takes part in the fit."""
        known: NDArray[np.bool_] = self.labels[:, category] != 0
        most = self.config.most_cells
        if self.counts[category] <= most:
            return known
        chosen = np.zeros_like(known)
        # The same order for every category, and for the next fit as long as no image is added.
        order = np.random.default_rng(0).random(len(known))
        (_, present), (_, absent) = self._signs(category)
        for sign, others in ((1, absent), (-1, present)):
            room = max(most // 2, most - others)
            cells = np.flatnonzero(self.labels[:, category] == sign)
            chosen[cells[order[cells].argsort(kind="stable")[:room]]] = True
        return chosen

    def _signs(self, category: int) -> tuple[tuple[int, int], tuple[int, int]]:
        present = int(self.positives[category])
        return (1, present), (-1, int(self.counts[category]) - present)

    def _problem(self, group: _Group, l2: float) -> LogisticProblem:
        fits, categories = self.number_of_folds + 1, len(group.categories)
        cells = np.ix_(group.rows, group.categories)
        labels, of_fold = self.labels[cells], torch.from_numpy(self.folds[cells])
        weight = torch.from_numpy(self._weights(group, labels))
        weights = torch.stack([weight, *(weight * (of_fold != f) for f in range(fits - 1))], dim=1)
        targets = torch.from_numpy((labels == 1).astype(np.float32))[:, None].expand(weights.shape)
        # One more row at the origin with the common share of positives as its target.
        prior = torch.full((1, fits * categories), self.config.prior_weight)
        weight = torch.cat([weights.flatten(1), prior])
        target = torch.cat([targets.flatten(1), torch.full_like(prior, self.share)])
        z = torch.cat([self.coordinates[group.rows], torch.zeros(1, self.coordinates.shape[1])])
        return LogisticProblem(
            forward=lambda p: torch.addmm(p[-1], z, p[:-1]),
            adjoint=lambda r: torch.cat([z.T @ r, r.sum(dim=0, keepdim=True)]),
            targets=target,
            weights=weight,
            penalty=self._penalty(l2, weight.shape[1]),
            curvature=self._curvature(z, weight, target, l2),
        )

    def _weights(self, group: _Group, labels: NDArray[np.int8]) -> NDArray[np.float32]:
        """Let the cells that take part stand for all known cells of their sign."""
        weights: NDArray[np.float32] = (labels != 0).astype(np.float32)
        for column, category in enumerate(group.categories.tolist()):
            if self.counts[category] > self.config.most_cells:
                weights[:, column] *= self._rows(category)[group.rows]
                for sign, total in self._signs(category):
                    cells = (labels[:, column] == sign) & (weights[:, column] > 0)
                    weights[cells, column] = total / max(1, int(cells.sum()))
        return weights

    def _penalty(self, l2: float, columns: int) -> Tensor:
        penalty = torch.full((self.coordinates.shape[1] + 1, columns), l2)
        penalty[-1] = 0.0
        return penalty

    @staticmethod
    def _curvature(z: Tensor, weight: Tensor, target: Tensor, l2: float) -> Tensor:
        """Return the Hessian's diagonal if every cell had half the variance of its category."""
        total = weight.sum(dim=0)
        rate = (weight * target).sum(dim=0) / total
        variance = (0.5 * rate * (1 - rate) * total).clamp(min=1e-4)
        diagonal = z.square().mean(dim=0)[:, None] * variance + l2
        return torch.cat([diagonal, variance[None]])

    def _held_out(
        self, parameters: Tensor, categories: NDArray[np.intp], most: int = 50_000
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return logits of known cells from fits that had not seen them, and their labels."""
        images = max(1, most * len(self.labels) // max(1, int(self.counts[categories].sum())))
        step = max(1, len(self.labels) // images)
        rows = np.flatnonzero((self.labels[:, categories] != 0).any(axis=1))[::step]
        z, cells = self.coordinates[rows], np.ix_(rows, categories)
        labels, folds = self.labels[cells], self.folds[cells]
        logits, present = [], []
        for fold in range(self.number_of_folds):
            fit = parameters[1 + fold][:, categories]
            held = (labels != 0) & (folds == fold)
            logits.append(torch.addmm(fit[-1], z, fit[:-1]).numpy()[held])
            present.append(labels[held] == 1)
        return np.concatenate(logits).astype(np.float64), np.concatenate(present).astype(np.float64)
