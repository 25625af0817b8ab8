"""People, categories, pictures, decisions and their answers, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from label_project import NAMES, Project, scanned
from sqlalchemy import Connection

from annotator.db import model_work, offers, store
from annotator.db.cells import CELL
from annotator.db.engine import Database
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.images import UnreadableImage
from annotator.service import AnnotationService, CellChange
from annotator.types import ImageState
from benchmarks.made_scores import MadeScores

# ---------------------------------------------------------------------------------- people


def test_the_same_name_is_the_same_person(project: Project) -> None:
    assert project.service.ensure_user(" ana ").id == project.ana
    assert [user.name for user in project.service.users()] == ["ana", "bo"]


def test_settings_of_a_person_are_kept(project: Project) -> None:
    user = project.service.set_user_settings(project.ana, {"keys": {"present": "p"}})
    assert project.service.user(project.ana).settings == user.settings == {"keys": {"present": "p"}}


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE decision; --",
    "${process.exit()} {{7*7}}",
    "🐄👩‍👩‍👧",
    "שלום עולם",
    "naïve",
    "a" * 200,
    "%s %(x)s :name ?",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_text(any_project: Project, name: str) -> None:
    service = any_project.service
    assert service.ensure_user(name).name == name
    added = [c for c in service.add_categories([name]) if c.name == name]
    state = any_project.decide(any_project.ana, (1, added[0].id, 1)).images[0]
    assert state.known[0].name == name


REFUSED = {
    "empty": "",
    "spaces": "  \t ",
    "too long": "x" * 10_000,
    "null": "a\0b",
    "line break": "a\nb",
    "escape": "a\x1b[31mb",
    "turned around": "a\u202eb",
    "half a character": "a\ud800",
}


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_a_name_that_cannot_be_shown_is_refused(project: Project, name: str) -> None:
    for add in (project.service.ensure_user, lambda name: project.service.add_categories([name])):
        with pytest.raises(InvalidInput, match=r"name .*\(.+\)$") as caught:
            add(name)
        assert len(str(caught.value)) < 300
    assert len(project.service.categories()) == len(NAMES)


# ----------------------------------------------------------------------------- categories


def test_categories_keep_their_order_and_get_ids_from_one(any_project: Project) -> None:
    assert [(c.id, c.position) for c in any_project.service.categories()] == [
        (1, 1), (2, 2), (3, 3), (4, 4)
    ]  # fmt: skip
    assert tuple(c.name for c in any_project.service.categories()) == NAMES


def test_adding_a_category_again_gives_the_one_that_is_there(project: Project) -> None:
    again = project.service.add_categories([" dining table ", "fork", "cup", "fork"])
    assert [c.name for c in again] == ["dining table", "fork", "cup"]
    assert [c.id for c in again] == [2, 5, 1]


@pytest.mark.parametrize("names", [["CUP"], ["ｃｕｐ"], ["Fork", "fork"], ["STRASSE", "straße"]])
def test_categories_that_look_alike_are_refused(project: Project, names: list[str]) -> None:
    with pytest.raises(Conflict, match="case or typography only"):
        project.service.add_categories(names)
    assert len(project.service.categories()) == len(NAMES)


def test_a_new_category_is_unknown_everywhere(project: Project) -> None:
    project.decide(project.ana, *((1, c, 1) for c in (1, 2, 3, 4)))
    project.service.add_categories(["fork"])
    assert project.service.image_state(1).cells_total == 5
    assert project.service.status().images_open == 6


# -------------------------------------------------------------------------------- pictures


def test_adding_pictures_again_adds_nothing(any_project: Project, tmp_path: Path) -> None:
    folder = any_project.workspace.path / "pictures"
    report = any_project.service.add_images(scanned(range(1, 9), folder))
    assert (report.added, report.known, report.moved) == (2, 6, 0)
    assert any_project.service.status().images == 8


def test_unreadable_pictures_are_reported_and_skipped(project: Project, tmp_path: Path) -> None:
    bad = UnreadableImage(tmp_path / "bad.jpg", "bad.jpg", "the file is truncated")
    report = project.service.add_images([bad, *scanned([9], tmp_path)])
    assert report.added == 1
    assert report.unreadable == (("bad.jpg", "the file is truncated"),)


def test_a_moved_picture_keeps_its_decisions(project: Project, tmp_path: Path) -> None:
    project.decide(project.ana, (1, 1, 1))
    moved = [replace(scanned([1], tmp_path)[0], file_name="new/name.jpg")]
    assert project.service.add_images(moved).moved == 1
    image = project.service.image(1)
    assert (image.file_name, image.path) == ("new/name.jpg", str(tmp_path / "1.jpg"))
    assert project.states() == {(1, 1): 1}


def test_a_copy_of_a_picture_is_named_and_not_added(project: Project, tmp_path: Path) -> None:
    first = tmp_path / "8.jpg"
    first.write_bytes(b"picture")
    project.service.add_images(scanned([8], tmp_path))
    copy = [replace(scanned([8], tmp_path / "other")[0], file_name="copy.jpg")]
    report = project.service.add_images(copy)
    assert (report.added, report.moved, report.duplicates) == (0, 0, (("copy.jpg", "8.jpg"),))


def test_two_copies_in_one_scan_are_one_picture(project: Project, tmp_path: Path) -> None:
    one, other = scanned([8], tmp_path)[0], scanned([8], tmp_path / "b")[0]
    report = project.service.add_images([one, replace(other, file_name="b/8.jpg")])
    assert (report.added, report.duplicates) == (1, (("b/8.jpg", "8.jpg"),))


def test_pictures_inside_the_workspace_have_relative_paths(project: Project) -> None:
    image = project.service.image(1)
    assert image.path == "pictures/1.jpg"
    assert project.service.image_by_hash(image.sha256) == image
    assert project.service.image_names()[0] == (1, "1.jpg", "pictures/1.jpg")


# -------------------------------------------------------------------------------- decisions


def test_a_decision_is_answered_with_the_state_of_the_picture(any_project: Project) -> None:
    result = any_project.decide(any_project.ana, (1, 2, 1), (1, 1, -1))
    state = result.images[0]
    assert [(c.name, c.state, c.user, c.source) for c in state.known] == [
        ("cup", -1, "ana", "focus"),
        ("dining table", 1, "ana", "focus"),
    ]
    assert state.known[0].at == any_project.clock.now
    assert (state.cells_known, state.cells_total, state.revision) == (2, 4, 1)
    assert result.revisions == {1: 1}
    assert any_project.service.image_state(1) == state


def test_making_unknown_removes_the_row(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1), (1, 2, 1))
    state = any_project.decide(any_project.bo, (1, 1, 0)).images[0]
    assert [c.category_id for c in state.known] == [2]
    assert any_project.states() == {(1, 2): 1}


def test_making_an_unknown_cell_unknown_changes_nothing(project: Project) -> None:
    result = project.decide(project.ana, (1, 1, 0))
    assert result.revisions == {1: 0}
    assert project.service.events()[0].cell_count == 0


def test_deciding_the_same_again_makes_it_mine(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    state = project.decide(project.bo, (1, 1, 1)).images[0]
    assert [(c.state, c.user) for c in state.known] == [(1, "bo")]


def test_each_change_of_a_picture_raises_its_revision(project: Project) -> None:
    assert project.decide(project.ana, (1, 1, 1), (2, 1, 1)).revisions == {1: 1, 2: 1}
    assert project.decide(project.ana, (1, 2, 1)).revisions == {1: 2}
    assert project.undo(project.ana).revisions == {1: 3}
    assert project.service.image_state(2).revision == 1


def test_a_page_of_pictures_is_answered_with_revisions_only(project: Project) -> None:
    project.service.add_images(scanned(range(7, 70), project.workspace.path))
    result = project.decide(project.ana, *((i, 1, 1) for i in range(1, 61)))
    assert result.images == ()
    assert result.revisions == dict.fromkeys(range(1, 61), 1)


def test_a_repeated_request_is_carried_out_once(any_project: Project) -> None:
    first = any_project.decide(any_project.ana, (1, 1, 1), key="same")
    any_project.decide(any_project.bo, (1, 1, -1))
    again = any_project.decide(any_project.ana, (1, 1, 1), key="same")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.event_id == first.event_id
    assert again.images[0].known[0].user == "bo"
    assert any_project.states() == {(1, 1): -1}


def test_the_order_of_the_cells_makes_no_other_request(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1), (1, 2, -1), key="same")
    assert project.decide(project.ana, (1, 2, -1), (1, 1, 1), key="same").repeated


def test_a_key_cannot_serve_two_requests(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1), key="same")
    for user, cell in ((any_project.ana, (1, 1, -1)), (any_project.bo, (1, 1, 1))):
        with pytest.raises(Conflict, match="'same' was used for another request"):
            any_project.decide(user, cell, key="same")
    with pytest.raises(Conflict):
        any_project.undo(any_project.ana, key="same")
    assert any_project.states() == {(1, 1): 1}


def test_one_bad_cell_stops_the_whole_request(any_project: Project) -> None:
    for cell, what in (((99, 1, 1), "image 99"), ((1, 99, 1), "category 99")):
        with pytest.raises(NotFound, match=f"there is no {what}"):
            any_project.decide(any_project.ana, (1, 1, 1), cell)
    with pytest.raises(NotFound, match="user 77"):
        any_project.decide(77, (1, 1, 1))
    with pytest.raises(NotFound, match="model version 5"):
        any_project.service.decide(
            any_project.ana, [CellChange(1, 1, 1)], key="k", model_version_id=5
        )
    assert any_project.states() == {}
    assert any_project.service.image_state(1).revision == 0


def test_malformed_requests_are_explained(project: Project) -> None:
    with pytest.raises(InvalidInput, match="got 2"):
        project.decide(project.ana, (1, 1, 2))
    with pytest.raises(InvalidInput, match="two states"):
        project.decide(project.ana, (1, 1, 1), (1, 1, -1))
    with pytest.raises(InvalidInput, match="no cell"):
        project.decide(project.ana)
    for key in ("", "x" * 201, "a\nb"):
        with pytest.raises(InvalidInput, match="key must be"):
            project.service.decide(project.ana, [CellChange(1, 1, 1)], key=key)
    with pytest.raises(InvalidInput, match="source must be"):
        project.service.decide(project.ana, [CellChange(1, 1, 1)], key="k", source="")


def test_naming_a_cell_twice_alike_is_harmless(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1), (1, 1, 1))
    assert project.states() == {(1, 1): 1}


def test_the_log_tells_what_happened(project: Project) -> None:
    project.decide(project.ana, (2, 1, 1), (1, 3, -1))
    event = project.service.events()[0]
    assert (event.kind, event.source, event.user_id) == ("decide", "focus", project.ana)
    assert event.summary == {
        "present": 1, "absent": 1, "unknown": 0, "added": 2, "removed": 0, "images": 2,
        "image_ids": [1, 2], "category_ids": [1, 3],
    }  # fmt: skip
    assert [e.kind for e in project.service.events()] == ["decide", "images", "categories"]
    with project.service.database.reading() as connection:
        cells = next(store.event_cells(connection, event.id))
    assert cells.dtype == CELL
    assert project.service.events(before=event.id)[0].kind == "images"


# ------------------------------------------------------------------- suggestions and evidence


def offered(project: Project, image_id: int) -> dict[int, tuple[int, str]]:
    """Category -> (model version, status) of what was handed out."""
    return {
        s.category_id: (s.model_version_id, s.status)
        for s in project.service.suggestion_history(image_id)
    }


def probability(state: ImageState, category_id: int) -> float:
    return next(s.probability for s in state.suggestions if s.category_id == category_id)


def test_nothing_is_suggested_before_anything_is_known(project: Project) -> None:
    state = project.service.image_state(1)
    assert (state.suggestions, state.model_version_id) == ((), None)


def test_without_a_model_the_commonest_categories_come_first(project: Project) -> None:
    project.decide(project.ana, (2, 3, 1), (3, 3, 1), (2, 1, -1))
    state = project.service.image_state(1)
    assert [s.category_id for s in state.suggestions] == [3, 2, 4, 1]
    assert {s.source for s in state.suggestions} == {"prior"}
    assert project.service.suggestion_history(1) == []


def test_suggestions_follow_the_labels_known_now(any_project: Project) -> None:
    any_project.decide(any_project.ana, (6, 1, 1))
    version = any_project.add_version()
    before = any_project.service.image_state(1)
    after = any_project.decide(any_project.ana, (1, 1, 1)).images[0]
    assert before.model_version_id == after.model_version_id == version
    assert [s.category_id for s in after.suggestions] != [1, 2, 3, 4]
    assert all(s.category_id != 1 for s in after.suggestions)
    assert probability(before, 2) != probability(after, 2)
    assert any_project.service.image_state(1) == after


def test_an_undo_brings_the_same_suggestions_back(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    project.add_version()
    before = project.service.image_state(1)
    project.decide(project.ana, (1, 1, 1))
    assert project.undo(project.ana).images[0].suggestions == before.suggestions


def test_the_score_at_the_time_of_a_decision_is_kept(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    project.add_version()
    expected = probability(project.service.image_state(1), 2)
    known = project.decide(project.ana, (1, 2, 1)).images[0].known[0]
    assert known.score == pytest.approx(expected, abs=1e-6)


def test_a_page_keeps_the_scores_of_the_fit(project: Project) -> None:
    project.service.add_images(scanned(range(7, 70), project.workspace.path))
    project.decide(project.ana, (6, 1, 1))
    scores = MadeScores.random(69, 4)
    project.add_version(scores)
    project.decide(project.ana, *((i, 2, 1) for i in range(1, 61)))
    kept = [project.table()[i, 2][2] for i in range(1, 61)]
    assert kept == pytest.approx(scores.probability[:60, 1].tolist(), abs=1e-3)


def test_a_new_picture_and_a_new_category_fall_back_to_the_prior(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1), (5, 2, -1))
    project.add_version()
    project.service.add_images(scanned([7], project.workspace.path))
    project.service.add_categories(["fork"])
    assert {s.source for s in project.service.image_state(7).suggestions} == {"prior"}
    by_name = {s.name: s.source for s in project.service.image_state(1).suggestions}
    assert by_name["fork"] == "prior"
    assert by_name["cup"] == "classifier"


def test_a_version_whose_scores_are_gone_is_passed_over(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    first = project.add_version()
    with project.service.database.writing() as connection:
        lost = model_work.add_model_version(
            connection, kind="fast", created_at=project.clock(), event_id=1, feature_set="tiny"
        )
        model_work.set_model_version(connection, lost, status=model_work.READY)
    assert project.service.image_state(1).model_version_id == first


def test_an_answer_stays_with_the_version_that_was_shown(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    shown = project.add_version()
    newest = project.add_version()
    cells = [CellChange(1, 1, 1)]
    result = project.service.decide(project.ana, cells, key="k", model_version_id=shown)
    assert result.images[0].model_version_id == shown
    assert project.service.image_state(1).model_version_id == newest
    assert project.service.image_state(1, model_version_id=shown).model_version_id == shown


def test_handed_out_suggestions_are_stored_and_answered(any_project: Project) -> None:
    project = any_project
    project.decide(project.ana, (6, 1, 1))
    version = project.add_version()
    image = project.service.next_images(project.ana, "random").images[0].id
    assert offered(project, image) == dict.fromkeys((1, 2, 3, 4), (version, "offered"))
    project.decide(project.ana, (image, 1, 1), (image, 2, -1))
    assert offered(project, image) == {
        1: (version, "accepted"),
        2: (version, "rejected"),
        3: (version, "offered"),
        4: (version, "offered"),
    }
    project.undo(project.ana)
    assert offered(project, image) == dict.fromkeys((1, 2, 3, 4), (version, "offered"))


def test_a_stored_suggestion_tells_its_reason(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    project.add_version()
    project.decide(project.ana, (1, 1, 1))
    for row in project.service.suggestion_history(1):
        assert row.reasons[0]["text"]
        assert 0 <= row.score <= 1


def test_making_unknown_withdraws_the_answered_suggestion(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    project.add_version()
    project.decide(project.ana, (1, 2, 1))  # its answer offers the rest
    project.decide(project.ana, (1, 1, 1))
    assert offered(project, 1)[1][1] == "accepted"
    project.decide(project.ana, (1, 1, 0))
    assert offered(project, 1)[1][1] == "offered"  # withdrawn, and suggested anew with the answer
    project.undo(project.ana)
    project.undo(project.ana)
    assert offered(project, 1)[1][1] == "offered"


def test_a_decision_is_stored_before_its_answer_is_worked_out(any_project: Project) -> None:
    any_project.add_version()
    cell = CellChange(1, 2, 1)
    decided = any_project.service.decided(any_project.ana, [cell], key="one")
    assert [(c.category_id, c.state) for c in any_project.service.image_state(1).known] == [(2, 1)]
    assert offered(any_project, 1) == {}
    result = decided.result()
    assert result.images == (any_project.service.image_state(1),)
    assert offered(any_project, 1).keys() == {s.category_id for s in result.images[0].suggestions}
    taken_back = any_project.service.taken_back(any_project.ana, key="back")
    assert any_project.service.image_state(1).known == ()
    assert taken_back.result().images == (any_project.service.image_state(1),)


class Busy:
    """A database that can be read but in which another program writes for long."""

    def __init__(self, database: Database) -> None:
        self.reading = database.reading

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        raise Conflict("another program has been writing")
        yield


def test_what_is_stored_is_told_also_where_its_suggestions_cannot_be_noted(
    project: Project,
) -> None:
    project.add_version()
    decided = project.service.decided(project.ana, [CellChange(1, 2, 1)], key="one")
    busy = cast("Database", Busy(decided.database))
    assert replace(decided, database=busy).result() == decided.result()
    back = project.service.taken_back(project.ana, key="back")
    busy_back = replace(back, undoing=replace(back.undoing, database=busy))
    assert busy_back.result() == back.result()


def test_suggestions_told_again_are_noted_if_they_were_not(project: Project) -> None:
    """An answer that broke off is asked for with the same key."""
    project.add_version()
    cells = [CellChange(1, 2, 1)]
    project.service.decided(project.ana, cells, key="one")
    assert offered(project, 1) == {}
    told = project.service.decided(project.ana, cells, key="one").result()
    assert told.repeated
    assert offered(project, 1).keys() == {s.category_id for s in told.images[0].suggestions}


def test_an_answer_that_comes_late_withdraws_nothing_newer(project: Project) -> None:
    version = project.add_version()
    late = project.service.decided(project.ana, [CellChange(1, 1, 1)], key="late")
    project.decide(project.bo, (1, 2, -1))
    before = offered(project, 1)
    late.result()
    assert offered(project, 1) == before
    assert {before[3], before[4]} == {(version, "offered")}


def test_a_newer_version_withdraws_what_the_older_one_offered(project: Project) -> None:
    project.decide(project.ana, (6, 1, 1))
    old = project.add_version()
    project.decide(project.ana, (1, 1, 1))
    new = project.add_version()
    project.decide(project.ana, (1, 2, 1))
    history = project.service.suggestion_history(1)
    status = {(s.category_id, s.model_version_id): s.status for s in history}
    assert status == {
        (2, old): "accepted",
        (3, old): "withdrawn",
        (4, old): "withdrawn",
        (3, new): "offered",
        (4, new): "offered",
    }


def test_an_import_withdraws_open_suggestions_and_its_undo_opens_them(project: Project) -> None:
    from annotator.types import CellBatch

    project.decide(project.ana, (6, 1, 1))
    project.add_version()
    project.decide(project.ana, (1, 1, 1))
    project.service.import_decisions([CellBatch.of([(1, 2, 1)])], user_id=project.ana)
    assert offered(project, 1)[2][1] == offers.WITHDRAWN
    project.undo(project.ana)
    assert offered(project, 1)[2][1] == offers.OFFERED


def test_the_number_of_suggestions_is_limited(project: Project) -> None:
    project.service.add_categories([f"more {i}" for i in range(40)])
    project.decide(project.ana, (6, 1, 1))
    assert len(project.service.image_state(1).suggestions) == 24
    assert len(project.service.image_state(1, limit=100).suggestions) == 44


def test_evidence_names_the_known_labels_and_near_pictures(any_project: Project) -> None:
    project = any_project
    project.decide(project.ana, (2, 2, 1), (6, 1, 1))
    project.add_version()
    project.decide(project.ana, (1, 1, 1))
    evidence = project.service.evidence(1, 2)
    assert [(term.name, term.state) for term in evidence.terms] == [("cup", 1)]
    assert [(n.image_id, n.state) for n in evidence.neighbours] == [(2, 1)]
    assert evidence.probability == pytest.approx(probability(project.service.image_state(1), 2))
    assert evidence.waiting is None


def test_evidence_before_the_first_model_says_what_it_waits_for(project: Project) -> None:
    evidence = project.service.evidence(1, 2)
    assert evidence.waiting == "the model has not been trained yet"
    assert 0 < evidence.probability < 1


def test_asking_for_what_is_not_there_is_explained(project: Project) -> None:
    service = project.service
    for ask in (
        lambda: service.image_state(99),
        lambda: service.image(99),
        lambda: service.image_by_hash("0"),
        lambda: service.evidence(99, 1),
        lambda: service.evidence(1, 99),
        lambda: service.user(99),
    ):
        with pytest.raises(NotFound, match=r"there is no (image|category|user)"):
            ask()


# --------------------------------------------------------------------------------- project


def test_status_counts_cells_and_pictures(any_project: Project) -> None:
    any_project.decide(any_project.ana, *((1, c, 1) for c in (1, 2, 3, 4)))
    any_project.decide(any_project.ana, (2, 1, -1))
    status = any_project.service.status()
    assert (status.images, status.categories, status.users, status.cells) == (6, 4, 2, 24)
    assert (status.known, status.present, status.absent) == (5, 4, 1)
    assert (status.images_open, status.images_untouched) == (5, 4)
    assert (status.model_version, status.job, status.worker_alive) == (None, None, False)


def test_an_empty_project_has_a_status(tmp_path: Path) -> None:
    from annotator.settings import Workspace

    with AnnotationService.create(Workspace.create(tmp_path / "w")) as service:
        status = service.status()
        assert (status.images, status.cells, status.images_open) == (0, 0, 0)
        assert service.labels().states.shape == (0, 0)
        assert service.categories() == []


def test_the_worker_is_alive_while_its_heart_beats(project: Project) -> None:
    with project.service.database.writing() as connection:
        model_work.add_job(
            connection,
            kind="worker",
            status="running",
            config={},
            pid=4711,
            heartbeat=project.clock(),
            created_at=project.clock(),
        )
    assert project.service.status().worker_alive
    project.clock.forward(minutes=1)
    assert not project.service.status().worker_alive
    project.service.worker_died(4711, "out of memory")
    job = project.service.jobs()[0]
    assert (job.status, job.reason) == ("failed", "out of memory")


def test_a_job_that_waits_is_not_asked_for_twice(project: Project) -> None:
    first = project.service.request_job("train", {"full": True})
    assert project.service.request_job("train", {"full": True}).id == first.id
    assert project.service.request_job("train").id != first.id
    assert [job.status for job in project.service.jobs(kind="train")] == ["waiting", "waiting"]


def test_labels_are_a_matrix_of_what_is_known(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 2, 1), (6, 4, -1))
    labels = any_project.service.labels()
    assert labels.image_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert labels.category_ids.tolist() == [1, 2, 3, 4]
    assert labels.states[0].tolist() == [0, 1, 0, 0]
    assert labels.states[5].tolist() == [0, 0, 0, -1]
    assert labels.sha256[0] == f"{1:064x}"
    assert labels.event_id == any_project.service.events()[0].id


def test_the_service_runs_without_torch() -> None:
    script = "import sys, annotator.service; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
