"""Files made for people in the browser, kept outside the workspace until they are fetched."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from annotator.backup import Backup, back_up
from annotator.errors import InvalidInput, NotFound
from annotator.exchange import Exported, Progress, export_coco, export_csv
from annotator.service import AnnotationService
from annotator.settings import Workspace

FORMATS = {"coco": ("COCO", "labels_coco.json"), "csv": ("CSV", "labels.csv")}
"""Format -> what people call it, and the name of the file."""

_KEPT = 5


@dataclass(frozen=True)
class Download:
    """A file to fetch: its token is its address, its name is what the browser saves it as."""

    token: str
    path: Path
    name: str


class Downloads:
    """A temporary folder with the newest few files. Thread-safe; also a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="annotator-downloads-"))
        self._files: dict[str, Download] = {}
        self._guard = threading.Lock()

    def export(
        self, service: AnnotationService, kind: str, progress: Progress | None = None
    ) -> tuple[Download, Exported]:
        """Write all labels to a file and keep it.

        Args:
            service: of the workspace.
            kind: one of `FORMATS`.
            progress: called with (pictures done, pictures).

        Raises:
            InvalidInput: if there is no such format, or there is nothing to export.
        """
        if kind not in FORMATS:
            raise InvalidInput(f"there is no format {kind!r} (choose one of {', '.join(FORMATS)})")
        name = FORMATS[kind][1]
        write = export_coco if kind == "coco" else export_csv
        with self._keeping(name) as download:
            exported = write(service, download.path, progress=progress)
        return download, exported

    def backup(
        self, workspace: Workspace, progress: Progress | None = None
    ) -> tuple[Download, Backup]:
        """Write a backup and keep it.

        Args:
            workspace: with its database in the folder.
            progress: called with (bytes done, bytes).

        Raises:
            WorkspaceError: if the database is elsewhere or damaged.
        """
        with self._keeping(f"backup-{datetime.now():%Y-%m-%d-%H%M}.zip") as download:
            done = back_up(workspace, download.path, progress=progress)
        return download, done

    @contextmanager
    def _keeping(self, name: str) -> Iterator[Download]:
        """A new file that is kept if it could be written; the oldest ones go."""
        token = secrets.token_urlsafe(16)
        folder = self._folder / token
        folder.mkdir()
        download = Download(token, folder / name, name)
        try:
            yield download
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._guard:
            self._files[token] = download
            while len(self._files) > _KEPT:
                oldest = self._files.pop(next(iter(self._files)))
                shutil.rmtree(oldest.path.parent, ignore_errors=True)

    def get(self, token: str) -> Download:
        """A file by its token.

        Raises:
            NotFound: if there is none any more.
        """
        with self._guard:
            found = self._files.get(token)
        if found is None:
            raise NotFound("this export is not kept any more (export it again)")
        return found

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
