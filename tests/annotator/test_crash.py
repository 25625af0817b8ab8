"""A killed program loses no decision that it had acknowledged, and leaves none half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from label_project import Project

from annotator.db.engine import Database
from annotator.service import AnnotationService

# Decides cells in a loop, says so after each reply, and is killed somewhere in between.
WRITER = """
import itertools, sys
from pathlib import Path
from annotator.service import AnnotationService, CellBatch, CellChange
from annotator.settings import Workspace

service = AnnotationService(Workspace.open(Path(sys.argv[1])))
user = service.ensure_user(sys.argv[2]).id
for i in itertools.count():
    image, category, state = 1 + i % 6, 1 + i // 6 % 4, 1 if i // 24 % 2 else -1
    key = f"{sys.argv[2]}-{i}"
    service.decide(user, [CellChange(image, category, state)], key=key)
    print(key, image, category, state, flush=True)
    if i % 10 == 9:
        undone = service.undo(user, key=f"undo-{key}")
        print(f"undo-{key}", 0, 0, undone.cells, flush=True)
"""

IMPORTER = """
import sys
from pathlib import Path
from annotator.service import AnnotationService, CellBatch
from annotator.settings import Workspace

def batches():
    yield CellBatch.of([(1, 1, 1), (2, 2, 1)])
    print("half way", flush=True)
    sys.stdin.read()

AnnotationService(Workspace.open(Path(sys.argv[1]))).import_decisions(batches())
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(number)]


def keys(workspace_database: str) -> set[str]:
    with Database.open(workspace_database) as database, database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT idempotency_key FROM event")
        return {row[0] for row in rows}


@pytest.mark.parametrize("acknowledged", [1, 25, 57])
def test_every_acknowledged_decision_outlives_a_kill(project: Project, acknowledged: int) -> None:
    process = start(WRITER, project.workspace.path, "killed")
    said = lines(process, acknowledged)
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said += [line for line in process.stdout.read().split("\n") if line.count(" ") == 3]
    kill(process)
    assert {line.split()[0] for line in said} <= keys(project.workspace.database_url)
    project.check()


def test_a_killed_import_leaves_nothing(project: Project) -> None:
    process = start(IMPORTER, project.workspace.path)
    assert lines(process, 1) == ["half way"]
    kill(process)
    assert project.table() == {}
    project.decide(project.ana, (1, 1, 1))


def test_work_goes_on_after_a_kill(project: Project) -> None:
    process = start(WRITER, project.workspace.path, "killed")
    lines(process, 19)
    kill(process)
    with AnnotationService(project.workspace) as service:
        user = service.ensure_user("killed").id
        last = next(
            event
            for event in service.events()
            if event.kind == "decide" and event.undone_by_event_id is None
        )
        assert last.user_id == user
        assert service.undo(user, key="after the kill").undone_event_id == last.id


def test_several_programs_lose_nothing_together(project: Project) -> None:
    names = ["first", "second"]
    processes = {name: start(WRITER, project.workspace.path, name) for name in names}
    said = {name: lines(process, 20) for name, process in processes.items()}
    for process in processes.values():
        kill(process)
    there = keys(project.workspace.database_url)
    for name in names:
        assert {line.split()[0] for line in said[name]} <= there
