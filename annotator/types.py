"""Plain data that passes between the label database, the service and its callers.

States of a cell are integers throughout: 1 present, -1 absent, 0 unknown. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from annotator.suggestions import Suggestion


@dataclass(frozen=True)
class CellChange:
    """One cell to decide: state 1 present, -1 absent, 0 make unknown."""

    image_id: int
    category_id: int
    state: int


@dataclass(frozen=True)
class User:
    """A person; settings are theirs (keys, queue, …)."""

    id: int
    name: str
    created_at: datetime
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Category:
    """A category and how many of its cells are known.

    Attributes:
        position: order in lists, from 1.
        present: cells decided present.
        absent: cells decided absent.
    """

    id: int
    name: str
    position: int
    present: int
    absent: int


@dataclass(frozen=True)
class Image:
    """A picture of the project.

    Attributes:
        path: as stored; `Workspace.image_path` makes it a path.
        file_name: path below the folder it was added from.
        width: pixels as shown, after EXIF orientation.
        bytes: size of the file.
        revision: grows with each change of its cells.
        known: number of known cells.
    """

    id: int
    sha256: str
    path: str
    file_name: str
    width: int
    height: int
    bytes: int
    format: str
    added_at: datetime
    revision: int
    known: int


@dataclass(frozen=True)
class KnownCell:
    """A decided cell with its provenance.

    Attributes:
        state: 1 present, -1 absent.
        source: where it was decided: ``focus``, ``sweep``, ``import``, …
        user: name, None if no person stands behind it.
        at: when.
        score: probability that the model gave when it was decided, None without a model.
        event_id: the event that made it so.
    """

    category_id: int
    name: str
    state: int
    source: str
    user: str | None
    at: datetime
    score: float | None
    event_id: int


@dataclass(frozen=True)
class ImageState:
    """What is known of one picture and what is suggested for the rest.

    Attributes:
        known: decided cells in the order of the categories.
        suggestions: most probable first; a limited number.
        model_version_id: that the suggestions come from, None before the first version.
        again: decided cells that the evidence contradicts, most contradicted first, with what
            speaks against the decision; None where they are not asked about.
    """

    id: int
    file_name: str
    width: int
    height: int
    revision: int
    cells_known: int
    cells_total: int
    known: tuple[KnownCell, ...]
    suggestions: tuple[Suggestion, ...]
    model_version_id: int | None
    again: tuple[Suggestion, ...] | None = None


@dataclass(frozen=True)
class AddReport:
    """What adding pictures did.

    Attributes:
        added: new pictures.
        known: pictures that were there already, under this path.
        moved: pictures that were there under a path that is gone; the new path is kept.
        duplicates: (file name, file name of the same content that is in the project).
        unreadable: (file name, reason in plain words).
    """

    added: int
    known: int
    moved: int
    duplicates: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DecideResult:
    """Answer to a decision.

    Attributes:
        event_id: the event that holds it.
        repeated: the same request had been carried out before; nothing was changed now.
        revisions: image id -> revision now, for each picture of the request.
        images: their states now; empty if the request touched more than a few pictures.
    """

    event_id: int
    repeated: bool
    revisions: Mapping[int, int]
    images: tuple[ImageState, ...]


@dataclass(frozen=True)
class LeftCell:
    """A cell that undo left alone, since somebody changed it in the meantime.

    Attributes:
        state: as it is now.
        user: who made it so, None if no person did.
    """

    image_id: int
    category_id: int
    state: int
    user: str | None


@dataclass(frozen=True)
class UndoResult:
    """What undo did.

    Attributes:
        event_id: the new event.
        undone_event_id: the event it took back.
        repeated: the same request had been carried out before; nothing was changed now.
        summary: of the undone event: kind, source, at, present, absent, unknown, images.
        cells: number of cells restored.
        left: cells left alone, at most 100 of them.
        left_count: number of all cells left alone.
        revisions: image id -> revision now; empty for a bulk event.
        images: states now; empty if it touched more than a few pictures.
    """

    event_id: int
    undone_event_id: int
    repeated: bool
    summary: Mapping[str, Any]
    cells: int
    left: tuple[LeftCell, ...]
    left_count: int
    revisions: Mapping[int, int]
    images: tuple[ImageState, ...]


@dataclass(frozen=True)
class QueuePage:
    """The next pictures of a queue for one user.

    Attributes:
        images: in order; fewer than asked for when the queue runs out.
        position: pictures of this queue that the user has been through.
        total: pictures that still have something to decide in this queue.
        blind: what the model says and what is known is not to be shown.
    """

    images: tuple[ImageState, ...]
    position: int
    total: int
    blind: bool = False


@dataclass(frozen=True)
class QueueInfo:
    """A queue that can be chosen.

    Attributes:
        name: for `AnnotationService.next_images`.
        words: for the person who chooses.
        waiting: pictures that still have something to decide in it.
        blind: as in `QueuePage`.
    """

    name: str
    words: str
    waiting: int
    blind: bool


@dataclass(frozen=True)
class Flag:
    """A picture that somebody marked with a note for somebody else.

    Attributes:
        file_name: of the picture.
        user: who set it.
        closed_by: who dealt with it, None while it is open.
    """

    id: int
    image_id: int
    file_name: str
    note: str
    user: str
    at: datetime
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True)
class CellBatch:
    """Columns of cells for bulk work; fastest when sorted by image.

    Attributes:
        image_ids: [n].
        category_ids: [n].
        states: [n] 1 present, -1 absent; 0 says nothing and is skipped.
        scores: [n] probabilities, None or NaN where there is none.
    """

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    states: NDArray[np.int8]
    scores: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, cells: Sequence[CellChange] | Sequence[tuple[int, int, int]]) -> Self:
        """From single cells (image id, category id, state)."""
        rows = [
            (c.image_id, c.category_id, c.state) if isinstance(c, CellChange) else c for c in cells
        ]
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))

    @classmethod
    def of_matrix(
        cls,
        image_ids: NDArray[np.int64],
        category_ids: NDArray[np.int64],
        states: NDArray[np.int8],
        rows_at_once: int = 1000,
    ) -> Iterator[Self]:
        """From a matrix [images, categories], a thousand rows at a time."""
        for start in range(0, len(image_ids), rows_at_once):
            row, column = np.nonzero(states[start : start + rows_at_once])
            row += start
            yield cls(image_ids[row], category_ids[column], states[row, column])

    def pieces(self, size: int) -> Iterator[Self]:
        """Slices of at most ``size`` cells."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield replace(
                self,
                image_ids=self.image_ids[part],
                category_ids=self.category_ids[part],
                states=self.states[part],
                scores=None if self.scores is None else self.scores[part],
            )

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True)
class ImportReport:
    """What a bulk change did, in cells.

    Attributes:
        event_id: the one event, which can be undone; None if nothing was changed, so that there is
            nothing to undo (an event under an idempotency key is kept even then).
        repeated: the same key had been imported before; nothing was changed now.
        added: were unknown, now known.
        confirmed: were known with the same state; left as they were.
        overwritten: were known with the other state, now as imported.
        kept: were known with the other state, left as they were.
        images: pictures with a changed cell.
    """

    event_id: int | None
    repeated: bool
    added: int
    confirmed: int
    overwritten: int
    kept: int
    images: int


