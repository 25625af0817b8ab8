"""The fast tier as the tool uses it: degenerate inputs, the live formula, warm starts, state."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from hst_core.datasets import mask_labels
from hst_core.fast_tier import (
    WAITS_FOR_ABSENT,
    WAITS_FOR_BOTH,
    WAITS_FOR_PRESENT,
    ExtraSource,
    FastTier,
    FastTierConfig,
    FastTierScores,
)
from hst_core.metrics import mean_average_precision
from hst_core.neighbours import NeighbourGraph
from hst_core.stopping import Stopped

Labels = NDArray[np.int8]
Vectors = NDArray[np.float32]


def world(images: int = 300, categories: int = 6, seed: int = 0) -> tuple[Vectors, Labels]:
    """Draw images whose features show their labels, and labels of which 0 and 1 go together."""
    generator = np.random.default_rng(seed)
    scene = generator.random((images, 1)) < 0.4
    present = generator.random((images, categories)) < 0.25
    present[:, :2] = scene & (generator.random((images, min(2, categories))) < 0.9)[:, :2]
    directions = generator.normal(size=(categories, 24))
    directions[0] *= 0.2  # barely visible: only its companion gives it away
    noise = 2 * generator.normal(size=(images, 24))
    vectors = (present @ directions + noise).astype(np.float32)
    return vectors, np.where(present, 1, -1).astype(np.int8)


def album(seed: int, present: int, absent: int) -> tuple[Vectors, Labels]:
    """Draw 60 pictures, each of one of five things, and labels of half of them.

    A sixth category has the given numbers of labels: present ones beside the first thing, which is
    known everywhere, and absent ones elsewhere.
    """
    generator = np.random.default_rng(seed)
    thing = generator.integers(5, size=60)
    shown = thing[:, None] == np.arange(5)
    directions, noise = generator.normal(size=(5, 24)), generator.normal(size=(60, 24))
    labels = np.where(generator.random(shown.shape) < 0.5, np.where(shown, 1, -1), 0)
    labels[:, 0] = np.where(shown[:, 0], 1, -1)
    few = np.zeros((60, 1))
    few[np.flatnonzero(shown[:, 0])[:present]] = 1
    few[np.flatnonzero(~shown[:, 0])[:absent]] = -1
    vectors = 0.6 * shown @ directions + 2 * noise
    return vectors.astype(np.float32), np.hstack([labels, few]).astype(np.int8)


def arrays(scores: FastTierScores) -> dict[str, NDArray[np.generic]]:
    named = {key: value for key, value in vars(scores).items() if isinstance(value, np.ndarray)}
    return named | scores.sources


def assert_finite(scores: FastTierScores) -> None:
    for name, value in arrays(scores).items():
        assert np.isfinite(value).all(), name
    assert (scores.probability >= 0).all()
    assert (scores.probability <= 1).all()


def fit(labels: Labels, vectors: Vectors) -> FastTier:
    return FastTier.fit(vectors, labels)


def test_without_any_label_every_category_waits_for_both_and_has_one_probability() -> None:
    vectors, truth = world()
    tier = fit(np.zeros_like(truth), vectors)
    assert tier.waiting == [(c, WAITS_FOR_BOTH) for c in range(6)]
    assert_finite(tier.scores())
    assert np.ptp(tier.scores().probability) < 1e-6


def test_each_category_says_what_it_waits_for() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.3, seed=0).labels
    labels[:, 3] = np.where(labels[:, 3] == 1, 1, 0)
    labels[:, 4] = np.where(labels[:, 4] == -1, -1, 0)
    labels[:, 5] = 0
    tier = fit(labels, vectors)
    assert tier.waiting == [(3, WAITS_FOR_ABSENT), (4, WAITS_FOR_PRESENT), (5, WAITS_FOR_BOTH)]
    assert_finite(tier.scores())
    assert np.ptp(tier.scores().probability[:, 3:], axis=0).max() < 1e-6
    assert not tier.scores().cooccurrence[3:].any()


@pytest.mark.parametrize("state", [1, -1])
def test_a_single_known_cell_gives_finite_scores(state: int) -> None:
    vectors, truth = world()
    labels = np.zeros_like(truth)
    labels[7, 2] = state
    tier = fit(labels, vectors)
    assert len(tier.waiting) == 6
    assert_finite(tier.scores())
    assert_finite(tier.scores_for(vectors[:3]))


def test_one_present_and_one_absent_label_are_enough_for_a_model() -> None:
    vectors, truth = world()
    labels = np.zeros_like(truth)
    labels[np.flatnonzero(truth[:, 2] == 1)[0], 2] = 1
    labels[np.flatnonzero(truth[:, 2] == -1)[0], 2] = -1
    tier = fit(labels, vectors)
    assert 2 not in dict(tier.waiting)
    assert_finite(tier.scores())
    assert np.ptp(tier.scores().probability[:, 2]) > 0


@pytest.mark.parametrize("images", [1, 2, 3])
def test_a_handful_of_images_gives_finite_scores(images: int) -> None:
    vectors, truth = world(images)
    tier = fit(truth, vectors)
    assert_finite(tier.scores())
    assert_finite(tier.scores_for(vectors))


def test_one_category_has_no_cooccurrence_and_finite_scores() -> None:
    vectors, truth = world()
    tier = fit(mask_labels(truth[:, 2:3], 0.5, 0).labels, vectors)
    assert tier.scores().cooccurrence.tolist() == [[0.0]]
    assert_finite(tier.scores())


def test_identical_images_give_finite_scores() -> None:
    vectors, truth = world()
    assert_finite(fit(truth, np.repeat(vectors[:1], len(truth), axis=0)).scores())
    twice = np.concatenate([vectors, vectors])
    assert_finite(fit(np.concatenate([truth, np.zeros_like(truth)]), twice).scores())


def test_the_neighbour_graph_holds_all_that_a_fit_needs_of_the_vectors() -> None:
    vectors, truth = world(80)
    graph = NeighbourGraph.build(vectors)
    alone = arrays(FastTier.fit(None, truth, neighbours=graph).scores())
    for name, value in arrays(FastTier.fit(vectors, truth, neighbours=graph).scores()).items():
        np.testing.assert_array_equal(alone[name], value, err_msg=name)


def test_a_fit_without_vectors_and_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="needs vectors or the neighbour graph"):
        FastTier.fit(None, np.ones((3, 1), dtype=np.int8))


def test_vectors_may_stay_on_disk_in_half_precision(tmp_path: Path) -> None:
    vectors, truth = world(80)
    half = vectors.astype(np.float16)
    half.tofile(tmp_path / "rows.f16")
    mapped = np.memmap(tmp_path / "rows.f16", np.float16, mode="r", shape=half.shape)
    graph = NeighbourGraph.build(mapped)
    graph.save(tmp_path)
    restored = NeighbourGraph.load(tmp_path, mapped)
    expected = FastTier.fit(half.astype(np.float32), truth).scores()
    found = FastTier.fit(None, truth, neighbours=restored).scores()
    np.testing.assert_array_equal(found.probability, expected.probability)


def test_features_of_zeros_give_finite_scores() -> None:
    vectors, truth = world()
    assert_finite(fit(truth, np.zeros_like(vectors)).scores())


def test_the_live_formula_gives_the_probability_of_the_fit() -> None:
    vectors, truth = world(600)
    labels = mask_labels(truth, 0.5, seed=1).labels
    scores = fit(labels, vectors).scores()
    weight = {s.name: s.weight for s in scores.stack}["cooccurrence"]
    assert weight > 0
    surprise = np.where(labels == 0, 0, (labels == 1) - scores.reference)
    # Known cells use the co-occurrence of fits without their image, so compare unknown ones.
    logit = scores.picture_logit + weight * (surprise @ scores.cooccurrence)
    expected = expit(scores.calibration[0] * logit + scores.calibration[1])
    unknown = labels == 0
    np.testing.assert_allclose(scores.probability[unknown], expected[unknown], atol=1e-5)


def test_picture_logit_is_the_weighted_sum_of_the_stored_sources() -> None:
    vectors, truth = world()
    scores = fit(mask_labels(truth, 0.5, seed=1).labels, vectors).scores()
    weights = {s.name: s.weight for s in scores.stack}
    total = sum(weights[name] * value for name, value in scores.sources.items())
    bias = scores.picture_logit - total
    assert np.ptp(bias) < 1e-4


def test_cooccurrence_is_symmetric_with_a_zero_diagonal() -> None:
    vectors, truth = world(600)
    matrix = fit(mask_labels(truth, 0.5, seed=1).labels, vectors).scores().cooccurrence
    np.testing.assert_array_equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    assert matrix[0, 1] > 0


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 30))
def test_a_handful_of_labels_is_no_ground_for_cooccurrence(
    seed: int, present: int, absent: int
) -> None:
    vectors, labels = album(seed, present, absent)
    scores = fit(labels, vectors).scores()
    assert not scores.cooccurrence[5].any()
    picture = scores.calibration[0] * scores.picture_logit + scores.calibration[1]
    np.testing.assert_allclose(scores.probability[:, 5], expit(picture[:, 5]), atol=1e-6)


def test_a_category_with_more_labels_takes_part_in_cooccurrence() -> None:
    # How many of the sixty pictures show the first thing is up to chance, but more than five.
    vectors, labels = album(0, 6, 20)
    assert fit(labels, vectors).scores().cooccurrence[5, 0] > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_single_present_label_is_no_ground_for_calibration(seed: int) -> None:
    vectors, labels = album(seed, present=1, absent=12)
    np.testing.assert_array_equal(fit(labels, vectors).scores().calibration[:, 5], [1, 0])


def test_changing_a_known_label_does_not_change_the_evidence_for_its_own_cell() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=2).labels
    row, column = map(int, np.argwhere(labels == -1)[40])
    before = fit(labels, vectors)
    changed = labels.copy()
    changed[row, column] = 1
    # The same folds, as in a refit: only then is the cell held out of the same fits.
    after = FastTier.fit(vectors, changed, previous=before)
    refit = FastTier.fit(vectors, labels, previous=before)
    for name, value in after.scores().sources.items():
        own = abs(value[row, column] - refit.scores().sources[name][row, column])
        # Clusters may be seeded by another image; the cell itself is left out of them.
        assert own < (0.6 if name == "prototypes" else 0.02), name
    column_change = np.abs(
        after.scores().sources["base"][:, column] - refit.scores().sources["base"][:, column]
    )
    assert column_change.max() > 0.05


def test_the_same_input_gives_the_same_scores() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.3, seed=0).labels
    one, other = fit(labels, vectors).scores(), fit(labels, vectors).scores()
    for name, value in arrays(one).items():
        np.testing.assert_array_equal(value, arrays(other)[name])


def test_permuting_the_categories_permutes_the_scores() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.4, seed=0).labels
    order = np.array([4, 0, 2, 5, 1, 3])
    straight = fit(labels, vectors).scores().probability
    permuted = fit(labels[:, order], vectors).scores().probability
    np.testing.assert_allclose(permuted, straight[:, order], atol=0.01)


def test_a_warm_start_agrees_with_a_fit_from_scratch() -> None:
    vectors, truth = world()
    few, more = (mask_labels(truth, p, seed=0).labels for p in (0.4, 0.45))
    first = fit(few, vectors)
    warm = FastTier.fit(vectors, more, previous=first).scores()
    cold = fit(more, vectors).scores()
    unknown = more == 0
    assert np.abs(warm.probability - cold.probability)[unknown].mean() < 0.03


def test_images_and_categories_can_be_appended() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=0).labels
    graph = NeighbourGraph.build(vectors[:200])
    first = FastTier.fit(vectors[:200], labels[:200, :4], neighbours=graph)
    graph.extend(vectors[200:])
    grown = FastTier.fit(vectors, labels, neighbours=graph, previous=first)
    assert grown.scores().probability.shape == labels.shape
    assert_finite(grown.scores())
    assert grown.waiting == []


def test_labels_can_be_withdrawn_altogether() -> None:
    vectors, truth = world()
    first = fit(mask_labels(truth, 0.5, seed=0).labels, vectors)
    empty = FastTier.fit(vectors, np.zeros_like(truth), previous=first)
    assert len(empty.waiting) == 6
    assert_finite(empty.scores())


def test_the_stack_is_better_than_the_base_where_labels_go_together() -> None:
    vectors, truth = world(1000)
    masked = mask_labels(truth, 0.5, seed=0)
    scores = fit(masked.labels, vectors).scores()
    unknown = np.where(masked.known, 0, truth).astype(np.int8)
    base = mean_average_precision(scores.sources["base"], unknown)
    full = mean_average_precision(scores.probability, unknown)
    assert base is not None
    assert full is not None
    assert full > base + 0.02


def test_a_useless_source_is_not_kept_and_a_telling_one_is() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=0).labels
    generator = np.random.default_rng(0)
    noise, error = generator.normal(size=(2, *truth.shape)).astype(np.float32)
    oracle = 2 * truth + error
    sources = [ExtraSource("noise", "classifier", noise), ExtraSource("deep", "classifier", oracle)]
    tier = FastTier.fit(vectors, labels, extra_sources=sources)
    by_name = {s.name: s for s in tier.scores().stack}
    assert not by_name["noise"].kept
    assert by_name["noise"].weight == 0.0
    assert by_name["deep"].kept
    assert by_name["deep"].loss_with < by_name["deep"].loss_without


def test_a_live_source_is_no_part_of_the_picture_logit() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=0).labels
    oracle = 2.0 * truth.astype(np.float32)
    pairs = ExtraSource("pairs", "ist", oracle, live=True)
    scores = FastTier.fit(vectors, labels, extra_sources=[pairs]).scores()
    weight = {s.name: s.weight for s in scores.stack}
    assert weight["pairs"] > 0
    assert "pairs" not in scores.sources
    ist = np.where(labels == 0, 0, (labels == 1) - scores.reference) @ scores.cooccurrence
    logit = scores.picture_logit + weight["cooccurrence"] * ist + weight["pairs"] * oracle
    expected = expit(scores.calibration[0] * logit + scores.calibration[1])
    unknown = labels == 0
    np.testing.assert_allclose(scores.probability[unknown], expected[unknown], atol=1e-5)


def test_a_source_of_the_wrong_shape_is_refused_by_name() -> None:
    vectors, truth = world()
    source = ExtraSource("deep", "classifier", np.zeros((3, 6), dtype=np.float32))
    with pytest.raises(ValueError, match="'deep' must have values"):
        FastTier.fit(vectors, truth, extra_sources=[source])


def test_state_survives_a_checkpoint_and_scores_other_images_alike() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=0).labels
    graph = NeighbourGraph.build(vectors[:250])
    tier = FastTier.fit(vectors[:250], labels[:250], neighbours=graph)
    buffer = io.BytesIO()
    torch.save(tier.state_dict(), buffer)
    buffer.seek(0)
    restored = FastTier.from_state_dict(torch.load(buffer, weights_only=True))
    assert restored.config == tier.config
    assert restored.waiting == tier.waiting
    expected = arrays(tier.scores_for(vectors[250:]))
    for name, value in arrays(restored.scores_for(vectors[250:], graph)).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_refit_from_a_restored_state_equals_one_from_the_original() -> None:
    vectors, truth = world()
    few, more = (mask_labels(truth, p, seed=0).labels for p in (0.4, 0.45))
    first = fit(few, vectors)
    restored = FastTier.from_state_dict(first.state_dict())
    one = FastTier.fit(vectors, more, previous=first).scores()
    other = FastTier.fit(vectors, more, previous=restored).scores()
    np.testing.assert_array_equal(one.probability, other.probability)


def test_stops_when_asked_at_any_point() -> None:
    vectors, truth = world(60)
    graph = NeighbourGraph.build(vectors)
    calls = 0

    def count() -> bool:
        nonlocal calls
        calls += 1
        return False

    FastTier.fit(vectors, truth, neighbours=graph, should_stop=count)
    for after in (0, calls // 2, calls - 1):
        answers = iter([False] * after + [True])
        with pytest.raises(Stopped):
            FastTier.fit(vectors, truth, neighbours=graph, should_stop=answers.__next__)


def test_thresholds_lie_between_the_scores_of_absent_and_present_cells() -> None:
    vectors, truth = world(600)
    scores = fit(truth, vectors).scores()
    for category in range(6):
        present = truth[:, category] == 1
        probability = scores.probability[:, category]
        assert probability[~present].mean() < scores.threshold[category]
        assert scores.threshold[category] < probability[present].max()


def test_exemplars_are_images_known_to_show_the_category() -> None:
    vectors, truth = world()
    labels = mask_labels(truth, 0.5, seed=0).labels
    exemplars = fit(labels, vectors).scores().exemplars
    for category in range(6):
        rows = exemplars[category][exemplars[category] >= 0]
        assert len(rows) > 0
        assert (labels[rows, category] == 1).all()


def test_a_graph_of_other_images_is_refused() -> None:
    vectors, truth = world()
    graph = NeighbourGraph.build(vectors[:10])
    with pytest.raises(ValueError, match="has 10 images, expected 300"):
        FastTier.fit(vectors, truth, neighbours=graph)


def test_configuration_of_the_previous_fit_is_kept() -> None:
    vectors, truth = world()
    config = replace(FastTierConfig(), neighbours=7)
    first = FastTier.fit(vectors, truth, config=config)
    assert FastTier.fit(vectors, truth, previous=first).config == config
