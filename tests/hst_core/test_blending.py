from __future__ import annotations

import torch

from hst_core.blending import FeatureBlending
from hst_core.cst import CategoryPrototypes
from hst_core.losses import soft_bce


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def fitted(features: torch.Tensor, labels: torch.Tensor) -> CategoryPrototypes:
    prototypes = CategoryPrototypes(labels.shape[1], features.shape[2], 2)
    prototypes.fit(features, labels)
    return prototypes


def test_only_unknown_cells_beside_a_known_positive_are_blended() -> None:
    features = drawn(0, 2, 3, 4)
    labels = torch.tensor([[0, 0, 1], [1, -1, 0]])
    module = FeatureBlending(3)
    swapped = next(
        seed
        for seed in range(20)
        if torch.randperm(2, generator=torch.Generator().manual_seed(seed)).tolist() == [1, 0]
    )
    blended = module.instances(features, labels, torch.Generator().manual_seed(swapped))
    assert blended.blended.tolist() == [[True, False, False], [False, False, True]]
    torch.testing.assert_close(
        blended.category_features[0, 0], (features[0, 0] + features[1, 0]) / 2
    )
    assert torch.equal(blended.category_features[0, 1:], features[0, 1:])
    assert blended.targets[0].tolist() == [0.5, 0.0, 1.0]
    assert blended.counted.tolist() == [[True, False, True], [True, True, True]]


def test_prototype_blends_keep_the_length_of_a_feature_in_its_own_direction() -> None:
    vector = drawn(0, 1, 1, 5)
    prototypes = fitted(vector * 7, torch.ones(1, 1, dtype=torch.int8))
    features = vector.expand(40, -1, -1)
    blended = FeatureBlending(1).prototypes(
        features, torch.zeros(40, 1, dtype=torch.int8), prototypes, generator()
    )
    torch.testing.assert_close(blended.category_features, features.contiguous())
    assert 10 < int(blended.blended.sum()) < 30


def test_categories_without_prototype_are_not_blended() -> None:
    labels = torch.zeros(20, 2, dtype=torch.int8)
    labels[0, 1] = 1
    features = drawn(0, 20, 2, 4)
    blended = FeatureBlending(2).prototypes(features, labels, fitted(features, labels), generator())
    assert not blended.blended[:, 0].any()
    assert blended.blended[:, 1].any()
    assert torch.isfinite(blended.category_features).all()


def test_the_share_learns_through_the_features_alone() -> None:
    module, features = FeatureBlending(3), drawn(0, 6, 3, 4)
    labels = torch.randint(0, 2, (6, 3), generator=generator())
    blended = module.instances(features, labels, generator())
    assert not blended.targets.requires_grad
    logits = blended.category_features.sum(dim=2)
    soft_bce(logits, blended.targets, blended.counted).backward()
    assert module.instance_logit.grad is not None
    assert module.prototype_logit.grad is None


def test_growing_keeps_old_shares() -> None:
    module = FeatureBlending(2)
    with torch.no_grad():
        module.instance_logit.fill_(3.0)
    module.grow(1)
    assert module.instance_logit.tolist() == [3.0, 3.0, 0.0]


def test_an_empty_batch_is_blended_to_nothing() -> None:
    blended = FeatureBlending(2).instances(
        torch.zeros(0, 2, 3), torch.zeros(0, 2, dtype=torch.int8), generator()
    )
    assert blended.category_features.shape == (0, 2, 3)
