"""Rows of numbers in files, found by the content hash of the picture they belong to.

A store is a folder: ``store.json`` says what it holds, each file ``NAME.f16`` is a float16 matrix
with one row per picture, and ``index.sha256`` is the 32-byte content hash of each row. All of them
only ever grow, rows before hashes, and the number of whole hashes is the number of rows. A process
killed at any moment therefore leaves at most rows without a hash, which the next writer overwrites.
"""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hst_core.files import sync_file, try_lock, write_atomically

FORMAT = 1
ROWS = "rows"
"""Name of the matrix that every store has."""


class FeatureStoreError(ValueError):
    """A store cannot be used as asked; the text says why and what to do next."""


_HASH = re.compile(r"[0-9a-f]{64}")
_HASH_BYTES = 32
_Store = TypeVar("_Store", bound="RowStore")  # typing.Self is not understood by beartype


class _Matrix:
    """One file of float16 rows of one shape; only its owner knows how many of them count."""

    def __init__(self, path: Path, row_shape: tuple[int, ...]) -> None:
        self.path = path
        self.row_shape = row_shape
        self._row_bytes = 2 * int(np.prod(row_shape))
        self._memory: npt.NDArray[np.float16] | None = None

    def __len__(self) -> int:
        """Whole rows on disk."""
        return self.path.stat().st_size // self._row_bytes

    def view(self, count: int) -> npt.NDArray[np.float16]:
        """Give the first rows as a read-only view of the file, [count, *row_shape]."""
        if self._memory is None or len(self._memory) != count:
            shape = (count, *self.row_shape)
            if count == 0:
                self._memory = np.zeros(shape, np.float16)
            else:
                self._memory = np.memmap(self.path, np.float16, mode="r", shape=shape)
        return self._memory

    def forget(self) -> None:
        """Map the file anew when it is next asked for."""
        self._memory = None

    def write(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Put rows at ``start`` and drop what lies behind; values beyond float16 are cut."""
        limit = np.finfo(np.float16).max
        data = np.clip(rows, -limit, limit).astype(np.float16)
        _write_at(self.path, start * self._row_bytes, data.tobytes())


class RowStore:
    """Float16 rows of one shape, found by content hash, safe against a kill at any moment.

    One process may write; any number may read, and ``refresh`` shows them what was added.

    Args:
        folder: of the store; made if it is not there.
        description: of what the rows are; another description is refused.
        row_shape: of the matrix ``rows``.
        beside: further matrices, name -> shape of a row.

    Raises:
        FeatureStoreError: if the folder holds something else, or cannot be read and written.
    """

    def __init__(
        self,
        folder: Path,
        description: Mapping[str, Any],
        row_shape: tuple[int, ...],
        beside: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.folder = folder
        self.row_shape = row_shape
        shapes = {ROWS: row_shape, **(beside or {})}
        self._files = {
            name: _Matrix(folder / f"{name}.f16", shape) for name, shape in shapes.items()
        }
        self._row_of: dict[str, int] = {}
        self._hashes: list[str] = []
        self._lock: Callable[[], object] | None = None
        self.unreadable: dict[str, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_description({"format": FORMAT, "row_shape": list(row_shape), **description})
            self.refresh()
        except OSError as error:
            raise FeatureStoreError(
                f"features cannot be kept in {folder} ({error}); see that it can be written to"
            ) from error

    # -- reading

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, image_hash: str) -> bool:
        return image_hash in self._row_of

    @property
    def hashes(self) -> tuple[str, ...]:
        """Content hash of each row, in row order."""
        return tuple(self._hashes)

    def rows(self, hashes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Find the row of each hash, -1 where there is none; any number in one call."""
        find = self._row_of.get
        return np.fromiter((find(h, -1) for h in hashes), dtype=np.int64, count=len(hashes))

    def take(self, rows: npt.ArrayLike, matrix: str = ROWS) -> npt.NDArray[np.float16]:
        """Copy some rows out of a file, [n, *row_shape].

        Raises:
            IndexError: if a row is not in the store, -1 included.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(
                f"rows must be 0 to {len(self) - 1}, got {wanted.min()} to {wanted.max()} "
                "(rows() gives -1 for images without features: leave those out)"
            )
        if wanted.size and (np.diff(wanted) == 1).all():
            # Neighbouring rows, most often all of them, need no search.
            return np.array(self.matrix(matrix)[wanted[0] : wanted[-1] + 1])
        return self.matrix(matrix)[wanted]

    def matrix(self, name: str = ROWS) -> npt.NDArray[np.float16]:
        """Give all rows as a read-only view of a file, [N, *row_shape]."""
        return self._files[name].view(len(self))

    def refresh(self) -> None:
        """See what another process has added since."""
        start = len(self._hashes)
        with self._index_file.open("ab+") as index:
            index.seek(start * _HASH_BYTES)
            added = index.read()
        rows_on_disk = min(len(file) for file in self._files.values())
        count = min(len(added) // _HASH_BYTES, rows_on_disk - start)
        for row in range(count):
            digest = added[row * _HASH_BYTES : (row + 1) * _HASH_BYTES]
            # A power cut can leave zeros at the end of a file that had just grown.
            if not any(digest):
                break
            self._remember(digest.hex())
        self._read_unreadable()

    # -- writing

    def append(
        self,
        hashes: Sequence[str],
        rows: npt.ArrayLike,
        beside: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        """Add rows; returns when they are on disk. Hashes already present are left as they are.

        Args:
            hashes: sha256 of each image's bytes, 64 hexadecimal digits.
            rows: [n, *row_shape], finite; stored as float16, values beyond its range are cut.
            beside: the same of every further matrix.

        Raises:
            FeatureStoreError: for wrong shapes, hashes or values, if another process writes to the
                store, or if the disk is full.
        """
        given = {ROWS: rows, **(beside or {})}
        values = {name: self._checked(name, given.get(name), len(hashes)) for name in self._files}
        wrong = next((h for h in hashes if not _HASH.fullmatch(h)), None)
        if wrong is not None:
            raise FeatureStoreError(
                f"hashes must be 64 hexadecimal digits in lower case (sha256), got {wrong!r}"
            )
        self._acquire()
        fresh = {h: i for i, h in enumerate(hashes) if h not in self._row_of}
        if not fresh:
            return
        start = len(self._hashes)
        try:
            # Rows first: a hash must never be on disk before what it points to.
            for name, file in self._files.items():
                file.write(start, values[name][list(fresh.values())])
            digests = bytes.fromhex("".join(fresh))
            _write_at(self._index_file, start * _HASH_BYTES, digests)
        except OSError as error:
            raise self._not_written(error) from error
        for image_hash in fresh:
            self._remember(image_hash)

    def report_unreadable(self, image_hash: str, reason: str) -> None:
        """Remember that the content of this hash is no readable picture, so nobody tries again."""
        if image_hash in self.unreadable:
            return
        self._acquire()
        self.unreadable[image_hash] = reason
        line = json.dumps({"hash": image_hash, "reason": reason}) + "\n"
        try:
            with self._unreadable_file.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise self._not_written(error) from error

    def close(self) -> None:
        """Give up the right to write; reading stays possible."""
        if self._lock is not None:
            self._lock()
            self._lock = None

    def __enter__(self: _Store) -> _Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside

    def _checked(self, name: str, rows: npt.ArrayLike | None, count: int) -> npt.NDArray[Any]:
        wanted = (count, *self._files[name].row_shape)
        if rows is None:
            raise FeatureStoreError(f"{name} must be {wanted} for {count} hashes, got none")
        values = np.asarray(rows)
        if values.shape != wanted:
            raise FeatureStoreError(
                f"{name} must be {wanted} for {count} hashes, got {values.shape}"
            )
        if not np.isfinite(values).all():
            raise FeatureStoreError(
                f"{name} must be finite, got NaN or infinity (nothing was stored)"
            )
        return values

    @property
    def _index_file(self) -> Path:
        return self.folder / "index.sha256"

    @property
    def _unreadable_file(self) -> Path:
        return self.folder / "unreadable.jsonl"

    def _not_written(self, error: OSError) -> FeatureStoreError:
        return FeatureStoreError(
            f"features cannot be written to {self.folder} ({error}); free some space and start "
            "again: what was stored before is intact"
        )

    def _remember(self, image_hash: str) -> None:
        self._row_of[image_hash] = len(self._hashes)
        self._hashes.append(image_hash)

    def _check_description(self, description: dict[str, Any]) -> None:
        path = self.folder / "store.json"
        if not path.exists():
            self._touch()
            self._index_file.touch()
            write_atomically(path, json.dumps(description, indent=1).encode())
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FeatureStoreError(
                f"{path} is not readable ({error}); remove the folder to extract again"
            ) from error
        self._touch()
        for key, value in json.loads(json.dumps(description)).items():
            if found.get(key) != value:
                raise FeatureStoreError(
                    f"{self.folder} holds features with {key} {found.get(key)!r}, asked for "
                    f"{value!r} (use another folder, or remove this one to extract again)"
                )

    def _touch(self) -> None:
        for file in self._files.values():
            file.path.touch()

    def _read_unreadable(self) -> None:
        if not self._unreadable_file.exists():
            return
        for line in self._unreadable_file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed
            self.unreadable[entry["hash"]] = entry["reason"]

    def _acquire(self) -> None:
        """Become the writer, and take in what a former one has left."""
        if self._lock is not None:
            return
        try:
            lock = (self.folder / "lock").open("a+b")
        except OSError as error:
            raise self._not_written(error) from error
        if not try_lock(lock):
            lock.close()
            raise FeatureStoreError(
                f"another process is writing features to {self.folder} (wait for it or stop it)"
            )
        # Released by close(), or when the store is no longer used.
        self._lock = weakref.finalize(self, lock.close)
        known = len(self._hashes)
        self.refresh()
        if len(self._hashes) != known:
            for file in self._files.values():
                file.forget()


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Write at ``offset``, drop what lies behind, and wait until it is on disk."""
    with path.open("r+b", buffering=0) as file:
        file.truncate(offset)
        file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        sync_file(file)
