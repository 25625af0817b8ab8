"""SQL of contracts and their blind audits; used like `store`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, exists, func, insert, literal_column, select, update

from annotator.db import schema as t
from annotator.db.cells import Cells, keys
from annotator.db.statements import many, one_of
from annotator.types import Audit, Contract

PROPOSED, ACTIVE, WITHDRAWN, UNDONE = "proposed", "active", "withdrawn", "undone"
PROPOSAL, OUTSIDE, WATCH = "proposal", "outside", "watch"

FINISH = "finish"
"""Kind of the contracts that decide all that is left."""

DRAWN_BY = 2
"""Number of the rule by which the questions of their proposals are drawn. Answers are weighed by
the rule that drew them, so those to questions of another rule prove nothing."""


def add(connection: Connection, **values: Any) -> int:
    """Add a contract; returns its id."""
    result = connection.execute(insert(t.contract).values(**values))
    return int((result.inserted_primary_key or (0,))[0])


def change(connection: Connection, contract_id: int, **values: Any) -> None:
    """Change columns of a contract."""
    connection.execute(update(t.contract).where(t.contract.c.id == contract_id).values(**values))


def one(connection: Connection, contract_id: int) -> Contract | None:
    """One contract."""
    row = connection.execute(select(t.contract).where(t.contract.c.id == contract_id)).first()
    return None if row is None else Contract(*row)


def listed(connection: Connection, limit: int | None) -> list[Contract]:
    """The newest contracts and all older ones that are not over, newest first; all if None."""
    c = t.contract.c
    new = select(c.id).order_by(c.id.desc()).limit(limit)
    statement = select(t.contract).where(c.id.in_(new) | c.status.in_((PROPOSED, ACTIVE)))
    return [Contract(*row) for row in connection.execute(statement.order_by(c.id.desc()))]


def count(connection: Connection) -> int:
    """How many contracts there are, those included that are over."""
    return int(connection.scalar(select(func.count()).select_from(t.contract)) or 0)


def of_scope(connection: Connection, kind: str, category_id: int | None) -> list[Contract]:
    """All contracts of a kind for one category, or for all together (None), newest first."""
    c = t.contract.c
    statement = select(t.contract).where(
        c.kind == kind, c.category_id.is_not_distinct_from(category_id)
    )
    return [Contract(*row) for row in connection.execute(statement.order_by(c.id.desc()))]


def newest_id(connection: Connection) -> int:
    """Id of the newest contract, 0 if there is none."""
    return int(connection.scalar(select(func.max(t.contract.c.id))) or 0)


def of_status(connection: Connection, *status: str) -> list[Contract]:
    """Contracts of these statuses, oldest first."""
    statement = select(t.contract).where(t.contract.c.status.in_(status)).order_by(t.contract.c.id)
    return [Contract(*row) for row in connection.execute(statement)]


def of_event(connection: Connection, event_id: int) -> Contract | None:
    """The contract whose cells this event decided."""
    row = connection.execute(select(t.contract).where(t.contract.c.event_id == event_id)).first()
    return None if row is None else Contract(*row)


# ------------------------------------------------------------------------------------- audits


def add_audits(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add cells to be asked; columns as in the schema."""
    many(connection, insert(t.audit), rows)


def audits(connection: Connection, contract_id: int, *streams: str) -> list[Audit]:
    """All drawn cells of these streams of a contract, each stream in the order of the draw."""
    c = t.audit.c
    rows = connection.execute(
        select(t.audit)
        .where(c.contract_id == contract_id, c.stream.in_(streams))
        .order_by(c.stream, c.place)
    )
    return [Audit(*row) for row in rows]


@dataclass(frozen=True)
class Tally:
    """Drawn cells of a contract that are alike.

    Attributes:
        state: answered; None while they wait.
        likely: whether their probability is at least even.
    """

    contract_id: int
    stream: str
    state: int | None
    likely: bool
    cells: int


