from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hst_core.thresholds import (
    LearnableThreshold,
    fixed_point,
    learn_thresholds,
    pseudo_labels,
    threshold_loss,
)
from hst_core.transfer import TransferScores

SCORES = torch.tensor([[0.8, 0.2]])
LABELS = torch.tensor([[1, -1]], dtype=torch.int8)


def evidence_of(scores: torch.Tensor) -> TransferScores:
    return TransferScores(scores, torch.ones_like(scores, dtype=torch.bool))


@pytest.mark.parametrize(
    ("theta", "loss", "gradient"), [(0.5, 0.048587, 0.0), (0.7, 0.159988, 1.31124)]
)
def test_threshold_loss_has_its_known_values(theta: float, loss: float, gradient: float) -> None:
    threshold = torch.tensor(theta, requires_grad=True)
    found = threshold_loss(SCORES, threshold, LABELS, temperature=0.1)
    found.backward()
    assert threshold.grad is not None
    assert found.item() == pytest.approx(loss, abs=1e-6)
    assert threshold.grad.item() == pytest.approx(gradient, abs=1e-5)


def test_temperature_one_puts_the_fixed_point_out_of_reach() -> None:
    scores = torch.tensor([[1.0]] + [[0.0]] * 30)
    point = fixed_point(scores, scores == 1, 1.0, bounds=(-10.0, 10.0))
    assert point.item() == pytest.approx(3.4526, abs=1e-4)


def test_fixed_point_is_where_the_loss_is_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(60, 1, generator=generator)
    labels = torch.where(torch.rand(60, 1, generator=generator) < scores, 1, -1)
    theta = fixed_point(scores, labels == 1)[0].requires_grad_()
    threshold_loss(scores, theta, labels).backward()
    assert theta.grad is not None
    assert abs(theta.grad.item()) < 1e-4


def test_threshold_learns_its_fixed_point() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200, 3, generator=generator)
    labels = torch.where(torch.rand(200, 3, generator=generator) < scores, 1, -1)
    learned, started = LearnableThreshold(3, initial=0.7), LearnableThreshold(3)
    optimiser = torch.optim.Adam([learned.optimiser_group(2e-2)])
    for _ in range(100):
        optimiser.zero_grad()
        learned.loss(evidence_of(scores), labels).backward()
        optimiser.step()
    started.start(evidence_of(scores), labels)
    torch.testing.assert_close(learned.value(), started.value(), atol=5e-3, rtol=0)


def test_threshold_loss_gives_scores_no_gradient() -> None:
    scores = SCORES.clone().requires_grad_()
    threshold = LearnableThreshold()
    threshold.loss(evidence_of(scores), LABELS).backward()
    assert scores.grad is None
    assert threshold.theta.grad is not None


def test_invalid_cells_do_not_count() -> None:
    valid = torch.tensor([[True, False]])
    one = threshold_loss(SCORES, torch.tensor(0.5), LABELS, valid)
    alone = threshold_loss(SCORES[:, :1], torch.tensor(0.5), LABELS[:, :1])
    assert torch.equal(one, alone)


def test_nothing_valid_costs_nothing() -> None:
    threshold = LearnableThreshold()
    nowhere = TransferScores(SCORES, torch.zeros_like(SCORES, dtype=torch.bool))
    loss = threshold.loss(nowhere, LABELS)
    loss.backward()
    assert loss == 0
    assert threshold.theta.grad == 0
    threshold.start(nowhere, LABELS)
    assert threshold.value() == 0.5


def test_known_cells_get_no_pseudo_label() -> None:
    marked = pseudo_labels(evidence_of(torch.ones(1, 3)), torch.tensor([[1, -1, 0]]), 0.5)
    assert marked.tolist() == [[False, False, True]]


def test_a_score_at_the_threshold_is_enough() -> None:
    scores = torch.tensor([[0.49, 0.5]])
    assert pseudo_labels(
        evidence_of(scores), torch.zeros(1, 2, dtype=torch.int8), 0.5
    ).tolist() == [[False, True]]


def test_fixed_threshold_neither_starts_nor_learns() -> None:
    threshold = LearnableThreshold(initial=0.7, fixed=True)
    threshold.start(evidence_of(SCORES), LABELS)
    assert threshold.value().item() == pytest.approx(0.7)
    assert not threshold.loss(evidence_of(SCORES), LABELS).requires_grad


def test_categories_without_known_cells_keep_their_threshold() -> None:
    threshold = LearnableThreshold(2, initial=0.3)
    scores = torch.tensor([[0.8, 0.8], [0.2, 0.2]])
    threshold.start(evidence_of(scores), torch.tensor([[1, 0], [-1, 0]]))
    assert threshold.value().tolist() == pytest.approx([0.5, 0.3], abs=1e-6)


def test_start_stays_within_zero_and_one() -> None:
    threshold = LearnableThreshold(2)
    scores = torch.full((3, 2), 0.5)
    threshold.start(evidence_of(scores), torch.tensor([[1, -1]] * 3))
    assert threshold.value().tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_growing_keeps_old_thresholds() -> None:
    threshold = LearnableThreshold(2, initial=0.4)
    with torch.no_grad():
        threshold.theta.copy_(torch.tensor([0.1, 0.9]))
    threshold.grow(1)
    assert threshold.value().tolist() == pytest.approx([0.1, 0.9, 0.4])


def test_half_precision_scores_give_a_finite_loss() -> None:
    scores = torch.tensor([[60000.0, -60000.0]], dtype=torch.float16)
    assert torch.isfinite(threshold_loss(scores, torch.tensor(0.5), LABELS))


def test_out_of_range_settings_name_value_and_range() -> None:
    with pytest.raises(ValueError, match=r"initial must be in \[0, 1\], got 1.5"):
        LearnableThreshold(initial=1.5)
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0"):
        LearnableThreshold(temperature=0.0)


@given(seed=st.integers(0, 2**16), categories=st.integers(1, 5))
def test_numpy_thresholds_equal_the_fixed_point(seed: int, categories: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((40, categories), dtype=np.float32)
    labels = rng.integers(-1, 2, (40, categories)).astype(np.int8)
    labels[0] = 1
    expected = fixed_point(
        torch.from_numpy(scores),
        torch.from_numpy(labels == 1),
        counted=torch.from_numpy(labels != 0),
    )
    found = learn_thresholds(scores, labels, prior_strength=0.0)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4)


def test_few_known_cells_follow_the_shared_threshold() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((500, 2), dtype=np.float32)
    labels = np.where(rng.random((500, 2)) < scores, 1, -1).astype(np.int8)
    labels[1:, 1] = 0
    shared = learn_thresholds(scores[:, :1], labels[:, :1])[0]
    free = learn_thresholds(scores, labels, prior_strength=0.0)[1]
    drawn = learn_thresholds(scores, labels)[1]
    assert abs(drawn - shared) < abs(free - shared) / 2


def test_numpy_thresholds_without_labels_are_one_half() -> None:
    nothing = np.zeros((4, 3), dtype=np.int8)
    assert learn_thresholds(np.full((4, 3), 0.9), nothing).tolist() == [0.5] * 3
