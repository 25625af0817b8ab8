"""Deciding one category in many pictures chosen from a list: what is met, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.browsing import Columns, Condition, Order, find
from annotator.db import cells as packed
from annotator.db import offers, store
from annotator.db.cells import Cells
from annotator.errors import Conflict, InvalidInput
from annotator.types import Event

BULK = "bulk"
"""Kind of the events that decide a selection."""

_STATE_NAMES = {"present": 1, "absent": -1, "unknown": 0}

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Pictures chosen from a list by their places in it.

    Attributes:
        name: of the list.
        ranges: first place and place after the last, ascending, none overlapping another.
        whole: what was chosen is "all that the filter finds", not these pictures one by one; it is
            then looked whether the filter still finds the same.
    """

    name: str
    ranges: tuple[tuple[int, int], ...]
    whole: bool = False


@dataclass(frozen=True)
class Preview:
    """The cells of one category in a selection as they are now.

    Attributes:
        check: to be handed back with the decision, which is refused if anything has changed.
    """

    images: int
    present: int
    absent: int
    unknown: int
    check: str


@dataclass(frozen=True)
class BulkResult:
    """What deciding a selection did, in cells.

    Attributes:
        event_id: the one event, which can be undone.
        repeated: the same request had been carried out before; nothing was changed now.
        added: were unknown.
        overwritten: had the other state, or were known and are unknown now.
        confirmed: had this state already; left as they were.
        kept: had the other state and were left.
    """

    event_id: int
    repeated: bool
    added: int
    overwritten: int
    confirmed: int
    kept: int


@dataclass(frozen=True)
class Chosen:
    """Places of the chosen pictures and the states of their cells, by image id."""

    rows: NDArray[np.int64]
    states: NDArray[np.int8]
    preview: Preview


def choose(
    columns: Columns,
    image_ids: Ids,
    condition: Condition | None,
    selection: Selection,
    category_id: int,
) -> Chosen:
    """The cells of one category in a selection as they are now.

    Args:
        columns: as of now.
        image_ids: of the list, in its order.
        condition: that the list was made by.
        selection: places in the list.
        category_id: of the cells.

    Raises:
        InvalidInput: if the selection is malformed or empty.
        NotFound: if there is no such category.
        Conflict: if all that the filter finds was chosen and it finds others now.
    """
    picked = np.sort(_picked(image_ids, selection.ranges))
    place = columns.column(category_id)
    rows = columns.rows(picked)
    states = columns.states[place, rows]
    if selection.whole:
        now = columns.image_ids[find(columns, condition, Order())]
        if len(now) != len(picked) or (now != picked).any():
            raise Conflict(
                f"nothing was changed: the filter finds {len(now):,} pictures now and found "
                f"{len(picked):,} when they were selected; others may be among them "
                "(refresh the list and select again)"
            )
    check = sha256(picked.tobytes() + states.tobytes() + bytes([selection.whole]))
    counts = {name: int((states == s).sum()) for name, s in _STATE_NAMES.items()}
    preview = Preview(images=len(rows), **counts, check=check.hexdigest()[:24])
    return Chosen(rows, states, preview)


def _picked(image_ids: Ids, ranges: Sequence[tuple[int, int]]) -> Ids:
    end = 0
    for first, after in ranges:
        if not end <= first < after <= len(image_ids):
            raise InvalidInput(
                f"places {first} to {after} are not in the list of {len(image_ids):,} pictures or "
                "not in ascending order (refresh the list and select again)"
            )
        end = after
    if not ranges:
        raise InvalidInput("no picture is selected (select at least one)")
    return np.concatenate([image_ids[first:after] for first, after in ranges])


def changes_of(
    columns: Columns, chosen: Chosen, category_id: int, state: int, overwrite: bool
) -> tuple[Cells, int]:
    """Cells to change, without what was there before, and how many are left with the other one."""
    other = (chosen.states != 0) & (chosen.states != state)
    unknown = (chosen.states == 0) & (state != 0)
    change = unknown | other if overwrite or state == 0 else unknown
    rows = chosen.rows[change]
    score: NDArray[np.float32] | float = np.nan
    if columns.scores is not None:
        score = columns.scores.probability(category_id)[rows]
    ids, same = columns.image_ids[rows], np.full(len(rows), category_id)
    cells = packed.changes(ids, same, np.full(len(rows), state), event_id=0, score=score)
    cells["before"] = chosen.states[change]
    return cells, int(other.sum() - (other & change).sum())


def write_changes(connection: Connection, event_id: int, changes: Cells, category_id: int) -> None:
    """Write the changes of an event; of one category, so that what was there is found at once."""
    if not len(changes):
        return
    changes["after_event"] = np.where(changes["after"] != 0, event_id, 0)
    known = changes["image"][changes["before"] != 0].tolist()
    packed.set_before(changes, store.decision_rows(connection, known, [category_id]))
    store.write_cells(connection, changes)
    store.add_event_cells(connection, event_id, changes)
    offers.withdraw_decided_suggestions(connection, event_id)


def summary_of(changes: Cells, chosen: Chosen, state: int, kept: int) -> dict[str, Any]:
    """What the event says of itself."""
    overwritten = int((changes["before"] != 0).sum())
    return {
        **{name: len(changes) if state == s else 0 for name, s in _STATE_NAMES.items()},
        "images": len(changes),
        "image_ids": changes["image"][:3].tolist(),
        "category_ids": changes["category"][:1].tolist(),
        "added": len(changes) - overwritten,
        "overwritten": overwritten,
        "confirmed": int((chosen.states == state).sum()),
        "kept": kept,
    }


def result_of(event: Event, *, repeated: bool) -> BulkResult:
    """What an event of kind `BULK` did."""
    names = ("added", "overwritten", "confirmed", "kept")
    facts = {name: int(event.summary[name]) for name in names}
    return BulkResult(event_id=event.id, repeated=repeated, **facts)


def in_words(preview: Preview) -> str:
    """The counts of a preview, such as: 3 unknown, 2 present, 0 absent."""
    counts = (f"{getattr(preview, name):,} {name}" for name in ("unknown", "present", "absent"))
    return ", ".join(counts)