def tally(connection: Connection, contract_ids: Sequence[int]) -> list[Tally]:
    """Count the drawn cells of contracts by stream, answer and the side that the model is on."""
    c = t.audit.c
    likely = c.score >= literal_column("0.5")  # no parameter, as PostgreSQL takes two for two
    statement = (
        select(c.contract_id, c.stream, c.state, likely, func.count())
        .where(one_of(c.contract_id))
        .group_by(c.contract_id, c.stream, c.state, likely)
    )
    return [
        Tally(contract_id, stream, state, bool(side), cells)
        for contract_id, stream, state, side, cells in connection.execute(
            statement, {"ids": list(contract_ids)}
        )
    ]


def waits(connection: Connection, contract_id: int, *streams: str) -> bool:
    """Whether a drawn cell of these streams of a contract has no answer yet."""
    c = t.audit.c
    of_them = (c.contract_id == contract_id) & c.stream.in_(streams) & c.state.is_(None)
    return bool(connection.scalar(select(exists().where(of_them))))


_DRAWN_OTHERWISE = (
    (t.contract.c.status == PROPOSED)
    & (t.contract.c.kind == FINISH)
    & t.contract.c.config["drawn_by"].as_integer().is_distinct_from(DRAWN_BY)
)
_OPEN = t.audit.c.state.is_(None) & t.audit.c.contract_id.in_(
    select(t.contract.c.id).where(t.contract.c.status.in_([PROPOSED, ACTIVE]) & ~_DRAWN_OTHERWISE)
)


def open_audits(connection: Connection, image_ids: Iterable[int] | None = None) -> list[Audit]:
    """Cells that wait for a blind answer, those of proposals first, then in order of the draw."""
    c = t.audit.c
    statement = select(t.audit).where(_OPEN).order_by(c.stream, c.contract_id, c.place)
    if image_ids is None:
        return [Audit(*row) for row in connection.execute(statement)]
    wanted = {"ids": list(image_ids)}
    rows = connection.execute(statement.where(one_of(c.image_id)), wanted)
    return [Audit(*row) for row in rows]


def count_open_audits(connection: Connection) -> tuple[int, int]:
    """How many cells, of how many pictures, wait for a blind answer."""
    statement = select(func.count(), func.count(t.audit.c.image_id.distinct())).where(_OPEN)
    cells, images = connection.execute(statement).one()
    return int(cells), int(images)


def answer(connection: Connection, changes: Cells, event_id: int) -> set[int]:
    """Take new decisions as blind answers where one is asked; returns the contracts concerned."""
    open_ones = open_audits(connection, np.unique(changes["image"]).tolist())
    state = dict(zip(keys(changes).tolist(), changes["after"].tolist(), strict=True))
    answered = [
        {"key": one.id, "said": state[key], "event": event_id}
        for one in open_ones
        for key in [(one.image_id << 32) | one.category_id]
        if state.get(key)
    ]
    many(connection, _ANSWER, answered)
    ids = {row["key"] for row in answered}
    return {one.contract_id for one in open_ones if one.id in ids}


_ANSWER = (
    update(t.audit)
    .where(t.audit.c.id == bindparam("key"))
    .values(state=bindparam("said"), event_id=bindparam("event"))
)


def ask_again(connection: Connection, event_id: int) -> set[int]:
    """Take back the blind answers of an event that is undone; returns the contracts concerned."""
    concerned = set(connection.scalars(_CONCERNED, {"event": event_id}))
    if concerned:
        connection.execute(_ASK_AGAIN, {"event": event_id})
    return concerned


_CONCERNED = (
    select(t.audit.c.contract_id).where(t.audit.c.event_id == bindparam("event")).distinct()
)
_ASK_AGAIN = (
    update(t.audit)
    .where(t.audit.c.event_id == bindparam("event"))
    .values(state=None, event_id=None)
)
