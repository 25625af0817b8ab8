"""The worker on small drawn projects: what it waits for, learns, survives and obeys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from annotator.attention_maps import AttentionMap, NoAttention
from annotator.db.engine import Database
from annotator.errors import WorkspaceError
from annotator.images import find_images, scan_images
from annotator.scores import ScoreFolder
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.suggestions import probabilities
from annotator.training.loop import Worker
from annotator.training.schedule import DeepRule, RefitRule
from annotator.training.supervisor import Backoff, Supervisor
from annotator.training.worker import run_once
from annotator.types import CellBatch, Job
from hst_core import checkpoint
from hst_core.deep_tier import DeepTierConfig
from hst_core.features import FeatureBlock, FeatureSet, FeatureStore

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def draw(folder: Path, count: int, first: int = 0) -> None:
    """Pictures of one colour each, in turn, all a little different."""
    folder.mkdir(exist_ok=True)
    for i in range(first, first + count):
        noise = np.random.default_rng(i).normal(0, 25, (48, 48, 3))
        pixels = np.clip(np.array(list(COLOURS.values())[i % 3]) + noise, 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:04}.png")


@dataclass
class Project:
    workspace: Workspace
    service: AnnotationService
    pictures: Path
    keys: int = 0

    def add(self, count: int, first: int = 0) -> None:
        draw(self.pictures, count, first)
        self.service.add_images(scan_images(find_images(self.pictures), self.pictures))

    def categories(self, *names: str) -> None:
        self.service.add_categories(names)

    def decide(self, numbers: Sequence[int], categories: Sequence[str] = tuple(COLOURS)) -> None:
        """Decide these categories of pictures, given by the number in their names, as they are."""
        with self.service.export() as export:
            ids = {int(Path(i.image.file_name).stem): i.image.id for i in export.images()}
        names = {c.name: c.id for c in self.service.categories()}
        cells = [
            (ids[n], names[c], 1 if list(COLOURS).index(c) == n % 3 else -1)
            for n in numbers
            for c in categories
        ]
        self.service.import_decisions([CellBatch.of(cells)])

    def version(self) -> int | None:
        version = self.service.status().model_version
        return None if version is None else version.id

    def command(self, kind: str) -> Job:
        return self.service.request_job(kind)

    def job(self, kind: str = "worker") -> Job:
        return self.service.jobs(kind=kind)[0]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Project]:
    workspace = Workspace.create(tmp_path / "project", Settings(feature_set="tiny", device="cpu"))
    with AnnotationService.create(workspace) as service:
        yield Project(workspace, service, tmp_path / "pictures")


@pytest.fixture
def project(empty: Project) -> Project:
    """24 pictures, 3 categories, 12 pictures decided."""
    empty.add(24)
    empty.categories(*COLOURS)
    empty.decide(range(12))
    return empty


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def looping(project: Project) -> Iterator[tuple[Worker, Project, Clock]]:
    """A worker between two steps, its first version made."""
    clock = Clock()
    rule = RefitRule(pause=4.0)
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        Worker(project.workspace, database, rule=rule, clock=clock) as worker,
    ):
        steps(worker)
        assert project.version() == 1
        yield worker, project, clock


def steps(worker: Worker, most: int = 20) -> int:
    """Step until there is nothing to do; how many steps did something."""
    for number in range(most):
        if not worker.step():
            return number
    raise AssertionError(f"still busy after {most} steps")


# -- what it waits for


def test_it_says_what_it_waits_for(empty: Project) -> None:
    def waiting() -> str:
        report = run_once(empty.workspace)
        assert report.version is None
        assert empty.job().message == f"waiting: {report.waiting}"
        return report.waiting or ""

    assert "no pictures yet" in waiting()
    empty.add(6)
    assert "no categories yet" in waiting()
    empty.categories(*COLOURS)
    assert "no labels yet" in waiting()
    empty.decide([0], ["red"])
    assert waiting() == "needs at least one present and one absent label in some category"
    empty.decide([1], ["red"])
    assert run_once(empty.workspace).version == 1


def test_a_category_without_labels_waits_while_others_have_a_model(project: Project) -> None:
    project.categories("purple")
    report = run_once(project.workspace)
    assert report.version is not None
    folder = ScoreFolder.open(project.workspace.scores / str(report.version))
    assert folder.model.waiting == {4: "needs at least one present and one absent label"}
    assert folder.model.has_model.tolist() == [True, True, True, False]


def test_one_category_is_enough(empty: Project) -> None:
    empty.add(9)
    empty.categories("red")
    empty.decide(range(4), ["red"])
    assert run_once(empty.workspace).version == 1


# -- what it learns


def test_it_learns_what_was_decided(project: Project) -> None:
    told: list[tuple[str, float]] = []
    report = run_once(project.workspace, lambda *what: told.append(what))
    assert (report.images, report.known_cells, report.unreadable) == (24, 36, ())
    with project.service.export() as export:
        undecided = [i.image for i in export.images() if not len(i.states)]
    right = 0
    for image in undecided:
        first = project.service.image_state(image.id).suggestions[0]
        right += first.name == list(COLOURS)[int(Path(image.file_name).stem) % 3]
    assert right >= 10
    assert any("reading pictures: 24 of 24" in message for message, _ in told)
    assert all(0 <= share <= 1 for _, share in told)


def test_live_suggestions_agree_with_the_fit(project: Project) -> None:
    report = run_once(project.workspace)
    folder = ScoreFolder.open(project.workspace.scores / str(report.version))
    categories = project.service.categories()
    for image_id in folder.image_ids.tolist():
        row = folder.image(image_id)
        live = probabilities(row, row.fitted_labels, categories)
        np.testing.assert_allclose(live, row.probability, atol=5e-3)


def test_the_version_row_tells_what_it_was_made_of(project: Project) -> None:
    run_once(project.workspace)
    version = project.service.model_versions()[0]
    assert (version.status, version.feature_set, version.folder) == ("ready", "tiny", "1")
    assert version.event_id == project.service.status().event_id
    assert version.metrics["known_cells"] == 36
    assert 0 < version.metrics["log_loss"] < 0.7
    assert {source["name"] for source in version.sources} >= {"base", "neighbours", "cooccurrence"}


def test_unreadable_and_missing_pictures_are_reported_and_do_not_block(project: Project) -> None:
    broken, gone = project.pictures / "0020.png", project.pictures / "0021.png"
    broken.write_bytes(broken.read_bytes()[:500])
    gone.unlink()
    report = run_once(project.workspace)
    assert report.version == 1
    assert report.images == 22
    assert {Path(path).name for path, _ in report.unreadable} == {"0020.png", "0021.png"}
    assert project.job().config["unreadable_count"] == 1
    assert project.job().config["missing_count"] == 1
    Image.new("RGB", (8, 8)).save(gone)
    assert run_once(project.workspace).images == 23


# -- when it learns again


def test_it_fits_again_when_enough_is_new(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, clock = looping
    clock.now += 1000
    project.decide([12], ["red"])
    assert steps(worker) == 0
    clock.now += 3.0
    assert steps(worker) == 0
    clock.now += 1.5  # a pause after one decision
    assert steps(worker) == 1
    project.decide([12], ["green", "blue"])
    project.decide([13, 14, 15])
    assert steps(worker) == 1  # eleven decisions need no pause
    assert project.version() == 3


def test_new_pictures_and_categories_join(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, clock = looping
    clock.now += 1000
    project.add(6, first=24)
    assert steps(worker) == 2  # read, learn
    project.categories("purple")
    assert steps(worker) == 0
    clock.now += 5.0
    assert steps(worker) == 1
    folder = ScoreFolder.open(project.workspace.scores / str(project.version()))
    assert folder.probability.shape == (30, 4)
    assert sorted(folder.image_ids.tolist()) == list(range(1, 31))


def test_it_rests_when_nothing_is_new(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, clock = looping
    clock.now += 1000
    assert steps(worker) == 0
    assert project.job().config["activity"] == "idle"
    assert project.job().message == "version 1 learned from 36 cells of 24 pictures"


def test_a_model_comes_before_all_pictures_are_read(project: Project) -> None:
    seen: list[tuple[int | None, str]] = []
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        Worker(
            project.workspace,
            database,
            rule=RefitRule(first_images=8),
            clock=iter(range(10**9)).__next__,  # every look at the clock is a second later
            tell=lambda message, _: seen.append((project.version(), message)),
        ) as worker,
    ):
        # More than `extract` keeps back before it stores anything.
        project.add(150, first=24)
        steps(worker)
    reading = [version for version, message in seen if message.startswith("reading")]
    assert reading[0] is None
    assert reading[-1] is not None


# -- commands


def test_train_now_is_obeyed_and_answered(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, _ = looping
    job = project.command("train")
    assert steps(worker) == 1
    answered = project.job("train")
    assert (answered.id, answered.status) == (job.id, "done")
    assert answered.message == "version 2 is ready"


def test_train_now_without_labels_is_answered_with_what_is_missing(empty: Project) -> None:
    empty.add(3)
    empty.categories("red")
    empty.command("train")
    with (
        empty.workspace.lock("worker"),
        Database.open(empty.workspace.database_url) as database,
        Worker(empty.workspace, database) as worker,
    ):
        steps(worker)
    job = empty.job("train")
    assert job.status == "stopped"
    assert "no labels yet" in job.reason


def test_pausing_holds_until_resumed(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, clock = looping
    clock.now += 1000
    project.command("pause")
    project.decide(range(12, 18))
    assert steps(worker) == 0
    assert project.job().config["activity"] == "paused"
    project.command("resume")
    assert steps(worker) == 1
    assert project.version() == 2


def test_a_pause_outlives_the_process(project: Project) -> None:
    for expected in ("paused", None):
        project.command("pause" if expected else "resume")
        with (
            project.workspace.lock("worker"),
            Database.open(project.workspace.database_url) as database,
            Worker(project.workspace, database) as worker,
        ):
            worker.step()
        with (
            project.workspace.lock("worker"),
            Database.open(project.workspace.database_url) as database,
            Worker(project.workspace, database) as worker,
        ):
            steps(worker)
            assert (project.version() is None) == (expected == "paused")


def test_stopping_in_the_middle_of_a_fit_leaves_the_last_version(project: Project) -> None:
    run_once(project.workspace)
    begun: list[str] = []
    report = run_once(
        project.workspace,
        lambda message, _: begun.append(message),
        should_stop=lambda: any("base" in message for message in begun),
    )
    assert (report.version, report.waiting) == (None, "stopped as asked")
    assert project.version() == 1
    assert sorted(p.name for p in project.workspace.scores.iterdir()) == ["1"]


def test_the_stop_command_ends_the_loop(project: Project) -> None:
    project.command("stop")
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
    ):
        Worker(project.workspace, database).run()
    assert project.job().status == "done"


# -- recovery


def test_a_second_worker_is_refused(project: Project) -> None:
    with (
        project.workspace.lock("worker"),
        pytest.raises(WorkspaceError, match=f"already by process {os.getpid()}"),
    ):
        run_once(project.workspace)


def test_only_the_last_three_versions_are_kept(project: Project) -> None:
    for _ in range(5):
        run_once(project.workspace)
    assert sorted(p.name for p in project.workspace.scores.iterdir()) == ["3", "4", "5"]
    assert sorted(p.name for p in project.workspace.models.iterdir()) == ["3.pt", "4.pt", "5.pt"]


def test_the_next_process_starts_from_the_checkpoint(project: Project) -> None:
    run_once(project.workspace)
    assert run_once(project.workspace).note == ""


@pytest.mark.parametrize("damage", ["truncated", "foreign", "gone", "in its last stages"])
def test_an_unusable_checkpoint_means_a_fit_from_scratch(project: Project, damage: str) -> None:
    run_once(project.workspace)
    path = project.workspace.models / "1.pt"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "foreign":
        path.write_text("hello")
    elif damage == "in its last stages":
        saved = checkpoint.load(path)
        checkpoint.save(path, replace(saved, tiers={**saved.tiers, "tuned": {"categories": []}}))
    else:
        path.unlink()
    report = run_once(project.workspace)
    assert report.version == 2
    assert "fitted from scratch" in report.note


def test_features_computed_anew_mean_a_fit_from_scratch(project: Project) -> None:
    run_once(project.workspace)
    for path in (project.workspace.features / "tiny").iterdir():
        path.unlink()
    for number in range(3):
        (project.pictures / f"{number:04}.png").unlink()
    report = run_once(project.workspace)
    assert report.version == 2
    assert "fitted from scratch" in report.note


def test_features_of_an_older_version_that_were_removed_lead_to_a_new_model(
    project: Project,
) -> None:
    before = FeatureSet("tiny", (FeatureBlock("tiny", 64, "mean", 128),))
    FeatureStore.open(project.workspace.features / "tiny", before).close()
    run_once(project.workspace)
    shutil.rmtree(project.workspace.features / "tiny")
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        Worker(project.workspace, database) as worker,
    ):
        steps(worker)
        assert project.version() == 2
        looks(project, 1)
        assert not worker.step()  # nothing further is due
        assert isinstance(looks(project, 1), AttentionMap)


def test_a_version_whose_scores_are_damaged_is_given_up(project: Project) -> None:
    run_once(project.workspace)
    (project.workspace.scores / "1" / "probability.npy").unlink()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        Worker(project.workspace, database) as worker,
    ):
        steps(worker)
    assert project.version() == 2
    assert {v.id: v.status for v in project.service.model_versions()} == {1: "failed", 2: "ready"}


def test_that_a_version_was_given_up_is_told_though_an_older_one_is_whole(
    project: Project,
) -> None:
    for _ in range(2):
        run_once(project.workspace)
    (project.workspace.scores / "2" / "probability.npy").unlink()
    report = run_once(project.workspace)
    assert "version 2 was given up" in report.note
    assert {v.id: v.status for v in project.service.model_versions()}[1] == "ready"


def test_another_feature_set_leads_to_a_new_version(project: Project) -> None:
    run_once(project.workspace)
    path = project.workspace.path / "workspace.toml"
    path.write_text(path.read_text().replace('"tiny"', '"fast"'))
    changed = Workspace.open(project.workspace.path)
    with (
        changed.lock("worker"),
        Database.open(changed.database_url) as database,
        Worker(changed, database) as worker,
    ):
        steps(worker)
    assert project.service.model_versions()[0].feature_set == "fast"
    assert project.version() == 2


def test_features_of_an_older_version_are_used_as_they_are(project: Project) -> None:
    before = FeatureSet("tiny", (FeatureBlock("tiny", 64, "mean", 128),))
    FeatureStore.open(project.workspace.features / "tiny", before).close()
    report = run_once(project.workspace)
    assert report.version == 1
    assert "read by an older version" in report.note
    sources = {source["name"] for source in project.service.model_versions()[0].sources}
    assert "base" in sources
    assert "windows" not in sources


def test_windows_are_evidence_and_their_coordinates_are_kept(project: Project) -> None:
    assert run_once(project.workspace).note == ""
    sources = {source["name"] for source in project.service.model_versions()[0].sources}
    assert "windows" in sources
    kept = project.workspace.features / "tiny" / "window-coordinates.f16"
    written = kept.stat().st_mtime_ns
    run_once(project.workspace)
    assert kept.stat().st_mtime_ns == written


def test_a_checkpoint_of_an_older_version_is_fitted_anew(project: Project) -> None:
    run_once(project.workspace)
    path = checkpoint.path_of(project.workspace.models, 1)
    saved = checkpoint.load(path)
    fast = {key: value for key, value in saved.tiers["fast"].items() if key != "format"}
    checkpoint.save(path, replace(saved, tiers={**saved.tiers, "fast": fast}))
    report = run_once(project.workspace)
    assert report.version == 2
    assert "this program reads 2" in report.note
    assert "fitted from scratch" in report.note


def test_features_that_cannot_be_used_are_a_plain_error(project: Project) -> None:
    folder = project.workspace.features / "tiny"
    folder.mkdir(parents=True)
    (folder / "store.json").write_text("{}")
    with pytest.raises(WorkspaceError, match="remove this one to extract again"):
        run_once(project.workspace)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_device_that_is_not_there_is_a_plain_error(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "project", Settings(feature_set="tiny", device="cuda"))
    AnnotationService.create(workspace).close()
    with pytest.raises(WorkspaceError, match="finds no CUDA device"):
        run_once(workspace)


def test_a_failure_is_in_the_job_row(project: Project) -> None:
    def fail(message: str, _: float) -> None:
        if "base" in message:
            raise MemoryError("no room")

    with pytest.raises(MemoryError):
        run_once(project.workspace, fail)
    assert (project.job().status, project.job().reason) == ("failed", "MemoryError: no room")


DYING = """
import os, sys
from pathlib import Path
from annotator.settings import Workspace
from annotator.training.worker import run_once

