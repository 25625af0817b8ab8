from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
import torch
from torch import Tensor

from hst_core.config import ModelConfig, TrainConfig
from hst_core.cst import CrossImageTransfer
from hst_core.ist import IntraImageTransfer
from hst_core.model import HST, CategoryClassifier
from hst_core.semantic import SemanticAttention

CATEGORIES, INPUTS = 5, 7
SMALL = ModelConfig(
    channels=8,
    attention_hidden=6,
    word_dimension=4,
    pair_projection=6,
    pair_hidden=6,
    prototypes=2,
)
VARIANTS: list[dict[str, Any]] = [
    {},
    {"representation": "attention", "graph_steps": 0},
    {"representation": "modulation", "skip": True, "thresholds": "per_category"},
    {"ist": "statistics", "cst": "instances", "normalisation": "batch"},
    {"ist": "none", "cst": "none", "normalisation": "none", "channels": 0},
    {"blending": "both", "fixed_threshold": 0.4, "pair_head": "shared"},
]
EVERY_VARIANT = pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(c) or "paper")


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def labels_of(seed: int, images: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (images, CATEGORIES), generator=generator, dtype=torch.int8)


def small(categories: int = CATEGORIES, **changes: Any) -> HST:
    return HST(dataclasses.replace(SMALL, **changes), categories, INPUTS)


def with_state(**changes: Any) -> HST:
    """A network in evaluation mode with statistics and prototypes."""
    model = small(**changes).eval()
    features, labels = drawn(0, 20, INPUTS, 2, 2), labels_of(1, 20)
    model.use_statistics(labels)
    if isinstance(model.cst, CrossImageTransfer):
        model.cst.prototypes.fit(model(features).category_features.detach(), labels)
    return model


