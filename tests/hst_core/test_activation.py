"""Maps of where the base looks: they add up to its logit, and point at what it saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from hst_core.activation import ActivationMap, ChannelClassifier, activation_map
from hst_core.fast_tier import FastTier
from hst_core.features import (
    FeatureBlock,
    FeatureSet,
    FeatureStore,
    extract,
    feature_maps,
    feature_set_named,
    load_backbones,
)
from hst_core.pooling import pool, pool_windows

MIXED = FeatureSet(
    "mixed",
    (
        FeatureBlock("a", 7, "mean", 6),
        FeatureBlock("a", 7, "max", 6),
        FeatureBlock("b", 5, "mean", 4),
    ),
)

Maps = dict[tuple[str, int], Tensor]


def draw_maps(seed: int, *, signed: bool = False) -> Maps:
    generator = torch.Generator().manual_seed(seed)
    maps = {
        ("a", 7): torch.randn(6, 7, 9, generator=generator),
        ("b", 5): torch.randn(4, 5, 4, generator=generator),
    }
    return maps if signed else {key: found.relu() for key, found in maps.items()}


def pooled(maps: Maps, feature_set: FeatureSet = MIXED) -> np.ndarray:
    parts = [pool(maps[b.backbone, b.input_size][None], b.pooling)[0] for b in feature_set.blocks]
    return torch.cat(parts).numpy()


def fitted(images: list[Maps], feature_set: FeatureSet = MIXED) -> FastTier:
    vectors = np.stack([pooled(maps, feature_set) for maps in images])
    signs = np.random.default_rng(0).choice([-1, 1], size=(len(images), 2)).astype(np.int8)
    return FastTier.fit(vectors, signs)


@pytest.fixture(scope="module", params=[False, True], ids=["rectified", "signed"])
def tier(request: pytest.FixtureRequest) -> FastTier:
    return fitted([draw_maps(seed, signed=request.param) for seed in range(40)])


@settings(max_examples=20)
@given(seed=st.integers(100, 10_000), signed=st.booleans(), category=st.integers(0, 1))
def test_a_map_adds_up_to_the_logit_of_the_base(
    tier: FastTier, seed: int, signed: bool, category: int
) -> None:
    maps = draw_maps(seed, signed=signed)
    found = activation_map(tier.channel_classifier(category), MIXED, maps)
    expected = tier.scores_for(pooled(maps)[None]).sources["base"][0, category]
    assert found.contributions.shape == (7, 9)
    assert found.logit == pytest.approx(float(expected), abs=1e-4)


@settings(max_examples=20)
@given(seed=st.integers(100, 10_000), category=st.integers(0, 1))
def test_a_map_of_picture_and_window_adds_up_to_both_logits(
    tier: FastTier, seed: int, category: int
) -> None:
    windowed = replace(MIXED, windows=3)
    maps = draw_maps(seed)
    windows = np.concatenate(
        [
            pool_windows(maps[b.backbone, b.input_size][None], b.pooling, 3)[0].numpy()
            for b in MIXED.blocks
        ],
        axis=1,
    )
    both = np.concatenate([pooled(maps)[None], windows])
    logits = tier.scores_for(both).sources["base"][:, category]
    found = activation_map(tier.channel_classifier(category), windowed, maps, (0.25, 0.75))
    assert found.logit == pytest.approx(0.25 * logits[0] + 0.75 * logits.max(), abs=1e-4)


def test_a_window_speaks_for_its_own_part_of_the_picture() -> None:
    windowed = replace(MIXED, windows=3)
    maps = {("a", 7): torch.zeros(6, 9, 9), ("b", 5): torch.ones(4, 5, 5)}
    maps["a", 7][2, 7, 8] = 5.0
    found = activation_map(only_channel(2), windowed, maps, (0.0, 1.0)).contributions
    assert np.count_nonzero(found) == 1
    assert found[7, 8] > activation_map(only_channel(2), MIXED, maps).contributions[7, 8]


def only_channel(channel: int, dim: int = MIXED.dim) -> ChannelClassifier:
    weight = torch.zeros(dim)
    weight[channel] = 1.0
    return ChannelClassifier(weight, torch.zeros(dim), -1.0)


def test_a_mean_is_shared_out_in_proportion_to_the_activations() -> None:
    maps = draw_maps(1)
    found = activation_map(only_channel(2), MIXED, maps).contributions
    channel = maps["a", 7][2].numpy()
    np.testing.assert_allclose(found / found.sum(), channel / channel.sum(), atol=1e-6)


def test_a_maximum_belongs_to_its_location() -> None:
    maps = draw_maps(1)
    found = activation_map(only_channel(6 + 3), MIXED, maps).contributions
    assert np.count_nonzero(found) == 1
    assert found.argmax() == int(maps["a", 7][3].argmax())


def test_a_coarser_block_is_spread_over_the_finer_locations_it_covers() -> None:
    maps = {("a", 7): torch.zeros(6, 10, 10), ("b", 5): torch.zeros(4, 5, 5)}
    maps["b", 5][0, 1, 4] = 2.0
    found = activation_map(only_channel(12), MIXED, maps).contributions
    expected = np.zeros((10, 10), dtype=np.float32)
    expected[2:4, 8:10] = found.sum() / 4
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_channel_of_zeros_is_shared_evenly() -> None:
    maps = {("a", 7): torch.zeros(6, 3, 3), ("b", 5): torch.zeros(4, 3, 3)}
    maps["b", 5][1] = 1.0
    classifier = ChannelClassifier(torch.ones(MIXED.dim), torch.ones(MIXED.dim), 0.5)
    found = activation_map(classifier, MIXED, maps)
    assert np.ptp(found.contributions) < 1e-6
    assert found.logit == pytest.approx(0.5 + 1.0 - MIXED.dim, abs=1e-4)


def test_what_is_shown_lies_between_0_and_1() -> None:
    found = ActivationMap(np.array([[-3.0, 1.0], [0.0, 4.0]], dtype=np.float32), 0.0)
    assert found.shown().tolist() == [[0.0, 0.25], [0.0, 1.0]]


def test_nothing_is_shown_where_nothing_speaks_for_the_category() -> None:
    found = ActivationMap(np.full((2, 2), -1.0, dtype=np.float32), 0.0)
    assert not found.shown().any()


def test_a_classifier_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has 3 channels, feature set mixed has 16"):
        activation_map(only_channel(0, dim=3), MIXED, draw_maps(0))


def test_maps_of_a_picture_pool_to_its_stored_vector(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    feature_set = feature_set_named("tiny")
    backbones = load_backbones(feature_set)
    store = FeatureStore.open(tmp_path / "features", feature_set)
    extract(store, [("0" * 64, tmp_path / "picture.png")], backbones=backbones)
    maps = feature_maps(feature_set, backbones, tmp_path / "picture.png")
    np.testing.assert_allclose(pooled(maps, feature_set), store.vectors([0])[0], atol=2e-3)


def test_the_map_points_at_what_the_pictures_differ_in(tmp_path: Path) -> None:
    feature_set = feature_set_named("tiny")
    backbones = load_backbones(feature_set)
    images, labels = [], np.zeros((24, 1), dtype=np.int8)
    for number in range(24):
        pixels = np.random.default_rng(number).integers(90, 160, (64, 64, 3), dtype=np.uint8)
        labels[number] = 1 if number % 2 else -1
        if number % 2:
            top, left = (8 * (number % 5), 8 * (number % 6))
            pixels[top : top + 16, left : left + 16] = (250, 20, 20)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        images.append(feature_maps(feature_set, backbones, path))
    vectors = np.stack([pooled(maps, feature_set) for maps in images])
    tier = FastTier.fit(vectors, labels)
    shown = activation_map(tier.channel_classifier(0), feature_set, images[7]).shown()
    top, left = np.unravel_index(int(shown.argmax()), shown.shape)
    assert shown.shape == (8, 8)
    assert top in (7 % 5, 7 % 5 + 1)
    assert left in (7 % 6, 7 % 6 + 1)