def tell(message, share):
    if sys.argv[2] in message:
        os._exit(9)  # as sudden as kill -9: nothing is cleaned up

run_once(Workspace.open(Path(sys.argv[1])), tell)
"""


@pytest.mark.slow
def test_death_at_any_step_of_writing_leaves_the_last_version_in_force(project: Project) -> None:
    run_once(project.workspace)
    for moment in ("writing scores", "writing the checkpoint", "in force"):
        command = [sys.executable, "-c", DYING, str(project.workspace.path), moment]
        assert subprocess.run(command, check=False).returncode == 9
        assert project.version() == 1
        assert project.service.image_state(20).model_version_id == 1
    # What a writer killed within a folder or a file leaves:
    (project.workspace.scores / ".partial-5").mkdir()
    (project.workspace.models / ".partial-5.pt").write_bytes(b"half")
    report = run_once(project.workspace)
    assert (report.version, report.note) == (5, "")
    assert {p.name for p in project.workspace.scores.iterdir()} == {"1", "5"}
    assert {p.name for p in project.workspace.models.iterdir()} == {"1.pt", "5.pt"}
    failed = [job for job in project.service.jobs(kind="worker") if job.status == "failed"]
    assert len(failed) == 3
    assert all("ended without a word" in job.reason for job in failed)


def until(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


CRASHING = """
import threading
from annotator.training.loop import Worker
from annotator.training.worker import _obey_supervisor

