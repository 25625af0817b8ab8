from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from hst_core.cst import (
    CategoryPrototypes,
    InstanceTransfer,
    Similarity,
    spherical_kmeans,
)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fitted(
    features: torch.Tensor, labels: torch.Tensor, prototypes: int = 3, seed: int = 0
) -> CategoryPrototypes:
    module = CategoryPrototypes(labels.shape[1], features.shape[-1], prototypes)
    module.fit(features, labels, seed=seed)
    return module


def two_axes() -> CategoryPrototypes:
    return fitted(torch.eye(2), torch.ones(2, 1, dtype=torch.int8), prototypes=2)


@pytest.mark.parametrize(
    ("feature", "expected"), [((1.0, 0.0), 0.5), ((3.0, 4.0), 0.7), ((30.0, 40.0), 0.7)]
)
def test_mean_similarity_has_its_known_values(
    feature: tuple[float, float], expected: float
) -> None:
    assert two_axes().similarity(torch.tensor([feature])).scores.item() == pytest.approx(expected)


def test_largest_similarity_has_its_known_value() -> None:
    scores = two_axes().similarity(torch.tensor([[3.0, 4.0]]), reduction="max").scores
    assert scores.item() == pytest.approx(0.8)


def test_logsumexp_lies_between_mean_and_max() -> None:
    module, features = two_axes(), torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    scores = {r: module.similarity(features, reduction=r).scores for r in ("mean", "max")}
    soft = module.similarity(features, reduction="logsumexp").scores
    assert (soft > scores["mean"]).all()
    assert (soft < scores["max"]).all()


def test_one_prototype_is_plain_cosine() -> None:
    example, other = drawn(0, 1, 5), drawn(1, 4, 5)
    module = fitted(example, torch.ones(1, 1, dtype=torch.int8))
    expected = torch.cosine_similarity(other, example, dim=1)
    for reduction in ("mean", "max", "logsumexp"):
        scores = module.similarity(other, reduction=reduction).scores[:, 0]  # type: ignore[arg-type]
        torch.testing.assert_close(scores, expected)


def test_mean_through_one_vector_equals_the_mean_of_cosines() -> None:
    features, labels = drawn(0, 40, 3, 6), torch.randint(-1, 2, (40, 3))
    module = fitted(features, labels, prototypes=4)
    expected = module.cosines(features).sum(dim=2) / module.number
    torch.testing.assert_close(module.similarity(features).scores, expected)


def test_a_category_has_at_most_as_many_prototypes_as_examples() -> None:
    labels = torch.zeros(8, 4, dtype=torch.int8)
    labels[:1, 1] = labels[:2, 2] = labels[:, 3] = 1
    module = fitted(drawn(0, 8, 5), labels, prototypes=3)
    assert module.number.tolist() == [0, 1, 2, 3]
    assert module.valid.tolist() == [False, True, True, True]
    assert module.counts.sum(dim=1).tolist() == [0, 1, 2, 8]


def test_identical_examples_still_fill_every_prototype() -> None:
    module = fitted(torch.ones(5, 4), torch.ones(5, 1, dtype=torch.int8))
    assert (module.counts[0] > 0).all()
    assert module.similarity(torch.ones(1, 4)).scores.item() == pytest.approx(1.0)


def test_invalid_categories_score_zero() -> None:
    found = fitted(drawn(0, 4, 5), torch.zeros(4, 2, dtype=torch.int8)).similarity(drawn(1, 3, 5))
    assert not found.valid.any()
    assert found.scores.abs().sum() == 0


def test_shared_features_equal_repeated_ones() -> None:
    features, labels = drawn(0, 30, 6), torch.randint(-1, 2, (30, 4))
    shared, own = fitted(features, labels), fitted(features[:, None].expand(-1, 4, -1), labels)
    torch.testing.assert_close(shared.centroids, own.centroids)
    for reduction in ("mean", "max"):
        torch.testing.assert_close(
            shared.similarity(features, labels, reduction).scores,  # type: ignore[arg-type]
            own.similarity(features[:, None].expand(-1, 4, -1), labels, reduction).scores,  # type: ignore[arg-type]
        )


def test_kmeans_finds_separate_groups() -> None:
    centres = functional.normalize(drawn(0, 4, 16), dim=1)
    members = torch.arange(4).repeat(25)
    vectors = functional.normalize(centres[members] + 0.05 * drawn(1, 100, 16), dim=1)
    found = spherical_kmeans(vectors, 4, torch.Generator().manual_seed(0))
    assert len(torch.unique(torch.stack([members, found.assignment]), dim=1).T) == 4


def test_kmeans_gives_the_same_prototypes_for_a_seed() -> None:
    features, labels = drawn(0, 60, 8), torch.ones(60, 2, dtype=torch.int8)
    torch.manual_seed(5)
    first = fitted(features, labels, seed=3)
    torch.manual_seed(6)
    assert torch.equal(first.centroids, fitted(features, labels, seed=3).centroids)


@given(seed=st.integers(0, 2**16))
def test_permuting_categories_permutes_prototypes(seed: int) -> None:
    features = drawn(seed, 12, 3, 4)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 2, (12, 3), generator=generator)
    order = torch.randperm(3, generator=generator)
    module = fitted(features, labels)
    permuted = fitted(features[:, order], labels[:, order])
    torch.testing.assert_close(permuted.centroids, module.centroids[order])
    torch.testing.assert_close(
        permuted.similarity(features[:, order]).scores, module.similarity(features).scores[:, order]
    )


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_leave_one_out_equals_clusters_without_the_image(reduction: Similarity) -> None:
    # Groups so distinct that taking one image away moves no other to another group.
    centres = functional.normalize(drawn(0, 3, 12), dim=1)
    features = centres[torch.arange(3).repeat(6)] + 0.05 * drawn(1, 18, 12)
    labels = torch.ones(18, 1, dtype=torch.int8)
    found = fitted(features, labels).similarity(features, labels, reduction)
    for image in range(18):
        rest = torch.arange(18) != image
        # Start from the clusters themselves, so that only the image is missing.
        alone = fitted(features, labels)
        alone.fit(features[rest], labels[rest], warm_start=True)
        expected = alone.similarity(features[image : image + 1], reduction=reduction).scores
        assert found.scores[image].item() == pytest.approx(expected.item(), abs=1e-5)


