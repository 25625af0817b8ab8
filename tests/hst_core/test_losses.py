from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hst_core.cst import pair_similarity_loss
from hst_core.losses import (
    asymmetric_pair_loss,
    hide_known,
    partial_bce,
    soft_bce,
    with_pseudo_labels,
)
from hst_core.thresholds import threshold_loss


def labels_of(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def logit(probability: float) -> torch.Tensor:
    return torch.tensor([math.log(probability / (1 - probability))])


def test_bce_of_zero_logits_is_log_two() -> None:
    loss = partial_bce(torch.zeros(1, 3), labels_of([1, -1, 0]))
    assert loss.item() == pytest.approx(0.693147, abs=1e-6)


def test_duplicating_unknown_entries_changes_nothing() -> None:
    few = partial_bce(torch.tensor([[0.3, -2.0, 5.0]]), labels_of([1, -1, 0]))
    many = partial_bce(torch.tensor([[0.3, -2.0, 5.0, 5.0, -9.0]]), labels_of([1, -1, 0, 0, 0]))
    assert few.item() == pytest.approx(many.item(), abs=1e-7)


def test_unknown_labels_contribute_no_gradient() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    partial_bce(logits, labels_of([1, -1, 0])).backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-0.25, 0.25, 0.0]]


def test_soft_bce_with_hard_targets_is_partial_bce() -> None:
    logits, labels = torch.tensor([[0.4, -1.2, 3.0]]), labels_of([1, -1, 0])
    soft = soft_bce(logits, (labels == 1).float(), labels != 0)
    assert torch.equal(soft, partial_bce(logits, labels))


@pytest.mark.parametrize(
    ("probability", "target", "expected"),
    [
        (0.5, 1, 0.346574),
        (0.5, -1, 0.121062),
        (0.04, -1, 0.0),
        (0.9, -1, 1.3707),
        (0.9, 0, 0.0),
    ],
)
def test_asymmetric_loss_has_its_known_values(
    probability: float, target: int, expected: float
) -> None:
    loss = asymmetric_pair_loss(logit(probability), torch.tensor([target]))
    assert loss.item() == pytest.approx(expected, abs=5e-5)


def test_asymmetric_loss_without_focus_and_margin_is_cross_entropy() -> None:
    logits, targets = torch.tensor([[0.7, -0.2]]), torch.tensor([[1, -1]])
    loss = asymmetric_pair_loss(logits, targets, 0.0, 0.0, 0.0)
    assert loss.item() == pytest.approx(partial_bce(logits, targets).item(), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [0.0, 20.0, 300.0, 60000.0])
def test_losses_of_half_precision_logits_are_finite(dtype: torch.dtype, size: float) -> None:
    logits = torch.tensor([[size, -size, size, -size]], dtype=dtype, requires_grad=True)
    labels = labels_of([1, 1, -1, -1])
    for loss in (partial_bce(logits, labels), asymmetric_pair_loss(logits, labels)):
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_half_precision_changes_the_asymmetric_loss_by_rounding_only() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 40, generator=generator).half()
    targets = torch.randint(-1, 2, (8, 40), generator=generator)
    wide = asymmetric_pair_loss(logits.double(), targets)
    assert asymmetric_pair_loss(logits, targets).item() == pytest.approx(wide.item(), rel=1e-5)


def test_pair_loss_has_its_known_value() -> None:
    features = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])
    loss = pair_similarity_loss(features, labels_of([1], [1], [-1]))
    assert loss.item() == pytest.approx((1 + 1.70711 + 1.70711) / 3, abs=1e-5)


def test_two_known_absences_are_no_pair() -> None:
    features = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    assert pair_similarity_loss(features, labels_of([-1], [-1], [0])) == 0


@given(seed=st.integers(0, 2**16))
def test_pair_loss_is_the_mean_over_listed_pairs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(5, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 2, (5, 3), generator=generator, dtype=torch.int8)
    terms = []
    for c in range(3):
        for n in range(5):
            for m in range(n):
                both = {int(labels[n, c]), int(labels[m, c])}
                cosine = torch.cosine_similarity(features[n, c], features[m, c], dim=0)
                if both == {1}:
                    terms.append(1 - cosine)
                elif both == {1, -1}:
                    terms.append(1 + cosine)
    expected = torch.stack(terms).mean().item() if terms else 0.0
    assert pair_similarity_loss(features, labels).item() == pytest.approx(expected, abs=1e-12)


def test_gradients_of_all_losses_match_finite_differences() -> None:
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    labels = labels_of([1, -1, 0, 1], [-1, 1, 1, 0], [1, 0, -1, -1])
    share = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    check = torch.autograd.gradcheck
    assert check(lambda z: partial_bce(z, labels), (random(3, 4),))
    assert check(lambda z: soft_bce(z, share, labels != 0), (random(3, 4),))
    for gammas in ((1.0, 2.0, 0.05), (0.0, 4.0, 0.0), (0.5, 1.5, 0.2)):
        assert check(lambda z, g=gammas: asymmetric_pair_loss(z, labels, *g), (random(3, 4),))
    assert check(lambda f: pair_similarity_loss(f, labels), (random(3, 4, 5),))
    scores = random(3, 4).detach()
    assert check(lambda t: threshold_loss(scores, t, labels, None, 0.3), (random(4),))


def test_losses_of_nothing_known_are_zero() -> None:
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    nothing = torch.zeros(2, 3, dtype=torch.int8)
    for loss in (
        partial_bce(logits, nothing),
        asymmetric_pair_loss(logits, nothing),
        pair_similarity_loss(logits[..., None], nothing),
    ):
        assert loss == 0
        assert torch.autograd.grad(loss, logits)[0].abs().sum() == 0


def test_losses_of_an_empty_batch_are_zero() -> None:
    nothing = torch.zeros(0, 3, dtype=torch.int8)
    assert partial_bce(torch.zeros(0, 3), nothing) == 0
    assert asymmetric_pair_loss(torch.zeros(0, 3), nothing) == 0
    assert pair_similarity_loss(torch.zeros(0, 3, 4), nothing) == 0


def test_pseudo_labels_never_replace_known_ones() -> None:
    labels = labels_of([1, -1, 0, 0])
    marked = torch.tensor([[True, True, True, False]])
    assert with_pseudo_labels(labels, marked).tolist() == [[1, -1, 1, 0]]


def test_hidden_and_evidence_labels_add_up_to_the_known_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(-1, 2, (50, 40), generator=generator, dtype=torch.int8)
    evidence, held_out = hide_known(labels, 0.2, generator)
    assert torch.equal(evidence + held_out, labels)
    assert ((evidence != 0) & (held_out != 0)).sum() == 0
    share = (held_out != 0).sum() / (labels != 0).sum()
    assert 0.15 < share < 0.25


def test_what_is_hidden_depends_on_the_generator_alone() -> None:
    labels = torch.ones(10, 10, dtype=torch.int8)
    first = hide_known(labels, 0.5, torch.Generator().manual_seed(7))[0]
    torch.manual_seed(1)
    assert torch.equal(first, hide_known(labels, 0.5, torch.Generator().manual_seed(7))[0])