_obey_supervisor(threading.Event())
Worker(None, None)
"""


@pytest.mark.slow
def test_the_last_line_of_a_crash_is_the_error_itself() -> None:
    # The thread that listens to the supervisor must not disturb Python's own shutdown.
    with subprocess.Popen(
        [sys.executable, "-c", CRASHING], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines()[-1].startswith("AttributeError")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_killed_worker_process_is_replaced_and_goes_on(project: Project) -> None:
    supervisor = Supervisor(project.workspace.path, backoff=Backoff(first=0.1))
    with supervisor:
        until(lambda: project.version() == 1)
        pid = supervisor.state().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        project.decide(range(12, 20))
        until(lambda: project.version() == 2)
        with pytest.raises(WorkspaceError, match="already by process"):
            run_once(project.workspace)
    assert project.workspace.holder("worker") is None
    assert project.job().status == "done"
    assert [job.status for job in project.service.jobs(kind="worker")] == ["done", "failed"]


# -- the deep tier

SMALL_NETWORK = DeepTierConfig(
    network=DeepTierConfig().network.replace(
        "model.channels=16", "model.attention_hidden=16", "model.word_dimension=8",
        "model.classifier_hidden=16", "model.pair_projection=8", "model.pair_hidden=8",
        "model.prototypes=2", "train.epochs=2", "train.warm_up_epochs=1",
    )
)  # fmt: skip


def deep_worker(project: Project, database: Database, clock: Clock, switch: str = "on") -> Worker:
    settings = Settings(feature_set="tiny", device="cpu", deep_tier=switch)
    return Worker(
        Workspace(project.workspace.path, settings),
        database,
        deep_rule=DeepRule(least_cells=1),
        deep=SMALL_NETWORK,
        clock=clock,
    )


def test_the_network_is_trained_when_nobody_labels_and_joins_the_stack(project: Project) -> None:
    clock = Clock()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        deep_worker(project, database, clock) as worker,
    ):
        steps(worker)
        assert project.version() == 1
        clock.now += 30.0
        steps(worker)
        newest = project.service.status().model_version
        assert newest is not None
        assert (newest.id, newest.kind) == (2, "deep")
        folder = ScoreFolder.open(project.workspace.scores / "2")
        assert {"network", "network prototypes"} <= set(folder.meta["sources"])
        assert steps(worker) == 0  # nothing new: no second training

        project.decide(range(12, 24))
        clock.now += 4.1
        steps(worker)
        newest = project.service.status().model_version
        assert newest is not None
        assert newest.kind == "fast"
        folder = ScoreFolder.open(project.workspace.scores / str(newest.id))
        assert "network" in folder.meta["sources"]  # what was trained is still heard


def test_the_networks_outlive_the_process(project: Project) -> None:
    clock = Clock()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
    ):
        with deep_worker(project, database, clock) as worker:
            steps(worker)
            clock.now += 30.0
            steps(worker)
        with deep_worker(project, database, clock) as worker:
            clock.now += 30.0
            assert steps(worker) == 0
            project.decide([12], ["red"])
            worker.step()
            clock.now += 4.1
            steps(worker)
            assert "network" in ScoreFolder.open(project.workspace.scores / "3").meta["sources"]


@pytest.mark.parametrize("switch", ["off", "auto"])
def test_on_a_cpu_it_is_trained_only_if_switched_on(project: Project, switch: str) -> None:
    clock = Clock()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        deep_worker(project, database, clock, switch) as worker,
    ):
        steps(worker)
        clock.now += 1000.0
        assert steps(worker) == 0


# -- where the model looks


def looks(project: Project, image: int, category: int = 1) -> AttentionMap | NoAttention:
    return project.service.attention(image, category)


def test_it_shows_where_the_model_looks(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, clock = looping
    assert isinstance(looks(project, 20), NoAttention)
    clock.now += 1.0
    assert steps(worker) == 0
    found = looks(project, 20)
    assert isinstance(found, AttentionMap)
    assert (found.rows, found.columns, found.model_version, found.kind) == (8, 8, 1, "activation")
    assert len(found.values) == 64
    assert 0 <= min(found.values) <= max(found.values) <= 1
    assert project.service.jobs(kind="attention") == []


def test_it_shows_where_the_model_looks_in_the_middle_of_a_fit(project: Project) -> None:
    run_once(project.workspace)
    answers: list[AttentionMap | NoAttention] = []

    def ask(message: str, _: float) -> None:
        if "learning" in message:
            answers.append(looks(project, 5))

    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        # Every look at the clock is a second later, so it looks for requests all the time.
        Worker(project.workspace, database, tell=ask, clock=iter(range(10**9)).__next__) as worker,
    ):
        worker.run_once()
    fitting = [answer for answer in answers if isinstance(answer, AttentionMap)]
    assert fitting
    assert fitting[0].model_version == 1


def test_a_paused_worker_still_shows_where_the_model_looks(
    looping: tuple[Worker, Project, Clock],
) -> None:
    worker, project, _ = looping
    project.command("pause")
    steps(worker)
    looks(project, 3)
    steps(worker)
    assert isinstance(looks(project, 3), AttentionMap)


def test_it_says_why_it_cannot_look_into_a_picture(looping: tuple[Worker, Project, Clock]) -> None:
    worker, project, _ = looping
    (project.pictures / "0001.png").unlink()
    (project.pictures / "0002.png").write_bytes(b"no picture")
    for image, reason in ((2, "cannot be opened"), (3, "cannot be read")):
        looks(project, image)
        steps(worker)
        found = looks(project, image)
        assert isinstance(found, NoAttention)
        assert reason in found.message
        assert not found.again