@EVERY_VARIANT
@pytest.mark.parametrize("shape", [(3, INPUTS), (3, INPUTS, 2, 4), (0, INPUTS, 2, 4)])
def test_every_variant_scores_vectors_and_maps(
    changes: dict[str, Any], shape: tuple[int, ...]
) -> None:
    model = with_state(**changes)
    output = model(drawn(1, *shape), with_attention=True)
    rows, columns = shape[2:] or (1, 1)
    assert output.logits.shape == (shape[0], CATEGORIES)
    assert output.attention.shape == (shape[0], CATEGORIES, rows, columns)
    assert torch.isfinite(output.logits).all()
    if isinstance(model.ist, IntraImageTransfer):
        pairs = model(drawn(1, *shape), with_pairs=True).pair_logits
        assert pairs.shape == (shape[0], CATEGORIES * (CATEGORIES - 1) // 2)


@EVERY_VARIANT
def test_every_variant_is_restored_from_its_state(changes: dict[str, Any]) -> None:
    model, features = with_state(**changes), drawn(1, 3, INPUTS, 2, 2)
    file = io.BytesIO()
    torch.save(model.to_state(), file)
    file.seek(0)
    restored = HST.from_state(torch.load(file, weights_only=True)).eval()
    assert restored.config == model.config
    assert torch.equal(restored(features).logits, model(features).logits)


@EVERY_VARIANT
def test_every_variant_grows_and_keeps_old_scores(changes: dict[str, Any]) -> None:
    model, features = with_state(**changes), drawn(1, 3, INPUTS, 2, 2)
    before = model(features)
    model.grow(2, seed=1)
    after = model(features)
    assert after.logits.shape == (3, CATEGORIES + 2)
    torch.testing.assert_close(after.logits[:, :CATEGORIES], before.logits, atol=1e-6, rtol=0)
    labels = torch.zeros(3, CATEGORIES + 2, dtype=torch.int8)
    labels[:, :CATEGORIES] = labels_of(3, 3)
    for part in (model.ist, model.cst):
        if part is not None:
            scores = part.transfer(after.category_features, labels)
            assert scores.scores.shape == (3, CATEGORIES + 2)
    HST.from_state(model.to_state())


def test_grown_network_keeps_transfer_scores_of_old_categories() -> None:
    model, features, labels = with_state(), drawn(1, 3, INPUTS, 2, 2), labels_of(2, 3)
    before = model(features).category_features
    assert model.ist is not None
    assert model.cst is not None
    expected = [part.transfer(before, labels).scores for part in (model.ist, model.cst)]
    model.grow(1)
    after = model(features).category_features
    more = torch.cat([labels, torch.zeros(3, 1, dtype=torch.int8)], dim=1)
    for part, scores in zip((model.ist, model.cst), expected, strict=True):
        torch.testing.assert_close(part.transfer(after, more).scores[:, :CATEGORIES], scores)


def permuted(model: HST, order: Tensor) -> HST:
    """The same network with its categories in another order."""
    state = model.to_state()
    weights = state["weights"]
    for name, value in weights.items():
        if name == "adjacency":
            weights[name] = value[order][:, order]
        elif value.ndim and value.shape[0] == CATEGORIES and not name.startswith("ist."):
            weights[name] = value[order]
    return HST.from_state(state).eval()


@pytest.mark.parametrize("representation", ["decoupling", "attention", "modulation"])
def test_permuting_the_categories_permutes_every_output(representation: str) -> None:
    model = with_state(
        representation=representation, skip=True, thresholds="per_category", pair_head="shared"
    )
    assert isinstance(model.ist, IntraImageTransfer)
    with torch.no_grad():  # equal roles and no bias per pair: nothing depends on the order
        model.ist.first.weight.copy_(model.ist.second.weight)
        model.start_from_base(drawn(5, CATEGORIES, INPUTS), drawn(6, CATEGORIES))
        model.classifier.weight.copy_(drawn(7, *model.classifier.weight.shape))
    order = torch.randperm(CATEGORIES, generator=torch.Generator().manual_seed(3))
    other, features, labels = permuted(model, order), drawn(1, 3, INPUTS, 2, 2), labels_of(2, 3)
    found, expected = other(features, with_attention=True), model(features, with_attention=True)
    torch.testing.assert_close(found.logits, expected.logits[:, order])
    torch.testing.assert_close(found.category_features, expected.category_features[:, order])
    torch.testing.assert_close(found.attention, expected.attention[:, order])
    for name in ("ist", "cst"):
        one = getattr(other, name).transfer(found.category_features, labels[:, order])
        two = getattr(model, name).transfer(expected.category_features, labels)
        torch.testing.assert_close(one.scores, two.scores[:, order])
        assert torch.equal(one.valid, two.valid[:, order])


def test_one_category_is_enough() -> None:
    model = small(categories=1)
    output = model(drawn(0, 2, INPUTS, 2, 2), with_pairs=True)
    assert output.logits.shape == (2, 1)
    assert output.pair_logits.shape == (2, 0)


def test_network_starts_as_its_base() -> None:
    model, features = small(skip=True), drawn(0, 4, INPUTS, 3, 3)
    weight, bias = drawn(1, CATEGORIES, INPUTS), drawn(2, CATEGORIES)
    model.start_from_base(weight, bias)
    output = model(features)
    expected = features.mean(dim=(2, 3)) @ weight.T + bias
    torch.testing.assert_close(output.logits, expected)
    torch.testing.assert_close(output.base_logits, expected)
    output.logits.sum().backward()
    assert model.base is not None
    assert model.base.weight.grad is None
    assert model.classifier.weight.grad is not None


def test_given_base_logits_replace_its_own() -> None:
    model, features = small(skip=True), drawn(0, 4, INPUTS)
    model.start_from_base(drawn(1, CATEGORIES, INPUTS), drawn(2, CATEGORIES))
    given = drawn(3, 4, CATEGORIES)
    torch.testing.assert_close(model(features, base_logits=given).logits, given)


def test_without_skip_there_is_no_base_to_start_from() -> None:
    with pytest.raises(ValueError, match="no skip connection"):
        small().start_from_base(drawn(1, CATEGORIES, INPUTS), drawn(2, CATEGORIES))


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first, state = small(), torch.get_rng_state()
    torch.manual_seed(2)
    second = small()
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_constant_word_vectors_are_saved_but_not_trained() -> None:
    words = drawn(0, CATEGORIES, 3)
    config = dataclasses.replace(SMALL, word_vectors="glove.txt")
    model = HST(config, CATEGORIES, INPUTS, word_vectors=words)
    assert "word_vectors" not in dict(model.named_parameters())
    assert torch.equal(HST.from_state(model.to_state()).word_vectors, words)
    model.grow(1, word_vectors=drawn(1, 1, 3))
    assert model.word_vectors.shape == (CATEGORIES + 1, 3)
    with pytest.raises(ValueError, match="1 new categories must be given"):
        model.grow(1)


def test_constant_word_vectors_have_to_be_given() -> None:
    with pytest.raises(ValueError, match=r"model.word_vectors is 'glove.txt', so the vectors"):
        HST(dataclasses.replace(SMALL, word_vectors="glove.txt"), CATEGORIES, INPUTS)


def test_thresholds_train_in_groups_of_their_own() -> None:
    model = small()
    groups = model.parameter_groups(TrainConfig())
    assert [group["weight_decay"] for group in groups] == [5e-4, 0.0, 0.0]
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(small(fixed_threshold=0.5).parameter_groups(TrainConfig())) == 1


def test_images_pass_through_the_backbone() -> None:
    backbone = torch.nn.Conv2d(3, INPUTS, 4, stride=4)
    model = HST(SMALL, CATEGORIES, INPUTS, backbone=backbone)
    images = drawn(0, 2, 3, 8, 8)
    assert torch.equal(model(images=images).logits, model(backbone(images)).logits)


def test_features_and_images_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="either features or images"):
        small()()
    with pytest.raises(ValueError, match="need a network with a backbone"):
        small()(images=torch.zeros(1, 3, 8, 8))


