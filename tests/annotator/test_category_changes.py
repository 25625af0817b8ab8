"""Renaming, merging, removing and moving categories, and taking each of them back."""

from __future__ import annotations

import pytest
from label_project import NAMES, Project
from sqlalchemy import insert, select

from annotator.category_changes import MergePreview, OnConflict, RemovalPreview
from annotator.db import schema as t
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.types import CellBatch, UndoResult


def names(project: Project) -> list[str]:
    return [category.name for category in project.service.categories()]


def take_back(project: Project, event_id: int, user: int = 0) -> UndoResult:
    key = f"back-{next(project.keys)}"
    return project.service.undo(user or project.ana, key=key, event_id=event_id)


def merge(project: Project, going: int, staying: int, on_conflict: OnConflict = "keep") -> int:
    change = project.service.category_changes.merge(
        project.ana, going, staying, on_conflict=on_conflict, key=f"merge-{next(project.keys)}"
    )
    return change.event_id


def remove(project: Project, category: int) -> int:
    change = project.service.category_changes.remove(
        project.ana, category, key=f"remove-{next(project.keys)}"
    )
    return change.event_id


# Pictures 1 to 5: carried, equal, present against absent, absent against present, only in 2.
OVERLAP = ((1, 1, 1), (2, 1, -1), (2, 2, -1), (3, 1, 1), (3, 2, -1), (4, 1, -1), (4, 2, 1))


def test_a_merge_is_previewed_in_cells(any_project: Project) -> None:
    project = any_project
    project.decide(project.ana, *OVERLAP, (5, 2, 1))
    preview = project.service.category_changes.preview_merge(1, 2)
    assert preview == MergePreview(carried=1, equal=1, present_absent=1, absent_present=1)
    assert preview.different == 2


@pytest.mark.parametrize(
    ("on_conflict", "third", "fourth"),
    [("present", 1, 1), ("absent", -1, -1), ("keep", -1, 1), ("unknown", None, None)],
)
def test_a_merge_carries_cells_and_answers_conflicts(
    project: Project, on_conflict: OnConflict, third: int | None, fourth: int | None
) -> None:
    project.decide(project.ana, *OVERLAP, (5, 2, 1))
    merge(project, 1, 2, on_conflict)
    states = project.states()
    assert {category for _, category in states} == {2}
    found = {image: states.get((image, 2)) for image in range(1, 6)}
    assert found == {1: 1, 2: -1, 3: third, 4: fourth, 5: 1}
    assert names(project) == list(NAMES[1:])


@pytest.mark.parametrize("on_conflict", ["present", "absent", "keep", "unknown"])
def test_a_merge_taken_back_restores_every_row(
    any_project: Project, on_conflict: OnConflict
) -> None:
    project = any_project
    project.add_version()
    project.decide(project.ana, *OVERLAP)
    project.decide(project.bo, (5, 2, 1))
    before, listed = project.table(), project.service.categories()
    event = merge(project, 1, 2, on_conflict)
    project.check()
    take_back(project, event, project.bo)
    assert project.table() == before
    assert project.service.categories() == listed


def test_a_carried_cell_names_who_merged(project: Project) -> None:
    project.decide(project.bo, (1, 1, 1))
    merge(project, 1, 2)
    (cell,) = project.service.image_state(1).known
    assert (cell.category_id, cell.user, cell.source) == (2, "ana", "merge")


def test_removing_is_previewed_and_taken_back_with_provenance(any_project: Project) -> None:
    project = any_project
    project.decide(project.bo, (1, 3, 1), (2, 3, -1), (2, 1, 1))
    changes = project.service.category_changes
    assert changes.preview_removal(3) == RemovalPreview(present=1, absent=1, suggestions=0)
    before, listed = project.table(), project.service.categories()
    event = remove(project, 3)
    assert project.states() == {(2, 1): 1}
    assert names(project) == [NAMES[0], NAMES[1], NAMES[3]]
    project.check()
    undone = take_back(project, event)
    assert undone.cells == 2
    assert project.table() == before
    assert project.service.categories() == listed


