"""SQL of cells that are looked at again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select, tuple_

from annotator.db import schema as t
from annotator.db.cells import key_of

_AT_ONCE = 10_000  # pairs in one IN list; the databases allow 16,000

Ids = NDArray[np.int64]


def unchanged(
    connection: Connection,
    image_ids: Ids,
    category_ids: Ids,
    states: NDArray[np.int8],
    *,
    until: int,
    besides: str,
) -> NDArray[np.bool_]:
    """Which cells are in this state still, by a decision not newer than an event [n].

    Args:
        connection: of a transaction.
        image_ids: [n], each cell once.
        category_ids: [n].
        states: [n] 1 or -1.
        until: the event.
        besides: source whose decisions do not count.
    """
    wanted = key_of(image_ids, category_ids)
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pairs = list(zip(image_ids[part].tolist(), category_ids[part].tolist(), strict=True))
        values = {"cells": pairs, "until": until, "besides": besides}
        found += [tuple(row) for row in connection.execute(_DECIDED, values)]
    rows = np.array(found, dtype=np.int64).reshape(-1, 3)
    have = key_of(rows[:, 0], rows[:, 1])
    order = np.argsort(have)
    place = np.searchsorted(have, wanted, sorter=order).clip(max=max(len(have) - 1, 0))
    if not len(have):
        return np.zeros(len(wanted), dtype=bool)
    row = order[place]
    return np.asarray((have[row] == wanted) & (rows[row, 2] == states))


_D = t.decision.c
_DECIDED = (
    select(_D.image_id, _D.category_id, _D.state)
    .select_from(t.decision.join(t.event, _D.event_id == t.event.c.id))
    .where(
        tuple_(_D.image_id, _D.category_id).in_(bindparam("cells", expanding=True)),
        _D.event_id <= bindparam("until"),
        t.event.c.source != bindparam("besides"),
    )
)
