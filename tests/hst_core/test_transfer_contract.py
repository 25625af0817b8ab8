"""What every transfer module promises, whatever it transfers from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hst_core.cst import CrossImageTransfer, InstanceTransfer, Similarity
from hst_core.ist import IntraImageTransfer, PairHead, StatisticsTransfer
from hst_core.thresholds import LearnableThreshold

CHANNELS = 6
Build = Callable[[int], nn.Module]


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def labels_of(seed: int, images: int, categories: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (images, categories), generator=generator, dtype=torch.int8)


def intra_image(head: PairHead) -> Build:
    def build(categories: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return IntraImageTransfer(categories, CHANNELS, projection=5, hidden=4, head=head)

    return build


def cross_image(similarity: Similarity) -> Build:
    def build(categories: int) -> nn.Module:
        module = CrossImageTransfer(categories, CHANNELS, 3, similarity)
        module.prototypes.fit(drawn(8, 30, categories, CHANNELS), labels_of(9, 30, categories))
        return module

    return build


def statistics(categories: int) -> nn.Module:
    return StatisticsTransfer(drawn(3, categories, categories).sigmoid())


MODULES: dict[str, Build] = {
    "ist-per-pair": intra_image("per_pair"),
    "ist-shared": intra_image("shared"),
    "ist-statistics": statistics,
    "cst-mean": cross_image("mean"),
    "cst-max": cross_image("max"),
    "cst-logsumexp": cross_image("logsumexp"),
    "cst-instances": lambda categories: InstanceTransfer(),
}
EVERY_MODULE = pytest.mark.parametrize("build", MODULES.values(), ids=MODULES.keys())


@EVERY_MODULE
@pytest.mark.parametrize(("images", "categories"), [(4, 5), (1, 5), (0, 5), (4, 1)])
def test_scores_are_finite_and_zero_where_invalid(
    build: Build, images: int, categories: int
) -> None:
    features, labels = drawn(0, images, categories, CHANNELS), labels_of(1, images, categories)
    found = build(categories).transfer(features, labels)
    assert found.scores.shape == found.valid.shape == (images, categories)
    assert torch.isfinite(found.scores).all()
    assert not found.scores[~found.valid].any()
    assert (found.scores.abs() <= 1 + 1e-6).all()


@EVERY_MODULE
def test_scores_carry_no_gradient(build: Build) -> None:
    features = drawn(0, 4, 5, CHANNELS).requires_grad_()
    assert not build(5).transfer(features, labels_of(1, 4, 5)).scores.requires_grad


@EVERY_MODULE
def test_the_loss_is_finite_and_not_negative(build: Build) -> None:
    for images, categories in ((4, 5), (1, 5), (0, 5), (4, 1)):
        features = drawn(0, images, categories, CHANNELS)
        loss = build(categories).loss(features, labels_of(1, images, categories))
        assert loss.shape == ()
        assert torch.isfinite(loss)
        assert loss >= 0


@EVERY_MODULE
def test_images_without_known_labels_cost_nothing(build: Build) -> None:
    nothing = torch.zeros(4, 5, dtype=torch.int8)
    assert build(5).loss(drawn(0, 4, 5, CHANNELS), nothing) == 0


@EVERY_MODULE
def test_an_image_does_not_depend_on_unknown_cells_of_others(build: Build) -> None:
    module, features, labels = build(5), drawn(0, 4, 5, CHANNELS), labels_of(1, 4, 5)
    more = torch.cat([features, drawn(2, 2, 5, CHANNELS)])
    found = module.transfer(features, labels)
    beside = module.transfer(more, torch.cat([labels, torch.zeros(2, 5, dtype=torch.int8)]))
    torch.testing.assert_close(beside.scores[:4], found.scores)
    assert torch.equal(beside.valid[:4], found.valid)


@EVERY_MODULE
def test_permuting_images_permutes_scores(build: Build) -> None:
    module, features, labels = build(5), drawn(0, 4, 5, CHANNELS), labels_of(1, 4, 5)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        module.transfer(features[order], labels[order]).scores,
        module.transfer(features, labels).scores[order],
    )


@EVERY_MODULE
def test_growing_keeps_the_scores_of_old_categories(build: Build) -> None:
    module, features, labels = build(5), drawn(0, 4, 5, CHANNELS), labels_of(1, 4, 5)
    before = module.transfer(features, labels)
    module.grow(2)
    after = module.transfer(
        torch.cat([features, drawn(2, 4, 2, CHANNELS)], dim=1),
        torch.cat([labels, torch.zeros(4, 2, dtype=torch.int8)], dim=1),
    )
    torch.testing.assert_close(after.scores[:, :5], before.scores)
    assert torch.equal(after.valid[:, :5], before.valid)


@EVERY_MODULE
def test_state_is_saved_and_loaded(build: Build) -> None:
    module, features, labels = build(5), drawn(0, 4, 5, CHANNELS), labels_of(1, 4, 5)
    other = build(5)
    for value in other.state_dict().values():
        value.zero_()
    other.load_state_dict(module.state_dict())
    assert torch.equal(
        other.transfer(features, labels).scores, module.transfer(features, labels).scores
    )


@EVERY_MODULE
def test_half_precision_features_are_scored_as_single(build: Build) -> None:
    module, labels = build(5), labels_of(1, 4, 5)
    features = drawn(0, 4, 5, CHANNELS).half()
    wide = module.transfer(features.float(), labels).scores
    narrow = module.to(torch.float16).transfer(features, labels).scores
    torch.testing.assert_close(narrow.float(), wide, atol=5e-3, rtol=0)


@EVERY_MODULE
def test_scores_feed_thresholds(build: Build) -> None:
    labels = labels_of(1, 40, 5)
    found = build(5).transfer(drawn(0, 40, 5, CHANNELS), labels)
    for threshold in (LearnableThreshold(), LearnableThreshold(5)):
        threshold.start(found, labels)
        assert torch.isfinite(threshold.loss(found, labels))
        assert not (threshold.decide(found, labels) & (labels != 0)).any()