@dataclass(frozen=True)
class Event:
    """One entry of the log, without its cells.

    Attributes:
        kind: ``decide``, ``import``, ``undo``, ``categories``, ``images``.
        source: where it came from: ``focus``, ``sweep``, ``import``, …
        request_digest: of the request that had the idempotency key.
        cell_count: cells it changed.
        summary: present, absent, unknown, images and the first ids.
    """

    id: int
    kind: str
    user_id: int | None
    source: str
    model_version_id: int | None
    at: datetime
    idempotency_key: str | None
    request_digest: str | None
    undoes_event_id: int | None
    undone_by_event_id: int | None
    cell_count: int
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class StoredSuggestion:
    """A suggestion as it was handed out, and what became of it.

    Attributes:
        source: kind that pushed most: ``ist``, ``cst`` or ``classifier``.
        score: probability, 0-1.
        status: ``offered``, ``accepted``, ``rejected`` or ``withdrawn``.
        reasons: as shown.
        event_id: that answered it.
    """

    image_id: int
    category_id: int
    model_version_id: int
    source: str
    score: float
    threshold: float
    status: str
    reasons: Sequence[Mapping[str, Any]]
    event_id: int | None


@dataclass(frozen=True)
class Provenance:
    """Who, when and how of the decisions of one event."""

    source: str
    user: str | None
    model_version_id: int | None
    at: datetime


