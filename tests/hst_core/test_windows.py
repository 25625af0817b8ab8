"""Windows of pictures: how they are pooled and kept, and what the fast tier makes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hst_core.datasets import mask_labels
from hst_core.fast_tier import FastTier
from hst_core.linear import LinearBase
from hst_core.metrics import completion_metrics
from hst_core.neighbours import NeighbourGraph
from hst_core.pooling import pool, pool_windows
from hst_core.projection import FeatureSpace
from hst_core.stopping import Stopped
from hst_core.windows import WindowCoordinates

Vectors = NDArray[np.float32]
Labels = NDArray[np.int8]


def scenes(
    images: int = 400, categories: int = 4, seed: int = 0
) -> tuple[Vectors, Vectors, Labels]:
    """Draw pictures of four windows; a category shows in one of them, so the mean hides it."""
    generator = np.random.default_rng(seed)
    present = generator.random((images, categories)) < 0.3
    directions = np.abs(generator.normal(size=(categories, 32)))
    place = generator.integers(0, 4, size=(images, categories))
    windows = np.abs(generator.normal(size=(images, 4, 32)))
    for window in range(4):
        windows[:, window] += 0.8 * (present & (place == window)) @ directions
    truth = np.where(present, 1, -1).astype(np.int8)
    return windows.mean(axis=1).astype(np.float32), windows.astype(np.float32), truth


def test_windows_are_half_as_wide_and_reach_every_edge() -> None:
    features = torch.arange(49.0).reshape(1, 1, 7, 7)
    found = pool_windows(features, "mean", 3)[0, :, 0]
    expected = [features[..., r : r + 4, c : c + 4].mean() for r in (0, 2, 3) for c in (0, 2, 3)]
    torch.testing.assert_close(found, torch.stack(expected))


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), along=st.integers(1, 4))
def test_every_map_has_windows_and_no_maximum_is_lost(rows: int, columns: int, along: int) -> None:
    features = torch.rand(2, 3, rows, columns)
    found = pool_windows(features, "max", along)
    assert found.shape == (2, along**2, 3)
    assert (found <= pool(features, "max")[:, None]).all()
    if along > 1:
        torch.testing.assert_close(found.amax(dim=1), pool(features, "max"))


def test_coordinates_are_those_of_a_picture_that_looks_like_the_window() -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    found = WindowCoordinates.of(space, windows)
    expected = space.apply(np.ascontiguousarray(windows[:, 2])).numpy()
    np.testing.assert_allclose(found.values[:, 2], expected, atol=2e-3)


def test_a_file_gives_what_memory_gives_and_grows(tmp_path: Path) -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    expected = WindowCoordinates.of(space, windows).values
    told: list[tuple[int, int]] = []
    first = WindowCoordinates.kept_in(tmp_path, space, windows[:150])
    again = WindowCoordinates.kept_in(
        tmp_path, space, windows, progress=lambda done, total: told.append((done, total))
    )
    np.testing.assert_array_equal(first.values, expected[:150])
    np.testing.assert_array_equal(again.values, expected)
    assert told == [(250, 250)]


def test_what_is_in_the_file_is_not_computed_again(tmp_path: Path) -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    WindowCoordinates.kept_in(tmp_path, space, windows)
    other = WindowCoordinates.kept_in(tmp_path, space, np.zeros_like(windows))
    np.testing.assert_array_equal(other.values, WindowCoordinates.of(space, windows).values)


def test_another_space_computes_all_anew_and_leaves_an_open_map_alone(tmp_path: Path) -> None:
    whole, windows, _ = scenes()
    before = WindowCoordinates.kept_in(tmp_path, FeatureSpace.fit(whole, 16), windows)
    kept = np.array(before.values)
    space = FeatureSpace.fit(whole[:50], 16)
    after = WindowCoordinates.kept_in(tmp_path, space, windows)
    np.testing.assert_array_equal(after.values, WindowCoordinates.of(space, windows).values)
    np.testing.assert_array_equal(before.values, kept)


@pytest.mark.parametrize("damage", ["cut", "text", "numbers"])
def test_a_damaged_file_is_computed_anew(tmp_path: Path, damage: str) -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    WindowCoordinates.kept_in(tmp_path, space, windows)
    if damage == "cut":
        os.truncate(tmp_path / "window-coordinates.f16", 1001)
    else:
        text = "{" if damage == "text" else json.dumps({"space": "", "shape": ["a", 2, 3]})
        (tmp_path / "window-coordinates.json").write_text(text)
    found = WindowCoordinates.kept_in(tmp_path, space, windows)
    np.testing.assert_array_equal(found.values, WindowCoordinates.of(space, windows).values)


def test_a_stopped_call_keeps_what_was_there(tmp_path: Path) -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    WindowCoordinates.kept_in(tmp_path, space, windows[:100])
    with pytest.raises(Stopped):
        WindowCoordinates.kept_in(tmp_path, space, windows, should_stop=lambda: True)
    found = WindowCoordinates.kept_in(tmp_path, space, windows)
    np.testing.assert_array_equal(found.values, WindowCoordinates.of(space, windows).values)


def test_no_image_has_no_coordinates(tmp_path: Path) -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    assert WindowCoordinates.kept_in(tmp_path, space, windows[:0]).values.shape == (0, 4, 16)


def test_the_best_logit_is_the_largest_of_picture_and_windows() -> None:
    whole, windows, _ = scenes()
    space = FeatureSpace.fit(whole, 16)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 16, 4, generator=generator)
    base = LinearBase(weight, torch.zeros(2, 4), 0.1, 10)
    coordinates = WindowCoordinates.of(space, windows)
    rows = np.array([7, 3, 399])
    found = coordinates.best_logits(base, base.logits(space.apply(whole[rows]), 1), 1, rows)
    parts = [space.apply(np.concatenate([whole[row, None], windows[row]])) for row in rows]
    expected = torch.stack([base.logits(part, 1).amax(dim=0) for part in parts])
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_windows_help_where_categories_are_small_in_the_picture() -> None:
    whole, windows, truth = scenes()
    masked = mask_labels(truth, 0.5, 0)
    graph = NeighbourGraph.build(whole)
    coordinates = WindowCoordinates.of(graph.space, windows)
    without = FastTier.fit(None, masked.labels, neighbours=graph)
    fitted = FastTier.fit(None, masked.labels, neighbours=graph, windows=coordinates)
    weights = {source.name: source for source in fitted.scores().stack}
    assert weights["windows"].kept
    quality = [
        completion_metrics(tier.scores().probability, truth, masked.known).mean_ap
        for tier in (without, fitted)
    ]
    assert quality[1] is not None
    assert quality[0] is not None
    assert quality[1] > quality[0] + 0.02


def test_windows_that_say_what_the_picture_says_change_little() -> None:
    whole, _, truth = scenes()
    labels = mask_labels(truth, 0.5, 0).labels
    graph = NeighbourGraph.build(whole)
    coordinates = WindowCoordinates.of(graph.space, np.repeat(whole[:, None], 3, axis=1))
    alone = FastTier.fit(None, labels, neighbours=graph).scores()
    found = FastTier.fit(None, labels, neighbours=graph, windows=coordinates).scores()
    # Two sources that agree share a weight, which holds it half as firmly as one is held.
    np.testing.assert_allclose(found.probability, alone.probability, atol=0.06)


def test_a_label_does_not_reach_the_evidence_of_its_own_cell() -> None:
    whole, windows, truth = scenes(120)
    labels = mask_labels(truth, 0.4, 0).labels
    graph = NeighbourGraph.build(whole)
    coordinates = WindowCoordinates.of(graph.space, windows)
    before = FastTier.fit(None, labels, neighbours=graph, windows=coordinates)
    row, column = np.argwhere(labels == 1)[5]
    changed = labels.copy()
    changed[row, column] = -1
    # The same folds, so that both fits leave the cell out of the same one.
    after = FastTier.fit(None, changed, neighbours=graph, windows=coordinates, previous=before)
    assert after.folds[row, column] == before.folds[row, column]
    for name in ("base", "windows", "neighbours"):
        values = [tier.scores().sources[name][row, column] for tier in (before, after)]
        assert values[0] == pytest.approx(values[1], abs=0.02), name


def test_a_later_fit_starts_from_an_earlier_one_and_agrees_with_it() -> None:
    whole, windows, truth = scenes()
    labels = mask_labels(truth, 0.5, 0).labels
    graph = NeighbourGraph.build(whole)
    coordinates = WindowCoordinates.of(graph.space, windows)
    first = FastTier.fit(None, labels, neighbours=graph, windows=coordinates)
    restored = FastTier.from_state_dict(first.state_dict())
    again = FastTier.fit(None, labels, neighbours=graph, windows=coordinates, previous=restored)
    np.testing.assert_allclose(again.scores().probability, first.scores().probability, atol=0.01)


def test_other_images_are_scored_by_their_windows() -> None:
    whole, windows, truth = scenes(600)
    labels = mask_labels(truth[:400], 0.5, 0).labels
    graph = NeighbourGraph.build(whole[:400])
    coordinates = WindowCoordinates.of(graph.space, windows[:400])
    tier = FastTier.fit(None, labels, neighbours=graph, windows=coordinates)
    with_windows = tier.scores_for(whole[400:], windows=windows[400:])
    without = tier.scores_for(whole[400:])
    known = np.zeros_like(truth[400:], dtype=bool)
    quality = [
        completion_metrics(scores.probability, truth[400:], known).mean_ap or 0.0
        for scores in (without, with_windows)
    ]
    assert quality[1] > quality[0]
    np.testing.assert_array_equal(without.sources["windows"], without.sources["base"])


def test_windows_of_other_features_are_refused() -> None:
    whole, windows, truth = scenes(60)
    graph = NeighbourGraph.build(whole)
    coordinates = WindowCoordinates.of(graph.space, windows[:59])
    with pytest.raises(ValueError, match="windows must be of 60 images"):
        FastTier.fit(None, truth, neighbours=graph, windows=coordinates)
