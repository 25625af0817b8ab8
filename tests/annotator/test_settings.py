"""Workspaces: made once, opened with clear errors, claimed by one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from annotator.errors import InvalidInput, WorkspaceError
from annotator.settings import FOLDERS, Settings, Workspace


def test_opening_gives_what_was_created(tmp_path: Path) -> None:
    settings = Settings(name='a "quoted" näme\n', feature_set="fast", seed=7, database="sqlite://")
    made = Workspace.create(tmp_path / "w", settings)
    assert Workspace.open(tmp_path / "w") == made
    assert made.settings == settings
    assert all((tmp_path / "w" / name).is_dir() for name in FOLDERS)


def test_the_name_is_the_folder_unless_given(tmp_path: Path) -> None:
    assert Workspace.create(tmp_path / "birds").settings.name == "birds"


def test_creating_twice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    Workspace.create(tmp_path, Settings(seed=3))
    with pytest.raises(WorkspaceError, match=r"workspace already .*annotator add images"):
        Workspace.create(tmp_path)
    assert Workspace.open(tmp_path).settings.seed == 3


def test_creating_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    Workspace.create(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_creating_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot make a workspace"):
        Workspace.create(tmp_path / "file" / "w")


def test_a_missing_folder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"there is no folder .*annotator init"):
        Workspace.open(tmp_path / "nowhere")


def test_a_folder_without_settings_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"not a workspace: it has no workspace\.toml"):
        Workspace.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2\n", r"format 2, this program reads up to 1 \(install a newer"),
        ('name = "x"\n', "format None, expected 1"),
        ("format = 1\nspeed = 3\n", "unknown settings: speed"),
        ("format = 1\nseed = \n", "not valid TOML"),
        ("format = 1\nseed = -1\n", "seed must be 0 or more, got -1"),
        ("format = 1\nseed = true\n", "seed must be int, got True"),
        ('format = 1\nfeature_set = "huge"\n', "one of fast, balanced, best, tiny, got 'huge'"),
    ],
)
def test_bad_settings_name_the_file_and_the_value(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "workspace.toml").write_text(text)
    with pytest.raises(WorkspaceError, match=message) as caught:
        Workspace.open(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_settings_are_checked_when_made() -> None:
    with pytest.raises(InvalidInput, match="device must be one of auto, cpu, cuda, got 'tpu'"):
        Settings(device="tpu")


def test_pictures_inside_the_workspace_are_stored_relative(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    inside, outside = workspace.path / "images" / "a.png", tmp_path / "b.png"
    assert workspace.stored_path(inside) == "images/a.png"
    assert workspace.stored_path(outside) == str(outside)
    assert workspace.image_path("images/a.png") == inside
    assert workspace.image_path(str(outside)) == outside


def test_a_second_claim_names_process_and_address(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with workspace.lock("server") as lock:
        lock.set_address("http://127.0.0.1:7860")
        with pytest.raises(WorkspaceError, match=r"process \d+ at http://127\.0\.0\.1:7860 .*open"):
            workspace.lock("server")
        holder = workspace.holder("server")
        assert holder is not None
        assert holder.address == "http://127.0.0.1:7860"
    assert workspace.holder("server") is None
    workspace.lock("server").release()


def test_server_and_worker_have_locks_of_their_own(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with workspace.lock("server"), workspace.lock("worker"):
        assert workspace.holder("worker") is not None


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    code = (
        "import sys, pathlib; from annotator.settings import Workspace\n"
        "lock = Workspace.open(pathlib.Path(sys.argv[1])).lock('worker'); print(flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        holder = workspace.holder("worker")
        assert holder is not None
        assert holder.pid == process.pid
        process.kill()
        process.wait()
    assert workspace.holder("worker") is None
