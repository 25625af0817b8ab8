"""What fine-tuned stages say stays honest while labels, pictures and categories come."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pretend_device import PretendDevice
from test_tuning import CONFIG, Project, project, stage

from hst_core.backbone import build_backbone
from hst_core.extraction import extract_maps
from hst_core.feature_stores import FeatureMapStore, StoredMaps
from hst_core.inputs import CachedFeatures
from hst_core.last_stage import split
from hst_core.projection import FeatureSpace
from hst_core.stopping import Stopped
from hst_core.tuned_evidence import TunedEvidence, score_files
from hst_core.tuning import (
    TUNED,
    TunedNetwork,
    TunedTier,
    TunedTraining,
    TuningConfig,
    fold_of_images,
)

QUICK = TuningConfig(networks=2, epochs=2, batch_size=16, stage_rate=0.03, windows=2)
UNLABELLED = slice(60, 90)


def some_labels() -> np.ndarray:
    labels = project().labels.copy()
    labels[UNLABELLED] = 0
    return labels


def training(case: Project, config: TuningConfig = QUICK, device: str = "cpu") -> TunedTraining:
    return TunedTraining(
        some_labels(), stage(), case.space, case.coordinates, config=config, device=device
    )


@cache
def tier() -> TunedTier:
    case = project()
    return training(case).run(case.maps, case.teacher)


def evidence() -> TunedEvidence:
    return TunedEvidence.after_training(tier(), project().maps, some_labels(), known_cells=120)


def inputs(coordinates: np.ndarray | None = None) -> CachedFeatures:
    found = project().coordinates.numpy() if coordinates is None else coordinates
    return CachedFeatures(found)


def said(
    found: TunedEvidence, labels: np.ndarray, given: CachedFeatures | None = None
) -> np.ndarray:
    (source,) = found.sources(given or inputs(), labels)
    assert (source.name, source.kind, source.live) == (TUNED, "classifier", False)
    return source.values


# -- labelled pictures


def test_a_labelled_picture_keeps_what_the_network_said_that_had_not_seen_it() -> None:
    values, folds = said(evidence(), some_labels()), fold_of_images(90, QUICK)
    for fold, network in enumerate(tier().networks):
        rows = np.flatnonzero((some_labels() != 0).any(axis=1) & (folds == fold))
        with torch.inference_mode():
            alone = network.best(torch.from_numpy(project().maps[rows]), QUICK.windows).numpy()
        np.testing.assert_allclose(values[rows], alone, atol=1e-5)


def test_labels_that_come_later_change_nothing_of_it() -> None:
    np.testing.assert_array_equal(
        said(evidence(), project().labels), said(evidence(), some_labels())
    )


def test_of_unlabelled_pictures_no_activations_are_asked_for() -> None:
    class OnlyLabelled:
        def __len__(self) -> int:
            return 90

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            assert (some_labels()[rows] != 0).any(axis=1).all()
            found: np.ndarray = project().maps[rows]
            return found

    case = project()
    again = training(case).run(OnlyLabelled(), case.teacher)
    found = TunedEvidence.after_training(again, OnlyLabelled(), some_labels(), 120)
    np.testing.assert_array_equal(found.unscored(90)[-30:], np.arange(60, 90))


# -- pictures and categories that come


def test_a_picture_that_was_not_asked_about_is_guessed_from_its_coordinates() -> None:
    random = np.random.default_rng(0)
    coordinates = random.normal(size=(400, 3)).astype(np.float32)
    values = coordinates @ random.normal(size=(3, 2)).astype(np.float32) + 1
    scored = np.arange(400) < 300
    found = TunedEvidence(
        tier(), 1, np.where(scored[:, None], values, 9).astype(np.float32), scored
    )
    guessed = said(found, np.zeros((400, 2), dtype=np.int8), inputs(coordinates))
    np.testing.assert_array_equal(guessed[:300], values[:300])
    np.testing.assert_allclose(guessed[300:], values[300:], atol=0.15)


def test_once_asked_about_it_has_what_the_networks_say() -> None:
    found = evidence()
    rows = found.unscored(92)
    assert rows[-2:].tolist() == [90, 91]
    found.add(rows, np.full((len(rows), 2), 7, dtype=np.float32))
    assert len(found.unscored(92)) == 0
    more = np.concatenate([project().coordinates.numpy(), project().coordinates[:2].numpy()])
    values = said(found, np.zeros((92, 2), dtype=np.int8), inputs(more))
    assert (values[rows] == 7).all()


def test_a_category_that_comes_has_no_evidence() -> None:
    labels = np.concatenate([some_labels(), np.ones((90, 1), dtype=np.int8)], axis=1)
    values = said(evidence(), labels)
    assert (values[:, 2] == 0).all()
    np.testing.assert_array_equal(values[:, :2], said(evidence(), some_labels()))


def test_it_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    before = evidence()
    torch.save(before.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    after = TunedEvidence.from_state_dict(state, stage())
    assert after.known_cells == 120
    np.testing.assert_array_equal(after.unscored(95), before.unscored(95))
    np.testing.assert_allclose(said(after, some_labels()), said(before, some_labels()), atol=0.02)


# -- training that is left and taken up again


def test_a_training_that_is_interrupted_goes_on_to_the_same_networks() -> None:
    case, halting, stopped_at = project(), training(project()), set()

    def once_at_every_step() -> bool:
        at = None if halting._now is None else (halting._now.fold, halting._now.done)
        again = at in stopped_at
        stopped_at.add(at)
        return at is not None and not again

    interruptions = 0
    while True:
        try:
            found = halting.run(case.maps, case.teacher, should_stop=once_at_every_step)
            break
        except Stopped:
            interruptions += 1
    assert interruptions > 2
    np.testing.assert_array_equal(found.values_for(case.maps[:9]), tier().values_for(case.maps[:9]))


def test_it_stops_within_a_step() -> None:
    case, halting, asked = project(), training(project(), CONFIG), []

    def should_stop() -> bool:
        asked.append(halting._now.done if halting._now else 0)
        return asked[-1] == 2

    with pytest.raises(Stopped):
        halting.run(case.maps, case.teacher, should_stop=should_stop)
    assert halting._now is not None
    assert halting._now.done == 2


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_nothing_of_it_stays_behind_on_another_device() -> None:
    case, labels = project(), some_labels()
    with PretendDevice():
        there = training(case, device="meta").run(case.maps, case.teacher)
        found = TunedEvidence.after_training(there, case.maps, labels, 120)
        with torch.inference_mode():
            later = there.mean_logits(torch.from_numpy(case.maps[:3]).to("meta")).cpu().numpy()
        found.state_dict()
    np.testing.assert_allclose(said(found, labels), said(evidence(), labels), atol=1e-4)
    np.testing.assert_allclose(later, tier().values_for(case.maps[:3]), atol=1e-4)


# -- straight from files


def files(folder: Path, count: int) -> list[tuple[str, Path]]:
    images = []
    for number in range(count):
        path = folder / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        images.append((f"{number:064x}", path))
    return images


def test_files_say_what_stored_activations_say(tmp_path: Path) -> None:
    before, last = split(build_backbone("efficientnet-lite0"))
    images = files(tmp_path, 6)
    store = FeatureMapStore.open(tmp_path / "maps", before, 64)
    extract_maps(store, images, before)
    maps = StoredMaps(store, store.rows([image_hash for image_hash, _ in images]))
    with torch.inference_mode():
        pooled = last(torch.from_numpy(maps[np.arange(6)]).float()).mean((2, 3)).numpy()
    space = FeatureSpace.fit(pooled, 4)
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    networks = tuple(TunedNetwork(last, space, w, torch.zeros(3)) for w in (weight, -2 * weight))
    both = TunedTier(networks, TuningConfig(windows=2))
    images[4][1].write_bytes(b"no picture any more")
    told: list[int] = []
    images.append(("f" * 64, tmp_path / "not there.png"))
    found, unreadable = score_files(both, before, 64, images, progress=told.append)
    assert unreadable == [images[4][0]]  # a file that is not there may come back
    assert sorted(found) == [images[n][0] for n in (0, 1, 2, 3, 5)]
    assert told[-1] == 7
    expected = both.values_for(maps)
    for number in (0, 1, 2, 3, 5):
        np.testing.assert_allclose(found[images[number][0]], expected[number], atol=0.05)
    assert len(score_files(both, before, 64, images, should_stop=lambda: True)[0]) == 4
