"""Queues: an own position for each, never one picture for two people, a second round at the end."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from label_project import Project, scanned

from annotator.db import leases
from annotator.errors import InvalidInput, NotFound
from annotator.queue_orders import QUEUES, Ids, QueueOrders
from annotator.types import CellBatch
from benchmarks.made_scores import MadeScores

OPEN = [name for name, kind in QUEUES.items() if not kind.chosen]
"""Queues that hold every open picture."""


def ask(
    project: Project, user: int, queue: str, count: int = 1, after: int | None = None
) -> list[int]:
    page = project.service.next_images(user, queue, count=count, after=after)
    return [image.id for image in page.images]


def walk(project: Project, user: int, queue: str, steps: int) -> list[int]:
    """Look at one picture after the other without deciding."""
    seen: list[int] = []
    for _ in range(steps):
        project.clock.forward(seconds=1)
        seen += ask(project, user, queue, after=seen[-1] if seen else None)
    return seen


def complete(project: Project, image: int) -> None:
    project.decide(project.ana, *((image, c, 1) for c in (1, 2, 3, 4)))


@pytest.mark.parametrize("queue", OPEN)
def test_a_queue_shows_every_picture_once_and_begins_again(
    any_project: Project, queue: str
) -> None:
    seen = walk(any_project, any_project.ana, queue, 8)
    assert sorted(seen[:6]) == [1, 2, 3, 4, 5, 6]
    assert seen[6:] == seen[:2]


@pytest.mark.parametrize("queue", OPEN)
def test_asking_again_gives_the_same_picture(any_project: Project, queue: str) -> None:
    assert ask(any_project, any_project.ana, queue, 3) == ask(
        any_project, any_project.ana, queue, 3
    )


def test_pictures_ahead_stay_in_order(project: Project) -> None:
    ahead = ask(project, project.ana, "random", 4)
    assert ask(project, project.ana, "random", 4, after=ahead[0])[:3] == ahead[1:]


@pytest.mark.parametrize("queue", OPEN)
def test_two_people_never_have_the_same_picture(any_project: Project, queue: str) -> None:
    ana = ask(any_project, any_project.ana, queue, 3)
    bo = ask(any_project, any_project.bo, queue, 100)
    assert len(ana) == len(bo) == 3
    assert not set(ana) & set(bo)


def test_a_picture_is_free_again_when_its_lease_has_run_out(project: Project) -> None:
    ana = ask(project, project.ana, "random", 6)
    assert ask(project, project.bo, "random", 6) == []
    project.clock.forward(minutes=11)
    assert ask(project, project.bo, "random", 6) == ana


def test_working_on_keeps_the_lease(project: Project) -> None:
    ana = ask(project, project.ana, "random", 3)
    for _ in range(5):
        project.clock.forward(minutes=6)
        assert ask(project, project.ana, "random", 3) == ana
    assert not set(ask(project, project.bo, "random", 6)) & set(ana)


def test_a_passed_picture_is_free_for_others(project: Project) -> None:
    first = ask(project, project.ana, "random", 6)[0]
    ask(project, project.ana, "random", 5, after=first)
    assert ask(project, project.bo, "random", 6) == [first]


def test_each_person_has_an_own_position(project: Project) -> None:
    ana = walk(project, project.ana, "unlabelled", 3)
    assert ana == [1, 2, 3]
    assert walk(project, project.bo, "unlabelled", 2) == [1, 2]
    page = project.service.next_images(project.ana, "unlabelled")
    assert ([image.id for image in page.images], page.position, page.total) == ([3], 2, 6)


def test_each_queue_has_an_own_position(project: Project) -> None:
    walk(project, project.ana, "unlabelled", 4)
    page = project.service.next_images(project.ana, "random")
    assert page.position == 0


def test_a_position_outlives_the_program(project: Project) -> None:
    seen = walk(project, project.ana, "random", 4)
    project.clock.forward(hours=1)
    with type(project.service)(project.workspace, clock=project.clock) as other:
        page = other.next_images(project.ana, "random")
    assert page.position == 3
    assert page.images[0].id == seen[-1]


def test_complete_pictures_are_not_handed_out(any_project: Project) -> None:
    for image in (1, 2, 3):
        complete(any_project, image)
    page = any_project.service.next_images(any_project.ana, "random", count=10)
    assert sorted(image.id for image in page.images) == [4, 5, 6]
    assert page.total == 3


def test_a_picture_completed_while_it_was_ahead_is_dropped(project: Project) -> None:
    ahead = ask(project, project.ana, "random", 3)
    complete(project, ahead[1])
    assert ask(project, project.ana, "random", 2) == [ahead[0], ahead[2]]


def test_an_undo_brings_a_picture_back_into_the_queue(project: Project) -> None:
    for image in range(1, 7):
        complete(project, image)
    assert ask(project, project.ana, "random", 10) == []
    project.undo(project.ana)
    assert ask(project, project.ana, "random", 10) == [6]


def test_a_finished_project_has_empty_queues(any_project: Project) -> None:
    cells = [(i, c, 1) for i in range(1, 7) for c in range(1, 5)]
    any_project.service.import_decisions([CellBatch.of(cells)])
    for queue in QUEUES:
        page = any_project.service.next_images(any_project.ana, queue, count=5)
        assert (page.images, page.total) == ((), 0)


def test_the_unlabelled_queue_leaves_begun_pictures_out(project: Project) -> None:
    project.decide(project.ana, (1, 1, 1), (3, 1, 1))
    assert ask(project, project.ana, "unlabelled", 10) == [2, 4, 5, 6]


def test_new_pictures_join_a_queue_at_once(project: Project) -> None:
    ask(project, project.ana, "random", 6)
    project.service.add_images(scanned([7], project.workspace.path))
    assert ask(project, project.bo, "random", 6) == [7]


def test_the_most_uncertain_picture_comes_first(any_project: Project) -> None:
    any_project.decide(any_project.bo, (6, 1, 1))
    scores = MadeScores.random(6, 4)
    probability = np.full((6, 4), 0.01, dtype=np.float32)
    probability[3], probability[1] = 0.5, 0.2
    any_project.add_version(MadeScores(**{**vars(scores), "probability": probability}))
    assert ask(any_project, any_project.ana, "uncertain", 2) == [4, 2]


def test_near_duplicates_do_not_follow_each_other_in_the_valuable_queue(project: Project) -> None:
    project.decide(project.bo, (6, 1, 1))
    scores = MadeScores.random(6, 4)
    probability = np.full((6, 4), 0.01, dtype=np.float32)
    probability[:2], probability[2] = 0.5, 0.2
    near = np.full((6, 1), -1)
    near[0], near[1] = 1, 0
    similarity = np.where(near >= 0, 0.95, 0.0)
    changed = {"probability": probability, "neighbours": near, "neighbour_similarity": similarity}
    project.add_version(MadeScores(**{**vars(scores), **changed}))
    first = ask(project, project.ana, "valuable", 3)
    assert first[1] == 3
    assert {first[0], first[2]} == {1, 2}


def test_the_valuable_queue_covers_unlike_pictures_before_any_category_has_a_model(
    project: Project,
) -> None:
    scores = MadeScores.random(6, 4)
    near = np.array([[1, 2], [0, 2], [0, 1], [4, -1], [3, -1], [-1, -1]])
    changed = {"neighbours": near, "neighbour_similarity": np.where(near >= 0, 0.8, 0.0)}
    waiting = dict.fromkeys((1, 2, 3, 4), "needs labels")
    project.add_version(MadeScores(**{**vars(scores), **changed}), waiting=waiting)
    clusters = [
        {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 2}[i] for i in ask(project, project.ana, "valuable", 3)
    ]
    assert sorted(clusters) == [0, 1, 2]


def test_pictures_the_model_has_not_seen_come_last(project: Project) -> None:
    project.decide(project.bo, (6, 1, 1))
    project.add_version()
    project.service.add_images(scanned([7], project.workspace.path))
    assert walk(project, project.ana, "uncertain", 7)[-1] == 7


def test_a_new_version_changes_nothing_that_was_handed_out(project: Project) -> None:
    project.decide(project.bo, (6, 1, 1))
    project.add_version()
    ahead = ask(project, project.ana, "uncertain", 4)
    project.add_version()
    assert ask(project, project.ana, "uncertain", 4) == ahead


def test_a_large_queue_is_walked_in_order(project: Project) -> None:
    """More open pictures than are asked for at once."""
    project.service.add_images(scanned(range(7, 2001), project.workspace.path))
    assert walk(project, project.ana, "unlabelled", 3) == [1, 2, 3]
    cells = [(i, 1, 1) for i in range(4, 500)]
    project.service.import_decisions([CellBatch.of(cells)])
    assert ask(project, project.ana, "unlabelled", 3, after=3) == [500, 501, 502]
    assert ask(project, project.ana, "unlabelled", 3, after=500) == [501, 502, 503]


def test_a_large_queue_wraps_to_what_was_passed_longest_ago(project: Project) -> None:
    project.service.add_images(scanned(range(7, 1501), project.workspace.path))
    passed = [image for image in range(1500, 0, -1) if image != 700]
    with project.service.database.writing() as connection:
        for image in passed:
            project.clock.forward(seconds=1)
            leases.add_visit(connection, project.ana, "random", image, project.clock())
    assert ask(project, project.ana, "random", 4) == [700, 1500, 1499, 1498]


@pytest.mark.parametrize("count", [0, -1, 101])
def test_the_count_is_limited(project: Project, count: int) -> None:
    with pytest.raises(InvalidInput, match="count must be from 1 to 100"):
        project.service.next_images(project.ana, "random", count=count)


def test_what_does_not_exist_is_named(project: Project) -> None:
    with pytest.raises(
        InvalidInput, match=r"no queue 'best'.*uncertain, valuable, unlabelled, random"
    ):
        project.service.next_images(project.ana, "best")
    with pytest.raises(NotFound, match="user 99"):
        project.service.next_images(99, "random")
    with pytest.raises(NotFound, match="image 99"):
        project.service.next_images(project.ana, "random", after=99)


def test_an_order_that_takes_long_does_not_hold_up_another_queue() -> None:
    orders, ids = QueueOrders(seed=0), np.arange(1, 4)
    computing, finished = threading.Event(), threading.Event()

    def slowly() -> Ids:
        computing.set()
        finished.wait(timeout=30)
        return ids

    slow = threading.Thread(target=orders.get, args=("valuable", None, 3, slowly))
    slow.start()
    computing.wait(timeout=30)
    try:
        order = orders.get("random", None, 3, lambda: ids)
        assert sorted(order.image_ids.tolist()) == [1, 2, 3]
        assert slow.is_alive()
    finally:
        finished.set()
        slow.join()