def test_leave_one_out_of_a_lone_example_is_invalid() -> None:
    features, labels = drawn(0, 2, 4), torch.tensor([[1], [-1]])
    found = fitted(features, labels).similarity(features, labels)
    assert found.valid.tolist() == [[False], [True]]
    assert found.scores[0] == 0


def test_known_negatives_are_scored_as_they_are() -> None:
    features, labels = drawn(0, 20, 4), torch.randint(-1, 2, (20, 3))
    module = fitted(features, labels)
    plain, held = module.similarity(features), module.similarity(features, labels)
    assert torch.equal(plain.scores[labels != 1], held.scores[labels != 1])
    assert (held.scores[labels == 1] < plain.scores[labels == 1]).all()


def test_exemplars_are_the_images_nearest_to_their_prototype() -> None:
    features, labels = drawn(0, 50, 8), torch.ones(50, 1, dtype=torch.int8)
    module = CategoryPrototypes(1, 8, prototypes=4)
    module.fit(features, labels, torch.arange(1000, 1050))
    cosines = module.cosines(features)[:, 0]
    members = cosines.argmax(dim=1)
    for k in range(4):
        own = torch.where(members == k, cosines[:, k], -2.0)
        expected = own.topk(min(3, int((members == k).sum()))).indices + 1000
        kept = module.exemplars[0, k]
        assert kept[kept >= 0].tolist() == expected.tolist()


def test_nearest_images_lists_the_best_of_every_prototype_first() -> None:
    module = CategoryPrototypes(2, 3, prototypes=2, exemplars=2)
    module.exemplars[0] = torch.tensor([[7, 8], [9, -1]])
    assert module.nearest_images(5).tolist() == [[7, 9, 8, -1, -1], [-1] * 5]


def test_adding_few_examples_equals_fitting_them() -> None:
    features, labels = drawn(0, 3, 6), torch.ones(3, 1, dtype=torch.int8)
    added = CategoryPrototypes(1, 6, prototypes=5)
    added.add(features, labels, torch.arange(3))
    expected = fitted(features, labels, prototypes=5)
    query = drawn(1, 4, 6)
    torch.testing.assert_close(added.similarity(query), expected.similarity(query))
    assert sorted(added.nearest_images(3)[0].tolist()) == [0, 1, 2]


def test_added_examples_move_their_prototype_to_the_mean() -> None:
    module = CategoryPrototypes(1, 2, prototypes=1)
    module.add(torch.eye(2), torch.ones(2, 1, dtype=torch.int8), torch.arange(2))
    torch.testing.assert_close(module.centroids[0, 0], torch.full((2,), math.sqrt(0.5)))
    assert module.counts.item() == 2
    assert module.lengths.item() == pytest.approx(math.sqrt(2))


def test_fitting_some_categories_leaves_the_others() -> None:
    features, labels = drawn(0, 20, 4), torch.ones(20, 2, dtype=torch.int8)
    module = fitted(features, labels)
    before = module.centroids.clone()
    module.fit(features[:10], labels[:10], categories=[1], warm_start=True)
    assert torch.equal(module.centroids[0], before[0])
    assert not torch.equal(module.centroids[1], before[1])


def test_fitting_without_examples_forgets_the_old_ones() -> None:
    features, labels = drawn(0, 6, 4), torch.ones(6, 1, dtype=torch.int8)
    module = fitted(features, labels)
    module.fit(features, torch.zeros_like(labels))
    assert not module.valid.any()
    assert module.nearest_images(2).tolist() == [[-1, -1]]


def test_prototypes_survive_saving_and_loading() -> None:
    features, labels = drawn(0, 20, 4), torch.randint(-1, 2, (20, 3))
    module = fitted(features, labels)
    other = CategoryPrototypes(3, 4, prototypes=3)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.similarity(features).scores, module.similarity(features).scores)
    assert torch.equal(other.exemplars, module.exemplars)


def test_half_precision_features_give_the_scores_of_single_precision() -> None:
    features, labels = drawn(0, 30, 4, 16).half(), torch.randint(-1, 2, (30, 4))
    module = fitted(features, labels)
    large = (features * 1000).half()
    for reduction in ("mean", "max", "logsumexp"):
        torch.testing.assert_close(
            module.similarity(large, reduction=reduction).scores,  # type: ignore[arg-type]
            module.similarity(features.float(), reduction=reduction).scores,  # type: ignore[arg-type]
            atol=2e-3,
            rtol=0,
        )


def test_no_prototypes_are_refused() -> None:
    with pytest.raises(ValueError, match="prototypes must be at least 1, got 0"):
        CategoryPrototypes(2, 3, prototypes=0)


def test_instance_transfer_averages_over_the_other_images() -> None:
    features = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[3.0, 4.0]]])
    found = InstanceTransfer().transfer(features, torch.tensor([[1], [1], [0]]))
    assert found.scores[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.7])
    assert found.valid.all()


def test_instance_transfer_of_a_lone_positive_is_invalid_for_itself() -> None:
    found = InstanceTransfer().transfer(drawn(0, 2, 1, 3), torch.tensor([[1], [0]]))
    assert found.valid.tolist() == [[False], [True]]