@dataclass(frozen=True)
class ExportImage:
    """A picture with its known cells, columns [n] in the order of the category ids.

    Attributes:
        scores: float32, NaN where there is none.
        event_ids: key into `Export.provenance`.
    """

    image: Image
    category_ids: NDArray[np.int64]
    states: NDArray[np.int8]
    scores: NDArray[np.float32]
    event_ids: NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """All decisions at one moment as a matrix.

    Attributes:
        image_ids: [N] ascending.
        sha256: [N] content hash of each image.
        category_ids: [C] in list order.
        states: int8 [N, C] -1, 0, 1.
        event_id: newest event they contain.
    """

    image_ids: NDArray[np.int64]
    sha256: tuple[str, ...]
    category_ids: NDArray[np.int64]
    states: NDArray[np.int8]
    event_id: int


@dataclass(frozen=True)
class ModelVersion:
    """One fit of the model.

    Attributes:
        kind: ``fast`` or ``deep``.
        status: ``writing`` until its files are complete, then ``ready``; ``failed``.
        event_id: newest event it was trained on.
        feature_set: name of the pooled features.
        folder: name of its folder below ``scores`` and ``models``.
        metrics: figures of the fit by name.
        sources: weight and worth of each source of evidence.
    """

    id: int
    kind: str
    status: str
    created_at: datetime
    event_id: int
    feature_set: str
    folder: str
    metrics: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Job:
    """Something the worker does or is asked to do.

    Attributes:
        kind: ``worker`` for the worker itself, ``train``, …
        status: ``waiting``, ``running``, ``done``, ``failed`` or ``stopped``.
        progress: 0-1.
        message: what it is doing, in plain words.
        reason: why it failed or stopped.
        heartbeat: last sign of life.
    """

    id: int
    kind: str
    status: str
    config: Mapping[str, Any]
    progress: float
    message: str
    reason: str
    pid: int | None
    heartbeat: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Status:
    """The project in numbers.

    Attributes:
        cells: images x categories.
        known: decided cells, `present` + `absent`.
        images_open: pictures with at least one unknown cell.
        images_untouched: pictures without any known cell.
        event_id: newest event.
        model_version: newest that is ready, None before the first.
        job: of the worker, the newest; None if there was none.
        worker_alive: the worker has given a sign of life within the last seconds.
    """

    images: int
    categories: int
    users: int
    cells: int
    known: int
    present: int
    absent: int
    images_open: int
    images_untouched: int
    event_id: int
    model_version: ModelVersion | None
    job: Job | None
    worker_alive: bool


@dataclass(frozen=True)
class Contract:
    """Automatic decisions under a promise, as stored; see `annotator.completion.contracts`.

    Attributes:
        kind: ``accept`` decides cells present, ``reject`` absent.
        category_id: None covers every category.
        target: share promised: wrong ones of its cells (accept), missed ones of all present cells
            (reject).
        confidence: of the promise, one-sided.
        status: ``proposed``, ``active``, ``withdrawn`` or ``undone``.
        threshold: probability from which (accept) or up to which (reject) cells are decided; None
            while nothing is proved.
        cells: that it decides.
        bound: upper bound of what `target` speaks of.
        event_id: that decided its cells.
        withdrawn_event_id: that took them back.
        note: why it is as it is, in plain words.
        config: plan and results of its audits.
    """

    id: int
    kind: str
    category_id: int | None
    target: float
    confidence: float
    status: str
    threshold: float | None
    cells: int
    bound: float
    user_id: int | None
    model_version_id: int | None
    event_id: int | None
    withdrawn_event_id: int | None
    created_at: datetime
    note: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Audit:
    """A cell drawn at random and asked blind.

    Attributes:
        stream: ``proposal`` from the pool before anything is decided, ``outside`` from the other
            unknown cells, ``watch`` from what was decided.
        place: rank in the random order of the contract's pool.
        score: probability when it was drawn.
        state: the answer, None while it is asked.
    """

    id: int
    contract_id: int
    stream: str
    place: int
    image_id: int
    category_id: int
    score: float | None
    drawn_at: datetime
    state: int | None
    event_id: int | None
