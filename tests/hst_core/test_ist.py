from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hst_core.ist import (
    IntraImageTransfer,
    PairHead,
    StatisticsTransfer,
    leave_one_out,
    pair_index,
    pair_position,
    pair_targets,
    used_pairs,
)
from hst_core.losses import asymmetric_pair_loss

HEADS = pytest.mark.parametrize("head", ["per_pair", "shared"])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def labels_of(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def head_of(categories: int, head: PairHead = "per_pair", channels: int = 6) -> IntraImageTransfer:
    generator = torch.Generator().manual_seed(0)
    module = IntraImageTransfer(
        categories, channels, projection=5, hidden=7, head=head, generator=generator
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return module


def concatenated(module: IntraImageTransfer, features: Tensor) -> Tensor:
    """The plain formulation: a fully connected stack over [g_i ; g_j] of every pair."""
    weight = torch.cat([module.first.weight, module.second.weight], dim=1)
    logits = []
    for i in range(module.categories):
        for j in range(i + 1, module.categories):
            pair = torch.cat([module.project(features[:, i]), module.project(features[:, j])], 1)
            hidden = torch.relu(pair @ weight.T + module.second.bias)
            vector = module.vectors[len(logits)] if module.per_pair else module.vectors
            logits.append(hidden @ vector + module.bias[len(logits)])
    return torch.stack(logits, dim=1)


def test_scores_have_their_known_values() -> None:
    pairs = torch.tensor([[0.8, 0.3, 0.5]])
    found = leave_one_out(pairs, labels_of([1, 0, -1]))
    assert found.valid.tolist() == [[False, True, True]]
    assert found.scores[0].tolist() == pytest.approx([0.0, 0.8, 0.3])


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", [0.6, 0.6, 0.7]), ("sum", [0.6, 0.6, 1.4])]
)
def test_two_known_positives_are_averaged_or_summed(reduction: str, expected: list[float]) -> None:
    pairs = torch.tensor([[0.6, 0.9, 0.5]])
    found = leave_one_out(pairs, labels_of([1, 1, 0]), reduction)  # type: ignore[arg-type]
    assert found.scores[0].tolist() == pytest.approx(expected)
    assert found.valid.all()


def test_no_known_positive_leaves_everything_invalid() -> None:
    found = leave_one_out(torch.rand(1, 3), labels_of([-1, 0, -1]))
    assert not found.valid.any()


def test_targets_have_their_known_values() -> None:
    assert pair_targets(labels_of([1, 0, -1])).tolist() == [[0, -1, -1]]
    assert pair_targets(labels_of([1, 1, 0])).tolist() == [[1, 0, 0]]


def test_pair_one_of_four_categories_is_zero_two() -> None:
    first, second = pair_index(4)
    assert (first[1], second[1]) == (0, 2)


@pytest.mark.parametrize("categories", [1, 2, 7])
def test_position_inverts_the_index(categories: int) -> None:
    first, second = pair_index(categories)
    assert pair_position(first, second, categories).tolist() == list(range(len(first)))


@HEADS
def test_factorised_logits_equal_the_concatenation(head: PairHead) -> None:
    module, features = head_of(6, head), drawn(1, 4, 6, 6)
    torch.testing.assert_close(module(features), concatenated(module, features))
    with torch.no_grad():
        torch.testing.assert_close(module(features), concatenated(module, features))


@HEADS
def test_factorised_gradients_equal_the_concatenation(head: PairHead) -> None:
    module, features = head_of(6, head), drawn(1, 4, 6, 6).requires_grad_()
    labels = torch.randint(-1, 2, (4, 6), generator=torch.Generator().manual_seed(2))
    inputs = [features, *module.parameters()]
    found = torch.autograd.grad(module.loss(features, labels), inputs)
    plain = asymmetric_pair_loss(concatenated(module, features), pair_targets(labels))
    for one, other in zip(found, torch.autograd.grad(plain, inputs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@HEADS
def test_gradients_match_finite_differences(head: PairHead) -> None:
    module, features = head_of(4, head, channels=3).double(), drawn(1, 2, 4, 3).double()
    labels = labels_of([1, 1, -1, 0], [0, -1, 1, 1])

    def loss(values: Tensor, vectors: Tensor, weight: Tensor) -> Tensor:
        replaced = {"vectors": vectors, "first.weight": weight}
        call = {"category_features": values, "labels": labels}
        found: Tensor = torch.func.functional_call(_Loss(module), _prefix(replaced), (), call)
        return found

    inputs = (features, module.vectors.detach(), module.first.weight.detach())
    assert torch.autograd.gradcheck(loss, tuple(v.clone().requires_grad_() for v in inputs))


class _Loss(torch.nn.Module):
    def __init__(self, module: IntraImageTransfer) -> None:
        super().__init__()
        self.module = module

    def forward(self, category_features: Tensor, labels: Tensor) -> Tensor:
        return self.module.loss(category_features, labels)


def _prefix(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{name}": value for name, value in values.items()}


@given(seed=st.integers(0, 2**16), categories=st.integers(1, 6))
def test_transfer_equals_the_scores_of_all_pairs(seed: int, categories: int) -> None:
    module, features = head_of(categories), drawn(seed, 3, categories, 6)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 2, (3, categories), generator=generator)
    found = module.transfer(features, labels)
    expected = leave_one_out(torch.sigmoid(module(features)), labels)
    torch.testing.assert_close(found.scores, expected.scores)
    assert torch.equal(found.valid, expected.valid)


def test_own_label_does_not_move_own_score() -> None:
    module, features = head_of(5), drawn(1, 1, 5, 6)
    with_it = module.transfer(features, labels_of([1, 1, -1, 0, 0])).scores[0, 1]
    without = module.transfer(features, labels_of([1, 0, -1, 0, 0])).scores[0, 1]
    assert with_it == without


@given(seed=st.integers(0, 2**16))
def test_used_pairs_are_those_with_a_target(seed: int) -> None:
    labels = torch.randint(-1, 2, (4, 6), generator=torch.Generator().manual_seed(seed))
    images, first, second, targets = used_pairs(labels)
    dense = torch.zeros(4, 15, dtype=labels.dtype)
    dense[images, pair_position(first, second, 6)] = targets
    assert torch.equal(dense, pair_targets(labels))
    assert (targets != 0).all()


def test_limit_keeps_about_as_many_pairs() -> None:
    labels = torch.randint(-1, 2, (16, 40), generator=torch.Generator().manual_seed(0))
    kept = [
        len(used_pairs(labels, 1000, torch.Generator().manual_seed(seed))[0]) for seed in range(5)
    ]
    assert all(850 < number < 1150 for number in kept)
    assert len(used_pairs(labels, 10**6, torch.Generator())[0]) == len(used_pairs(labels)[0])


def test_limit_without_generator_is_refused() -> None:
    with pytest.raises(ValueError, match="limit=10 draws pairs at random and needs a generator"):
        used_pairs(labels_of([1, -1]), 10)


@HEADS
def test_reversing_categories_and_roles_reverses_the_pairs(head: PairHead) -> None:
    # The smaller category of a pair plays the first role, so reversing swaps the roles.
    module, features = head_of(5, head), drawn(1, 2, 5, 6)
    logits = module(features)
    first, second = pair_index(5)
    moved = pair_position(4 - second, 4 - first, 5)
    with torch.no_grad():
        roles = module.first.weight.clone()
        module.first.weight.copy_(module.second.weight)
        module.second.weight.copy_(roles)
        module.bias[moved] = module.bias.clone()
        if module.per_pair:
            module.vectors[moved] = module.vectors.clone()
    torch.testing.assert_close(module(features.flip(1))[:, moved], logits)


@given(seed=st.integers(0, 2**16))
def test_permuting_categories_permutes_a_head_with_equal_roles(seed: int) -> None:
    module, features = head_of(5, "shared"), drawn(1, 2, 5, 6)
    with torch.no_grad():
        module.first.weight.copy_(module.second.weight)
        module.bias.zero_()
        labels = torch.randint(-1, 2, (2, 5), generator=torch.Generator().manual_seed(seed))
        order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
        expected = module.transfer(features, labels)
        found = module.transfer(features[:, order], labels[:, order])
    torch.testing.assert_close(found.scores, expected.scores[:, order])
    assert torch.equal(found.valid, expected.valid[:, order])


@pytest.mark.parametrize("categories", [1, 20, 200, 1000])
def test_any_number_of_categories_trains_and_scores(categories: int) -> None:
    module, features = head_of(categories, "shared", 4), drawn(0, 1, categories, 4)
    labels = torch.zeros(1, categories, dtype=torch.int8)
    labels[0, 0], labels[0, -1] = 1, -1
    features.requires_grad_()
    module.loss(features, labels).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    with torch.no_grad():
        assert module(features).shape == (1, categories * (categories - 1) // 2)
    assert module.transfer(features, labels).scores.shape == (1, categories)


def test_auto_head_is_shared_where_one_vector_per_pair_would_be_large() -> None:
    assert IntraImageTransfer(20, 4, projection=4, hidden=8).per_pair
    assert not IntraImageTransfer(1000, 4, projection=4, hidden=128).per_pair


def test_growing_keeps_the_logits_of_old_pairs() -> None:
    module, features = head_of(4), drawn(1, 3, 4, 6)
    before = module(features)
    module.grow(2, torch.Generator().manual_seed(1))
    first, second = pair_index(4)
    after = module(torch.cat([features, drawn(2, 3, 2, 6)], dim=1))
    torch.testing.assert_close(after[:, pair_position(first, second, 6)], before)
    assert after.shape == (3, 15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close_to_single(dtype: torch.dtype) -> None:
    module, features = head_of(6), drawn(1, 4, 6, 6)
    labels = torch.randint(-1, 2, (4, 6), generator=torch.Generator().manual_seed(2))
    wide = module.transfer(features, labels).scores
    narrow = module.to(dtype).transfer(features.to(dtype), labels).scores
    torch.testing.assert_close(narrow.float(), wide, atol=0.05, rtol=0)
    assert torch.isfinite(module.loss(features.to(dtype) * 100, labels))


def test_statistics_transfer_averages_conditional_probabilities() -> None:
    conditional = torch.tensor([[1.0, 0.2, 0.4], [0.5, 1.0, 0.6], [0.7, 0.8, 1.0]])
    found = StatisticsTransfer(conditional).transfer(torch.zeros(1, 3, 1), labels_of([1, 1, 0]))
    assert found.scores[0].tolist() == pytest.approx([0.2, 0.5, 0.75])
    assert found.valid.all()
