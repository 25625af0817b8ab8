"""Nothing of the network stays behind when it is trained on another device than the CPU."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from pretend_device import PRETEND, MixedDevicesError, PretendDevice

from benchmarks.device_option import usable_device
from hst_core.deep_tier import DeepTier, DeepTierConfig
from hst_core.inputs import CachedFeatures
from hst_core.last_stage import LastStage
from hst_core.stacking import assign_folds

SMALL = DeepTierConfig(
    network=DeepTierConfig().network.replace(
        "model.channels=8", "model.attention_hidden=8", "model.word_dimension=4",
        "model.classifier_hidden=8", "model.pair_projection=4", "model.pair_hidden=4",
        "model.prototypes=2", "train.epochs=2", "train.warm_up_epochs=1", "train.batch_size=8",
        "train.learning_rate=0.01",
    ),
)  # fmt: skip


def evidence(device: str, last_stage: LastStage | None) -> dict[str, np.ndarray]:
    """Train a small deep tier; return all that it says."""
    random = np.random.default_rng(0)
    maps = random.normal(size=(24, 3, 4, 4)).astype(np.float32)
    labels = np.where(maps[:, :2].mean(axis=(2, 3)) ** 2 > 0.03, 1, -1).astype(np.int8)
    tuned = last_stage is not None
    inputs = CachedFeatures(maps if tuned else maps.mean((2, 3)), before_last_stage=tuned)
    base = np.zeros(labels.shape, dtype=np.float32)
    tier, sources = DeepTier.fit(
        inputs, labels, assign_folds(labels, 2), base,
        config=SMALL, last_stage=last_stage, device=device,
    )  # fmt: skip
    assert next(tier.networks[0].parameters()).device.type == device
    pairs = tier.pairs(inputs, np.arange(3)).astype(np.float32)
    kept = {source.name: source.values for source in sources}
    later = {f"later {name}": v for name, v in tier.values_for(inputs, base).items()}
    return {**kept, **later, "all pairs": pairs}


def stage() -> LastStage:
    torch.manual_seed(0)
    return LastStage(torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1), torch.nn.BatchNorm2d(5)), 5)


def test_the_pretended_device_refuses_tensors_of_the_cpu() -> None:
    with PretendDevice():
        there = torch.ones(3).to(PRETEND)
        assert (there + there).cpu().tolist() == [2, 2, 2]
        with pytest.raises(MixedDevicesError):
            there + torch.ones(3)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize("tuned", [False, True], ids=["frozen features", "fine-tuned last stage"])
def test_the_deep_tier_says_on_another_device_what_it_says_on_the_cpu(tuned: bool) -> None:
    expected = evidence("cpu", stage() if tuned else None)
    with PretendDevice():
        found = evidence("meta", stage() if tuned else None)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=name)
        assert name == "pairs" or values.any()


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="CUDA"):
        usable_device("cuda:99")
    with pytest.raises(argparse.ArgumentTypeError, match="must be"):
        usable_device("abacus")
    assert usable_device("cpu") == "cpu"
