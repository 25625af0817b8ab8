"""Taking an event back: which cells are still its own, what they become, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.category_changes import ADDED, KIND, take_back_rows, told_of
from annotator.checks import check_key, require
from annotator.completion import contracts
from annotator.completion.contract_questions import AUDIT_SOURCE
from annotator.db import cells as packed
from annotator.db import offers, store
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import Conflict, NotFound, WorkspaceError
from annotator.idempotency import digest_of, done_before
from annotator.types import Event, ImageState, LeftCell, UndoResult
from annotator.view_reader import FULL_STATES, ViewReader, offer_shown

LEFT_SHOWN = 100

_REVISIONS = 5_000  # pictures up to which an answer carries revisions


@dataclass(frozen=True)
class Undoing:
    """Takes events back and answers with the pictures as they are then. Thread-safe.

    Attributes:
        reader: of what the answer shows.
        clock: gives the time, aware.
    """

    database: Database
    reader: ViewReader
    clock: Callable[[], datetime]

    def undo(self, user_id: int, key: str, event_id: int | None) -> TakenBack:
        """Take an event back once; on disk on return. See `AnnotationService.taken_back`."""
        check_key(key)
        digest = digest_of("undo", user_id, *([] if event_id is None else [event_id]))
        with self.database.writing() as connection:
            done = done_before(connection, key, digest)
            repeated = done is not None
            if done is None:
                require(store.user(connection, user_id), "user", user_id)
                if event_id is None:
                    target = store.newest_undoable(connection, user_id)
                else:
                    target = undoable_event(connection, event_id)
                if target is None:
                    raise NotFound("there is nothing left to undo")
                done = self.take_back(connection, target, user_id, key, digest)
        return TakenBack(self, done, repeated)

    def take_back(
        self,
        connection: Connection,
        target: Event,
        user_id: int | None,
        key: str | None,
        digest: str | None,
    ) -> Event:
        """Write the event that takes another one back, inside a writing transaction.

        Args:
            connection: of the transaction.
            target: changed cells or categories and is not undone.
            user_id: who takes it back; None if nobody asked for it.
            key: idempotency key of the request.
            digest: of the request.
        """
        undo_id = store.add_event(
            connection,
            kind=store.UNDO,
            user_id=user_id,
            source=target.source,
            at=self.clock(),
            idempotency_key=key,
            request_digest=digest,
            undoes_event_id=target.id,
            cell_count=0,
            summary={},
        )
        undone = undo_event(connection, target, undo_id)
        contracts.after_undo(connection, target.id)
        summary = {
            "undone": {
                "kind": target.kind,
                "source": target.source,
                "at": target.at.isoformat(),
                **told_of(target.summary),
            },
            **undone.counts,
            "left": [[c.image_id, c.category_id, c.state, c.user] for c in undone.left],
            "left_count": undone.left_count,
        }
        store.set_event_result(connection, undo_id, undone.cells, summary)
        return require(store.event(connection, undo_id), "event", undo_id)

    def told(
        self, connection: Connection, done: Event, *, repeated: bool, note: bool
    ) -> UndoResult:
        """What is answered to an undo.

        Args:
            connection: of a writing transaction if anything is to be noted.
            done: the event that took another one back.
            repeated: the same request had been carried out before.
            note: note the suggestions that the answer carries to a person.
        """
        undone = done.summary["undone"]
        target = done.undoes_event_id or 0
        image_ids: list[int] = []
        if 0 < undone.get("images", 0) <= _REVISIONS:
            parts = [np.unique(cells["image"]) for cells in store.event_cells(connection, target)]
            image_ids = np.unique(np.concatenate(parts)).tolist()
        states: tuple[ImageState, ...] = ()
        # Taken back, a blind answer is asked again: nothing may be told of its picture.
        if len(image_ids) <= FULL_STATES and undone["source"] != AUDIT_SOURCE:
            states = self.reader.states(connection, image_ids)
            if note:
                offer_shown(connection, states)
        return UndoResult(
            event_id=done.id,
            undone_event_id=target,
            repeated=repeated,
            summary=undone,
            cells=done.cell_count,
            left=tuple(LeftCell(*cell) for cell in done.summary["left"]),
            left_count=done.summary["left_count"],
            revisions=store.revisions(connection, image_ids),
            images=states,
        )


@dataclass(frozen=True)
class TakenBack:
    """An undo that is on disk; its answer is worked out apart, as that of a decision."""

    undoing: Undoing
    event: Event
    repeated: bool

    def result(self) -> UndoResult:
        """The answer; notes the suggestions that it carries to a person."""
        told = partial(self.undoing.told, done=self.event, repeated=self.repeated)
        # The undo is on disk: where nothing can be noted now, it is told all the same.
        with suppress(Conflict), self.undoing.database.writing() as connection:
            return told(connection, note=True)
        with self.undoing.database.reading() as connection:
            return told(connection, note=False)


@dataclass
class Undone:
    """What undoing did.

    Attributes:
        cells: number of cells restored.
        left: cells left alone, the first of them.
        left_count: number of all cells left alone.
        added: cells that are known now and were not.
        removed: cells that were known and are not now.
        decided: decisions taken back.
    """

    cells: int = 0
    left: list[LeftCell] = field(default_factory=list)
    left_count: int = 0
    added: int = 0
    removed: int = 0
    decided: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """What the event says of itself, in cells; decided is negative: decisions taken back."""
        return {"added": self.added, "removed": self.removed, "decided": -self.decided}

    def count(self, back: Cells) -> None:
        """Add changes that take cells back."""
        before, after = back["before"], back["after"]
        self.cells += len(back)
        self.added += int(((before == 0) & (after != 0)).sum())
        self.removed += int(((before != 0) & (after == 0)).sum())
        self.decided += int((before != 0).sum())


def undoable_event(connection: Connection, event_id: int) -> Event:
    """An event that can be taken back.

    Raises:
        NotFound: if there is none of this id.
        Conflict: if it was taken back already, or is of a kind that cannot be.
    """
    event = require(store.event(connection, event_id), "event", event_id)
    if event.undone_by_event_id is not None:
        raise Conflict("this was taken back already (reload to see what there is)")
    if event.kind == store.UNDO or not (event.cell_count or event.kind in (KIND, ADDED)):
        raise Conflict(f"an event of kind {event.kind!r} cannot be taken back")
    return event


def undo_event(connection: Connection, target: Event, undo_id: int) -> Undone:
    """Restore the former row of every cell that ``target`` was the last to change.

    Args:
        connection: of a writing transaction.
        target: an event that changed cells and is not undone.
        undo_id: the new event that holds the changes made here.
    """
    result = Undone()
    part = 0
    if target.kind in (KIND, ADDED):
        take_back_rows(connection, target)
    categories = [category.id for category in store.categories(connection)]
    for cells in store.event_cells(connection, target.id):
        back = packed.inverted(cells)
        ours, now, changed_by = _still_ours(connection, target, back, categories)
        _report(connection, result, now[~ours], changed_by[~ours])
        back = np.compress(ours, back)
        _skip_undone(connection, back)
        if len(back):
            store.write_cells(connection, back)
            part = store.add_event_cells(connection, undo_id, back, part)
            if target.kind == "decide":
                offers.reopen_suggestions(connection, back, target.id)
        result.count(back)
    if target.kind != "decide":
        offers.reopen_withdrawn_suggestions(connection, target.id)
    store.mark_undone(connection, target.id, undo_id)
    return result


def count_undoable(connection: Connection, target: Event) -> tuple[int, int]:
    """Cells that undoing an event would restore now, and those it would leave alone."""
    categories = [category.id for category in store.categories(connection)]
    restored = left = 0
    for cells in store.event_cells(connection, target.id):
        ours, _, _ = _still_ours(connection, target, packed.inverted(cells), categories)
        restored += int(ours.sum())
        left += int((~ours).sum())
    return restored, left


def _still_ours(
    connection: Connection, target: Event, back: Cells, categories: Sequence[int]
) -> tuple[NDArray[np.bool_], Cells, NDArray[np.int64]]:
    """Which cells an event was the last to change [n], all as they are now, and who did [n]."""
    now = back.copy()
    packed.clear_before(now)
    store.fill_before(connection, now)
    ours = (now["before"] == back["before"]) & (now["before_event"] == back["before_event"])
    ours &= np.isin(back["category"], categories)  # others were removed since
    changed_by = _later_unknowns(connection, target.id, back, ours)
    ours &= changed_by == 0
    return ours, now, changed_by


def _later_unknowns(
    connection: Connection, event_id: int, back: Cells, ours: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Later standing event that made a cell unknown which this event had made unknown too, or 0.

    An unknown cell has no row that could name its event, so the log has to be asked.
    """
    result = np.zeros(len(back), dtype=np.int64)
    suspects = np.flatnonzero(ours & (back["before"] == 0))
    if not len(suspects):
        return result
    wanted = packed.keys(back[suspects])
    for later in store.standing_events_after(connection, event_id):
        for cells in store.event_cells(connection, later):
            result[suspects[np.isin(wanted, packed.keys(cells))]] = later
    return result