def test_pairs_cannot_be_asked_of_a_network_without_them() -> None:
    with pytest.raises(ValueError, match=r"model\.ist is 'none': there is no pair head"):
        small(ist="none")(drawn(0, 2, INPUTS), with_pairs=True)


def test_a_head_that_was_shared_stays_shared_when_restored() -> None:
    model = small(pair_head="shared")
    assert HST.from_state(model.to_state()).config.pair_head == "shared"
    assert small().config.pair_head == "per_pair"


def test_statistics_reach_graph_and_ablation() -> None:
    model, labels = small(ist="statistics"), labels_of(0, 50)
    model.use_statistics(labels)
    assert model.adjacency.diagonal().tolist() == [1.0] * CATEGORIES
    assert model.ist is not None
    off = model.adjacency - torch.eye(CATEGORIES)
    assert torch.equal(model.ist.conditional, off)  # type: ignore[arg-type]


def test_attention_grows_with_the_network() -> None:
    model = small(representation="attention")
    model.grow(1)
    assert isinstance(model.representation, SemanticAttention)
    assert model.representation.classify.out_features == CATEGORIES + 1


def test_bf16_autocast_stays_close_to_single_precision() -> None:
    model, features = with_state(), drawn(1, 3, INPUTS, 2, 2)
    wide = model(features, with_pairs=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = model(features, with_pairs=True)
    torch.testing.assert_close(narrow.logits.float(), wide.logits, atol=0.05, rtol=0)
    torch.testing.assert_close(narrow.pair_logits.float(), wide.pair_logits, atol=0.1, rtol=0)


def test_every_parameter_of_the_paper_network_learns() -> None:
    model, labels = small(), labels_of(1, 6)
    output = model(drawn(0, 6, INPUTS, 2, 2))
    assert model.ist is not None
    assert model.cst is not None
    loss = output.logits.square().mean()
    for part in (model.ist, model.cst):
        loss = loss + part.loss(output.category_features, labels)
    loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == ["ist_threshold.theta", "cst_threshold.theta"]


def test_without_a_graph_the_classifier_is_that_of_twice_the_same_feature() -> None:
    torch.manual_seed(0)
    classifier = CategoryClassifier(categories=5, channels=6, hidden=7)
    features = torch.randn(3, 5, 6, requires_grad=True)
    (short,) = torch.autograd.grad(classifier(features, features).square().sum(), features)
    copy = features * 1.0
    (long,) = torch.autograd.grad(classifier(copy, features).square().sum(), features)
    torch.testing.assert_close(classifier(features, features), classifier(copy, features))
    torch.testing.assert_close(short, long)
