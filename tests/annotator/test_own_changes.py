"""A person's changes: which is the newest, which has a key, and what each was in words."""

from __future__ import annotations

import pytest
from label_project import NAMES, Project

from annotator.errors import NotFound

CUP, TABLE, HOSTILE, COW = NAMES


def text(project: Project, user: int) -> str:
    newest = project.service.own_changes.newest(user)
    assert newest is not None
    return newest.text


def test_a_change_is_told_by_names_and_where_it_was_made(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    newest = project.service.own_changes.newest(project.ana)
    assert newest is not None
    with project.service.export() as export:
        (name,) = [i.image.file_name for i in export.images() if i.image.id == 1]
    assert (newest.source, newest.text) == ("focus", f"{CUP} present in {name}")
    assert newest.at == project.clock.now


def test_cells_of_one_picture_are_told_by_state(project: Project) -> None:
    project.decide(project.ana, (1, 1, -1), (1, 2, 1), (1, 3, -1))
    assert text(project, project.ana).startswith(f"{TABLE} present, {CUP}, {HOSTILE} absent in ")
    project.decide(project.ana, (1, 2, 0))
    assert text(project, project.ana).startswith(f"{TABLE} unknown in ")


def test_cells_of_one_category_are_counted_others_as_cells(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1), (2, 1, -1), (3, 1, 1))
    assert text(project, project.ana) == f"{CUP}: 2 present, 1 absent"
    project.decide(project.ana, (1, 2, 1), (2, 4, 1))
    assert text(project, project.ana) == "2 cells in 2 pictures"


def test_the_newest_is_what_undo_would_take_back(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.ana, (2, 1, 1))
    project.decide(project.bo, (3, 1, 1))
    newest = project.service.own_changes.newest(project.ana)
    assert newest is not None
    assert newest.event_id == project.undo(project.ana).undone_event_id
    project.undo(project.ana)
    assert project.service.own_changes.newest(project.ana) is None


def test_a_key_names_the_change_of_its_maker_alone(project: Project) -> None:
    made = project.decide(project.ana, (1, 1, 1), key="the-key-of-ana")
    changes = project.service.own_changes
    assert changes.event_of(project.ana, "the-key-of-ana") == made.event_id
    with pytest.raises(NotFound, match="not known here"):
        changes.event_of(project.bo, "the-key-of-ana")
    with pytest.raises(NotFound, match="not known here"):
        changes.event_of(project.ana, "another-key")
