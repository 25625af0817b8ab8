"""`annotator categories`, and words of the Data page for what was changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from label_project import Project, make_project
from typer.testing import CliRunner

from annotator.cli import app
from annotator.web.data_words import describe, undoable

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, empty_labels: Path) -> Run:
    project = make_project(tmp_path / "ws", template=empty_labels)
    project.decide(project.ana, (1, 1, 1), (2, 1, 1), (2, 2, -1))
    project.service.close()

    def call(*arguments: str, code: int = 0) -> str:
        where = ["-w", str(tmp_path / "ws")]
        result = CliRunner().invoke(app, ["categories", *arguments, *where])
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_a_merge_is_told_first_and_done_with_yes(run: Run) -> None:
    told = run("merge", "cup", "dining table")
    assert "1 cell to carry over, 0 agreeing, 1 present in cup and absent" in told
    assert "cup" in run("list")
    done = run("merge", "cup", "dining table", "--on-conflict", "present", "--yes")
    assert "1 cell carried over, 0 agreeing, 1 present in cup and absent" in done
    assert "4 cells changed" in done
    assert "cup" not in run("list")
    event = done.split("undo ")[1].split()[0]
    assert "Taken back: 4 cells" in run("undo", event, "--user", "bo")
    assert run("list").split()[4] == "cup"


def test_rename_move_and_delete(run: Run) -> None:
    run("rename", "cup", "mug")
    run("move", "mug", "9")
    assert run("list").splitlines()[-1].startswith("mug")
    assert "2 present, 0 absent" in run("delete", "mug")
    done = run("delete", "mug", "--yes")
    assert "2 known cells are unknown now: 2 present, 0 absent" in done
    assert "will" not in done
    assert "mug" not in run("list")


def test_a_name_that_is_not_there_is_named(run: Run) -> None:
    assert "no category 'spoon'" in run("delete", "spoon", code=1)


def test_every_change_is_described_in_words(project: Project) -> None:
    changes, ana = project.service.category_changes, project.ana
    project.service.add_categories(["spoon"], ana)
    changes.rename(ana, 5, "ladle", key="rename")
    changes.move(ana, 5, 1, key="move")
    changes.merge(ana, 1, 2, on_conflict="keep", key="merge")
    changes.remove(ana, 5, key="remove")
    events = changes.history()
    assert [describe(event) for event in events][:5] == [
        "Deleted \u201cladle\u201d",
        "Merged \u201ccup\u201d into \u201cdining table\u201d",
        "Moved \u201cladle\u201d to place 1",
        "Renamed \u201cspoon\u201d to \u201cladle\u201d",
        "Added spoon",
    ]
    assert len(undoable(events)) == len(events)
