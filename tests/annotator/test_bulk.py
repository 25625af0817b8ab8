"""Import and export of many decisions: one event, stated conflicts, exact counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_project import Project, scanned

from annotator.db import bulk, store
from annotator.db.cells import CELL, Cells
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.types import CellBatch
from annotator.web.data_words import describe

ALL = [(i, c, 1 if (i + c) % 3 else -1) for i in range(1, 7) for c in range(1, 5)]


def test_an_import_is_one_event(any_project: Project) -> None:
    report = any_project.service.import_decisions(
        [CellBatch.of(ALL[:10]), CellBatch.of(ALL[10:])], user_id=any_project.ana
    )
    assert (report.added, report.images, report.repeated) == (24, 6, False)
    assert any_project.states() == {(i, c): s for i, c, s in ALL}
    assert {event for _, event, _ in any_project.table().values()} == {report.event_id}
    assert any_project.service.image_state(1).known[0].source == "import"


@pytest.mark.parametrize(("conflict", "expected"), [("keep", 1), ("overwrite", -1)])
def test_conflicts_are_handled_as_asked_and_counted(
    any_project: Project, conflict: str, expected: int
) -> None:
    any_project.decide(any_project.ana, (1, 1, 1), (1, 2, -1))
    mine = any_project.table()[1, 2]
    report = any_project.service.import_decisions(
        [CellBatch.of([(1, 1, -1), (1, 2, -1), (1, 3, 1)])],
        conflict=conflict,  # type: ignore[arg-type]
    )
    assert (report.added, report.confirmed) == (1, 1)
    assert (report.kept, report.overwritten) == ((1, 0) if expected == 1 else (0, 1))
    assert any_project.states() == {(1, 1): expected, (1, 2): -1, (1, 3): 1}
    assert any_project.table()[1, 2] == mine


def test_importing_the_same_again_changes_nothing(project: Project) -> None:
    project.service.import_decisions([CellBatch.of(ALL)])
    before = project.table()
    events = project.service.events()
    report = project.service.import_decisions([CellBatch.of(ALL)])
    assert (report.added, report.confirmed, report.images) == (0, 24, 0)
    assert project.table() == before
    assert report.event_id is None
    assert project.service.events() == events


def test_an_import_under_a_key_is_kept_also_if_it_changes_nothing(any_project: Project) -> None:
    any_project.service.import_decisions([CellBatch.of(ALL)])
    first = any_project.service.import_decisions([CellBatch.of(ALL)], key="again")
    again = any_project.service.import_decisions([], key="again")
    assert (again.repeated, again.event_id, again.confirmed) == (True, first.event_id, 24)
    assert describe(any_project.service.category_changes.history(1)[0]) == "Imported nothing new"


def test_a_repeated_import_reads_nothing(project: Project) -> None:
    def once() -> Iterator[CellBatch]:
        yield CellBatch.of(ALL)

    def never() -> Iterator[CellBatch]:
        raise AssertionError
        yield CellBatch.of(ALL)

    first = project.service.import_decisions(once(), key="same")
    again = project.service.import_decisions(never(), key="same")
    assert (again.repeated, again.event_id, again.added) == (True, first.event_id, 24)
    with pytest.raises(Conflict):
        project.service.import_decisions(never(), key="same", conflict="overwrite")


def test_unknown_in_an_import_says_nothing(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    report = project.service.import_decisions(
        [CellBatch.of([(1, 1, 0), (2, 2, 0)])], conflict="overwrite"
    )
    assert (report.added, report.kept, report.overwritten) == (0, 0, 0)
    assert project.states() == {(1, 1): 1}


def test_scores_come_along(any_project: Project) -> None:
    batch = CellBatch(
        np.array([1, 2]),
        np.array([1, 1]),
        np.array([1, -1], dtype=np.int8),
        np.array([0.75, np.nan], dtype=np.float32),
    )
    any_project.service.import_decisions([batch])
    assert [row[2] for row in any_project.table().values()] == [0.75, None]


@pytest.mark.parametrize(
    ("cells", "error", "text"),
    [
        ([(99, 1, 1)], NotFound, "image 99"),
        ([(1, 99, 1)], NotFound, "category 99"),
        ([(1, 1, 2)], InvalidInput, "got 2"),
        ([(1, 1, 1), (1, 1, -1)], InvalidInput, "image 1, category 1 is given two states"),
    ],
)
def test_one_bad_cell_stops_the_whole_import(
    any_project: Project, cells: list[tuple[int, int, int]], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        any_project.service.import_decisions([CellBatch.of(ALL[:5]), CellBatch.of(cells)])
    assert any_project.table() == {}
    assert any_project.service.image_state(1).revision == 0


def test_a_cell_with_two_states_in_different_batches_is_refused(project: Project) -> None:
    batches = [CellBatch.of([(1, 1, 1)]), CellBatch.of([(1, 1, -1)])]
    for conflict in ("keep", "overwrite"):
        with pytest.raises(InvalidInput, match="two states"):
            project.service.import_decisions(batches, conflict=conflict)  # type: ignore[arg-type]


def test_a_cell_named_twice_alike_counts_once(project: Project) -> None:
    batches = [CellBatch.of([(1, 1, 1), (1, 1, 1)]), CellBatch.of([(1, 1, 1)])]
    report = project.service.import_decisions(batches)
    assert (report.added, report.confirmed) == (1, 0)


def test_malformed_batches_are_explained(project: Project) -> None:
    one = np.ones(1, dtype=np.int64)
    short = CellBatch(np.ones(2, dtype=np.int64), one, one.astype(np.int8))
    with pytest.raises(InvalidInput, match="same length"):
        project.service.import_decisions([short])
    odd = CellBatch(one, one, one.astype(np.int8), np.array([1.5], dtype=np.float32))
    with pytest.raises(InvalidInput, match=r"scores must be from 0 to 1, got 1\.5"):
        project.service.import_decisions([odd])
    with pytest.raises(InvalidInput, match="conflict must be"):
        project.service.import_decisions([], conflict="ask")  # type: ignore[arg-type]


def test_progress_counts_cells(project: Project) -> None:
    seen: list[int] = []
    batches = [CellBatch.of(ALL[:10]), CellBatch.of(ALL[10:])]
    project.service.import_decisions(batches, progress=seen.append)
    assert seen == [10, 24]


def test_a_matrix_becomes_batches_of_its_known_cells() -> None:
    states = np.array([[1, 0], [0, -1], [1, 1]], dtype=np.int8)
    batches = CellBatch.of_matrix(np.array([7, 8, 9]), np.array([3, 5]), states, rows_at_once=2)
    cells = [
        cell
        for batch in batches
        for cell in zip(
            batch.image_ids.tolist(),
            batch.category_ids.tolist(),
            batch.states.tolist(),
            strict=True,
        )
    ]
    assert cells == [(7, 3, 1), (8, 5, -1), (9, 3, 1), (9, 5, 1)]


def test_a_large_import_on_each_database(any_project: Project) -> None:
    """Enough cells for the bulk ways of writing, mixed with earlier work."""
    service = any_project.service
    service.add_images(scanned(range(7, 501), any_project.workspace.path))
    any_project.decide(any_project.bo, *((i, 1, -1) for i in range(1, 301, 7)))
    before = any_project.table()
    rng = np.random.default_rng(0)
    states = rng.choice(np.array([-1, 0, 1], dtype=np.int8), (500, 4))
    ids, columns = np.arange(1, 501), np.arange(1, 5)
    batches = CellBatch.of_matrix(ids, columns, states, 150)
    service.import_decisions(batches, user_id=any_project.ana, conflict="overwrite")
    expected = np.where(states == 0, 0, states)
    for image, category in before:
        if states[image - 1, category - 1] == 0:
            expected[image - 1, category - 1] = -1
    np.testing.assert_array_equal(service.labels().states, expected)
    any_project.check()
    any_project.undo(any_project.ana)
    assert any_project.table() == before


@st.composite
def changes_of_everything(draw: st.DrawFn) -> Cells:
    """What may follow on a table of all cells of 6 pictures x 4 categories."""
    cells = np.zeros(24, dtype=CELL)
    for i, cell in enumerate((image, c) for image in range(1, 7) for c in range(1, 5)):
        after = draw(st.sampled_from([-1, 0, 1]))
        score = draw(st.sampled_from([np.nan, 0.25, 1.0]))
        cells[i] = (*cell, 0, after, 0, int(after != 0), np.nan, score if after else np.nan)
    return cells


def written(project: Project, cells: Cells, *, in_bulk: bool) -> dict[tuple[int, int], object]:
    """Table after writing, rolled back."""

    class RolledBackError(Exception):
        pass

    table = {}
    try:
        with project.service.database.writing() as connection:
            at_least = 0 if in_bulk else 10**9
            bulk.write_decisions(connection, cells, bulk_from=at_least)
            for image in store.iter_export(connection):
                columns = (image.category_ids, image.states, image.event_ids, image.scores)
                for category, *row in zip(*(c.tolist() for c in columns), strict=True):
                    table[image.image.id, category] = repr(row)
            raise RolledBackError
    except RolledBackError:
        return table


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes_of_everything())
def test_writing_in_bulk_equals_writing_singly(any_project: Project, cells: Cells) -> None:
    with any_project.service.database.reading() as connection:
        event_ids = [store.newest_event_id(connection), 1]
    cells["after_event"] = np.where(cells["after"] != 0, np.resize(event_ids, len(cells)), 0)
    singly = written(any_project, cells, in_bulk=False)
    assert written(any_project, cells, in_bulk=True) == singly
    assert len(singly) == int((cells["after"] != 0).sum())


# ---------------------------------------------------------------------------------- export


def test_an_export_has_every_picture_with_its_known_cells(any_project: Project) -> None:
    any_project.decide(any_project.ana, (2, 3, 1), (2, 1, -1))
    any_project.decide(any_project.bo, (5, 4, 1))
    with any_project.service.export() as export:
        found = list(export.images())
        names = [category.name for category in export.categories]
        assert len(names) == 4
        assert export.image_count == 6
        user = {export.provenance(int(e)).user for one in found for e in one.event_ids}
    assert [one.image.id for one in found] == [1, 2, 3, 4, 5, 6]
    assert found[1].category_ids.tolist() == [1, 3]
    assert found[1].states.tolist() == [-1, 1]
    assert np.isnan(found[1].scores).all()
    assert len(found[0].states) == 0
    assert user == {"ana", "bo"}


def test_an_export_is_not_disturbed_by_decisions(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1))
    with project.service.export() as export:
        images = export.images()
        first = next(images)
        project.decide(project.bo, (6, 1, 1), (1, 2, 1))
        assert [len(one.states) for one in [first, *images]] == [1, 0, 0, 0, 0, 0]


def test_an_export_spans_gaps_between_ids(project: Project) -> None:
    with project.service.database.writing() as connection:
        connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = 9999 WHERE name = 'image'")
    project.service.add_images(scanned([7], project.workspace.path))
    project.decide(project.ana, (10_000, 2, 1))
    with project.service.export() as export:
        assert [one.image.id for one in export.images()] == [1, 2, 3, 4, 5, 6, 10_000]
    assert project.service.labels().states[6].tolist() == [0, 1, 0, 0]
