"""The queue of blind questions: which pictures and cells, without anything that could sway."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from annotator.db import contracts as db
from annotator.db import leases
from annotator.suggestions import Suggestion
from annotator.types import Category, ImageState

QUEUE = "audit"
_ANY = 1 << 30  # number of known cells that no picture reaches: none is ever closed by them


def hand_out(
    connection: Connection, user_id: int, count: int, now: datetime, lease: timedelta
) -> tuple[list[int], int]:
    """Pictures with open questions for one person, and how many there are in all.

    What was handed out stays this person's; pictures passed without an answer come last.
    """
    open_ones = list(dict.fromkeys(a.image_id for a in db.open_audits(connection)))
    wanted = set(open_ones)
    mine = []
    for image_id in leases.own_leases(connection, user_id, QUEUE, _ANY):
        if image_id in wanted:
            mine.append(image_id)
        else:
            leases.release(connection, [image_id])
    new: list[int] = []
    if len(mine) < count:
        free = leases.eligible(connection, user_id, QUEUE, open_ones, _ANY)
        passed = leases.seen_longest_ago(connection, user_id, QUEUE, _ANY, len(open_ones) + count)
        in_order = [i for i in open_ones if i in free] + [i for i in passed if i in wanted]
        new = [i for i in dict.fromkeys(in_order) if i not in set(mine)][: count - len(mine)]
    leases.renew_leases(connection, user_id, QUEUE, now + lease)
    leases.lease_images(connection, user_id, QUEUE, new, now + lease)
    return [*mine, *new][:count], len(open_ones)


def blind(
    connection: Connection, states: Iterable[ImageState], categories: Sequence[Category]
) -> tuple[ImageState, ...]:
    """The same pictures with the questions to answer in place of all that is known of them."""
    shown = tuple(states)
    open_ones = db.open_audits(connection, [state.id for state in shown])
    names = {category.id: category.name for category in categories}
    place = {category.id: i for i, category in enumerate(categories)}
    asked: dict[int, set[int]] = {}
    for audit in open_ones:
        asked.setdefault(audit.image_id, set()).add(audit.category_id)
    return tuple(
        replace(
            state,
            known=(),
            cells_known=0,
            cells_total=len(asked.get(state.id, ())),
            suggestions=tuple(
                _question(category_id, names[category_id])
                for category_id in sorted(asked.get(state.id, ()), key=lambda c: place[c])
            ),
            model_version_id=None,
        )
        for state in shown
    )


def _question(category_id: int, name: str) -> Suggestion:
    nothing = float("nan")
    return Suggestion(category_id, name, nothing, nothing, False, "audit", (), {})
