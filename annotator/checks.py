"""Checks of what comes in, each with the message for the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InvalidInput, NotFound
from annotator.types import CellBatch, CellChange

STATES = (-1, 0, 1)

T = TypeVar("T")


def check_cells(cells: Sequence[CellChange]) -> list[tuple[int, int, int]]:
    """Each cell once as (image, category, state), sorted.

    Raises:
        InvalidInput: if there is none, a state is none of -1, 0, 1, or a cell has two states.
    """
    if not cells:
        raise InvalidInput("there is no cell to decide (name at least one)")
    wanted: dict[tuple[int, int], int] = {}
    for cell in cells:
        if cell.state not in STATES:
            raise InvalidInput(
                f"state must be 1 (present), -1 (absent) or 0 (unknown), got {cell.state!r}"
            )
        place = (cell.image_id, cell.category_id)
        if wanted.setdefault(place, cell.state) != cell.state:
            raise InvalidInput(
                f"image {cell.image_id}, category {cell.category_id} is given two states "
                "(name each cell once)"
            )
    return sorted((image, category, state) for (image, category), state in wanted.items())


def check_key(key: str) -> None:
    """Refuse what is no idempotency key."""
    if not isinstance(key, str) or not 1 <= len(key) <= 200 or not key.isprintable():
        raise InvalidInput(
            f"key must be 1 to 200 printable characters, got {str(key)[:40]!r} (use a UUID)"
        )


def check_source(source: str) -> None:
    """Refuse what cannot name where a decision was taken."""
    if not isinstance(source, str) or not 1 <= len(source) <= 40 or not source.isprintable():
        raise InvalidInput(
            f"source must be 1 to 40 printable characters, got {str(source)[:60]!r} "
            "(such as focus or sweep)"
        )


def check_batch(
    batch: CellBatch, image_ids: NDArray[np.int64], category_ids: NDArray[np.int64]
) -> None:
    """Refuse a batch with a malformed value or a picture or category that does not exist.

    Args:
        batch: of a bulk change.
        image_ids: of all pictures.
        category_ids: of all categories.
    """
    lengths = {len(batch.image_ids), len(batch.category_ids), len(batch.states)}
    if batch.scores is not None:
        lengths.add(len(batch.scores))
    if len(lengths) > 1:
        raise InvalidInput("the columns of a batch of cells must have the same length")
    odd = np.flatnonzero(~np.isin(batch.states, STATES))
    if len(odd):
        raise InvalidInput(
            "state must be 1 (present), -1 (absent) or 0 (unknown), "
            f"got {batch.states[odd[0]].item()!r}"
        )
    if batch.scores is not None and ((batch.scores < 0) | (batch.scores > 1)).any():
        odd = np.flatnonzero((batch.scores < 0) | (batch.scores > 1))
        raise InvalidInput(f"scores must be from 0 to 1, got {batch.scores[odd[0]].item()!r}")
    for what, ids, known in (
        ("image", batch.image_ids, image_ids),
        ("category", batch.category_ids, category_ids),
    ):
        missing = np.flatnonzero(~np.isin(ids, known))
        if len(missing):
            require(None, what, ids[missing[0]].item())


def refuse_two_states(cell: np.void) -> NoReturn:
    """Say which cell was given two states."""
    raise InvalidInput(
        f"image {cell['image']}, category {cell['category']} is given two states "
        "(name each cell once)"
    )


def require(found: T | None, what: str, name: object) -> T:
    """What was looked up, unless there is none.

    Raises:
        NotFound: naming what was looked for.
    """
    if found is None:
        raise NotFound(f"there is no {what} {name!r} (it may have been removed; list them again)")
    return found