def _report(
    connection: Connection, result: Undone, now: Cells, changed_by: NDArray[np.int64]
) -> None:
    """Note cells that are left alone, with who changed them."""
    result.left_count += len(now)
    shown = now[: LEFT_SHOWN - len(result.left)]
    made_by = np.where(shown["before"] != 0, shown["before_event"], changed_by[: len(shown)])
    people = store.provenance(connection, np.unique(made_by).tolist())
    for cell, event_id in zip(shown, made_by.tolist(), strict=True):
        user = people[event_id].user if event_id in people else None
        image, category, state = (int(cell[n]) for n in ("image", "category", "before"))
        result.left.append(LeftCell(image, category, state, user))


def _skip_undone(connection: Connection, back: Cells) -> None:
    """Never bring a decision back that its maker has taken back: go to what was before that.

    It happens where a later change by somebody else was in the way of that undo and is now undone
    itself.
    """
    while undone := store.undone_events(connection, np.unique(back["after_event"]).tolist()):
        for event_id in undone:
            mine = back["after_event"] == event_id
            former = back[mine]
            for cells in store.event_cells(connection, event_id):
                packed.step_back(former, cells)
            if (former["after_event"] == event_id).any():
                raise WorkspaceError(
                    f"event {event_id} lacks a cell that names it: the label database is damaged "
                    "(restore a backup)"
                )
            back[mine] = former
