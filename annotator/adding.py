"""Adding what there is to label: categories by name, pictures by content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from annotator.category_changes import ADDED
from annotator.checks import require
from annotator.db import store
from annotator.db.engine import Database
from annotator.errors import Conflict
from annotator.images import ScannedImage, UnreadableImage
from annotator.names import clean_name, name_key
from annotator.settings import Workspace
from annotator.types import AddReport, Category

_AT_ONCE = 500  # pictures in one transaction


def add_categories(
    connection: Connection, names: Iterable[str], user_id: int | None, at: datetime
) -> list[Category]:
    """Append categories; see `AnnotationService.add_categories`.

    Args:
        connection: of a writing transaction.
        names: some may exist already.
        user_id: who adds them.
        at: when.
    """
    wanted = list(dict.fromkeys(clean_name(name, "category") for name in names))
    if user_id is not None:
        require(store.user(connection, user_id), "user", user_id)
    by_key = store.category_names_by_key(connection)
    existing = set(by_key.values())
    for name in wanted:
        alike = by_key.setdefault(name_key(name), name)
        if alike != name:
            raise Conflict(
                f"category {name!r} differs from {alike!r} in case or typography only "
                "(use the same spelling, or another name)"
            )
    new = [name for name in wanted if name not in existing]
    if new:
        store.add_categories(connection, [(name, name_key(name)) for name in new], at)
    by_name = {category.name: category for category in store.categories(connection)}
    if new:
        ids = [by_name[name].id for name in new]
        store.log_event(connection, ADDED, user_id, at, {"names": new, "ids": ids})
    return [by_name[name] for name in wanted]


class PictureAdder:
    """Adds pictures by content, a few hundred a transaction, and counts what became of them.

    Args:
        workspace: says how paths are stored.
        database: of it.
        clock: gives the time, aware.
    """

    def __init__(
        self, workspace: Workspace, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self._workspace = workspace
        self._database = database
        self._clock = clock
        self._added = self._known = self._moved = 0
        self._duplicates: list[tuple[str, str]] = []
        self._unreadable: list[tuple[str, str]] = []

    def add(
        self, scanned: Iterable[ScannedImage | UnreadableImage], user_id: int | None
    ) -> AddReport:
        """Add pictures; see `AnnotationService.add_images`."""
        remaining = iter(scanned)
        while some := list(islice(remaining, _AT_ONCE)):
            readable = [one for one in some if isinstance(one, ScannedImage)]
            self._unreadable += [
                (one.file_name, one.reason) for one in some if isinstance(one, UnreadableImage)
            ]
            if readable:
                with self._database.writing() as connection:
                    self._add(connection, readable)
        if self._added:
            with self._database.writing() as connection:
                store.log_event(
                    connection, "images", user_id, self._clock(), {"added": self._added}
                )
        return AddReport(
            self._added, self._known, self._moved, tuple(self._duplicates), tuple(self._unreadable)
        )

    def _add(self, connection: Connection, scanned: Sequence[ScannedImage]) -> None:
        stored = store.images_by_hash(connection, {one.sha256 for one in scanned})
        places = {sha: (image.path, image.file_name) for sha, image in stored.items()}
        new: dict[str, dict[str, Any]] = {}
        moved: list[dict[str, Any]] = []
        for one in scanned:
            path = self._workspace.stored_path(one.path)
            if one.sha256 not in places:
                places[one.sha256] = (path, one.file_name)
                new[one.sha256] = _image_row(one, path, self._clock())
            elif places[one.sha256][0] == path:
                self._known += 1
            elif one.sha256 in new or self._workspace.image_path(places[one.sha256][0]).exists():
                self._duplicates.append((one.file_name, places[one.sha256][1]))
            else:
                places[one.sha256] = (path, one.file_name)
                key = stored[one.sha256].id
                moved.append({"key": key, "path": path, "file_name": one.file_name})
        if new:
            store.add_images(connection, list(new.values()))
        if moved:
            store.move_images(connection, moved)
        self._added += len(new)
        self._moved += len(moved)


def _image_row(one: ScannedImage, path: str, at: datetime) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "path": path,
        "file_name": one.file_name,
        "width": one.width,
        "height": one.height,
        "bytes": one.bytes,
        "format": one.format,
        "added_at": at,
    }
