"""Undo: exact, step by step, a batch as one, and never over somebody else's work."""

from __future__ import annotations

import pytest
from label_project import Project, scanned

from annotator.errors import NotFound
from annotator.types import CellBatch, LeftCell


def test_undo_gives_the_former_row_back_with_its_provenance(any_project: Project) -> None:
    any_project.decide(any_project.bo, (1, 1, -1))
    before = any_project.table(), any_project.service.image_state(1).known
    any_project.clock.forward(hours=1)
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.undo(any_project.ana)
    assert (any_project.table(), any_project.service.image_state(1).known) == before


def test_undo_of_a_first_decision_makes_unknown_again(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    result = any_project.undo(any_project.ana)
    assert any_project.table() == {}
    assert result.images[0].known == ()
    assert (result.cells, result.left, result.summary["image_ids"]) == (1, (), [1])


def test_undo_of_making_unknown_brings_the_label_back(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    before = any_project.table()
    any_project.decide(any_project.ana, (1, 1, 0))
    any_project.undo(any_project.ana)
    assert any_project.table() == before


def test_repeated_undo_walks_back_across_pictures(any_project: Project) -> None:
    tables = [any_project.table()]
    for image in (1, 2, 3):
        any_project.decide(any_project.ana, (image, 1, 1), (image, 2, -1))
        tables.append(any_project.table())
    for image in (3, 2, 1):
        assert any_project.table() == tables.pop()
        assert [state.id for state in any_project.undo(any_project.ana).images] == [image]
    assert any_project.table() == tables.pop() == {}
    with pytest.raises(NotFound, match="nothing left to undo"):
        any_project.undo(any_project.ana)


def test_deciding_after_an_undo_can_be_undone_as_well(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.ana, (2, 1, 1))
    project.undo(project.ana)
    project.decide(project.ana, (3, 1, 1))
    project.undo(project.ana)
    assert project.states() == {(1, 1): 1}
    project.undo(project.ana)
    assert project.states() == {}


def test_a_batch_is_undone_as_one(any_project: Project) -> None:
    any_project.service.add_images(scanned(range(7, 70), any_project.workspace.path))
    any_project.decide(any_project.ana, (1, 1, -1))
    any_project.decide(any_project.ana, *((i, 1, 1) for i in range(1, 61)))
    result = any_project.undo(any_project.ana)
    assert any_project.states() == {(1, 1): -1}
    assert (result.cells, result.images) == (60, ())
    assert set(result.revisions) == set(range(1, 61))


def test_only_my_own_events_are_undone(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.decide(any_project.bo, (2, 2, 1))
    any_project.undo(any_project.ana)
    assert any_project.states() == {(2, 2): 1}


def test_what_somebody_changed_since_is_left_and_reported(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1), (1, 2, 1))
    any_project.decide(any_project.bo, (1, 1, -1))
    result = any_project.undo(any_project.ana)
    assert any_project.states() == {(1, 1): -1}
    assert (result.cells, result.left_count) == (1, 1)
    assert result.left == (LeftCell(1, 1, -1, "bo"),)


def test_what_somebody_confirmed_since_is_left(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.bo, (1, 1, 1))
    assert project.undo(project.ana).left == (LeftCell(1, 1, 1, "bo"),)
    assert project.states() == {(1, 1): 1}


def test_what_somebody_made_unknown_since_is_left(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    project.decide(project.bo, (1, 1, 0))
    assert project.undo(project.ana).left == (LeftCell(1, 1, 0, None),)
    assert project.states() == {}


def test_an_unknown_of_somebody_else_is_not_taken_for_mine(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.decide(any_project.ana, (1, 1, 0))
    any_project.decide(any_project.bo, (1, 1, -1))
    any_project.decide(any_project.bo, (1, 1, 0))
    assert any_project.undo(any_project.ana).left == (LeftCell(1, 1, 0, "bo"),)
    assert any_project.states() == {}


def test_a_decision_taken_back_never_returns(any_project: Project) -> None:
    any_project.decide(any_project.bo, (1, 1, -1))
    first = any_project.table()
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.decide(any_project.bo, (1, 1, -1))
    assert any_project.undo(any_project.ana).left_count == 1  # bo's is in the way
    any_project.undo(any_project.bo)  # would bring ana's back, which ana has taken back
    assert any_project.table() == first


def test_a_repeated_undo_request_undoes_once(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.decide(any_project.ana, (1, 2, 1))
    first = any_project.undo(any_project.ana, key="same")
    again = any_project.undo(any_project.ana, key="same")
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.event_id, again.undone_event_id) == (first.event_id, first.undone_event_id)
    assert again.summary == first.summary
    assert any_project.states() == {(1, 1): 1}


def test_the_answer_tells_what_was_undone(project: Project) -> None:
    decided = project.decide(project.ana, (1, 1, 1), (1, 2, 0))
    result = project.undo(project.ana)
    assert result.undone_event_id == decided.event_id
    assert result.summary["kind"] == "decide"
    assert result.summary["source"] == "focus"
    assert result.summary["at"] == project.clock.now.isoformat()
    assert (result.summary["present"], result.summary["category_ids"]) == (1, [1])


def test_an_import_is_undone_as_one(any_project: Project) -> None:
    any_project.decide(any_project.bo, (1, 1, -1), (1, 2, -1))
    before = any_project.table()
    batch = CellBatch.of([(i, c, 1) for i in range(1, 7) for c in range(1, 5)])
    any_project.service.import_decisions([batch], user_id=any_project.ana, conflict="overwrite")
    assert set(any_project.states().values()) == {1}
    result = any_project.undo(any_project.ana)
    assert any_project.table() == before
    assert (result.summary["kind"], result.cells) == ("import", 24)


def test_undo_of_an_import_leaves_later_work_of_others(project: Project) -> None:
    batch = CellBatch.of([(i, c, 1) for i in range(1, 7) for c in range(1, 5)])
    project.service.import_decisions([batch], user_id=project.ana)
    project.decide(project.bo, (3, 3, -1))
    result = project.undo(project.ana)
    assert project.states() == {(3, 3): -1}
    assert result.left == (LeftCell(3, 3, -1, "bo"),)


def test_a_thousand_left_cells_are_counted_and_a_hundred_named(project: Project) -> None:
    project.service.add_images(scanned(range(7, 301), project.workspace.path))
    cells = [(i, c, 1) for i in range(1, 301) for c in range(1, 5)]
    project.service.import_decisions([CellBatch.of(cells)], user_id=project.ana)
    again = [(i, c, -1) for i, c, _ in cells]
    project.service.import_decisions(
        [CellBatch.of(again)], user_id=project.bo, conflict="overwrite"
    )
    result = project.undo(project.ana)
    assert (result.cells, result.left_count, len(result.left)) == (0, 1200, 100)
    project.undo(project.bo)
    assert project.states() == {}  # not back to what ana had taken back
