"""The solver and the base: known answers, folds, regularisation, samples of many cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hst_core.linear import LinearBase, LinearConfig, LogisticProblem, minimise
from hst_core.stacking import assign_folds
from hst_core.stopping import Stopped


def problem(rows: int = 200, columns: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, 6, generator=generator)
    truth = torch.randn(6, columns, generator=generator)
    target = (torch.rand(rows, columns, generator=generator) < torch.sigmoid(z @ truth)).float()
    weight = (torch.rand(rows, columns, generator=generator) < 0.7).float()
    return z, target, weight


def ridge(z: Tensor, target: Tensor, weight: Tensor, l2: float) -> LogisticProblem:
    shape = (z.shape[1], target.shape[1])
    return LogisticProblem(
        forward=lambda p: z @ p,
        adjoint=lambda r: z.T @ r,
        targets=target,
        weights=weight,
        penalty=torch.full(shape, l2),
        curvature=torch.full(shape, l2 + 0.1 * len(z)),
    )


def data(images: int = 400, categories: int = 3) -> tuple[Tensor, NDArray[np.int8]]:
    generator = np.random.default_rng(1)
    z = (generator.normal(size=(images, 8)) / np.sqrt(8)).astype(np.float32)
    truth = z @ generator.normal(size=(8, categories)) * 3 + generator.normal(size=categories)
    noisy = truth + generator.logistic(size=truth.shape)
    return torch.from_numpy(z), np.where(noisy > 0, 1, -1).astype(np.int8)


def fit(z: Tensor, labels: NDArray[np.int8], config: LinearConfig | None = None) -> LinearBase:
    return LinearBase.fit(z, labels, assign_folds(labels, 5), 5, config or LinearConfig())


def test_the_solver_agrees_with_scikit_learn_on_every_column() -> None:
    z, target, weight = problem()
    start = torch.zeros(6, 4)
    found = minimise(ridge(z, target, weight, 2.0), start, tolerance=1e-5)
    for column in range(4):
        reference = LogisticRegression(C=1 / 2.0, fit_intercept=False, tol=1e-8)
        rows = weight[:, column] > 0
        reference.fit(z[rows].numpy(), target[rows, column].numpy())
        np.testing.assert_allclose(found[:, column], reference.coef_[0], atol=2e-3)


def test_a_column_is_solved_as_if_it_were_alone() -> None:
    z, target, weight = problem()
    together = minimise(ridge(z, target, weight, 1.0), torch.zeros(6, 4), tolerance=1e-5)
    alone = minimise(
        ridge(z, target[:, 2:3], weight[:, 2:3], 1.0), torch.zeros(6, 1), tolerance=1e-5
    )
    np.testing.assert_allclose(together[:, 2:3], alone, atol=2e-3)


def test_a_column_without_rows_goes_to_zero() -> None:
    z, target, weight = problem()
    weight[:, 1] = 0
    found = minimise(ridge(z, target, weight, 1.0), torch.ones(6, 4))
    assert float(found[:, 1].abs().max()) < 0.05


def test_starting_at_the_solution_takes_no_step() -> None:
    z, target, weight = problem()
    solved = minimise(ridge(z, target, weight, 1.0), torch.zeros(6, 4), tolerance=1e-4)
    again = minimise(ridge(z, target, weight, 1.0), solved, tolerance=1e-3)
    torch.testing.assert_close(again, solved, rtol=0, atol=0)


def test_the_solver_stops_when_asked() -> None:
    z, target, weight = problem()
    with pytest.raises(Stopped):
        minimise(ridge(z, target, weight, 1.0), torch.zeros(6, 4), should_stop=lambda: True)


def test_soft_targets_are_fitted() -> None:
    z = torch.ones(10, 1)
    target = torch.full((10, 1), 0.3)
    found = minimise(ridge(z, target, torch.ones(10, 1), 0.0), torch.zeros(1, 1), tolerance=1e-6)
    assert float(torch.sigmoid(found)) == pytest.approx(0.3, abs=1e-4)


def test_the_base_without_labels_is_constant() -> None:
    z, labels = data()
    base = fit(z, np.zeros_like(labels))
    assert float(base.weight.abs().max()) == 0.0
    assert torch.isfinite(base.bias).all()


def test_the_base_ranks_what_it_was_not_shown() -> None:
    z, labels = data()
    shown = labels.copy()
    shown[200:] = 0
    logits = fit(z, shown).logits(z)[200:].numpy()
    for category in range(3):
        present = labels[200:, category] == 1
        assert logits[present, category].mean() > logits[~present, category].mean() + 1


def test_the_fit_of_a_fold_has_not_seen_its_cells() -> None:
    z, labels = data()
    folds = assign_folds(labels, 5)
    flipped = np.where(folds == 2, -labels, labels)
    config = LinearConfig(l2=(0.1,), tolerance=1e-4)
    one = LinearBase.fit(z, labels, folds, 5, config)
    other = LinearBase.fit(z, flipped, folds, 5, config)
    torch.testing.assert_close(one.weight[3], other.weight[3], atol=0.05, rtol=0)
    assert float((one.weight[0] - other.weight[0]).abs().max()) > 0.5


def test_strong_regularisation_is_chosen_for_noise_and_weak_for_signal() -> None:
    z, labels = data()
    generator = np.random.default_rng(0)
    noise = np.where(generator.random(labels.shape) < 0.5, 1, -1).astype(np.int8)
    assert fit(z, noise).l2 == max(LinearConfig().l2)
    assert fit(z, labels).l2 < max(LinearConfig().l2)


def test_the_choice_is_kept_until_there_is_much_more_to_learn_from() -> None:
    z, labels = data()
    folds = assign_folds(labels, 5)
    first = LinearBase.fit(z, labels, folds, 5, LinearConfig(l2=(0.3,)))
    again = LinearBase.fit(z, labels, folds, 5, LinearConfig(l2=(0.1,)), previous=first)
    assert again.l2 == 0.3
    few = labels.copy()
    few[100:] = 0
    start = LinearBase.fit(z, few, folds, 5, LinearConfig(l2=(0.3,)))
    assert LinearBase.fit(z, labels, folds, 5, LinearConfig(l2=(0.1,)), previous=start).l2 == 0.1


def test_a_new_category_joins_an_earlier_fit() -> None:
    z, labels = data()
    folds = assign_folds(labels, 5)
    first = LinearBase.fit(z, labels[:, :2], folds[:, :2], 5, LinearConfig())
    grown = LinearBase.fit(z, labels, folds, 5, LinearConfig(), previous=first)
    assert grown.bias.shape == (6, 3)
    torch.testing.assert_close(grown.logits(z)[:, :2], first.logits(z), atol=0.1, rtol=0)


def test_a_sample_stands_for_many_cells_without_moving_the_probabilities() -> None:
    z, labels = data(4000, 2)
    labels[:, 1] = np.where(np.random.default_rng(0).random(4000) < 0.05, labels[:, 1], -1)
    every = fit(z, labels, LinearConfig(l2=(0.1,)))
    sampled = fit(z, labels, LinearConfig(l2=(0.1,), most_cells=1000))
    p, q = (torch.sigmoid(b.logits(z)) for b in (every, sampled))
    assert float((p - q).abs().mean()) < 0.02
    assert float((p.mean(dim=0) - q.mean(dim=0)).abs().max()) < 0.01


def test_many_categories_at_once_and_one_by_one_give_the_same() -> None:
    z, labels = data(300, 5)
    labels[np.random.default_rng(0).random(labels.shape) < 0.5] = 0
    folds = assign_folds(labels, 5)
    config = LinearConfig(l2=(0.1,), tolerance=1e-4)
    together = LinearBase.fit(z, labels, folds, 5, config)
    one_by_one = [
        LinearBase.fit(z, labels[:, c : c + 1], folds[:, c : c + 1], 5, config) for c in range(5)
    ]
    for category, alone in enumerate(one_by_one):
        # The prior differs: its target is the share of positives among all categories.
        difference = together.weight[:, :, category] - alone.weight[:, :, 0]
        assert float(difference.abs().max()) < 0.1


def test_no_strength_to_choose_from_is_refused() -> None:
    z, labels = data()
    with pytest.raises(ValueError, match="l2 must name at least one strength"):
        fit(z, labels, LinearConfig(l2=()))
