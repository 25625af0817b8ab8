"""Measures against values worked by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from hst_core.metrics import (
    average_precision,
    average_precisions,
    completion_metrics,
    f1_scores,
    mean_average_precision,
    precision_recall,
    recall_at_precision,
    share_decidable,
)

# Ranking + - + - -, worst last: precision at the positives 1 and 2/3.
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
POSITIVE = np.array([True, False, True, False, False])

cells = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
        hnp.arrays(np.bool_, n),
    )
)


def test_plain_average_precision_is_the_mean_precision_at_the_positives() -> None:
    assert average_precision(SCORES, POSITIVE) == pytest.approx((1 + 2 / 3) / 2)


def test_interpolation_takes_the_best_precision_at_any_higher_recall() -> None:
    # Ranking - + +: precisions 1/2 and 2/3; at recall 1/2 the 2/3 to come counts.
    positive = np.array([False, True, True])
    assert average_precision(SCORES[:3], positive) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(SCORES[:3], positive, "interpolated") == pytest.approx(2 / 3)


def test_eleven_points_read_the_curve_at_recalls_0_to_1() -> None:
    # Recall 1/2 is reached at precision 1, recall 1 at 2/3: 6 points of 1 and 5 of 2/3.
    value = average_precision(SCORES, POSITIVE, "eleven_point")
    assert value == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_recall_of_three_tenths_counts_for_the_grid_point_point_three() -> None:
    positive = np.zeros(100, dtype=bool)
    positive[[0, 1, 2]] = True
    positive[-7:] = True
    value = average_precision(-np.arange(100.0), positive, "eleven_point")
    assert value == pytest.approx((4 * 1 + 7 * 10 / 100) / 11)


@given(cells)
def test_plain_average_precision_agrees_with_scikit_learn(
    ranking: tuple[np.ndarray, np.ndarray],
) -> None:
    scores, positive = ranking
    value = average_precision(scores, positive)
    if not positive.any():
        assert value is None
    else:
        assert value == pytest.approx(average_precision_score(positive, scores))


@given(cells, st.randoms(use_true_random=False))
def test_the_order_of_the_cells_changes_nothing(
    ranking: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    scores, positive = ranking
    order = np.argsort(np.random.RandomState(len(scores)).random(len(scores)))
    kinds = ("plain", "interpolated", "eleven_point")
    for kind in kinds:
        before = average_precision(scores, positive, kind)  # type: ignore[arg-type]
        after = average_precision(scores[order], positive[order], kind)  # type: ignore[arg-type]
        assert before == (after if after is None else pytest.approx(after))
    shuffled = share_decidable(scores[order], positive[order], 0.2)
    assert share_decidable(scores, positive, 0.2) == shuffled


@given(cells)
def test_plain_is_at_most_interpolated(ranking: tuple[np.ndarray, np.ndarray]) -> None:
    scores, positive = ranking
    if positive.any():
        plain = average_precision(scores, positive)
        interpolated = average_precision(scores, positive, "interpolated")
        assert plain is not None
        assert interpolated is not None
        assert plain <= interpolated + 1e-12


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="scores must be finite, got nan"):
        precision_recall(np.array([0.1, np.nan]), np.array([True, False]))


def test_a_category_without_positives_is_left_out_of_the_mean() -> None:
    labels = np.array([[1, -1], [-1, -1]], dtype=np.int8)
    scores = np.array([[0.9, 0.1], [0.2, 0.3]])
    assert average_precisions(scores, labels) == {0: 1.0}
    assert mean_average_precision(scores, labels) == 1.0
    assert mean_average_precision(scores, np.zeros_like(labels)) is None


def test_unknown_cells_do_not_count() -> None:
    labels = np.array([[1], [0], [-1]], dtype=np.int8)
    assert mean_average_precision(np.array([[0.5], [0.9], [0.1]]), labels) == 1.0


def test_f1_of_a_case_worked_by_hand() -> None:
    labels = np.array([[1, 1, -1], [1, -1, -1], [0, 1, -1]], dtype=np.int8)
    p = np.array([[0.9, 0.2, 0.1], [0.4, 0.8, 0.1], [0.9, 0.7, 0.6]])
    scores = f1_scores(p, labels)
    # Predicted: (0,0) hit, (1,1) miss, (2,1) hit, (2,2) miss; (2,0) is unknown.
    assert scores.overall_precision == pytest.approx(2 / 4)
    assert scores.overall_recall == pytest.approx(2 / 4)
    assert scores.overall_f1 == pytest.approx(1 / 2)
    # Category 2 has no positive and is left out.
    assert scores.category_precision == pytest.approx((1 + 1 / 2) / 2)
    assert scores.category_recall == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert scores.category_f1 == pytest.approx(2 * 0.75 * 0.5 / 1.25)


def test_f1_without_any_known_cell_is_zero() -> None:
    scores = f1_scores(np.ones((2, 2)), np.zeros((2, 2), dtype=np.int8))
    assert set(vars(scores).values()) == {0.0}


def test_f1_takes_one_threshold_per_category() -> None:
    labels = np.array([[1, 1]], dtype=np.int8)
    scores = f1_scores(np.array([[0.3, 0.3]]), labels, np.array([0.2, 0.4]))
    assert scores.overall_recall == 0.5


def test_recall_at_a_precision_is_the_largest_that_reaches_it() -> None:
    assert recall_at_precision(SCORES, POSITIVE, 1.0) == 0.5
    assert recall_at_precision(SCORES, POSITIVE, 0.6) == 1.0
    assert recall_at_precision(SCORES, ~POSITIVE, 0.9) == 0.0
    assert recall_at_precision(SCORES, np.zeros(5, dtype=bool), 0.5) == 0.0


def test_share_decidable_stops_where_the_errors_pass_the_bound() -> None:
    p = np.array([0.99, 0.02, 0.9, 0.2, 0.7])
    positive = np.array([True, False, True, True, False])
    # By confidence: right, right, right, wrong (.2), wrong (.7).
    assert share_decidable(p, positive, 0.0) == pytest.approx(3 / 5)
    assert share_decidable(p, positive, 0.25) == pytest.approx(4 / 5)
    assert share_decidable(p, positive, 0.4) == 1.0
    assert share_decidable(np.zeros(0), np.zeros(0, dtype=bool), 0.1) == 0.0


def test_completion_looks_at_unknown_cells_with_a_truth_only() -> None:
    truth = np.array([[1, -1], [-1, 1], [1, 0]], dtype=np.int8)
    known = np.array([[True, False], [False, False], [False, False]])
    p = np.array([[0.0, 0.1], [0.2, 0.9], [0.8, 1.0]])
    result = completion_metrics(p, truth, known, threshold=np.array([0.5, 0.95]))
    assert result.cells == 4
    assert result.mean_ap == 1.0
    assert result.pooled_ap == 1.0
    assert result.recall_at_precision == 1.0
    assert result.pseudo_precision == 1.0
    assert result.pseudo_recall == 0.5
    assert result.decidable == 1.0


def test_completion_of_a_finished_data_set_has_no_average_precision() -> None:
    truth = np.ones((2, 2), dtype=np.int8)
    result = completion_metrics(np.ones((2, 2)), truth, np.ones((2, 2), dtype=bool))
    assert (result.cells, result.mean_ap, result.pooled_ap) == (0, None, None)
