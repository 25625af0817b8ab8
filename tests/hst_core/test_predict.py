from __future__ import annotations

import numpy as np
import pytest
import torch

from hst_core.config import ModelConfig
from hst_core.inputs import CachedFeatures
from hst_core.model import HST
from hst_core.predict import attention_maps, images_at_once, pair_probabilities, score

CONFIG = ModelConfig(
    channels=8, attention_hidden=8, word_dimension=4, graph_steps=1, pair_projection=8,
    pair_hidden=8, prototypes=2,
)  # fmt: skip


@pytest.fixture
def inputs() -> CachedFeatures:
    return CachedFeatures(np.random.default_rng(0).normal(size=(7, 6, 3, 3)).astype(np.float16))


@pytest.fixture
def model() -> HST:
    return HST(CONFIG, 4, 6, seed=0)


def test_scores_do_not_depend_on_the_batch_size(inputs: CachedFeatures, model: HST) -> None:
    labels = np.random.default_rng(1).integers(-1, 2, size=(7, 4)).astype(np.int8)
    one, all_at_once = (score(model, inputs, labels, batch_size=size) for size in (1, 7))
    np.testing.assert_allclose(one.logits, all_at_once.logits, atol=1e-5)
    np.testing.assert_allclose(one.ist, all_at_once.ist, atol=1e-5)


def test_scoring_leaves_the_training_mode_as_it_was(inputs: CachedFeatures, model: HST) -> None:
    model.train()
    score(model, inputs, np.zeros((7, 4), dtype=np.int8))
    assert model.training


def test_ist_is_the_mean_of_the_pairs_with_known_positives(
    inputs: CachedFeatures, model: HST
) -> None:
    labels = np.zeros((7, 4), dtype=np.int8)
    labels[:, [0, 2]] = 1
    found = score(model, inputs, labels)
    pairs = pair_probabilities(model, inputs, np.arange(7)) / 255
    # Pairs of four categories in order: 01 02 03 12 13 23.
    np.testing.assert_allclose(found.ist[:, 1], (pairs[:, 0] + pairs[:, 3]) / 2, atol=4e-3)
    np.testing.assert_allclose(found.ist[:, 0], pairs[:, 1], atol=4e-3)
    assert found.ist_valid.all()


def test_without_known_positives_ist_is_not_valid(inputs: CachedFeatures, model: HST) -> None:
    found = score(model, inputs, np.full((7, 4), -1, dtype=np.int8))
    assert not found.ist_valid.any()
    assert not found.ist.any()


def test_attention_maps_have_the_shape_of_the_feature_map(
    inputs: CachedFeatures, model: HST
) -> None:
    maps = attention_maps(model, inputs, np.array([5, 2]))
    assert maps.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(maps.max(axis=(2, 3)), 1.0)
    alone = attention_maps(model, inputs, np.array([2]))
    np.testing.assert_allclose(maps[1], alone[0], atol=1e-5)


def test_bf16_gives_nearly_the_same_scores(inputs: CachedFeatures, model: HST) -> None:
    labels = np.zeros((7, 4), dtype=np.int8)
    exact = score(model, inputs, labels).logits
    rough = score(model, inputs, labels, precision="bf16").logits
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, exact, atol=0.05)


@pytest.mark.parametrize("categories", [1, 80, 100_000])
def test_some_image_is_scored_at_a_time_however_many_categories(categories: int) -> None:
    assert 1 <= images_at_once(categories, torch.device("cpu")) <= 128
