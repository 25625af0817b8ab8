"""Residual co-occurrence: its formula, folds over images, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from hst_core.cooccurrence import ResidualCooccurrence, enough_labels, fold_of_images, residuals
from hst_core.stopping import Stopped


def scenes(images: int = 1500, known: float = 0.6) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Draw labels of which 0 and 1 attract and 0 and 2 repel each other; 3 stands alone."""
    generator = np.random.default_rng(0)
    zero = generator.random(images) < 0.4
    one = generator.random(images) < np.where(zero, 0.7, 0.2)
    two = generator.random(images) < np.where(zero, 0.1, 0.5)
    three = generator.random(images) < 0.3
    labels = np.where(np.stack([zero, one, two, three], axis=1), 1, -1)
    share = (labels == 1).mean(axis=0).astype(np.float32)
    labels = np.where(generator.random(labels.shape) < known, labels, 0)
    return labels.astype(np.int8), np.broadcast_to(share, labels.shape).copy()


def fit(labels: NDArray[np.int8], p: NDArray[np.float32]) -> ResidualCooccurrence:
    return ResidualCooccurrence.fit(labels, p, logit(p).astype(np.float32))


def test_the_residual_is_label_minus_reference_where_known() -> None:
    labels = np.array([[1, -1, 0]], dtype=np.int8)
    p = np.array([[0.2, 0.3, 0.9]], dtype=np.float32)
    np.testing.assert_allclose(residuals(labels, p), [[0.8, -0.3, 0.0]], atol=1e-6)


def test_attraction_repulsion_and_indifference_are_found() -> None:
    matrix = fit(*scenes()).matrix
    assert matrix[0, 1] > 1
    assert matrix[0, 2] < -1
    assert np.abs(matrix[3]).max() < 0.5


def test_every_matrix_is_symmetric_with_a_zero_diagonal() -> None:
    fitted = fit(*scenes())
    for matrix in (fitted.matrix, *fitted.fold_matrices):
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
        assert not matrix.diagonal().any()


def test_evidence_is_the_sum_over_the_known_labels_of_the_image() -> None:
    labels, p = scenes(300)
    fitted = fit(labels, p)
    evidence = fitted.transfer(labels, p)
    row, column = map(int, np.argwhere(labels == 0)[0])
    expected = sum(
        fitted.matrix[column, j] * ((labels[row, j] == 1) - p[row, j])
        for j in range(4)
        if labels[row, j] != 0
    )
    assert evidence[row, column] == pytest.approx(expected, abs=1e-5)


def test_a_cell_says_nothing_about_itself() -> None:
    labels, p = scenes(300)
    fitted = fit(labels, p)
    row, column = map(int, np.argwhere(labels == 1)[5])
    other = labels.copy()
    other[row, column] = -1
    before, after = fitted.transfer(labels, p), fitted.transfer(other, p)
    assert before[row, column] == after[row, column]


def test_a_known_cell_is_scored_by_a_matrix_that_had_not_seen_its_image() -> None:
    labels, p = scenes(300)
    one = fit(labels, p)
    row = 7
    changed = labels.copy()
    changed[row] = np.where(labels[row] != 0, -labels[row], 0)
    other = fit(changed, p)
    fold = one.image_folds[row]
    np.testing.assert_allclose(one.fold_matrices[fold], other.fold_matrices[fold], atol=1e-6)
    assert np.abs(one.matrix - other.matrix).max() > 1e-4


def test_held_out_evidence_lowers_the_log_loss() -> None:
    labels, p = scenes()
    evidence = fit(labels, p).transfer(labels, p)
    offset, known = logit(p), labels != 0
    present = labels[known] == 1

    def loss(value: NDArray[np.floating]) -> float:
        q = expit(value)[known]
        return float(-np.log(np.where(present, q, 1 - q)).mean())

    assert loss(offset + evidence) < loss(offset) - 0.02


def test_images_with_one_known_label_teach_nothing() -> None:
    labels, p = scenes(200)
    labels[np.count_nonzero(labels, axis=1) > 1] = 0
    fitted = fit(labels, p)
    assert not fitted.matrix.any()
    assert not fitted.transfer(labels, p).any()


def test_the_fold_of_an_image_does_not_change_when_others_come() -> None:
    np.testing.assert_array_equal(fold_of_images(500, 5, 3)[:100], fold_of_images(100, 5, 3))


def test_folds_of_images_are_of_similar_size() -> None:
    counts = np.bincount(fold_of_images(1000, 5, 0), minlength=5)
    assert counts.min() > 150


def test_a_sample_of_the_images_gives_about_the_same_matrix() -> None:
    labels, p = scenes(4000)
    whole = fit(labels, p)
    part = ResidualCooccurrence.fit(labels, p, logit(p).astype(np.float32), most_images=2000)
    assert np.abs(whole.matrix - part.matrix).max() < 0.6


def test_an_earlier_fit_with_fewer_categories_is_a_start() -> None:
    labels, p = scenes()
    first = fit(labels[:, :3], p[:, :3])
    offset = logit(p).astype(np.float32)
    grown = ResidualCooccurrence.fit(labels, p, offset, previous=first)
    np.testing.assert_allclose(grown.matrix, fit(labels, p).matrix, atol=0.05)


def test_fitting_stops_when_asked() -> None:
    labels, p = scenes(100)
    with pytest.raises(Stopped):
        ResidualCooccurrence.fit(labels, p, logit(p).astype(np.float32), should_stop=lambda: True)


def test_only_categories_with_enough_labels_of_both_states_take_part() -> None:
    labels = np.array([[1, 1, -1], [1, -1, -1], [-1, -1, 0], [-1, -1, 1]], dtype=np.int8)
    kept = enough_labels(labels, 2)
    np.testing.assert_array_equal(kept[:, 0], labels[:, 0])
    assert not kept[:, 1:].any()


def test_an_earlier_fit_leaves_nothing_in_a_category_without_labels() -> None:
    labels, p = scenes()
    first = fit(labels, p)
    assert first.matrix[1].any()
    labels[:, 1] = 0
    offset = logit(p).astype(np.float32)
    later = ResidualCooccurrence.fit(labels, p, offset, previous=first)
    for matrix in (later.matrix, *later.fold_matrices):
        assert not matrix[1].any()
        assert not matrix[:, 1].any()
        assert matrix[0, 2] < -1
