"""Deciding cells by hand: one request is one event, written with what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import check_cells, check_key, check_source, require
from annotator.completion import asking
from annotator.completion.contract_questions import AUDIT_SOURCE
from annotator.completion.use_cases import Completion
from annotator.contradictions import QUEUE as LOOK_AGAIN
from annotator.db import cells as packed
from annotator.db import model_work, offers, store
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import Conflict
from annotator.idempotency import digest_of, done_before
from annotator.types import CellChange, DecideResult, ImageState
from annotator.view_reader import FULL_STATES, SUGGESTIONS_SHOWN, ViewReader, offer_shown
from annotator.views import View

_LIVE_SCORES = 200  # pictures up to which scores follow the labels known now


@dataclass(frozen=True)
class DecideRequest:
    """A checked request to decide cells, each once, sorted.

    Attributes:
        cells: (image id, category id, state).
        digest: of everything that is asked.
    """

    user_id: int
    cells: Sequence[tuple[int, int, int]]
    key: str
    source: str
    model_version_id: int | None
    digest: str

    @classmethod
    def of(
        cls,
        user_id: int,
        cells: Sequence[CellChange],
        key: str,
        source: str,
        model_version_id: int | None,
    ) -> Self:
        """Check a request; arguments and errors as in `AnnotationService.decide`."""
        check_key(key)
        check_source(source)
        wanted = check_cells(cells)
        digest = digest_of("decide", user_id, source, model_version_id, wanted)
        return cls(user_id, wanted, key, source, model_version_id, digest)

    @cached_property
    def image_ids(self) -> list[int]:
        """Pictures of the cells."""
        return sorted({image_id for image_id, _, _ in self.cells})


@dataclass(frozen=True)
class Deciding:
    """Decides cells and answers with the pictures as they are then. Thread-safe.

    Attributes:
        reader: of what the answer shows.
        completion: takes blind decisions as answers.
        clock: gives the time, aware.
    """

    database: Database
    reader: ViewReader
    completion: Completion
    clock: Callable[[], datetime]

    def decide(self, request: DecideRequest) -> Decided:
        """Carry a request out once; on disk on return. See `AnnotationService.decided`."""
        few = len(request.image_ids) <= FULL_STATES
        with self.database.writing() as connection:
            done = done_before(connection, request.key, request.digest)
            view = self.reader.view(
                connection, request.image_ids, request.model_version_id, cells=few
            )
            event_id = self._write(connection, view, request) if done is None else done.id
        return Decided(self.database, request, view, event_id, repeated=done is not None)

    def _write(self, connection: Connection, view: View, request: DecideRequest) -> int:
        """Write a checked request and bring the view up to date; returns the event."""
        user = require(store.user(connection, request.user_id), "user", request.user_id)
        version = request.model_version_id
        if version is not None:
            require(model_work.model_version(connection, version), "model version", version)
        for image_id, category_id, _ in request.cells:
            require(view.images.get(image_id), "image", image_id)
            require(view.column.get(category_id), "category", category_id)
        changes = _changes(connection, view, request)
        at = self.clock()
        event_id = store.add_event(
            connection,
            kind="decide",
            user_id=user.id,
            source=request.source,
            model_version_id=version,
            at=at,
            idempotency_key=request.key,
            request_digest=request.digest,
            cell_count=len(changes),
            summary=_summary(changes),
        )
        if len(changes):
            changes["after_event"] = np.where(changes["after"] != 0, event_id, 0)
            store.write_cells(connection, changes)
            store.add_event_cells(connection, event_id, changes)
            offers.answer_suggestions(connection, changes, event_id)
            view.apply(changes, source=request.source, user=user.name, at=at)
            self.completion.after_decision(connection, request.source, changes, event_id, at)
        return event_id


@dataclass(frozen=True)
class Decided:
    """A request that is on disk, and what its answer is worked out from.

    That takes as long again, and nobody has to wait for it to know that the decision is safe.

    Attributes:
        view: of its pictures, with the decision.
    """

    database: Database
    request: DecideRequest
    view: View
    event_id: int
    repeated: bool

    def result(self) -> DecideResult:
        """The answer; notes the suggestions that it carries to a person."""
        image_ids, source = self.request.image_ids, self.request.source
        revisions = {image.id: image.revision for image in self.view.images.values()}
        states: tuple[ImageState, ...] = ()
        if len(image_ids) <= FULL_STATES:
            states = self.view.states(image_ids, SUGGESTIONS_SHOWN)
        if source == AUDIT_SOURCE:
            with self.database.reading() as connection:
                states = asking.blind(connection, states, self.view.categories)
        elif states and source != LOOK_AGAIN:
            # The decision is on disk: where nothing can be noted now, it is told all the same.
            with suppress(Conflict), self.database.writing() as connection:
                # Whoever decided something since has told newer suggestions.
                if store.revisions(connection, image_ids) == revisions:
                    offer_shown(connection, states)
        return DecideResult(self.event_id, self.repeated, revisions, states)


def _changes(connection: Connection, view: View, request: DecideRequest) -> Cells:
    """Cells that change or are confirmed, with the score that the model gives them just before."""
    image, category, state = (list(column) for column in zip(*request.cells, strict=True))
    changes = packed.changes(image, category, state, event_id=0)
    few = len(request.image_ids) <= FULL_STATES
    if few:
        packed.set_before(changes, _rows(view))
    else:
        store.fill_before(connection, changes)
    changes = np.compress((changes["before"] != 0) | (changes["after"] != 0), changes)
    if few:
        scores = view.scores_of(changes)
    elif len(request.image_ids) <= _LIVE_SCORES:
        scores = view.live_scores_of(changes, store.decision_rows(connection, request.image_ids))
    else:
        scores = view.stored_scores_of(changes)
    changes["after_score"] = np.where(changes["after"] != 0, scores, np.nan)
    return changes


def _rows(view: View) -> NDArray[np.void]:
    """Decisions of a view as rows of the table."""
    return np.array(
        [
            (image_id, cell.category_id, cell.state, cell.score, cell.event_id)
            for image_id, known in (view.known or {}).items()
            for cell in known
        ],
        dtype=packed.ROW,
    )


def _summary(cells: Cells) -> dict[str, Any]:
    """Counts and the first few ids, for telling what an event was about."""
    return {
        **packed.counts(cells),
        "image_ids": np.unique(cells["image"])[:3].tolist(),
        "category_ids": np.unique(cells["category"])[:3].tolist(),
    }
