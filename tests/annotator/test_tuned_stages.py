"""Fine-tuned last stages in the worker: what they read, keep, survive and give way to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_worker import COLOURS, Clock, Project, draw, steps

from annotator.db.engine import Database
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.training.activations import Activations, Parts
from annotator.training.deep_sources import DeepSources, Known
from annotator.training.loop import Worker
from annotator.training.networks import Networks, OnEpoch
from annotator.training.picture_features import PictureFeatures, Tell
from annotator.training.records import Picture
from annotator.training.schedule import DeepRule
from annotator.training.tuned_stages import MISSING_FILE_RETRY_SECONDS, TunedStages
from annotator.training.worker import run_once
from hst_core.deep_tier import DeepTierConfig
from hst_core.fast_tier import FastTier, FastTierConfig, FastTierScores
from hst_core.features import FEATURE_SETS, FeatureMapStore
from hst_core.neighbours import NeighbourGraph
from hst_core.stopping import Stopped, check_stop
from hst_core.tuning import TUNED, TuningConfig

QUICK = TuningConfig(epochs=1, batch_size=4)
ACTIVATIONS = "efficientnet-lite0-before-last-stage-224"


def quiet(message: str, share: float) -> None:
    """Nobody listens."""


@dataclass
class Case:
    """18 pictures with features, two categories; the first eight are decided."""

    features: PictureFeatures
    paths: dict[str, Path]
    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.labels = np.zeros((18, 2), dtype=np.int8)
        for row, image_hash in enumerate(self.features.store.hashes[:8]):
            number = int(self.paths[image_hash].stem)
            self.labels[row] = [1 if number % 3 == c else -1 for c in range(2)]

    def stages(self, state: dict[str, Any] | None = None, **options: int) -> TunedStages:
        stages = TunedStages(
            self.features, self.folder, QUICK, "cpu", FastTierConfig(), clock=self.clock, **options
        )
        if state is not None:
            stages.load_state_dict(state)
        return stages

    def train(
        self,
        stages: TunedStages,
        tell: Callable[[str, float], None] = quiet,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        graph, _ = self.features.neighbours(quiet, lambda: False)
        windows = self.features.windows(graph, quiet, lambda: False)
        stages.train(self.labels, (1, 2), self.paths, (graph, windows), tell, should_stop)

    def first_word(self, stages: TunedStages) -> str:
        """What a training says first, stopped then."""
        told: list[str] = []
        with pytest.raises(Stopped):
            self.train(stages, lambda message, share: told.append(message), lambda: bool(told))
        return told[0]

    def said(self, stages: TunedStages, ids: tuple[int, ...] = (1, 2)) -> list[np.ndarray]:
        graph, _ = self.features.neighbours(quiet, lambda: False)
        return [source.values for source in stages.sources(graph, self.labels, ids)]

    def stored(self) -> FeatureMapStore:
        parts = Parts.of(FEATURE_SETS["fast"])
        assert parts is not None
        return Activations(self.folder, parts, "cpu").store


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureFeatures]:
    folder = tmp_path_factory.mktemp("tuned")
    draw(folder / "pictures", 18)
    workspace = Workspace.create(folder / "work", Settings(feature_set="fast", device="cpu"))
    features = PictureFeatures(workspace, "cpu")
    files = sorted((folder / "pictures").glob("*.png"))
    found = [Picture(n, f"{n + 1:064x}", str(file), 0) for n, file in enumerate(files)]
    features.read(found, lambda done, total: None, lambda: False)
    yield features
    features.store.close()


def paths_of(features: PictureFeatures) -> dict[str, Path]:
    folder = features.store.folder.parents[2] / "pictures"
    return {f"{n + 1:064x}": file for n, file in enumerate(sorted(folder.glob("*.png")))}


@pytest.fixture
def case(pictures: PictureFeatures, tmp_path: Path) -> Case:
    return Case(pictures, paths_of(pictures), tmp_path)


@dataclass
class Trained:
    """What a training of eight pictures left.

    Attributes:
        state: for a checkpoint.
        values: what the stages say.
        stored: pictures whose activations are stored.
        facts: the note, the pictures left to ask about, and the known cells.
        told_again: what a second training on the same labels said.
    """

    state: dict[str, Any]
    values: np.ndarray
    stored: set[str]
    facts: tuple[str, int, int]
    told_again: list[str]


@pytest.fixture(scope="module")
def trained(pictures: PictureFeatures, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    case = Case(pictures, paths_of(pictures), tmp_path_factory.mktemp("trained"))
    stages, told = case.stages(), []
    assert not list(case.folder.iterdir())
    case.train(stages)
    state, (values,) = stages.state_dict(), case.said(stages)
    assert state is not None
    facts = stages.note, stages.left(), stages.known_cells
    stored = set(case.stored().hashes)
    case.train(stages, lambda message, share: told.append(message))
    return Trained(state, values, stored, facts, told)


@pytest.fixture
def state(trained: Trained) -> dict[str, Any]:
    return trained.state


def test_activations_are_kept_of_labelled_pictures_only(case: Case, trained: Trained) -> None:
    assert trained.stored == set(case.features.store.hashes[:8])
    assert trained.facts == ("", 10, 16)


def test_it_is_not_trained_again_on_the_same_labels(trained: Trained) -> None:
    assert trained.told_again == []


def test_they_come_back_from_a_checkpoint(case: Case, trained: Trained) -> None:
    stages = case.stages(trained.state)
    np.testing.assert_allclose(case.said(stages)[0], trained.values, atol=0.02)
    assert (stages.note, stages.left(), stages.known_cells) == trained.facts


# -- asking about the other pictures


def test_the_other_pictures_are_asked_about_from_their_files(
    case: Case, state: dict[str, Any]
) -> None:
    stages = case.stages(state)
    (guessed,) = case.said(stages)
    assert stages.score(case.paths, quiet, lambda: False)
    assert stages.left() == 0
    (values,) = case.said(stages)
    np.testing.assert_array_equal(values[:8], guessed[:8])
    assert (values[8:] != guessed[8:]).any(axis=1).all()
    assert np.isfinite(values).all()
    assert not (case.folder / ACTIVATIONS).exists()  # nothing is stored of them


def test_asking_stops_when_told_and_the_rest_is_asked_about_later(
    case: Case, state: dict[str, Any]
) -> None:
    stages = case.stages(state)
    assert not stages.score(case.paths, quiet, lambda: True)
    assert 0 < stages.left() < 10
    assert stages.score(case.paths, quiet, lambda: False)
    assert stages.left() == 0


def test_files_that_cannot_be_opened_are_tried_again_after_some_time(
    case: Case, state: dict[str, Any]
) -> None:
    stages = case.stages(state)
    gone = {image_hash: case.folder / path.name for image_hash, path in case.paths.items()}
    assert not stages.score(gone, quiet, lambda: False)  # so no fit follows
    assert stages.left() == 0
    case.clock.now += MISSING_FILE_RETRY_SECONDS
    assert stages.left() == 10
    assert stages.score(case.paths, quiet, lambda: False)


def test_pictures_that_cannot_be_read_are_not_tried_again(
    case: Case, state: dict[str, Any]
) -> None:
    stages = case.stages(state)
    damaged = case.folder / "damaged.png"
    damaged.write_bytes(b"no picture")
    hashes = case.features.store.hashes
    assert stages.score({**case.paths, hashes[9]: damaged}, quiet, lambda: False)
    case.clock.now += MISSING_FILE_RETRY_SECONDS
    assert stages.left() == 0


# -- training


def test_reading_goes_on_where_it_was_stopped(case: Case) -> None:
    told: list[str] = []
    with pytest.raises(Stopped):
        # The first word comes before anything was read, the second after some pictures.
        case.train(
            case.stages(), lambda message, share: told.append(message), lambda: len(told) > 1
        )
    read = len(case.stored())
    assert 0 < read < 8
    word = case.first_word(case.stages())
    assert word == f"reading pictures to fine-tune on: {read} of 8"


def test_with_little_room_it_learns_from_a_part_and_says_so(case: Case) -> None:
    one = 2 * int(np.prod(case.stored().row_shape))
    stages = case.stages(most_bytes=5 * one)
    case.train(stages)
    assert len(case.stored()) == 5
    assert "5 of 8 labelled pictures" in stages.note
    assert stages.left() == 13


@pytest.mark.parametrize(("withdrawn", "anew"), [(0, False), (1, True)])
def test_a_training_begun_on_labels_that_were_withdrawn_begins_anew(
    case: Case, withdrawn: int, anew: bool
) -> None:
    stages, told = case.stages(), []
    with pytest.raises(Stopped):
        case.train(
            stages,
            lambda message, share: told.append(message),
            lambda: any("network 1" in message for message in told),
        )
    case.labels[:withdrawn] = 0  # two of sixteen
    case.labels[9] = [1, -1]
    assert ("reading pictures" in case.first_word(stages)) is anew


def test_stages_of_categories_that_went_are_dropped(case: Case, state: dict[str, Any]) -> None:
    stages = case.stages(state)
    assert len(case.said(stages, (1, 2, 3))) == 1
    assert case.said(stages, (2, 3)) == []
    assert "dropped" in stages.note
    assert stages.known_cells == 0


def test_features_of_more_than_one_map_have_no_stage_to_tune() -> None:
    assert Parts.of(FEATURE_SETS["tiny"]) is None
    assert Parts.of(FEATURE_SETS["fast"]) is not None


# -- beside networks on frozen features


def both(stages: TunedStages, *, with_networks: bool = False) -> DeepSources:
    return DeepSources(Networks(DeepTierConfig(), "cpu"), stages, with_networks=with_networks)


def test_of_stages_that_the_stack_left_out_only_the_number_of_labels_is_kept(
    case: Case, state: dict[str, Any]
) -> None:
    stages = case.stages(state)
    sources = both(stages)
    sources.forget_unkept({TUNED, "base"})
    assert len(case.said(stages)) == 1
    sources.forget_unkept({"base"})
    assert (case.said(stages), stages.known_cells, stages.left()) == ([], 16, 0)
    kept = sources.state_dict()["tuned"]
    assert kept == {"categories": [1, 2], "known_cells": 16}
    assert case.stages(kept).known_cells == 16


def test_a_checkpoint_whose_stages_are_damaged_leaves_nothing_behind(
    case: Case, state: dict[str, Any]
) -> None:
    first, *others = state["tier"]["networks"]
    damaged = {name: value for name, value in first.items() if "stage" not in name}
    sources = both(case.stages())
    with pytest.raises(RuntimeError):
        sources.load_state_dict(
            {"tuned": {**state, "tier": {**state["tier"], "networks": [damaged, *others]}}}
        )
    assert (sources.known_cells, sources.state_dict()) == (0, {})


class Counted(Networks):
    """Networks that were trained on some cells; nobody asks what they say."""

    def __init__(self, cells: int) -> None:
        super().__init__(DeepTierConfig(), "cpu")
        self._cells = cells

    @property
    def known_cells(self) -> int:
        return self._cells

    def drop(self) -> None:
        self._cells = 0

    def train(
        self,
        graph: NeighbourGraph,
        labels: np.ndarray,
        category_ids: Sequence[int],
        fast: tuple[FastTier, FastTierScores],
        tell: Tell,
        should_stop: Callable[[], bool],
        on_epoch: OnEpoch | None,
    ) -> None:
        tell("training networks", 0.0)
        check_stop(should_stop)
        self._cells = int(np.count_nonzero(labels))


def test_networks_whose_training_was_stopped_come_before_further_tuning(
    case: Case, state: dict[str, Any]
) -> None:
    graph, _ = case.features.neighbours(quiet, lambda: False)
    tier = FastTier.fit(None, case.labels, neighbours=graph)
    sources, told = DeepSources(Counted(0), case.stages(), with_networks=True), []
    sources.load_state_dict({"tuned": state})

    def train(stop: bool) -> None:
        known = Known(case.labels, (1, 2), (tier, tier.scores()), graph, None, case.paths)
        sources.train(known, lambda message, share: told.append(message), lambda: stop, None)

    for stop in (True, False):
        case.labels[8 + stop] = [1, -1]  # more labels than the stages were tuned on
        assert sources.known_cells == 0
        with pytest.raises(Stopped) if stop else nullcontext():
            train(stop)
    assert told == ["training networks"] * 2
    assert sources.known_cells == 16


def test_old_networks_do_not_hold_back_stages_that_can_be_tuned(case: Case) -> None:
    assert DeepSources(Counted(900), case.stages(), with_networks=False).known_cells == 0


def test_networks_that_were_dropped_are_due_at_once_where_they_are_trained(
    case: Case, state: dict[str, Any]
) -> None:
    for with_networks in (True, False):
        sources = DeepSources(Counted(900), case.stages(state), with_networks=with_networks)
        assert sources.known_cells == 16
        sources.compared_anew()
        assert (sources.known_cells == 0) is with_networks
        assert ("networks were dropped" in sources.note) is with_networks


# -- in the worker


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """18 pictures, 3 categories, 9 pictures decided."""
    settings = Settings(feature_set="fast", device="cpu", deep_tier="on")
    workspace = Workspace.create(tmp_path / "project", settings)
    with AnnotationService.create(workspace) as service:
        found = Project(workspace, service, tmp_path / "pictures")
        found.add(18)
        found.categories(*COLOURS)
        found.decide(range(9))
        yield found


def sources(project: Project) -> set[str]:
    return set(ScoreFolder.open(project.workspace.scores / str(project.version())).meta["sources"])


@contextmanager
def working(project: Project, clock: Clock, tell: Callable[[str, float], None]) -> Iterator[Worker]:
    """A worker on ``project`` between two steps; its first version is made."""
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        Worker(
            project.workspace,
            database,
            deep_rule=DeepRule(least_cells=1),
            tuning=QUICK,
            clock=clock,
            tell=tell,
        ) as worker,
    ):
        steps(worker)
        assert project.version() == 1
        clock.now += 30.0
        yield worker


def test_a_decision_goes_first_and_the_tuning_goes_on_after_it(project: Project) -> None:
    clock, told = Clock(), []

    def tell(message: str, share: float) -> None:
        told.append(message)
        if message.endswith("network 2 of 2") and len(project.service.jobs(kind="train")) == 0:
            project.command("train")
            project.decide([9])
            clock.now += 1.0

    with working(project, clock, tell) as worker:
        assert not worker.step()  # interrupted
        assert project.version() == 1
        steps(worker)
        assert (project.version(), TUNED in sources(project)) == (2, False)
        told.clear()
        clock.now += 30.0
        steps(worker)
    assert TUNED in sources(project)
    assert not any("reading pictures" in message or "network 1" in message for message in told)
    newest = project.service.status().model_version
    assert newest is not None
    assert newest.kind == "deep"


def test_a_decision_in_the_fit_after_the_tuning_does_not_begin_it_anew(project: Project) -> None:
    clock, told = Clock(), []

    def tell(message: str, share: float) -> None:
        told.append(message)
        if "asking the fine-tuned networks about labelled" in message:
            project.decide([9])
            clock.now += 1.0

    with working(project, clock, tell) as worker:
        assert not worker.step()
        assert any("labelled pictures" in message for message in told)
        assert project.version() == 1
        told.clear()
        clock.now += 30.0
        steps(worker)
    assert TUNED in sources(project)
    assert not any("fine-tuning" in message for message in told)


def test_a_disk_that_cannot_be_written_is_told_and_tried_again_later(project: Project) -> None:
    clock, told = Clock(), []
    in_the_way = project.workspace.features / ACTIVATIONS
    in_the_way.write_text("a file where the folder should be")
    with working(project, clock, lambda message, share: told.append(message)) as worker:
        steps(worker)
        clock.now += 30.0
        assert steps(worker) == 0
        details = project.job().config
        assert "the deep tier was not trained" in details["note"]
        assert ACTIVATIONS in details["note"]
        in_the_way.unlink()
        told.clear()
        clock.now += 600.0
        steps(worker)
    assert any("fine-tuning network 2" in message for message in told)


def test_one_run_in_the_foreground_tunes_and_the_next_process_still_hears_it(
    project: Project,
) -> None:
    run_once(project.workspace)
    assert TUNED in sources(project)
    version = project.version()
    project.decide([10])
    told: list[str] = []
    report = run_once(project.workspace, lambda message, share: told.append(message))
    assert report.version == (version or 0) + 1
    assert TUNED in sources(project)
    assert not any("fine-tuning" in message for message in told)
