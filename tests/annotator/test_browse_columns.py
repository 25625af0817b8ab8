"""The columns in memory follow whatever happens to the label database."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_project import Project, make_project, scanned

from annotator.browse_columns import LiveColumns
from annotator.browsing import Columns
from annotator.db import schema as t
from annotator.errors import NotFound
from annotator.open_scores import OpenScores
from annotator.service import CellBatch


def columns_of(project: Project, live: LiveColumns) -> Columns:
    with project.service.database.reading() as connection:
        versions = [version.id for version in project.service.model_versions()]
        return live.get(connection, OpenScores(project.workspace.scores).newest(versions))


def same(one: Columns, other: Columns) -> None:
    for field in fields(Columns):
        if field.name not in ("scores", "_name_rank", "sources", "event_source"):
            left, right = getattr(one, field.name), getattr(other, field.name)
            assert np.array_equal(left, right), field.name
    # The sources may be numbered differently; their names must agree.
    assert [one.sources[i] for i in one.event_source if i >= 0] == [
        other.sources[i] for i in other.event_source if i >= 0
    ]
    if one.scores is not None and other.scores is not None:
        assert np.array_equal(one.scores.uncertainty(), other.scores.uncertainty(), equal_nan=True)


cell = st.tuples(st.integers(1, 6), st.integers(1, 4), st.sampled_from([-1, 0, 1]))
step = st.one_of(
    st.tuples(st.just("decide"), st.booleans(), st.lists(cell, min_size=1, max_size=5)),
    st.tuples(st.just("import"), st.booleans(), st.lists(cell, min_size=1, max_size=5)),
    st.tuples(st.just("undo"), st.booleans(), st.none()),
    st.tuples(st.just("picture"), st.booleans(), st.none()),
    st.tuples(st.just("category"), st.booleans(), st.none()),
)


def play(project: Project, kind: str, first: bool, cells: list | None) -> None:
    user = project.ana if first else project.bo
    project.clock.forward(seconds=1)
    if kind == "decide":
        project.decide(user, *{(i, c): (i, c, s) for i, c, s in cells}.values())
    elif kind == "import":
        once = {(i, c): (i, c, s) for i, c, s in cells if s}
        if once:
            project.service.import_decisions(
                [CellBatch.of([*once.values()])], user_id=user, conflict="overwrite"
            )
    elif kind == "undo":
        try:
            project.undo(user)
        except NotFound:
            return  # nothing left
    elif kind == "picture":
        newest = len(project.service.image_names())
        project.service.add_images(scanned([newest + 1], project.workspace.path / "pictures"))
    else:
        project.service.add_categories([f"new {len(project.service.categories())}"])


@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(step, max_size=8), st.booleans())
def test_after_any_history_they_are_what_reading_everything_anew_gives(
    tmp_path_factory, empty_labels: Path, history: list, scored: bool
) -> None:
    project = make_project(tmp_path_factory.mktemp("columns") / "w", template=empty_labels)
    with project.service:
        if scored:
            project.add_version()
        live = LiveColumns()
        columns = columns_of(project, live)
        if columns.scores is not None:
            columns.scores.uncertainty()
        for kind, first, cells in history:
            play(project, kind, first, cells)
            same(columns_of(project, live), columns_of(project, LiveColumns()))


def test_states_and_provenance_are_those_of_the_database(project: Project) -> None:
    project.decide(project.ana, (1, 2, 1), (3, 2, -1))
    columns = columns_of(project, LiveColumns())
    assert columns.states[columns.column(2)].tolist() == [1, 0, -1, 0, 0, 0]
    event = columns.events[columns.column(2), columns.row(3)]
    assert columns.event_user[event] == project.ana
    assert columns.sources[columns.event_source[event]] == "focus"
    at = np.datetime64(project.clock.now.replace(tzinfo=None), "us").astype(int)
    assert columns.event_at[event] == at


def test_an_open_flag_is_seen_and_a_closed_one_is_not(project: Project) -> None:
    live = LiveColumns()
    assert not columns_of(project, live).flagged.any()
    with project.service.database.writing() as connection:
        for image, closed in ((2, None), (4, project.clock.now)):
            connection.execute(
                t.flag.insert().values(
                    image_id=image, user_id=project.ana, at=project.clock.now, closed_at=closed
                )
            )
    columns = columns_of(project, live)
    assert columns.image_ids[columns.flagged].tolist() == [2]


def test_scores_follow_a_new_model_version(project: Project) -> None:
    live = LiveColumns()
    assert columns_of(project, live).scores is None
    first = project.add_version()
    assert columns_of(project, live).scores.folder.version == first
    second = project.add_version()
    assert columns_of(project, live).scores.folder.version == second


def test_a_picture_that_the_model_has_not_seen_has_no_scores(project: Project) -> None:
    project.add_version()
    project.service.add_images(scanned([7], project.workspace.path / "pictures"))
    scores = columns_of(project, LiveColumns()).scores
    assert np.isnan(scores.probability(1)).tolist() == [False] * 6 + [True]
    assert np.isnan(scores.uncertainty()).tolist() == [False] * 6 + [True]
    assert scores.similarity(7).tolist()[-1] == 1.0
