"""What the worker leaves behind for the pages, and how it takes categories that come and go."""

from __future__ import annotations

from datetime import datetime

from test_worker import Clock, Project, deep_worker, empty, looping, project, steps

from annotator.db.engine import Database
from annotator.scores import ScoreFolder
from annotator.service import CellChange
from annotator.training.log_lines import LogLines, is_log_line
from annotator.training.loop import Worker
from annotator.training.machine import memory_bytes
from annotator.training.supervisor import log_tail

__all__ = ["empty", "looping", "project"]


def newest_scores(project: Project) -> ScoreFolder:
    return ScoreFolder.open(project.workspace.scores / str(project.version()))


def test_a_removed_category_leads_to_a_clean_refit(
    looping: tuple[Worker, Project, Clock],
) -> None:
    worker, project, clock = looping
    ana = project.service.ensure_user("ana").id
    green = {c.name: c.id for c in project.service.categories()}["green"]
    done = project.service.category_changes.remove(ana, green, key="remove-green")
    # Until the next fit the pages read scores that still have the column.
    state = project.service.image_state(20)
    assert {s.name for s in state.suggestions} == {"red", "blue"}
    assert project.service.next_images(ana, "uncertain", count=3).total == 24 - 12
    project.service.decide(ana, [CellChange(20, 1, -1)], key="decide-after-it")
    clock.now += 1000
    steps(worker)
    clock.now += 5.0
    steps(worker)
    assert newest_scores(project).category_ids.tolist() == [1, 3]

    project.service.undo(ana, key="take-it-back", event_id=done.event_id)
    clock.now += 1000
    steps(worker)
    clock.now += 5.0
    steps(worker)
    assert newest_scores(project).category_ids.tolist() == [1, 2, 3]
    assert project.job().status == "running"


def test_a_merge_and_a_new_name_do_not_disturb_it(
    looping: tuple[Worker, Project, Clock],
) -> None:
    worker, project, clock = looping
    ana = project.service.ensure_user("ana").id
    changes = project.service.category_changes
    changes.rename(ana, 1, "crimson", key="rename-red")
    clock.now += 1000
    assert steps(worker) == 0  # a name is nothing to learn from
    changes.merge(ana, 3, 2, on_conflict="present", key="merge-blue")
    clock.now += 5.0
    steps(worker)
    clock.now += 5.0
    steps(worker)
    assert newest_scores(project).category_ids.tolist() == [1, 2]
    assert {s.name for s in project.service.image_state(20).suggestions} <= {"crimson", "green"}


def test_networks_are_trained_again_when_a_category_is_gone(project: Project) -> None:
    clock = Clock()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        deep_worker(project, database, clock) as worker,
    ):
        steps(worker)
        clock.now += 30.0
        steps(worker)
        assert project.version() == 2
        ana = project.service.ensure_user("ana").id
        project.service.category_changes.remove(ana, 1, key="remove-red")
        for _ in range(3):
            clock.now += 30.0
            steps(worker)
        versions = {v.id: v.kind for v in project.service.model_versions()}
        assert versions == {1: "fast", 2: "deep", 3: "fast", 4: "deep"}


def test_a_deep_version_keeps_the_curve_of_its_training(project: Project) -> None:
    clock = Clock()
    with (
        project.workspace.lock("worker"),
        Database.open(project.workspace.database_url) as database,
        deep_worker(project, database, clock) as worker,
    ):
        steps(worker)
        clock.now += 30.0
        steps(worker)
    fast, deep = sorted(project.service.model_versions(), key=lambda v: v.id)
    curve = deep.metrics["curve"]
    networks = {point["network"] for point in curve}
    assert networks == set(range(1, len(networks) + 1))
    assert [p["epoch"] for p in curve if p["network"] == 1] == [1, 2]
    assert all(point["loss"] > 0 for point in curve)
    assert "curve" not in fast.metrics
    assert {"log_loss", "map", "seconds"} <= set(fast.metrics)


def test_the_job_row_names_the_device_and_the_memory(
    looping: tuple[Worker, Project, Clock],
) -> None:
    _, project, _ = looping
    job = project.service.status().job
    assert job is not None
    assert job.config["device"].startswith("CPU, ")
    assert job.config["memory"] > 50_000_000


def test_the_status_tells_of_the_worker_not_of_a_request(
    looping: tuple[Worker, Project, Clock],
) -> None:
    _, project, _ = looping
    project.command("train")
    job = project.service.status().job
    assert job is not None
    assert job.kind == "worker"


def test_the_log_has_a_line_per_step_and_not_per_number() -> None:
    lines: list[str] = []
    clock = Clock()
    tell = LogLines(lines.append, clock, lambda: datetime(2026, 1, 2, 3, 4, 5))
    for done in range(0, 100, 10):
        clock.now += 0.1
        tell(f"reading pictures: {done} of 100", done / 100)
    clock.now += 11
    tell("reading pictures: 100 of 100", 0.99)
    tell("version 1 learned from 36 cells", 1.0)
    clock.now += 100
    tell("version 1 learned from 36 cells", 1.0)
    assert lines == [
        "2026-01-02 03:04:05  reading pictures: 0 of 100",
        "2026-01-02 03:04:05  reading pictures: 100 of 100 (99%)",
        "2026-01-02 03:04:05  version 1 learned from 36 cells",
    ]
    assert all(is_log_line(line) for line in lines)
    assert not is_log_line("ValueError: 2026-01-02")


def test_the_log_of_a_workspace_is_read_from_its_end(project: Project) -> None:
    assert log_tail(project.workspace.path) == []
    (project.workspace.path / "worker.log").write_text("".join(f"line {i}\n" for i in range(99)))
    assert log_tail(project.workspace.path, 2) == ["line 97", "line 98"]


def test_memory_is_told_in_bytes() -> None:
    found = memory_bytes()
    assert found is None or found > 10_000_000
