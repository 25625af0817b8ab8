"""Decided cells that the evidence contradicts."""

from __future__ import annotations

import numpy as np

from annotator.contradictions import most_suspect, plain_suspicion, suspicion


def test_planted_errors_come_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.where(rng.random((400, 5)) < 0.2, 1, -1).astype(np.int8)
    logit = 3 * truth + rng.normal(0, 1, truth.shape)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    wrong = rng.random(truth.shape) < 0.02
    labels = np.where(wrong, -truth, truth).astype(np.int8)
    found = most_suspect(suspicion(probability, labels), int(wrong.sum()))
    assert wrong[found].mean() > 0.9


def test_unknown_cells_and_categories_without_a_model_are_never_suspect() -> None:
    labels = np.array([[0, 1], [0, -1]], np.int8)
    probability = np.array([[0.9, np.nan], [0.1, np.nan]], np.float32)
    rows, _ = most_suspect(suspicion(probability, labels), 10)
    assert len(rows) == 0
    assert np.isnan(plain_suspicion(probability, labels)[:, 0]).all()


def test_what_is_usual_for_a_category_is_no_suspicion() -> None:
    labels = np.ones((4, 1), np.int8)
    assert (suspicion(np.full((4, 1), 0.2, np.float32), labels) < 1e-6).all()
