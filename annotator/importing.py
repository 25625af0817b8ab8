"""Deciding any number of cells as one event, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import check_batch, check_key, check_source, refuse_two_states, require
from annotator.db import cells as packed
from annotator.db import model_work, offers, store
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import InvalidInput
from annotator.idempotency import digest_of, done_before
from annotator.types import CellBatch, ImportReport

ConflictPolicy = Literal["keep", "overwrite"]
Progress = Callable[[int], None]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class ImportRequest:
    """Where cells come from and what becomes of those that are known otherwise.

    Attributes are the arguments of `AnnotationService.import_decisions`.
    """

    user_id: int | None
    source: str
    conflict: ConflictPolicy
    key: str | None
    model_version_id: int | None
    file_name: str

    def checked_digest(self) -> str:
        """Digest of the request.

        Raises:
            InvalidInput: if a value is malformed.
        """
        if self.conflict not in ("keep", "overwrite"):
            raise InvalidInput(f"conflict must be 'keep' or 'overwrite', got {self.conflict!r}")
        check_source(self.source)
        if self.key is not None:
            check_key(self.key)
        return digest_of("import", self.user_id, self.source, self.conflict, self.model_version_id)


def import_cells(
    database: Database,
    request: ImportRequest,
    batches: Iterable[CellBatch],
    progress: Progress | None,
    clock: Callable[[], datetime],
) -> ImportReport:
    """Decide cells in bulk, once; see `AnnotationService.import_decisions`."""
    digest = request.checked_digest()
    with database.writing() as connection:
        done = None if request.key is None else done_before(connection, request.key, digest)
        if done is not None:
            return _report(done.id, done.summary, repeated=True)
        if request.user_id is not None:
            require(store.user(connection, request.user_id), "user", request.user_id)
        version = request.model_version_id
        if version is not None:
            require(model_work.model_version(connection, version), "model version", version)
        event_id = store.add_event(
            connection,
            kind="import",
            user_id=request.user_id,
            source=request.source,
            model_version_id=version,
            at=clock(),
            idempotency_key=request.key,
            request_digest=digest,
            cell_count=0,
            summary={},
        )
        overwrite = request.conflict == "overwrite"
        importing = BulkChange(connection, event_id, overwrite=overwrite)
        for batch in batches:
            for piece in batch.pieces(packed.PART):
                importing.add(piece)
                if progress is not None:
                    progress(importing.seen)
        told = importing.summary() | ({"file": request.file_name} if request.file_name else {})
        if not importing.changed and request.key is None:  # a key needs its answer kept
            store.forget_event(connection, event_id)
            return _report(None, told, repeated=False)
        store.set_event_result(connection, event_id, importing.changed, told)
        offers.withdraw_decided_suggestions(connection, event_id)
    if importing.changed > packed.PART:
        database.checkpoint()
    return _report(event_id, told, repeated=False)


def _report(event_id: int | None, told: Mapping[str, Any], *, repeated: bool) -> ImportReport:
    names = ("added", "confirmed", "overwritten", "kept", "images")
    facts = {name: int(told[name]) for name in names}
    return ImportReport(event_id=event_id, repeated=repeated, **facts)


class BulkChange:
    """One bulk change inside its transaction; counts in cells what became of it.

    Args:
        connection: of a writing transaction.
        event_id: the event that holds the change.
        overwrite: what to do with cells known with the other state.
    """

    def __init__(self, connection: Connection, event_id: int, *, overwrite: bool) -> None:
        self._connection = connection
        self._event_id = event_id
        self._overwrite = overwrite
        self._image_ids, known = store.known_counts(connection)
        # Pictures that may have rows: only those need to be looked up.
        self._has_rows = known > 0
        self._changed_images = np.zeros(len(known), dtype=bool)
        self._category_ids = np.array([c.id for c in store.categories(connection)], dtype=np.int64)
        self._part = 0
        self.seen = self.added = self.confirmed = self.overwritten = self.kept = 0
        self.present = self.absent = 0

    @property
    def changed(self) -> int:
        """Number of cells that are different now."""
        return self.added + self.overwritten

    def summary(self) -> dict[str, Any]:
        """What the event says of itself."""
        return {
            "present": self.present,
            "absent": self.absent,
            "unknown": 0,
            "images": int(self._changed_images.sum()),
            "added": self.added,
            "confirmed": self.confirmed,
            "overwritten": self.overwritten,
            "kept": self.kept,
        }

    def add(self, batch: CellBatch) -> None:
        """Write one piece of at most `cells.PART` cells."""
        self.seen += len(batch)
        cells = self._cells(batch)
        image = np.searchsorted(self._image_ids, cells["image"])
        looked_up = self._has_rows[image]
        if looked_up.any():
            some = cells[looked_up]
            store.fill_before(self._connection, some)
            cells[looked_up] = some
        again = (cells["before_event"] == self._event_id) & (cells["before"] != cells["after"])
        if again.any():
            refuse_two_states(cells[again][0])
        same, unknown = cells["before"] == cells["after"], cells["before"] == 0
        self.confirmed += int((same & (cells["before_event"] != self._event_id)).sum())
        other = ~same & ~unknown
        self.added += int(unknown.sum())
        if self._overwrite:
            self.overwritten += int(other.sum())
        else:
            self.kept += int(other.sum())
        write = unknown | other if self._overwrite else unknown
        self._write(cells[write], image[write])

    def _cells(self, batch: CellBatch) -> Cells:
        """Sorted, each cell once, checked."""
        check_batch(batch, self._image_ids, self._category_ids)
        said = batch.states != 0
        score = np.nan if batch.scores is None else batch.scores[said]
        cells = packed.changes(
            batch.image_ids[said],
            batch.category_ids[said],
            batch.states[said],
            event_id=self._event_id,
            score=score,
        )
        keys = packed.keys(cells)
        if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
            order = np.argsort(keys, kind="stable")
            cells, keys = cells[order], keys[order]
            twice = np.flatnonzero(keys[1:] == keys[:-1])
            unlike = twice[cells["after"][twice] != cells["after"][twice + 1]]
            if len(unlike):
                refuse_two_states(cells[unlike[0]])
            cells = np.delete(cells, twice)
        return cells

    def _write(self, cells: Cells, image: Ids) -> None:
        if not len(cells):
            return
        store.write_cells(self._connection, cells)
        self._part = store.add_event_cells(self._connection, self._event_id, cells, self._part)
        self._has_rows[image] = True
        self._changed_images[image] = True
        self.present += int((cells["after"] == 1).sum())
        self.absent += int((cells["after"] == -1).sum())
