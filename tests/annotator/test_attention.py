"""Asking where the model looks: what the service answers, and what it asks the worker for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from label_project import Project

from annotator.attention_maps import FOLDER, AttentionFolder, AttentionMap, NoAttention
from annotator.db import model_work
from annotator.errors import NotFound

MAP = AttentionMap(2, 2, (0.0, 0.5, 1.0, 0.25), model_version=1)


def worker_lives(project: Project) -> None:
    with project.service.database.writing() as connection:
        at = project.clock()
        values = {"kind": "worker", "status": "running", "config": {}}
        model_work.add_job(connection, **values, pid=1, heartbeat=at, created_at=at)


def asked(project: Project) -> list[dict[str, int]]:
    return [dict(job.config) for job in project.service.jobs(kind="attention")]


def answered(project: Project, answer: AttentionMap | NoAttention, version: int) -> None:
    AttentionFolder(project.workspace.path / FOLDER).put(version, 3, 2, answer)


def test_without_a_model_there_is_nothing_to_ask_for(project: Project) -> None:
    worker_lives(project)
    found = project.service.attention(3, 2)
    assert found == NoAttention("the model has not been trained yet", again=False)
    assert asked(project) == []


def test_without_a_worker_it_says_so(project: Project) -> None:
    project.add_version()
    found = project.service.attention(3, 2)
    assert isinstance(found, NoAttention)
    assert "trainer does not run" in found.message
    assert found.again  # it may be starting
    worker_lives(project)
    project.clock.forward(minutes=1)
    assert project.service.attention(3, 2) == found
    assert asked(project) == []


def test_the_worker_is_asked_once(project: Project) -> None:
    project.add_version()
    worker_lives(project)
    for _ in range(3):
        found = project.service.attention(3, 2)
        assert found == NoAttention("the trainer is working it out", again=True)
    project.service.attention(4, 2)
    assert asked(project) == [{"image": 4, "category": 2}, {"image": 3, "category": 2}]


def test_an_answer_is_given_until_the_next_version(project: Project) -> None:
    version = project.add_version()
    answered(project, MAP, version)
    assert project.service.attention(3, 2) == MAP
    project.add_version()
    assert isinstance(project.service.attention(3, 2), NoAttention)


def test_a_refusal_is_tried_again_after_a_while(project: Project) -> None:
    version = project.add_version()
    worker_lives(project)
    refusal = NoAttention("the picture's file cannot be opened", again=False)
    answered(project, refusal, version)
    assert project.service.attention(3, 2) == refusal
    file = next((project.workspace.path / FOLDER).iterdir())
    os.utime(file, (0, 0))
    assert project.service.attention(3, 2) != refusal
    assert asked(project) == [{"image": 3, "category": 2}]


def test_a_category_that_came_after_the_model_has_none_yet(project: Project) -> None:
    project.add_version()
    new = project.service.add_categories(["saucer"])[0]
    found = project.service.attention(3, new.id)
    assert found == NoAttention("the model has not seen this category yet", again=False)


@pytest.mark.parametrize(("image", "category"), [(99, 1), (1, 99)])
def test_what_does_not_exist_is_not_found(project: Project, image: int, category: int) -> None:
    with pytest.raises(NotFound):
        project.service.attention(image, category)


# -- the folder


def test_what_was_not_looked_at_for_longest_is_forgotten(tmp_path: Path) -> None:
    folder = AttentionFolder(tmp_path / "maps", most=3)
    for number, image in enumerate((1, 2, 3)):
        folder.put(1, image, 1, MAP)
        os.utime(tmp_path / "maps" / f"1-{image}-1.json", (number, number))
    assert folder.get(1, 1, 1) is not None  # looked at
    folder.put(1, 4, 1, MAP)
    assert [image for image in range(1, 5) if folder.get(1, image, 1)] == [1, 3, 4]


def test_maps_of_other_versions_are_removed(tmp_path: Path) -> None:
    folder = AttentionFolder(tmp_path / "maps")
    for version in (1, 2, 12):
        folder.put(version, 1, 1, MAP)
    folder.keep_versions([2])
    assert [v for v in (1, 2, 12) if folder.get(v, 1, 1)] == [2]


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"rows": 2}', "\x00\x01"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: str) -> None:
    folder = AttentionFolder(tmp_path)
    (tmp_path / "1-1-1.json").write_text(content)
    assert folder.get(1, 1, 1) is None


def test_a_folder_that_was_never_made_is_empty(tmp_path: Path) -> None:
    folder = AttentionFolder(tmp_path / "none")
    folder.keep_versions([1])
    assert folder.get(1, 1, 1) is None
