"""Many threads and connections on one project: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from label_project import Project

from annotator.errors import NotFound
from annotator.queue_orders import QUEUES
from annotator.service import AnnotationService, CellChange

THREADS = 6


def together(work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


def test_threads_lose_no_decision(any_project: Project) -> None:
    service = any_project.service

    def work(number: int) -> None:
        user = service.ensure_user(f"user {number}").id
        for i in range(8):
            change = CellChange(1 + (number + i) % 6, 1 + i % 4, 1)
            service.decide(user, [change], key=f"{number}-{i}")

    together(work)
    decided = [e for e in service.events(limit=1000) if e.kind == "decide"]
    assert len(decided) == THREADS * 8
    by_image = Counter(image for e in decided for image in e.summary["image_ids"])
    for image, times in by_image.items():
        assert service.image_state(image).revision == times


def test_the_same_request_from_many_threads_is_carried_out_once(any_project: Project) -> None:
    def work(_: int) -> tuple[int, bool]:
        result = any_project.decide(any_project.ana, (1, 1, 1), key="same")
        return result.event_id, result.repeated

    results = together(work)
    assert len({event for event, _ in results}) == 1
    assert sorted(repeated for _, repeated in results) == [False] + [True] * (THREADS - 1)


def test_each_undo_takes_another_event(any_project: Project) -> None:
    for i in range(4):
        any_project.decide(any_project.ana, (1, 1 + i, 1))

    def work(number: int) -> int:
        try:
            return any_project.undo(any_project.ana, key=f"undo {number}").undone_event_id
        except NotFound:
            return 0

    undone = Counter(together(work))
    assert undone.pop(0) == THREADS - 4
    assert set(undone.values()) == {1}
    assert len(undone) == 4
    assert any_project.table() == {}


def test_people_asking_at_once_get_different_pictures(any_project: Project) -> None:
    service = any_project.service
    people = [service.ensure_user(f"user {i}").id for i in range(THREADS)]

    def work(number: int) -> list[int]:
        page = service.next_images(people[number], "random", count=1)
        return [image.id for image in page.images]

    handed = [image for some in together(work) for image in some]
    assert sorted(handed) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["one name"])
def test_a_name_given_at_once_is_one_person(any_project: Project, name: str) -> None:
    people = together(lambda _: any_project.service.ensure_user(name).id)
    assert len(set(people)) == 1
    categories = together(lambda _: any_project.service.add_categories([name])[0].id)
    assert len(set(categories)) == 1


def test_two_services_on_one_workspace_see_each_other(any_project: Project) -> None:
    with AnnotationService(any_project.workspace) as other:
        any_project.decide(any_project.ana, (1, 1, 1))
        assert other.image_state(1).known[0].user == "ana"
        other.decide(any_project.bo, [CellChange(1, 1, -1)], key="from the other")
    assert any_project.service.image_state(1).known[0].user == "bo"


def test_no_request_needs_two_connections_at_once(any_project: Project) -> None:
    # Threads that hold one each and wait for a second one would wait for each other.
    any_project.add_version()
    with AnnotationService(any_project.workspace, connections=1) as service:
        assert [one.name for one in service.queues()] == list(QUEUES)
        for queue in QUEUES:
            service.next_images(any_project.ana, queue, count=2)
        assert service.status().images == 6
