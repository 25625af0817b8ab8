from __future__ import annotations

import pytest
import torch

from hst_core.semantic import (
    SemanticAttention,
    SemanticDecoupling,
    SemanticModulation,
    grow_linear,
    pool_by_attention,
)

CATEGORIES, CHANNELS, WORDS = 5, 6, 3


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def every_module() -> list[torch.nn.Module]:
    return [
        SemanticDecoupling(CHANNELS, WORDS, hidden=7),
        SemanticAttention(CATEGORIES, CHANNELS),
        SemanticAttention(CATEGORIES, CHANNELS, "softmax"),
        SemanticModulation(CHANNELS, WORDS, hidden=7),
    ]


MODULES = pytest.mark.parametrize("module", every_module(), ids=lambda m: type(m).__name__)


@MODULES
def test_every_representation_gives_features_and_maps(module: torch.nn.Module) -> None:
    for batch, locations in ((2, 9), (1, 1), (0, 4)):
        features, attention = module(drawn(0, batch, CHANNELS, locations), drawn(1, 5, WORDS))
        assert features.shape == (batch, CATEGORIES, CHANNELS)
        assert attention.shape == (batch, CATEGORIES, locations)
        assert torch.isfinite(features).all()
        assert (attention >= 0).all()


@MODULES
def test_every_representation_ignores_the_order_of_locations(module: torch.nn.Module) -> None:
    features, words = drawn(0, 2, CHANNELS, 9), drawn(1, 5, WORDS)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    pooled, attention = module(features, words)
    moved, moved_attention = module(features[:, :, order], words)
    torch.testing.assert_close(moved, pooled)
    torch.testing.assert_close(moved_attention, attention[:, :, order])


def test_decoupling_returns_a_constant_map_for_every_category() -> None:
    vector = drawn(0, 2, CHANNELS)
    module = SemanticDecoupling(CHANNELS, WORDS)
    features, attention = module(vector[..., None].expand(-1, -1, 49), drawn(1, 5, WORDS))
    torch.testing.assert_close(features, vector[:, None].expand(-1, 5, -1))
    torch.testing.assert_close(attention, torch.full((2, 5, 49), 1 / 49))


def test_decoupling_is_the_formula_written_out() -> None:
    module = SemanticDecoupling(CHANNELS, WORDS, hidden=7)
    features, words = drawn(0, 2, CHANNELS, 4), drawn(1, 5, WORDS)
    for b in range(2):
        for c in range(5):
            scores = torch.stack(
                [
                    module.weight
                    @ torch.tanh(
                        (module.from_features.weight @ features[b, :, location])
                        * (module.from_words.weight @ words[c])
                    )
                    for location in range(4)
                ]
            )
            expected = features[b] @ torch.softmax(scores, dim=0)
            torch.testing.assert_close(module(features, words)[0][b, c], expected)


def test_decoupling_gradients_match_finite_differences() -> None:
    module = SemanticDecoupling(3, 2, hidden=4).double()
    features, words = drawn(0, 2, 3, 4).double(), drawn(1, 3, 2).double()
    inputs = (features.requires_grad_(), words.requires_grad_())
    assert torch.autograd.gradcheck(lambda f, w: module(f, w)[0], inputs)


def test_decoupling_gradients_reach_all_parameters_as_in_the_plain_formula() -> None:
    module = SemanticDecoupling(CHANNELS, WORDS, hidden=7)
    features, words = drawn(0, 2, CHANNELS, 4), drawn(1, 5, WORDS)
    parameters = list(module.parameters())
    found = torch.autograd.grad(module(features, words)[0].square().sum(), parameters)
    places = module.from_features(features.transpose(1, 2))[:, None]
    scores = torch.tanh(places * module.from_words(words)[None, :, None]) @ module.weight
    pooled = pool_by_attention(features, torch.softmax(scores, dim=2))
    expected = torch.autograd.grad(pooled.square().sum(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_decoupling_attention_sums_to_one() -> None:
    _, attention = SemanticDecoupling(CHANNELS, WORDS)(drawn(0, 2, CHANNELS, 9), drawn(1, 5, WORDS))
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 5))


def test_permuting_words_permutes_decoupled_features() -> None:
    module, features, words = (
        SemanticDecoupling(CHANNELS, WORDS),
        drawn(0, 2, CHANNELS, 9),
        drawn(1, 5, WORDS),
    )
    order = torch.randperm(5, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        module(features, words[order])[0], module(features, words)[0][:, order]
    )


def test_modulation_starts_as_the_pooled_feature() -> None:
    features = drawn(0, 2, CHANNELS, 9)
    pooled, _ = SemanticModulation(CHANNELS, WORDS)(features, drawn(1, 5, WORDS))
    torch.testing.assert_close(pooled, features.mean(dim=2)[:, None].expand(-1, 5, -1))


def test_sigmoid_attention_does_not_grow_with_the_picture() -> None:
    module, vector = SemanticAttention(CATEGORIES, CHANNELS), drawn(0, 1, CHANNELS, 1)
    small, _ = module(vector.expand(-1, -1, 4), drawn(1, 5, WORDS))
    large, _ = module(vector.expand(-1, -1, 400), drawn(1, 5, WORDS))
    torch.testing.assert_close(small, large)


def test_growing_attention_keeps_old_maps() -> None:
    module, features = SemanticAttention(CATEGORIES, CHANNELS), drawn(0, 2, CHANNELS, 9)
    before = module(features, drawn(1, 5, WORDS))
    module.grow(2, torch.Generator().manual_seed(0))
    after = module(features, drawn(1, 7, WORDS))
    torch.testing.assert_close(after[0][:, :5], before[0])
    torch.testing.assert_close(after[1][:, :5], before[1])


@pytest.mark.parametrize("bias", [True, False])
def test_a_grown_layer_computes_what_it_did(bias: bool) -> None:
    layer, values = torch.nn.Linear(4, 3, bias=bias), drawn(0, 2, 4)
    grown = grow_linear(layer, 2)(values)
    torch.testing.assert_close(grown[:, :3], layer(values))
    assert grown.shape == (2, 5)


def test_half_precision_maps_stay_close_to_single() -> None:
    module = SemanticDecoupling(CHANNELS, WORDS)
    features, words = drawn(0, 2, CHANNELS, 9), drawn(1, 5, WORDS)
    wide = module(features, words)[1]
    narrow = module.half()(features.half(), words.half())[1]
    torch.testing.assert_close(narrow.float(), wide, atol=5e-3, rtol=0)