def test_suggestions_of_a_removed_category_go_and_the_rest_is_suggested_on(
    project: Project,
) -> None:
    project.decide(project.ana, (1, 1, 1), (1, 2, -1), (2, 1, -1), (2, 2, 1))
    project.add_version()
    state = project.service.image_state(3)
    project.service.next_images(project.ana, "unlabelled", count=3)
    assert {s.category_id for s in state.suggestions} == {1, 2, 3, 4}
    remove(project, 2)
    state = project.service.image_state(3)
    assert {s.category_id for s in state.suggestions} == {1, 3, 4}
    assert {s.category_id for s in project.service.suggestion_history(3)} == {1, 3, 4}
    assert project.service.evidence(3, 1).terms == ()
    project.decide(project.ana, (3, 1, 1))


def test_an_id_is_never_given_twice(any_project: Project) -> None:
    project = any_project
    event = remove(project, 4)
    (new,) = project.service.add_categories(["new"])
    assert new.id == 5
    take_back(project, event)
    (newer,) = project.service.add_categories(["newer"])
    assert newer.id == 6


def test_renaming_keeps_the_cells_and_is_taken_back(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    table = project.table()
    change = project.service.category_changes.rename(project.ana, 1, " mug ", key="rename-it")
    assert names(project)[0] == "mug"
    assert project.table() == table
    take_back(project, change.event_id)
    assert names(project)[0] == "cup"


def test_a_name_that_looks_like_another_is_refused_but_ones_own_spelling_is_not(
    project: Project,
) -> None:
    rename = project.service.category_changes.rename
    with pytest.raises(Conflict, match="looks the same as 'CUP'"):
        rename(project.ana, 2, "CUP", key="rename-2")
    rename(project.ana, 1, "Cup", key="rename-1")
    assert names(project)[0] == "Cup"


@pytest.mark.parametrize("going", ["removed", "merged", "renamed"])
def test_taking_back_is_refused_while_the_name_is_taken(project: Project, going: str) -> None:
    project.decide(project.ana, (1, 1, 1))
    if going == "renamed":
        rename = project.service.category_changes.rename
        event = rename(project.ana, 1, "mug", key="rename-it").event_id
    else:
        event = remove(project, 1) if going == "removed" else merge(project, 1, 2)
    (new,) = project.service.add_categories(["CUP"])
    before = project.table()
    with pytest.raises(Conflict, match=r"'CUP' already.*rename that one first"):
        take_back(project, event)
    assert project.table() == before
    project.service.category_changes.rename(project.bo, new.id, "goblet", key="out-of-the-way")
    take_back(project, event)
    assert "cup" in names(project)


def test_a_cell_decided_since_a_merge_stays(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1), (2, 1, 1))
    event = merge(project, 1, 2)
    project.decide(project.bo, (1, 2, -1))
    undone = take_back(project, event)
    assert [(c.image_id, c.category_id, c.user) for c in undone.left] == [(1, 2, "bo")]
    assert project.states() == {(1, 1): 1, (2, 1): 1, (1, 2): -1}


def test_taking_a_label_back_does_not_touch_a_category_that_is_gone(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.ana, (1, 1, 0))
    event = remove(project, 1)
    undone = project.undo(project.ana)
    assert (undone.cells, undone.left_count) == (0, 1)
    take_back(project, event)
    assert project.states() == {}


def test_a_label_taken_back_meanwhile_does_not_come_back(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.bo, (1, 1, -1))
    event = remove(project, 1)
    project.undo(project.bo)
    take_back(project, event)
    assert project.states() == {(1, 1): 1}


