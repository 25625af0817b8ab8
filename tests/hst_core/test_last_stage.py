"""A backbone cut before its last stage computes what the whole did, and only the stage learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hst_core.backbone import Backbone, BackboneError, build_backbone
from hst_core.config import TrainConfig
from hst_core.deep_tier import DeepTier, DeepTierConfig
from hst_core.inputs import CachedFeatures
from hst_core.last_stage import LastStage, split
from hst_core.model import HST
from hst_core.stacking import assign_folds

CAN_BE_CUT = [
    "efficientnet-lite0",
    "resnet18",
    "convnext_tiny",
    "mobilenet_v3_small",
    "densenet121",
]


@pytest.fixture(scope="module", params=CAN_BE_CUT)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    # Lite's come with the packages; drawn ones let its activations die out.
    weights = "default" if request.param.startswith("efficientnet-lite") else "random"
    return build_backbone(request.param, weights=weights)


def pixels(count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=generator)


def test_both_parts_after_one_another_are_the_whole(backbone: Backbone) -> None:
    before, last = split(backbone)
    with torch.inference_mode():
        torch.testing.assert_close(last(before(pixels())), backbone(pixels()))
    assert last.channels == backbone.channels


def test_only_the_last_stage_learns_and_norms_stay_as_they_are(backbone: Backbone) -> None:
    before, last = split(backbone)
    assert not any(parameter.requires_grad for parameter in before.parameters())
    state = {name: value.clone() for name, value in last.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in last.parameters() if p.requires_grad], lr=0.1)
    last.train()(before(pixels())).square().mean().backward()
    optimiser.step()
    moved = {name for name, value in last.state_dict().items() if not value.equal(state[name])}
    norms = {
        f"{name}.{part}"
        for name, module in last.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for part in module.state_dict()
    }
    assert moved
    assert not moved & norms
    backbone.freeze()


@pytest.mark.parametrize("name", ["tiny", "swin_t", "regnet_y_400mf"])
def test_what_cannot_be_cut_says_what_can(name: str) -> None:
    with pytest.raises(BackboneError, match="use efficientnet-lite0"):
        split(build_backbone(name, weights="random"))


def test_the_backbone_has_its_own_learning_rate() -> None:
    _, last = split(build_backbone("efficientnet-lite0", weights="random"))
    model = HST(DeepTierConfig().network.model, 3, last.channels, backbone=last)
    groups = model.parameter_groups(TrainConfig(learning_rate=1e-3, backbone_factor=0.1))
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in last.parameters() if p.requires_grad} == {1e-4}
    assert rates[id(model.classifier.weight)] == 1e-3
    learning = [p for p in model.parameters() if p.requires_grad]
    assert len(rates) == len(learning)


SMALL = DeepTierConfig(
    network=DeepTierConfig().network.replace(
        "model.channels=8", "model.attention_hidden=8", "model.word_dimension=4",
        "model.classifier_hidden=8", "model.pair_projection=4", "model.pair_hidden=4",
        "model.prototypes=2", "train.epochs=2", "train.warm_up_epochs=1", "train.batch_size=8",
        "train.learning_rate=0.01",
    ),
    patience=5,
)  # fmt: skip


def tiny_stage() -> LastStage:
    torch.manual_seed(0)
    stages = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1), torch.nn.BatchNorm2d(5))
    return LastStage(stages, channels=5)


def test_the_deep_tier_trains_a_last_stage_per_network_and_is_restored_with_it() -> None:
    random = np.random.default_rng(0)
    activations = random.normal(size=(30, 3, 4, 4)).astype(np.float16)
    labels = np.where(activations[:, :2].mean(axis=(2, 3)) ** 2 > 0.03, 1, -1).astype(np.int8)
    folds = assign_folds(labels, 2)
    base = np.zeros(labels.shape, dtype=np.float32)
    inputs = CachedFeatures(activations, before_last_stage=True)
    stage = tiny_stage()
    tier, sources = DeepTier.fit(inputs, labels, folds, base, config=SMALL, last_stage=stage)
    trained = [network.backbone for network in tier.networks]
    weights = [next(iter(t.parameters())).detach() for t in trained if t is not None]
    assert not weights[0].equal(weights[1])
    assert next(iter(stage.parameters())).equal(next(iter(tiny_stage().parameters())))
    restored = DeepTier.from_state_dict(tier.state_dict(), stage)
    for name, values in tier.values_for(inputs, base).items():
        np.testing.assert_allclose(restored.values_for(inputs, base)[name], values, atol=1e-6)
    again, _ = DeepTier.fit(
        inputs, labels, folds, base, config=SMALL, previous=tier, last_stage=stage
    )
    assert len(again.networks) == 2
    assert np.isfinite(sources[0].values).all()
