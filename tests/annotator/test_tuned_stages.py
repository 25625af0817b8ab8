"""Fine-tuned last stages in the worker: what they read, keep, survive and give way to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_worker import COLOURS, Clock, Project, draw, steps

from annotator.db.engine import Database
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.training.activations import Activations, Parts
from annotator.training.loop import Worker
from annotator.training.picture_features import PictureFeatures
from annotator.training.records import Picture
from annotator.training.schedule import DeepRule
from annotator.training.tuned_stages import TunedStages
from annotator.training.worker import run_once
from hst_core.fast_tier import FastTierConfig
from hst_core.features import FEATURE_SETS, FeatureMapStore
from hst_core.inputs import CachedFeatures
from hst_core.stopping import Stopped
from hst_core.tuning import TUNED, TuningConfig

QUICK = TuningConfig(epochs=1, batch_size=4)
ACTIVATIONS = "efficientnet-lite0-before-last-stage-224"


def quiet(message: str, share: float) -> None:
    """Nobody listens."""


@dataclass
class Case:
    """Twelve pictures with features, two categories; the first eight are decided."""

    workspace: Workspace
    features: PictureFeatures
    paths: dict[str, Path]

    def __post_init__(self) -> None:
        self.labels = np.zeros((12, 2), dtype=np.int8)
        for row, image_hash in enumerate(self.features.store.hashes[:8]):
            number = int(self.paths[image_hash].stem)
            self.labels[row] = [1 if number % 3 == c else -1 for c in range(2)]

    def stages(self, **options: int) -> TunedStages:
        return TunedStages(
            self.features, self.workspace.features, QUICK, "cpu", FastTierConfig(), **options
        )

    def train(
        self,
        stages: TunedStages,
        tell: Callable[[str, float], None] = quiet,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        graph, _ = self.features.neighbours(quiet, lambda: False)
        windows = self.features.windows(graph, quiet, lambda: False)
        stages.train(self.labels, (1, 2), self.paths, (graph, windows), tell, should_stop)

    def said(self, stages: TunedStages, ids: tuple[int, ...] = (1, 2)) -> list[np.ndarray]:
        graph, _ = self.features.neighbours(quiet, lambda: False)
        inputs = CachedFeatures(graph.coordinates.numpy())
        return [source.values for source in stages.sources(inputs, self.labels, ids)]

    def stored(self) -> FeatureMapStore:
        parts = Parts.of(FEATURE_SETS["fast"])
        assert parts is not None
        return Activations(self.workspace.features, parts, "cpu").store


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    draw(tmp_path / "pictures", 12)
    workspace = Workspace.create(tmp_path / "work", Settings(feature_set="fast", device="cpu"))
    features = PictureFeatures(workspace, "cpu")
    files = sorted((tmp_path / "pictures").glob("*.png"))
    pictures = [Picture(n, f"{n + 1:064x}", str(file), 0) for n, file in enumerate(files)]
    features.read(pictures, lambda done, total: None, lambda: False)
    yield Case(workspace, features, {p.sha256: Path(p.path) for p in pictures})
    features.store.close()


def test_activations_are_kept_of_labelled_pictures_only(case: Case) -> None:
    stages = case.stages()
    assert not (case.workspace.features / ACTIVATIONS).exists()
    case.train(stages)
    assert set(case.stored().hashes) == set(case.features.store.hashes[:8])
    assert stages.left() == 4
    assert stages.note == ""


def test_the_other_pictures_are_asked_about_from_their_files(case: Case) -> None:
    stages = case.stages()
    case.train(stages)
    (guessed,) = case.said(stages)
    missing = case.features.store.hashes[9]
    paths = {image_hash: p for image_hash, p in case.paths.items() if image_hash != missing}
    assert stages.score(paths, quiet, lambda: False)
    assert stages.left() == 0
    (values,) = case.said(stages)
    np.testing.assert_array_equal(values[:8], guessed[:8])
    assert (values[[8, 10, 11]] != guessed[[8, 10, 11]]).any(axis=1).all()
    assert np.isfinite(values).all()
    assert len(case.stored()) == 8


def test_asking_stops_when_told_and_keeps_what_it_has(case: Case) -> None:
    stages = case.stages()
    case.train(stages)
    assert not stages.score(case.paths, quiet, lambda: True)
    assert stages.left() < 4


def test_reading_goes_on_where_it_was_stopped(case: Case) -> None:
    told: list[str] = []

    def tell(message: str, share: float) -> None:
        told.append(message)

    with pytest.raises(Stopped):
        case.train(case.stages(), should_stop=lambda: True)
    case.train(case.stages(), should_stop=lambda: False)
    case.labels[8:10] = [1, -1]
    case.train(case.stages(), tell)
    assert told[0] == "reading pictures to fine-tune on: 8 of 10"
    assert "fine-tuning network 2 of 2" in told


def test_with_little_room_it_learns_from_a_part_and_says_so(case: Case) -> None:
    one = 2 * int(np.prod(case.stored().row_shape))
    stages = case.stages(most_bytes=5 * one)
    case.train(stages)
    assert len(case.stored()) == 5
    assert "5 of 8 labelled pictures" in stages.note
    assert stages.left() == 7


def test_it_is_not_trained_again_on_the_same_labels(case: Case) -> None:
    stages, told = case.stages(), []
    case.train(stages)
    case.train(stages, lambda message, share: told.append(message))
    assert not told


def test_stages_of_categories_that_went_are_dropped(case: Case) -> None:
    stages = case.stages()
    case.train(stages)
    assert len(case.said(stages, (1, 2))) == 1
    assert case.said(stages, (2, 3)) == []
    assert "dropped" in stages.note
    assert stages.known_cells == 0


def test_they_come_back_from_a_checkpoint(case: Case) -> None:
    stages, restored = case.stages(), case.stages()
    case.train(stages)
    state = stages.state_dict()
    assert state is not None
    restored.load_state_dict(state)
    np.testing.assert_allclose(case.said(restored)[0], case.said(stages)[0], atol=0.02)
    assert (restored.known_cells, restored.left()) == (16, 4)


def test_features_of_more_than_one_map_have_no_stage_to_tune() -> None:
    assert Parts.of(FEATURE_SETS["tiny"]) is None
    assert Parts.of(FEATURE_SETS["fast"]) is not None


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


def test_a_decision_goes_first_and_the_tuning_goes_on_after_it(project: Project) -> None:
    clock, told = Clock(), []

    def tell(message: str, share: float) -> None:
        told.append(message)
        if message.endswith("network 2 of 2") and len(project.service.jobs(kind="train")) == 0:
            project.command("train")
            project.decide([9])
            clock.now += 1.0

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
        clock.now += 30.0
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