def test_the_undo_key_never_takes_a_category_change_back(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    remove(project, 3)
    merge(project, 1, 2)
    project.undo(project.ana)
    assert names(project) == [NAMES[1], NAMES[3]]
    with pytest.raises(NotFound, match="nothing left"):
        project.undo(project.ana)


def test_an_event_is_taken_back_once(project: Project) -> None:
    event = remove(project, 1)
    undone = take_back(project, event)
    with pytest.raises(Conflict, match="already"):
        take_back(project, event)
    with pytest.raises(Conflict, match="'undo' cannot"):
        take_back(project, undone.event_id)
    with pytest.raises(NotFound):
        take_back(project, 99)


def test_moving_renumbers_and_is_taken_back(project: Project) -> None:
    move = project.service.category_changes.move
    change = move(project.ana, 4, 1, key="to-the-top")
    assert [c.id for c in change.categories] == [4, 1, 2, 3]
    move(project.ana, 4, 10**30, key="to-the-end")
    assert [c.id for c in project.service.categories()] == [1, 2, 3, 4]
    with pytest.raises(InvalidInput, match="1 is the top"):
        move(project.ana, 4, 0, key="nowhere")
    take_back(project, change.event_id)  # moved again since, so nothing is left of it to take back
    assert [c.id for c in project.service.categories()] == [1, 2, 3, 4]


def test_added_categories_are_taken_back_until_something_is_decided(project: Project) -> None:
    project.service.add_categories(["one", "two"], project.ana)
    event = project.service.events()[0].id
    project.decide(project.bo, (1, 5, 1))
    with pytest.raises(Conflict, match="1 cells of 'one' were decided"):
        take_back(project, event)
    project.undo(project.bo)
    take_back(project, event)
    assert names(project) == list(NAMES)


def test_the_same_request_is_carried_out_once(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    changes = project.service.category_changes
    first = changes.merge(project.ana, 1, 2, on_conflict="keep", key="the-key")
    again = changes.merge(project.ana, 1, 2, on_conflict="keep", key="the-key")
    assert (again.repeated, again.event_id) == (True, first.event_id)
    with pytest.raises(Conflict, match="another request"):
        changes.merge(project.ana, 1, 3, on_conflict="keep", key="the-key")


def test_what_is_wrong_is_said(project: Project) -> None:
    changes = project.service.category_changes
    with pytest.raises(InvalidInput, match="into itself"):
        changes.preview_merge(1, 1)
    with pytest.raises(NotFound, match="category 9"):
        changes.preview_removal(9)
    with pytest.raises(InvalidInput, match="on_conflict must be one of"):
        changes.merge(project.ana, 1, 2, on_conflict="guess", key="k")  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="user 9"):
        changes.remove(9, 1, key="k")


def test_contracts_and_audits_of_a_removed_category_come_back_with_it(
    any_project: Project,
) -> None:
    project = any_project
    with project.service.database.writing() as connection:
        contract = {
            "kind": "absent", "category_id": 1, "target": 0.99, "confidence": 0.95,
            "status": "proposed", "created_at": project.clock(), "config": {"a": 1},
        }  # fmt: skip
        connection.execute(insert(t.contract).values(**contract))
        audit = {
            "contract_id": 1, "stream": "proposal", "place": 1, "image_id": 1, "category_id": 1,
            "score": 0.1, "drawn_at": project.clock(),
        }  # fmt: skip
        connection.execute(insert(t.audit).values(**audit))

    def rows() -> list[object]:
        with project.service.database.reading() as connection:
            return [connection.execute(select(table)).all() for table in (t.contract, t.audit)]

    before = rows()
    event = remove(project, 1)
    assert rows() == [[], []]
    take_back(project, event)
    assert rows() == before


def test_a_merge_of_many_cells_is_one_event(project: Project) -> None:
    cells = [(image, 1, 1 if image % 2 else -1) for image in range(1, 7)]
    project.service.import_decisions([CellBatch.of(cells)], user_id=project.bo)
    before = project.table()
    event = merge(project, 1, 2)
    newest = project.service.events()[0]
    assert (newest.id, newest.kind, newest.source) == (event, "category", "merge")
    assert (newest.cell_count, newest.summary["added"], newest.summary["removed"]) == (12, 6, 6)
    take_back(project, event)
    assert project.table() == before
