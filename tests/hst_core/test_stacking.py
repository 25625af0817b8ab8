"""Folds, the choice of sources, weights and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.special import expit

from hst_core.stacking import EvidenceStack, StackSource, assign_folds, rescaled_log_loss

label_matrices = hnp.arrays(
    np.int8, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.sampled_from([-1, 0, 1])
)


@given(label_matrices, st.integers(2, 5))
def test_every_known_cell_has_a_fold_and_no_other(labels: NDArray[np.int8], folds: int) -> None:
    assigned = assign_folds(labels, folds)
    np.testing.assert_array_equal(assigned >= 0, labels != 0)
    assert assigned.max() < folds


@given(label_matrices, st.integers(2, 5))
def test_each_fold_gets_its_share_of_each_sign(labels: NDArray[np.int8], folds: int) -> None:
    assigned = assign_folds(labels, folds)
    for column in range(labels.shape[1]):
        for sign in (1, -1):
            of_sign = assigned[labels[:, column] == sign, column]
            counts = np.bincount(of_sign, minlength=folds)
            assert counts.max() - counts.min() <= 1


@given(label_matrices, label_matrices)
def test_a_cell_keeps_its_fold(before: NDArray[np.int8], after: NDArray[np.int8]) -> None:
    rows = min(len(before), len(after))
    columns = min(before.shape[1], after.shape[1])
    first = assign_folds(before[:rows, :columns], 5)
    second = assign_folds(after, 5, previous=first)
    both = (before[:rows, :columns] != 0) & (after[:rows, :columns] != 0)
    np.testing.assert_array_equal(second[:rows, :columns][both], first[both])
    np.testing.assert_array_equal(second >= 0, after != 0)


def test_new_cells_go_where_there_are_fewest() -> None:
    labels = np.ones((7, 1), dtype=np.int8)
    previous = np.array([[0], [0], [0], [1], [-1], [-1], [-1]], dtype=np.int8)
    labels[4:] = 0
    grown = np.ones((7, 1), dtype=np.int8)
    folds = assign_folds(grown, 3, previous=np.where(labels != 0, previous, -1).astype(np.int8))
    assert np.bincount(folds[:, 0]).tolist() == [3, 2, 2]


Cells = tuple[list[StackSource], NDArray[np.float64], NDArray[np.intp], NDArray[np.int8]]


def cells(count: int = 2000, seed: int = 0, categories: int = 4) -> Cells:
    """A base with half the scale it should have, another good source, and noise."""
    generator = np.random.default_rng(seed)
    base, other, noise = generator.normal(size=(3, count)).astype(np.float32)
    present = generator.random(count) < expit(2 * base + 1.0 * other - 1)
    category = generator.integers(0, categories, count)
    fold = generator.integers(0, 5, count).astype(np.int8)
    sources = [
        StackSource("base", "classifier", base),
        StackSource("other", "cst", other),
        StackSource("noise", "ist", noise),
    ]
    return sources, present.astype(np.float64), category, fold


@pytest.mark.parametrize("count", [1500, 8000])
def test_weights_are_those_the_labels_were_drawn_with(count: int) -> None:
    stack = EvidenceStack.fit(*cells(count), 4)
    assert stack.weight("base") == pytest.approx(2, abs=0.35)
    assert stack.weight("other") == pytest.approx(1, abs=0.25)
    assert stack.bias == pytest.approx(-1, abs=0.25)


@pytest.mark.parametrize("seed", range(4))
def test_a_kept_source_lowers_the_held_out_loss(seed: int) -> None:
    stack = EvidenceStack.fit(*cells(seed=seed), 4)
    for source in stack.sources:
        if source.kept:
            assert source.loss_with < source.loss_without
        else:
            assert source.weight == 0.0


def test_most_noise_is_dropped() -> None:
    stacks = [EvidenceStack.fit(*cells(seed=seed), 4) for seed in range(12)]
    assert sum(stack.weight("noise") != 0 for stack in stacks) <= 3
    assert all(abs(stack.weight("noise")) < 0.25 for stack in stacks)


def test_evidence_that_speaks_against_itself_is_dropped() -> None:
    sources, present, category, fold = cells()
    against = StackSource("against", "cst", -2 * sources[1].values)
    stack = EvidenceStack.fit([sources[0], against], present, category, fold, 4)
    assert stack.weight("against") == 0.0


def test_the_prior_may_have_a_negative_weight() -> None:
    sources, present, category, fold = cells()
    prior = StackSource("prior", "prior", -2 * sources[1].values)
    stack = EvidenceStack.fit([sources[0], prior], present, category, fold, 4)
    assert stack.weight("prior") < -0.3


def test_the_base_stays_even_if_it_says_nothing() -> None:
    sources, present, category, fold = cells()
    swapped = [
        StackSource("base", "classifier", sources[2].values),
        StackSource("other", "cst", sources[0].values),
    ]
    stack = EvidenceStack.fit(swapped, present, category, fold, 4)
    assert [s.kept for s in stack.sources] == [True, True]
    assert abs(stack.weight("base")) < 0.2


def test_fast_and_exact_cross_validation_choose_alike() -> None:
    sources, present, category, fold = cells(3000)
    exact = EvidenceStack.fit(sources, present, category, fold, 4)
    twice = [StackSource(s.name, s.kind, np.tile(s.values, 2)) for s in sources]
    fast = EvidenceStack.fit(twice, np.tile(present, 2), np.tile(category, 2), np.tile(fold, 2), 4)
    for one, other in zip(exact.sources, fast.sources, strict=True):
        assert one.loss_with == pytest.approx(other.loss_with, abs=2e-4)
        assert one.loss_without == pytest.approx(other.loss_without, abs=2e-4)


def test_without_cells_the_stack_is_the_base() -> None:
    sources = [StackSource(s.name, s.kind, s.values[:0]) for s in cells()[0]]
    nothing = np.zeros(0)
    stack = EvidenceStack.fit(sources, nothing, nothing.astype(np.intp), nothing.astype(np.int8), 4)
    assert [s.weight for s in stack.sources] == [1.0, 0.0, 0.0]
    assert stack.bias == 0.0
    np.testing.assert_array_equal(stack.calibration, [[1] * 4, [0] * 4])


def usual(part: Cells, weight: float = 0.7, relief: float = 0.3) -> Cells:
    """The same cells, where the second source has a usual weight."""
    base, other, noise = part[0]
    return [base, other._replace(usual=weight, relief=relief), noise], *part[1:]


def test_without_cells_sources_have_their_usual_weights() -> None:
    sources, present, category, fold = usual(cells())
    none = [s._replace(values=s.values[:0]) for s in sources]
    stack = EvidenceStack.fit(none, present[:0], category[:0], fold[:0], 4)
    assert [s.weight for s in stack.sources] == pytest.approx([0.7, 0.7, 0.0])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_the_fewer_labels_the_closer_weights_stay_to_the_usual_ones(seed: int) -> None:
    """With a hundred times as many labels of the same kind, they end where the labels say."""
    few, many = cells(40, seed), cells(4000, seed)
    stacks = [EvidenceStack.fit(*usual(part), 4) for part in (few, many)]
    near, far = (abs(s.weight("base") - 0.7) + abs(s.weight("other") - 0.7) for s in stacks)
    assert near < far
    assert near < 0.8


def test_with_many_labels_usual_weights_change_nothing() -> None:
    plain = EvidenceStack.fit(*cells(8000), 4)
    drawn = EvidenceStack.fit(*usual(cells(8000)), 4)
    for one, other in zip(plain.sources, drawn.sources, strict=True):
        assert one.weight == pytest.approx(other.weight, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_a_source_with_a_usual_weight_stays_even_if_it_is_noise(seed: int) -> None:
    sources, present, category, fold = cells(300, seed)
    noise = sources[2]._replace(usual=0.5)
    stack = EvidenceStack.fit([sources[0], noise], present, category, fold, 4)
    assert stack.sources[1].kept == (stack.sources[1].weight != 0)
    assert 0 <= stack.weight("noise") < 0.5


def test_a_usual_weight_does_not_keep_what_speaks_against_itself() -> None:
    sources, present, category, fold = cells()
    against = StackSource("against", "cst", -2 * sources[1].values, usual=0.5)
    stack = EvidenceStack.fit([sources[0], against], present, category, fold, 4)
    assert stack.weight("against") == 0.0


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 100))
def test_a_few_cells_give_finite_weights(count: int, seed: int) -> None:
    sources, present, category, fold = cells(count, seed)
    stack = EvidenceStack.fit(sources, present, category, fold, 4)
    assert np.isfinite([s.weight for s in stack.sources]).all()
    assert np.isfinite(stack.calibration).all()


def test_huge_evidence_gives_finite_weights() -> None:
    sources, present, category, fold = cells(200)
    huge = [StackSource(s.name, s.kind, 1000 * s.values) for s in sources]
    stack = EvidenceStack.fit(huge, present, category, fold, 4)
    assert np.isfinite([s.weight for s in stack.sources]).all()


def test_a_category_with_another_base_rate_is_calibrated() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(size=6000).astype(np.float32)
    category = np.arange(6000) % 2
    present = (generator.random(6000) < expit(base + np.where(category == 1, 1.5, -1.5))) * 1.0
    fold = generator.integers(0, 5, 6000).astype(np.int8)
    stack = EvidenceStack.fit([StackSource("base", "classifier", base)], present, category, fold, 2)
    p = stack.probability(stack.logit({"base": base[:, None].repeat(2, axis=1)}, (6000, 2)))
    for index in (0, 1):
        own = category == index
        assert p[own, index].mean() == pytest.approx(present[own].mean(), abs=0.02)


def test_categories_that_need_no_calibration_of_their_own_get_none() -> None:
    stack = EvidenceStack.fit(*cells(600, categories=20), 20)
    assert np.abs(stack.calibration[0] - 1).max() < 0.3
    assert np.abs(stack.calibration[1]).max() < 0.5


def test_rescaling_undoes_a_wrong_scale() -> None:
    sources, present, _, _ = cells()
    logit = sources[0].values.astype(np.float64)
    assert rescaled_log_loss(0.1 * logit - 2, present) == pytest.approx(
        rescaled_log_loss(logit, present), abs=1e-3
    )


def test_a_stack_survives_its_state() -> None:
    stack = EvidenceStack.fit(*cells(), 4)
    restored = EvidenceStack.from_state_dict(stack.state_dict())
    assert restored.sources == stack.sources
    assert restored.bias == stack.bias
    np.testing.assert_array_equal(restored.calibration, stack.calibration)
