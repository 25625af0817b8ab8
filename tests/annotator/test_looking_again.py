"""The queue "look again": decided cells that out-of-fold evidence contradicts."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_project import NAMES, Project, make_project
from typer.testing import CliRunner

from annotator.cli import app
from annotator.db import leases
from annotator.errors import NotFound
from annotator.service import CellChange
from benchmarks.made_scores import MadeScores

QUEUE = "look-again"
SURE, UNSURE = 0.95, 0.75


def judged(project: Project, said: dict[tuple[int, int], float], rest: float = 0.3) -> int:
    """A model version that gives these cells these probabilities, and ``rest`` to all others."""
    images, categories = project.service.labels().states.shape
    scores = MadeScores.random(images, categories)
    probability = np.full((images, categories), rest, np.float32)
    for (image, category), value in said.items():
        probability[image - 1, category - 1] = value
    logit = np.log(probability / (1 - probability))
    nothing = np.zeros_like(scores.cooccurrence)
    made = replace(scores, probability=probability, picture_logit=logit, cooccurrence=nothing)
    return project.add_version(made)


def asked(
    project: Project, user: int, count: int = 10, after: int | None = None
) -> dict[int, list[int]]:
    page = project.service.next_images(user, QUEUE, count=count, after=after)
    return {image.id: [one.category_id for one in image.again or ()] for image in page.images}


def waiting(project: Project) -> int:
    return next(queue.waiting for queue in project.service.queues() if queue.name == QUEUE)


def answer(project: Project, user: int, *cells: tuple[int, int, int], source: str = QUEUE) -> int:
    changes = [CellChange(*cell) for cell in cells]
    key = f"again-{next(project.keys)}"
    return project.service.decide(user, changes, key=key, source=source).event_id


def make_doubtful(project: Project) -> Project:
    """Picture 2 has one doubtful cell, picture 4 two, of which one is the most doubtful of all."""
    every = [(image, category, -1) for image in range(1, 7) for category in (1, 2, 3)]
    project.decide(project.ana, *every)
    judged(project, {(2, 1): SURE, (4, 2): 0.97, (4, 3): UNSURE, (5, 4): 0.99})
    return project


@pytest.fixture
def doubtful(project: Project) -> Project:
    return make_doubtful(project)


def test_pictures_come_by_their_most_contradicted_cell(any_project: Project) -> None:
    doubtful = make_doubtful(any_project)
    assert asked(doubtful, doubtful.ana) == {4: [2, 3], 2: [1]}
    assert waiting(doubtful) == 2
    assert doubtful.service.next_images(doubtful.ana, QUEUE).total == 2
    answer(doubtful, doubtful.bo, (2, 1, -1))
    assert list(asked(doubtful, doubtful.ana)) == [4]
    doubtful.undo(doubtful.bo)
    assert waiting(doubtful) == 2


def test_the_command_lists_the_same_cells(doubtful: Project) -> None:
    found = doubtful.service.looking_again.cells()
    assert [(one.image_id, one.category_id, one.state) for one in found] == [
        (4, 2, -1),
        (2, 1, -1),
        (4, 3, -1),
    ]
    listed = CliRunner().invoke(app, ["look-again", "-w", str(doubtful.workspace.path)])
    assert (listed.exit_code, listed.output.count("absent")) == (0, 3)
    assert "95 %" in listed.output


def test_a_row_tells_what_the_model_says_and_why(doubtful: Project) -> None:
    image = doubtful.service.next_images(doubtful.ana, QUEUE).images[0]
    first = (image.again or ())[0]
    assert (first.name, first.source) == (NAMES[1], "classifier")
    assert first.probability == pytest.approx(0.97, abs=0.01)
    assert [reason.text for reason in first.reasons] == ["from the picture alone"]
    assert (2, -1, "ana") in {(one.category_id, one.state, one.user) for one in image.known}


def test_confirming_takes_a_cell_out_of_the_queue_and_keeps_its_state(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (2, 1, -1))
    assert asked(doubtful, doubtful.ana) == {4: [2, 3]}
    cell = doubtful.service.image_state(2).known[0]
    assert (cell.state, cell.source, cell.user) == (-1, QUEUE, "bo")


def test_changing_takes_a_cell_out_of_the_queue(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (4, 2, 1), (4, 3, 1))
    assert asked(doubtful, doubtful.ana) == {2: [1]}


def test_what_was_confirmed_is_not_asked_again_by_a_later_version(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (2, 1, -1))
    judged(doubtful, {(2, 1): 0.99, (1, 1): SURE})
    assert asked(doubtful, doubtful.ana) == {1: [1]}


def test_a_cell_decided_elsewhere_since_may_be_asked_again(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (2, 1, -1))
    answer(doubtful, doubtful.bo, (2, 1, 1), source="focus")
    judged(doubtful, {(2, 1): 0.02})
    assert asked(doubtful, doubtful.ana) == {2: [1]}
    assert doubtful.service.looking_again.cells()[0].state == 1


def test_a_cell_decided_after_the_fit_is_not_asked(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (2, 1, 1), source="focus")
    answer(doubtful, doubtful.bo, (2, 1, -1), source="focus")
    assert asked(doubtful, doubtful.ana) == {4: [2, 3]}


def test_undo_brings_a_cell_back_with_who_had_decided_it(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (4, 2, 1))
    assert asked(doubtful, doubtful.bo) == {2: [1], 4: [3]}
    doubtful.undo(doubtful.bo)
    assert waiting(doubtful) == 2
    assert [one.category_id for one in doubtful.service.looking_again.cells()] == [2, 1, 3]
    assert {cell.user for cell in doubtful.service.image_state(4).known} == {"ana"}


def test_an_undone_confirmation_is_asked_again(doubtful: Project) -> None:
    answer(doubtful, doubtful.bo, (2, 1, -1))
    assert doubtful.undo(doubtful.bo).cells == 1
    assert asked(doubtful, doubtful.bo) == {4: [2, 3], 2: [1]}


def test_two_people_never_get_the_same_picture(doubtful: Project) -> None:
    assert list(asked(doubtful, doubtful.ana, 1)) == [4]
    assert list(asked(doubtful, doubtful.bo, 5)) == [2]
    doubtful.clock.forward(minutes=11)
    assert set(asked(doubtful, doubtful.bo, 5)) == {4, 2}


def test_a_picture_that_was_passed_comes_last(doubtful: Project) -> None:
    assert list(asked(doubtful, doubtful.ana, 1)) == [4]
    assert list(asked(doubtful, doubtful.ana, 1, after=4)) == [2]
    doubtful.clock.forward(seconds=1)
    assert list(asked(doubtful, doubtful.ana, 2, after=2)) == [4, 2]


def test_a_leased_picture_without_a_question_left_is_given_back(doubtful: Project) -> None:
    asked(doubtful, doubtful.ana, 1)
    answer(doubtful, doubtful.ana, (4, 2, -1), (4, 3, -1))
    assert list(asked(doubtful, doubtful.ana, 1)) == [2]
    with doubtful.service.database.reading() as connection:
        assert leases.own_leases(connection, doubtful.ana, QUEUE, 100) == [2]


def test_a_removed_category_is_not_asked_and_comes_back_with_its_cells(doubtful: Project) -> None:
    changes = doubtful.service.category_changes
    removed = changes.remove(doubtful.ana, 2, key="remove")
    assert asked(doubtful, doubtful.ana) == {2: [1], 4: [3]}
    doubtful.service.undo(doubtful.ana, key="back", event_id=removed.event_id)
    assert asked(doubtful, doubtful.bo, 5) == {}
    doubtful.clock.forward(minutes=11)
    assert asked(doubtful, doubtful.bo, 5)[4] == [2, 3]


def test_without_a_model_or_a_contradiction_nothing_waits(project: Project) -> None:
    assert (waiting(project), asked(project, project.ana)) == (0, {})
    project.decide(project.ana, (1, 1, -1), (2, 1, 1))
    judged(project, {(2, 1): SURE})
    assert (waiting(project), asked(project, project.ana)) == (0, {})


def test_a_category_that_waits_for_labels_contradicts_nothing(project: Project) -> None:
    project.decide(project.ana, *((image, 1, -1) for image in range(1, 7)))
    project.add_version(waiting={1: "a present label"})
    assert waiting(project) == 0


def test_looking_again_is_no_answer_to_a_suggestion(doubtful: Project) -> None:
    before = doubtful.service.answers()
    answer(doubtful, doubtful.bo, (2, 1, -1), (4, 2, 1))
    assert doubtful.service.answers().counts.sum() == before.counts.sum() == 0
    answer(doubtful, doubtful.bo, (5, 4, 1), source="focus")
    assert doubtful.service.answers().counts.sum() == 1


def test_two_processes_follow_each_other(doubtful: Project) -> None:
    assert waiting(doubtful) == 2
    with type(doubtful.service)(doubtful.workspace, clock=doubtful.clock) as other:
        other.decide(doubtful.bo, [CellChange(2, 1, -1)], key="other", source=QUEUE)
    assert waiting(doubtful) == 1


def test_a_reader_who_began_earlier_lets_nobody_rank_anew(any_project: Project) -> None:
    doubtful = make_doubtful(any_project)
    again = doubtful.service.looking_again
    with doubtful.service.database.reading() as earlier:
        first = again.now(earlier)
        answer(doubtful, doubtful.bo, (2, 1, -1))
        assert waiting(doubtful) == 1
        late = again.now(earlier)
    assert first is not None
    assert late is not None
    assert late.places is first.places
    assert waiting(doubtful) == 1


def test_a_database_brought_back_below_the_service_is_asked_anew(doubtful: Project) -> None:
    path = doubtful.workspace.path / "labels.db"
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(":memory:")) as former:
        live.backup(former)
        answer(doubtful, doubtful.bo, (2, 1, -1))
        assert waiting(doubtful) == 1
        former.backup(live)
    assert asked(doubtful, doubtful.ana) == {4: [2, 3], 2: [1]}
    assert waiting(doubtful) == 2


steps = st.lists(
    st.tuples(
        st.sampled_from(["answer", "focus", "undo", "fit", "ask"]),
        st.integers(1, 4),
        st.integers(1, 4),
        st.sampled_from([-1, 0, 1]),
        st.floats(0.02, 0.98),
    ),
    max_size=14,
)


@settings(max_examples=25)
@given(steps=steps)
def test_following_the_log_gives_what_a_fresh_start_gives(
    tmp_path_factory: pytest.TempPathFactory,
    empty_labels: Path,
    steps: list[tuple[str, int, int, int, float]],
) -> None:
    folder = tmp_path_factory.mktemp("again") / "workspace"
    project = make_project(folder, template=empty_labels, images=4)
    confirmed: dict[tuple[int, int], int] = {}
    numbers = count()
    for kind, image, category, state, p in steps:
        project.clock.forward(minutes=1)
        if kind == "answer" and state:
            answer(project, project.bo, (image, category, state))
            confirmed[image, category] = state
        elif kind == "focus":
            answer(project, project.bo, (image, category, state), source="focus")
            confirmed.pop((image, category), None)
        elif kind == "fit":
            judged(project, {(image, category): p, (category, image): 1 - p}, rest=p)
        elif kind == "ask":
            asked(project, project.ana, 1 + next(numbers) % 2)
        elif kind == "undo":
            with suppress(NotFound):
                project.undo(project.bo)
            confirmed.clear()
    now = project.service.looking_again.cells()
    with type(project.service)(project.workspace, clock=project.clock) as fresh:
        assert fresh.looking_again.cells() == now
    states = project.states()
    for one in now:
        assert states[one.image_id, one.category_id] == one.state
        assert (one.probability > 0.5) == (one.state < 0)
        assert confirmed.get((one.image_id, one.category_id)) != one.state
    project.check()
    project.service.close()
