"""Decided cells that the evidence contradicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from annotator.contradictions import LEAST, Ranking, contradicted, plain_suspicion, suspicion


def ranked(probability: np.ndarray, labels: np.ndarray, most: int = 100) -> Ranking:
    """With the row and the column for ids."""
    images, categories = labels.shape
    model = np.ones(categories, bool)
    return contradicted(
        np.arange(images), np.arange(categories), probability, labels, model, most=most
    )


def test_planted_errors_come_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.where(rng.random((400, 5)) < 0.2, 1, -1).astype(np.int8)
    logit = 3 * truth + rng.normal(0, 1, truth.shape)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    wrong = rng.random(truth.shape) < 0.02
    labels = np.where(wrong, -truth, truth).astype(np.int8)
    found = ranked(probability, labels, int(wrong.sum()))
    assert wrong[found.image_ids, found.category_ids].mean() > 0.9


def test_unknown_cells_and_categories_without_a_model_are_never_suspect() -> None:
    labels = np.array([[0, 1], [0, -1]], np.int8)
    probability = np.array([[0.9, np.nan], [0.1, np.nan]], np.float32)
    assert len(ranked(probability, labels)) == 0
    assert np.isnan(plain_suspicion(probability, labels)[:, 0]).all()


@pytest.mark.parametrize(("overlooked", "imagined"), [(0.3, 0.0), (0.0, 0.05), (0.05, 0.05)])
def test_the_rarer_kind_of_error_is_discounted(overlooked: float, imagined: float) -> None:
    rng = np.random.default_rng(1)
    truth = np.where(rng.random((2_000, 3)) < 0.2, 1, -1).astype(np.int8)
    logit = 3 * truth + rng.normal(0, 1, truth.shape)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    wrong = rng.random(truth.shape) < np.where(truth > 0, overlooked, imagined)
    labels = np.where(wrong, -truth, truth).astype(np.int8)
    # Two cells as much against their labels as each other.
    probability[0, 0], labels[0, 0], probability[1, 0], labels[1, 0] = 0.9, -1, 0.1, 1
    said_absent, said_present = suspicion(probability, labels)[[0, 1], [0, 0]]
    if overlooked == imagined:
        assert said_absent == pytest.approx(said_present, abs=0.05)
    else:
        assert (said_absent > 0.8, said_present > 0.8) == (overlooked > 0, imagined > 0)
        assert min(said_absent, said_present) < 0.5


def weak_model(prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [3000, 6] of a model that knows little and knows it, and what is true."""
    rng = np.random.default_rng(4)
    probability = rng.beta(2 * prevalence, 2 * (1 - prevalence), (3_000, 6)).astype(np.float32)
    truth = np.where(rng.random(probability.shape) < probability, 1, -1).astype(np.int8)
    return probability, truth


@pytest.mark.parametrize("prevalence", [0.02, 0.1])
def test_where_labels_are_right_a_weak_model_finds_no_kind_of_error_frequent(
    prevalence: float,
) -> None:
    probability, labels = weak_model(prevalence)
    plain = plain_suspicion(probability, labels)
    assert np.allclose(suspicion(probability, labels), plain, atol=1e-6)


def test_imagined_objects_are_found_as_well_as_by_the_probability_alone() -> None:
    probability, truth = weak_model(0.02)
    wrong = (np.random.default_rng(0).random(truth.shape) < 0.01) & (truth < 0)
    labels = np.where(wrong, 1, truth).astype(np.int8)
    found, plainly = (
        wrong.ravel()[np.argsort(-rank(probability, labels).ravel())[: wrong.sum()]].sum()
        for rank in (suspicion, plain_suspicion)
    )
    assert found >= plainly


def test_where_hardly_anything_is_known_cells_are_ranked_by_their_probability() -> None:
    labels = np.array([[1], [-1], [-1]], np.int8)
    probability = np.array([[0.1], [0.8], [0.2]], np.float32)
    found = ranked(probability, labels)
    assert (found.image_ids.tolist(), found.states.tolist()) == ([0, 1], [1, -1])
    assert np.allclose(found.suspicion, [0.9, 0.8], atol=0.02)


@given(
    st.integers(1, 40).flatmap(
        lambda columns: st.tuples(
            arrays(np.float16, (5, columns), elements=st.floats(0, 1, width=16)),
            arrays(np.int8, (5, columns), elements=st.sampled_from([-1, 0, 1])),
        )
    )
)
def test_the_ranking_is_that_of_the_whole_matrix(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    probability, labels = drawn
    found = ranked(probability, labels, 1_000)
    whole = suspicion(probability, labels)
    expected = whole > LEAST
    cells = found.image_ids, found.category_ids
    assert len(found) == expected.sum()
    assert expected[cells].all()
    assert (plain_suspicion(probability, labels)[cells] > 0.499).all()
    assert (labels[cells] == found.states).all()
    assert np.allclose(whole[cells], found.suspicion, atol=1e-6)
    assert (np.diff(found.suspicion) <= 0).all()
    best = ranked(probability, labels, 3)
    assert best.image_ids.tolist() == found.image_ids[:3].tolist()
