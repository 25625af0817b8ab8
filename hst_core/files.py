"""Files that appear whole or not at all, and locks that end with their process.

The standard library alone, so that parts of the tool without torch use it too. What is being
written has a name that begins with `PARTIAL` and is its writer's alone; what a killed writer left
is removed by whoever holds the folder's lock next (`remove_partial`).
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

#: Start of the name of a file or folder that is being written.
PARTIAL = ".partial-"


def partial_of(path: Path) -> Path:
    """Name for what is to become ``path``: beside it, and of this thread alone."""
    return path.with_name(f"{PARTIAL}{os.getpid()}-{threading.get_native_id()}-{path.name}")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file so that a crash leaves either the old one or the whole new one.

    The content goes to a file beside it, reaches the disk, and takes the name at the end of the
    block; after an exception the old file is as it was.

    Args:
        path: of the file; its folder is made.
        durable: wait for the disk; without it a power cut can lose what a killed process cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    try:
        with partial.open("wb") as file:
            yield file
            if durable:
                sync_file(file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


def remove_partial(folder: Path, idle: float = 0.0) -> list[Path]:
    """Remove what killed writers left in a folder; returns what was removed.

    Args:
        folder: where it may be; nothing is removed of one that is not there.
        idle: seconds without a change. At 0 only for who knows that nobody else writes there now;
            with a day anybody may, since nothing is written that long.
    """
    before = time.time() - idle
    left = []
    for path in sorted(folder.glob(f"{PARTIAL}*")) if folder.is_dir() else []:
        with suppress(FileNotFoundError):  # its writer is done with it
            if not idle or path.stat().st_mtime <= before:
                left.append(path)
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return left


def sync_file(file: IO[Any]) -> None:
    """Put what was written to an open file on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk; systems that cannot do that are left alone."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def try_lock(file: IO[bytes]) -> bool:
        """Claim an open file for this process until it is closed; False if another one has it."""
        # A byte far behind the text, since Windows forbids others to read what is locked.
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(file: IO[bytes]) -> bool:
        """Claim an open file for this process until it is closed; False if another one has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
