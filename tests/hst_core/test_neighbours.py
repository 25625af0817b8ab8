"""The neighbour graph and its vote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hst_core.neighbours import LearnedMetric, NeighbourGraph, NeighbourTransfer
from hst_core.projection import FeatureSpace
from hst_core.stopping import Stopped


def vectors(images: int = 120, channels: int = 30, seed: int = 0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(6, channels)) * 2
    groups = centres[generator.integers(0, 6, images)]
    return np.abs(groups + generator.normal(size=(images, channels))).astype(np.float32)


def cosines(graph: NeighbourGraph) -> NDArray[np.float64]:
    damped = graph.coordinates.numpy() / np.sqrt(graph.space.spread.numpy())
    units = damped / np.linalg.norm(damped, axis=1, keepdims=True)
    found: NDArray[np.float64] = units @ units.T
    np.fill_diagonal(found, -2)
    return found


def test_neighbours_are_the_nearest_by_cosine_nearest_first() -> None:
    graph = NeighbourGraph.build(vectors(), neighbours=7)
    expected = np.sort(cosines(graph), axis=1)[:, ::-1][:, :7]
    np.testing.assert_allclose(graph.similarities, expected, atol=1e-5)
    own = np.take_along_axis(cosines(graph), graph.indices.astype(np.intp), axis=1)
    np.testing.assert_allclose(own, graph.similarities, atol=1e-5)


def test_no_image_is_its_own_neighbour_even_if_it_has_a_double() -> None:
    twice = np.repeat(vectors(30), 2, axis=0)
    graph = NeighbourGraph.build(twice, neighbours=5)
    assert not (graph.indices == np.arange(60)[:, None]).any()
    np.testing.assert_array_equal(graph.indices[:, 0], np.arange(60) ^ 1)
    np.testing.assert_allclose(graph.similarities[:, 0], 1.0, atol=1e-5)


def test_fewer_images_than_neighbours_leave_places_empty() -> None:
    graph = NeighbourGraph.build(vectors(3), neighbours=5)
    assert (graph.indices[:, :2] >= 0).all()
    assert (graph.indices[:, 2:] == -1).all()
    assert not graph.similarities[:, 2:].any()


def test_a_single_image_has_no_neighbour() -> None:
    graph = NeighbourGraph.build(vectors(1), neighbours=5)
    assert (graph.indices == -1).all()


def test_extending_gives_the_graph_of_all_images_in_the_same_space() -> None:
    whole = vectors()
    graph = NeighbourGraph.build(whole[:70], neighbours=9)
    graph.extend(whole[70:100])
    graph.extend(whole[100:])
    expected = np.sort(cosines(graph), axis=1)[:, ::-1][:, :9]
    np.testing.assert_allclose(graph.similarities, expected, atol=1e-5)
    assert len(graph) == 120


def test_extending_a_tiny_graph_fills_the_empty_places() -> None:
    graph = NeighbourGraph.build(vectors(2), neighbours=5)
    graph.extend(vectors(4)[2:])
    assert (graph.indices[:, :3] >= 0).all()
    assert (graph.indices[:, 3:] == -1).all()


def test_extending_by_nothing_changes_nothing() -> None:
    graph = NeighbourGraph.build(vectors(10), neighbours=3)
    before = graph.indices.copy()
    graph.extend(vectors(0))
    np.testing.assert_array_equal(graph.indices, before)


def test_a_stopped_extension_leaves_the_graph_as_it_was() -> None:
    graph = NeighbourGraph.build(vectors(10), neighbours=3)
    with pytest.raises(Stopped):
        graph.extend(vectors(20)[10:], should_stop=lambda: True)
    assert len(graph) == len(graph.coordinates) == 10


def test_progress_ends_at_the_number_of_images() -> None:
    told: list[tuple[int, int]] = []
    NeighbourGraph.build(vectors(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (120, 120)


def test_a_graph_is_outgrown_when_most_images_came_later() -> None:
    graph = NeighbourGraph.build(vectors(10), neighbours=3)
    graph.extend(vectors(20)[10:])
    assert not graph.outgrown()
    graph.extend(vectors(21)[20:])
    assert graph.outgrown()


def test_a_query_finds_an_image_of_the_graph_as_its_own_nearest() -> None:
    graph = NeighbourGraph.build(vectors(), neighbours=4)
    indices, similarities = graph.query(vectors()[5:8])
    np.testing.assert_array_equal(indices[:, 0], [5, 6, 7])
    np.testing.assert_allclose(similarities[:, 0], 1.0, atol=1e-5)
    assert graph.query(vectors(0), 2)[0].shape == (0, 2)


def test_a_saved_graph_comes_back_and_takes_in_newer_images(tmp_path: Path) -> None:
    whole = vectors()
    graph = NeighbourGraph.build(whole[:100], neighbours=6)
    graph.save(tmp_path)
    loaded = NeighbourGraph.load(tmp_path, whole)
    graph.extend(whole[100:])
    np.testing.assert_array_equal(loaded.indices, graph.indices)
    np.testing.assert_allclose(loaded.coordinates, graph.coordinates, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["neighbours.pt"]


def test_a_graph_of_more_images_than_there_are_features_is_refused(tmp_path: Path) -> None:
    NeighbourGraph.build(vectors(), neighbours=6).save(tmp_path)
    with pytest.raises(ValueError, match="are of 120 images, got features of 50"):
        NeighbourGraph.load(tmp_path, vectors()[:50])


def test_features_of_another_size_are_refused() -> None:
    graph = NeighbourGraph.build(vectors(), neighbours=6)
    with pytest.raises(ValueError, match=r"must be \[images, 30\], got \[5, 12\]"):
        graph.query(vectors(5, 12))


def vote(
    similarities: list[float], labels: list[int], probabilities: list[float], prior: float = 0.0
) -> float:
    """Let the images 0, 1, … vote on one category for a single image."""
    count = len(similarities)
    transfer = NeighbourTransfer(
        np.arange(count, dtype=np.int32)[None],
        np.array([similarities], dtype=np.float32),
        count,
        temperature=0.1,
    )
    value = transfer.vote(
        np.array(probabilities, dtype=np.float32)[:, None],
        np.array(labels, dtype=np.int8)[:, None],
        np.array([prior], dtype=np.float32),
    )
    return float(value[0, 0])


def smoothed(share: float, prior: float = 0.5) -> float:
    p = (share + 0.02 * prior) / 1.02
    return float(np.log(p / (1 - p)))


def test_known_neighbours_vote_with_their_label() -> None:
    assert vote([0.9, 0.9], [1, 1], [0.0, 0.0]) == pytest.approx(smoothed(1.0), abs=1e-4)
    assert vote([0.9, 0.9], [1, -1], [0.3, 0.3]) == pytest.approx(0.0, abs=1e-5)


def test_unknown_neighbours_vote_with_the_probability_of_the_base() -> None:
    assert vote([0.9, 0.9], [0, 0], [0.2, 0.6]) == pytest.approx(smoothed(0.4), abs=1e-4)


def test_a_neighbour_one_temperature_further_weighs_1_over_e() -> None:
    share = 1 / (1 + np.exp(-1))
    assert vote([0.9, 0.8], [1, -1], [0.0, 0.0]) == pytest.approx(smoothed(share), abs=1e-4)


def test_a_vote_that_equals_the_prior_is_worth_nothing() -> None:
    prior = float(np.log(0.1 / 0.9))
    assert vote([0.5], [0], [0.1], prior) == pytest.approx(0.0, abs=1e-5)


def test_an_image_without_neighbours_gets_no_evidence() -> None:
    transfer = NeighbourTransfer(
        np.full((2, 3), -1, dtype=np.int32), np.zeros((2, 3), dtype=np.float32), 2
    )
    value = transfer.vote(
        np.full((2, 1), 0.7, dtype=np.float32),
        np.zeros((2, 1), dtype=np.int8),
        np.array([-2.0], dtype=np.float32),
    )
    assert value.tolist() == [[0.0], [0.0]]


def test_a_space_keeps_what_matters_and_survives_constant_channels() -> None:
    few = vectors(40, 10)
    few[:, 3] = 1.0
    few[:, 4] = 0.0
    space = FeatureSpace.fit(few)
    coordinates = space.apply(few)
    assert bool(coordinates.isfinite().all())
    assert float(coordinates.square().sum(dim=1).mean()) == pytest.approx(1.0, abs=1e-3)


def test_a_space_of_many_channels_agrees_with_the_exact_one_on_lengths() -> None:
    generator = np.random.default_rng(0)
    basis = generator.normal(size=(20, 2500)) * np.linspace(3, 0.5, 20)[:, None]
    wide = np.abs(generator.normal(size=(2300, 20)) @ basis).astype(np.float32)
    space = FeatureSpace.fit(wide, coordinates=16)
    assert space.axes.shape == (2500, 16)
    spread = space.apply(wide).std(dim=0)
    np.testing.assert_allclose(spread, space.spread, rtol=0.01)
    assert bool((spread[:-1] >= 0.98 * spread[1:]).all())


def test_a_space_needs_an_image() -> None:
    with pytest.raises(ValueError, match="needs at least one image"):
        FeatureSpace.fit(vectors(0))


# --- learned metric


def test_the_metric_prefers_neighbours_with_the_same_labels() -> None:
    logits = np.array([[3, -3], [3, -3], [-3, 3], [2, -2]], dtype=np.float32)
    indices = np.array([[2, 1, 3]], dtype=np.int32)
    similarities = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    found, values = LearnedMetric(logits, 0.3).nearest(logits[:1], indices, similarities, 2)
    assert found.tolist() == [[1, 3]]
    assert values[0, 0] == pytest.approx(0.8 + 0.3, abs=1e-3)


def test_without_strength_or_categories_the_neighbours_stay() -> None:
    indices = np.array([[2, 1, -1]], dtype=np.int32)
    similarities = np.array([[0.9, 0.8, 0]], dtype=np.float32)
    logits = np.ones((3, 2), dtype=np.float32)
    for metric, own in (
        (LearnedMetric(logits, 0.0), logits),
        (LearnedMetric(logits[:, :0], 0.3), logits[:, :0]),
    ):
        found, values = metric.nearest(own[:1], indices, similarities, 2)
        assert metric.strength == 0
        assert found.tolist() == [[2, 1]]
        assert values.tolist() == similarities[:, :2].tolist()


def test_missing_neighbours_stay_missing() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    indices = np.array([[1, -1, -1], [-1, -1, -1]], dtype=np.int32)
    found, values = LearnedMetric(logits).nearest(
        logits[:2], indices, np.zeros((2, 3), dtype=np.float32), 2
    )
    assert found.tolist() == [[1, -1], [-1, -1]]
    assert np.isfinite(values).all()
    assert not values[:, 1].any()


def test_categories_whose_logits_are_all_alike_say_nothing() -> None:
    logits = np.full((4, 2), -2.0, dtype=np.float32)
    indices = np.array([[3, 1, 2]], dtype=np.int32)
    similarities = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    found, values = LearnedMetric(logits).nearest(logits[:1], indices, similarities, 3)
    assert found.tolist() == indices.tolist()
    np.testing.assert_allclose(values, similarities)
