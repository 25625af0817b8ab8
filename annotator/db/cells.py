"""Cell changes of one event, packed into bytes, and what can be computed from them alone.

A change holds the whole row before and after, so an event can be undone exactly, provenance and
all, without looking at any other event. Columns are stored one after another and deflated: nine
million imported cells take a few megabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PART = 1 << 17
"""Most cells in one packed part; keeps memory bounded however large an event is."""

CELL = np.dtype(
    [
        ("image", "<u4"),
        ("category", "<u4"),
        ("before", "i1"),  # -1 absent, 0 unknown (no row), 1 present
        ("after", "i1"),
        ("before_event", "<i8"),  # event that made the former row, 0 if there was none
        ("after_event", "<i8"),  # event named by the new row, 0 if there is none
        ("before_score", "<f4"),  # model's probability when it was decided, NaN if none was known
        ("after_score", "<f4"),
    ]
)

ROW = np.dtype(
    [("image", "i8"), ("category", "i8"), ("state", "i1"), ("score", "f8"), ("event", "i8")]
)
"""One row of the decision table."""

Cells = NDArray[np.void]
"""Structured array [n] of `CELL`."""

_FORMAT = 1
_LEVEL = 1  # higher levels cost much more time and save little on columns like these


def changes(
    image: NDArray[np.integer[Any]] | list[int],
    category: NDArray[np.integer[Any]] | list[int],
    after: NDArray[np.integer[Any]] | list[int],
    *,
    event_id: int,
    score: NDArray[np.floating[Any]] | float = np.nan,
) -> Cells:
    """Changes of cells that were unknown before; `set_before` fills in what was there.

    Args:
        image: image ids [n].
        category: category ids [n].
        after: new states [n], 0 makes a cell unknown.
        event_id: the event that changes them.
        score: probability that the model gave at that moment [n], NaN where there is none.
    """
    cells = np.zeros(len(image), dtype=CELL)
    cells["image"] = image
    cells["category"] = category
    cells["after"] = after
    known = cells["after"] != 0
    cells["after_event"] = np.where(known, event_id, 0)
    cells["before_score"] = np.nan
    cells["after_score"] = np.where(known, score, np.nan)
    return cells


def set_before(cells: Cells, rows: NDArray[np.void]) -> None:
    """Write into ``cells`` what was there before.

    Args:
        cells: each cell once, any order.
        rows: `ROW` array of decisions, each cell once, any order; others do no harm.
    """
    if not len(rows):
        return
    have, wanted = key_of(rows["image"], rows["category"]), keys(cells)
    order = np.argsort(have, kind="stable")
    row = order[np.searchsorted(have, wanted, sorter=order).clip(max=len(have) - 1)]
    match = have[row] == wanted
    for name, column in (("before", "state"), ("before_event", "event"), ("before_score", "score")):
        cells[name][match] = rows[column][row[match]]


def counts(cells: Cells) -> dict[str, int]:
    """What changes did, in cells, and on how many pictures."""
    before, after = cells["before"], cells["after"]
    return {
        "present": int((after == 1).sum()),
        "absent": int((after == -1).sum()),
        "unknown": int((after == 0).sum()),
        "added": int(((before == 0) & (after != 0)).sum()),
        "removed": int(((before != 0) & (after == 0)).sum()),
        "images": len(np.unique(cells["image"])),
    }


def clear_before(cells: Cells) -> None:
    """Forget what was there before, as if no cell had been known."""
    cells["before"] = cells["before_event"] = 0
    cells["before_score"] = np.nan


def step_back(cells: Cells, event: Cells) -> None:
    """Lead to what was there before ``event`` wherever that changed a cell of ``cells``.

    Args:
        cells: changed in place: what comes after becomes the row before the event.
        event: cells of the event to skip, any order.
    """
    order = np.argsort(keys(event), kind="stable")
    have, wanted = keys(event)[order], keys(cells)
    place = np.searchsorted(have, wanted).clip(max=len(have) - 1)
    match = have[place] == wanted
    former = event[order[place[match]]]
    for name in ("{}", "{}_event", "{}_score"):
        cells[name.format("after")][match] = former[name.format("before")]


def inverted(cells: Cells) -> Cells:
    """The changes that take these back."""
    result = cells.copy()
    for name in ("{}", "{}_event", "{}_score"):
        result[name.format("before")] = cells[name.format("after")]
        result[name.format("after")] = cells[name.format("before")]
    return result


def keys(cells: Cells) -> NDArray[np.uint64]:
    """One number per cell that orders by image, then category [n]."""
    return key_of(cells["image"], cells["category"])


def key_of(
    image: NDArray[np.integer[Any]], category: NDArray[np.integer[Any]]
) -> NDArray[np.uint64]:
    """As `keys`, from two columns."""
    return (image.astype(np.uint64) << np.uint64(32)) | category.astype(np.uint64)


def pack(cells: Cells) -> bytes:
    """Bytes of a part, at most `PART` cells; order is kept."""
    columns = []
    for name in CELL.names or ():
        column = np.ascontiguousarray(cells[name])
        if name == "image":  # sorted ids become runs of zeros and ones
            column = np.diff(column, prepend=np.uint32(0))
        columns.append(column.tobytes())
    head = _FORMAT.to_bytes(1, "little") + len(cells).to_bytes(4, "little")
    return head + zlib.compress(b"".join(columns), _LEVEL)


def unpack(packed: bytes) -> Cells:
    """What `pack` was given.

    Raises:
        ValueError: if the bytes are damaged or of a newer format.
    """
    if packed[:1] != _FORMAT.to_bytes(1, "little"):
        raise ValueError(f"packed cells have format {packed[:1]!r}, expected {_FORMAT}")
    count = int.from_bytes(packed[1:5], "little")
    try:
        content = zlib.decompress(packed[5:])
    except zlib.error as error:
        raise ValueError(f"packed cells are damaged: {error}") from None
    if len(content) != count * CELL.itemsize:
        raise ValueError(f"packed cells are damaged: {len(content)} bytes for {count} cells")
    cells = np.empty(count, dtype=CELL)
    start = 0
    for name in CELL.names or ():
        kind = CELL[name]
        column = np.frombuffer(content, dtype=kind, count=count, offset=start)
        cells[name] = np.cumsum(column, dtype=kind) if name == "image" else column
        start += count * kind.itemsize
    return cells


def parts(cells: Cells) -> Iterable[Cells]:
    """Slices of at most `PART` cells."""
    return (cells[start : start + PART] for start in range(0, len(cells), PART))


def replay(events: Iterable[Cells]) -> dict[tuple[int, int], tuple[int, int, float | None]]:
    """The decision table that a log leads to, from the cells of its events in order.

    Returns:
        (image, category) -> (state, event id, score); unknown cells have no entry.
    """
    table: dict[tuple[int, int], tuple[int, int, float | None]] = {}
    for cells in events:
        for cell in cells.tolist():
            image, category, _, after, _, after_event, _, after_score = cell
            if after == 0:
                table.pop((image, category), None)
            else:
                score = None if np.isnan(after_score) else after_score
                table[image, category] = (after, after_event, score)
    return table
