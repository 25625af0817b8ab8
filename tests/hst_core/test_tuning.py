"""A last stage that learns from labels and from a teacher, out of fold by pictures."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from pretend_device import PretendDevice

from hst_core.last_stage import LastStage
from hst_core.linear import LinearBase, LinearConfig
from hst_core.metrics import mean_average_precision
from hst_core.projection import FeatureSpace
from hst_core.stacking import assign_folds
from hst_core.stopping import Stopped
from hst_core.tuning import (
    TUNED,
    TunedNetwork,
    TunedTier,
    TuningConfig,
    fold_of_images,
    taught_loss,
)

CONFIG = TuningConfig(
    networks=2, epochs=12, batch_size=16, stage_rate=0.03, head_rate=0.01, windows=2
)


def stage() -> LastStage:
    torch.manual_seed(0)
    parts = torch.nn.Sequential(
        torch.nn.Conv2d(4, 12, 1), torch.nn.BatchNorm2d(12), torch.nn.ReLU()
    )
    return LastStage(parts, channels=12)


class Project:
    """Maps whose labels are whether two channels agree, which no mean of a channel tells."""

    def __init__(self, images: int = 90) -> None:
        random = np.random.default_rng(0)
        places = random.normal(size=(images, 4, 1, 1)) + 0.2 * random.normal(size=(images, 4, 4, 4))
        self.maps = places.astype(np.float32)
        products = places[:, [0, 2], 0, 0] * places[:, [1, 3], 0, 0]
        self.truth = np.where(products > 0, 1, -1).astype(np.int8)
        self.labels = np.where(random.random((images, 2)) < 0.7, self.truth, 0).astype(np.int8)
        with torch.inference_mode():
            pooled = stage()(torch.from_numpy(self.maps)).mean((2, 3)).numpy()
        self.space = FeatureSpace.fit(pooled)
        self.coordinates = self.space.apply(pooled)
        self.asked: list[np.ndarray] = []

    def teacher(self, labels: np.ndarray) -> np.ndarray:
        self.asked.append(labels)
        return np.full(labels.shape, 0.5, dtype=np.float32)

    def fit(
        self, labels: np.ndarray | None = None, **options: object
    ) -> tuple[TunedTier, np.ndarray]:
        labels = self.labels if labels is None else labels
        self.asked.clear()
        tier, source = TunedTier.fit(
            self.maps, labels, stage(), self.space, self.coordinates, self.teacher,
            **{"config": CONFIG, **options},  # type: ignore[arg-type]
        )  # fmt: skip
        assert (source.name, source.kind, source.live) == (TUNED, "classifier", False)
        return tier, source.values


@cache
def project() -> Project:
    return Project()


@cache
def fitted() -> tuple[TunedTier, np.ndarray]:
    return project().fit()


def base_of(case: Project) -> LinearBase:
    folds = assign_folds(case.labels, 2)
    return LinearBase.fit(case.coordinates, case.labels, folds, 2, LinearConfig())


def test_it_starts_as_the_base() -> None:
    case, base = project(), base_of(project())
    network = TunedNetwork(stage(), case.space, base.weight[0], base.bias[0])
    with torch.inference_mode():
        found = network(torch.from_numpy(case.maps)).numpy()
    np.testing.assert_allclose(found, base.logits(case.coordinates).numpy(), atol=0.1)


def test_it_finds_what_the_base_cannot() -> None:
    case, (_, values) = project(), fitted()
    hidden = np.where(case.labels == 0, case.truth, 0).astype(np.int8)
    alone = mean_average_precision(base_of(case).logits(case.coordinates).numpy(), hidden)
    found = mean_average_precision(values, hidden)
    assert alone is not None
    assert found is not None
    assert found > alone + 0.05


def test_a_label_does_not_reach_the_evidence_of_its_own_picture() -> None:
    case, (_, values) = project(), fitted()
    row = int(np.flatnonzero((case.labels != 0).all(axis=1))[0])
    turned = case.labels.copy()
    turned[row] = -turned[row]
    _, again = case.fit(turned)
    np.testing.assert_array_equal(again[row], values[row])
    assert not np.array_equal(again, values)


def test_the_teacher_sees_the_labels_of_its_network_and_no_others() -> None:
    case = project()
    case.fit(config=TuningConfig(networks=2, epochs=0, windows=2))
    folds = fold_of_images(len(case.labels), CONFIG)
    for fold, asked in enumerate(case.asked):
        np.testing.assert_array_equal(asked[folds == fold], 0)
        np.testing.assert_array_equal(asked[folds != fold], case.labels[folds != fold])


def test_folds_are_even_and_stay_when_pictures_are_appended() -> None:
    config = TuningConfig(networks=3)
    longer = fold_of_images(100, config)
    np.testing.assert_array_equal(fold_of_images(31, config), longer[:31])
    assert np.ptp(np.bincount(longer)) <= 1
    assert len(fold_of_images(0, config)) == 0


def test_the_loss_of_an_unknown_cell_is_against_the_teacher() -> None:
    labels = torch.tensor([[1, 0, -1]], dtype=torch.int8)
    taught = torch.tensor([[0.0, 0.5, 1.0]])
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = taught_loss(logits, labels, taught, weight=2.0)
    assert loss.item() == pytest.approx(3 * np.log(2))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == [-0.25, 0, 0.25]


def test_a_restored_tier_scores_other_pictures_alike() -> None:
    case, (tier, _) = project(), fitted()
    restored = TunedTier.from_state_dict(tier.state_dict(), stage())
    found = tier.values_for(case.maps[:5])
    np.testing.assert_allclose(restored.values_for(case.maps[:5]), found, atol=1e-6)
    assert tier.values_for(case.maps[:0]).shape == (0, 2)


def test_the_stage_that_was_given_stays_as_it_was() -> None:
    case, given = project(), stage()
    quick = TuningConfig(networks=2, epochs=1, windows=2)
    TunedTier.fit(
        case.maps, case.labels, given, case.space, case.coordinates, case.teacher, config=quick
    )
    for name, value in stage().state_dict().items():
        assert torch.equal(given.state_dict()[name], value)


def test_it_stops_when_asked() -> None:
    with pytest.raises(Stopped):
        project().fit(should_stop=lambda: True)


def test_without_a_known_cell_it_is_refused() -> None:
    case = project()
    with pytest.raises(ValueError, match="known cell"):
        case.fit(np.zeros_like(case.labels))


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_it_says_on_another_device_what_it_says_on_the_cpu() -> None:
    case = project()
    quick = TuningConfig(networks=2, epochs=1, windows=2)
    tier, expected = case.fit(config=quick)
    with PretendDevice():
        there, found = case.fit(config=quick, device="meta")
        later = there.values_for(case.maps[:4])
        there.state_dict()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(later, tier.values_for(case.maps[:4]), atol=1e-5)
