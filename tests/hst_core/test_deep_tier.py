from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hst_core.deep_tier import (
    LOGIT,
    PAIRS,
    DeepEvidence,
    DeepTier,
    DeepTierConfig,
    pair_evidence,
)
from hst_core.fast_tier import ExtraSource
from hst_core.inputs import CachedFeatures
from hst_core.metrics import mean_average_precision
from hst_core.stacking import assign_folds
from hst_core.stopping import Stopped

SMALL = DeepTierConfig(
    network=DeepTierConfig().network.replace(
        "model.channels=16", "model.attention_hidden=16", "model.word_dimension=8",
        "model.classifier_hidden=16", "model.pair_projection=8", "model.pair_hidden=8",
        "model.prototypes=2", "train.epochs=8", "train.warm_up_epochs=2",
        "train.batch_size=16", "train.learning_rate=0.01",
    )
)  # fmt: skip
FOLDS = 2
Fit = tuple[DeepTier, list[ExtraSource]]


class Project:
    """Sixty images whose labels follow from their features in a way that no line separates."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.features = random.normal(size=(60, 6)).astype(np.float32)
        rings = np.abs(self.features[:, :3]) + 0.1 * random.normal(size=(60, 3))
        self.truth = np.where(rings > 0.7, 1, -1).astype(np.int8)
        self.labels = np.where(random.random((60, 3)) < 0.8, self.truth, 0).astype(np.int8)
        self.folds = assign_folds(self.labels, FOLDS)
        self.inputs = CachedFeatures(self.features)

    def fit(self, labels: np.ndarray | None = None, **options: object) -> Fit:
        labels = self.labels if labels is None else labels
        base = np.zeros(labels.shape, dtype=np.float32)
        folds = assign_folds(labels, FOLDS, previous=self.folds)
        return DeepTier.fit(self.inputs, labels, folds, base, config=SMALL, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def project() -> Project:
    return Project()


@pytest.fixture(scope="module")
def fitted(project: Project) -> Fit:
    return project.fit()


def test_finds_what_a_linear_base_cannot(project: Project, fitted: Fit) -> None:
    (logit, *_) = fitted[1]
    found = mean_average_precision(logit.values, project.labels)
    chance = float((project.labels == 1).sum() / (project.labels != 0).sum())
    assert (found or 0) > chance + 0.1


def test_a_known_cell_does_not_reach_its_own_evidence(project: Project, fitted: Fit) -> None:
    row, column = np.argwhere((project.labels == 1) & (project.folds == 0))[0]
    turned = project.labels.copy()
    turned[row, column] = -1
    again = {source.name: source.values for source in project.fit(turned)[1]}
    before = {source.name: source.values for source in fitted[1]}
    assert again[LOGIT][row, column] == before[LOGIT][row, column]


def test_the_same_call_gives_the_same_evidence(project: Project, fitted: Fit) -> None:
    for first, second in zip(fitted[1], project.fit()[1], strict=True):
        np.testing.assert_array_equal(first.values, second.values)


def test_networks_that_find_nothing_say_what_the_base_says(project: Project) -> None:
    config = replace(SMALL, network=SMALL.network.replace("train.epochs=0"))
    base = np.random.default_rng(1).normal(size=project.labels.shape).astype(np.float32)
    tier, sources = DeepTier.fit(project.inputs, project.labels, project.folds, base, config=config)
    assert tier.best_epochs == (0, 0)
    assert not sources[0].values.any()


def test_pair_evidence_is_live_and_missing_without_another_positive(
    project: Project, fitted: Fit
) -> None:
    pairs = fitted[1][-1]
    assert pairs.name == PAIRS
    assert pairs.live
    others = (project.labels == 1).sum(axis=1, keepdims=True) - (project.labels == 1)
    assert not pairs.values[others == 0].any()
    assert pairs.values[others > 0].any()


def test_live_pair_evidence_follows_from_the_stored_pairs(project: Project, fitted: Fit) -> None:
    tier, sources = fitted
    rows = np.flatnonzero((project.labels[:, :2] == 1).all(axis=1) & (project.labels[:, 2] == 0))
    stored = tier.pairs(project.inputs, rows) / 255  # pairs 01, 02, 12
    mean = np.zeros((len(rows), 3), dtype=np.float32)
    mean[:, 2] = (stored[:, 1] + stored[:, 2]) / 2
    valid = np.array([[False, False, True]]).repeat(len(rows), axis=0)
    live = pair_evidence(mean, valid, tier.pair_offset)
    np.testing.assert_allclose(live[:, 2], sources[-1].values[rows, 2], atol=0.05)


def test_a_restored_tier_scores_alike(project: Project, fitted: Fit) -> None:
    base = np.zeros(project.labels.shape, dtype=np.float32)
    restored = DeepTier.from_state_dict(fitted[0].state_dict())
    for name, values in fitted[0].values_for(project.inputs, base).items():
        np.testing.assert_array_equal(restored.values_for(project.inputs, base)[name], values)


def test_a_new_category_goes_on_from_the_earlier_networks(project: Project, fitted: Fit) -> None:
    new = np.where(project.features[:, :1] > 0, 1, -1).astype(np.int8)
    labels = np.concatenate([project.labels, new], axis=1)
    tier, sources = project.fit(labels, previous=fitted[0])
    assert [network.categories for network in tier.networks] == [4, 4]
    assert (mean_average_precision(sources[0].values[:, 3:], new) or 0) > 0.8


def test_stops_when_asked(project: Project) -> None:
    with pytest.raises(Stopped):
        project.fit(should_stop=lambda: True)


def test_one_fold_is_not_enough(project: Project) -> None:
    with pytest.raises(ValueError, match="two folds"):
        DeepTier.fit(
            project.inputs, project.labels, np.full_like(project.labels, -1),
            np.zeros(project.labels.shape, dtype=np.float32),
        )  # fmt: skip


def test_kept_evidence_is_what_the_fit_returned(project: Project, fitted: Fit) -> None:
    kept = DeepEvidence.after_fit(fitted, project.inputs, project.labels)
    again = {source.name: source for source in kept.sources(project.inputs, project.labels)}
    known = project.labels != 0
    for source in fitted[1]:
        np.testing.assert_array_equal(again[source.name].values[known], source.values[known])
        np.testing.assert_allclose(again[source.name].values, source.values, atol=0.05)


def test_later_labels_images_and_categories_meet_kept_evidence(
    project: Project, fitted: Fit
) -> None:
    kept = DeepEvidence.after_fit(fitted, project.inputs, project.labels)
    more = CachedFeatures(np.concatenate([project.features, project.features[:5]]))
    labels = np.zeros((65, 4), dtype=np.int8)
    labels[:60, :3] = np.where(project.labels != 0, project.labels, project.truth)
    sources = {source.name: source.values for source in kept.sources(more, labels)}
    for values in sources.values():
        assert values.shape == (65, 4)
        assert not values[:, 3].any()
    first = fitted[0].values_for(project.inputs, np.zeros((60, 3), dtype=np.float32))
    np.testing.assert_allclose(sources[LOGIT][60:, :3], first[LOGIT][:5], atol=1e-5)
    wide = kept.all_pairs(4)
    assert wide is not None
    assert wide.shape == (65, 6)
    assert not wide[:, [2, 4, 5]].any()  # 03, 13, 23
