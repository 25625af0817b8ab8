"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hst_core.files import partial_of, remove_partial, replacing, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "f", b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "f") as file:
        file.write(b"new" * (1 // 0))
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_the_new_content_takes_the_name_at_the_end_of_the_block(tmp_path: Path) -> None:
    write_atomically(tmp_path / "f", b"old")
    with replacing(tmp_path / "f", durable=False) as file:
        file.write(b"new")
        assert (tmp_path / "f").read_bytes() == b"old"
    assert (tmp_path / "f").read_bytes() == b"new"


def test_two_writers_of_one_file_do_not_share_what_is_unfinished(tmp_path: Path) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(partial_of(tmp_path / "f")))
    thread.start()
    thread.join()
    assert found[0] != partial_of(tmp_path / "f")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    killed = (
        "import os, sys, pathlib; from hst_core.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "f")], check=False)
    partial_of(tmp_path / "folder").mkdir()
    (tmp_path / "mine.partial").write_bytes(b"kept")
    assert remove_partial(tmp_path, idle=60.0) == []  # somebody may be writing it
    assert len(remove_partial(tmp_path)) == 2
    assert names(tmp_path) == ["mine.partial"]
    assert remove_partial(tmp_path / "nowhere") == []


def test_what_nobody_has_touched_for_long_is_removed(tmp_path: Path) -> None:
    old, young = partial_of(tmp_path / "old"), partial_of(tmp_path / "young")
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert remove_partial(tmp_path, idle=60.0) == [old]
    assert names(tmp_path) == [young.name]
