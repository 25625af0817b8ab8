"""What becomes of contracts when a category goes (removed, or merged into another) or comes back.

A contract of that category alone goes and comes back with it, questions and all. Of the others, a
*proposal* ends: the cells it was drawn from are not there any more. An *active* one goes on for the
categories that stay. What was proved of all its cells together says nothing certain of the rest, so
from then on it is withdrawn when the blind answers refute the promise, not when they fall short of
proving it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from annotator.completion import finishing
from annotator.db import contracts as db
from annotator.db import store
from annotator.types import Contract

ENDED = "a category among its cells was removed or merged (propose it again)"

_WITHOUT = "without"  # in the config: category id -> what the promise does not speak of any more

Kept = Mapping[str, Any]


def proposals(connection: Connection, category_id: int, added_at: datetime) -> list[Contract]:
    """Proposals over several categories that may decide cells of this one.

    Args:
        connection: of a transaction.
        category_id: of the category.
        added_at: when it was added; an older proposal knows nothing of it.
    """
    return [
        contract
        for contract in db.of_status(connection, db.PROPOSED)
        if contract.category_id is None and contract.created_at >= added_at
    ]


def leave(connection: Connection, category_id: int, added_at: datetime) -> dict[str, Any]:
    """End or narrow the contracts that have cells of a category which is about to go.

    Args:
        connection: of a writing transaction; the category is still there with its cells.
        category_id: of the category.
        added_at: when it was added.

    Returns:
        What `come_back` needs, as JSON.
    """
    ended = []
    for contract in proposals(connection, category_id, added_at):
        ended.append([contract.id, contract.note])
        db.change(connection, contract.id, status=db.WITHDRAWN, note=ENDED)
    narrowed = []
    for contract in db.of_status(connection, db.ACTIVE):
        if contract.category_id is None:
            without = _going(connection, contract, category_id)
            if without["cells"]:
                narrowed.append(contract.id)
                _set_without(connection, contract, category_id, without)
    return {"ended": ended, "narrowed": narrowed}


def come_back(connection: Connection, category_id: int, kept: Kept) -> None:
    """Open and widen again what `leave` changed, as far as nobody has changed it since.

    Args:
        connection: of a writing transaction; category and questions are there again.
        category_id: of the category.
        kept: what `leave` returned.
    """
    for contract_id, note in kept.get("ended", ()):
        contract = db.one(connection, contract_id)
        if contract is None or not may_come_back(contract):
            continue
        if not _another(connection, contract):
            db.change(connection, contract_id, status=db.PROPOSED, note=note)
    for contract_id in kept.get("narrowed", ()):
        contract = db.one(connection, contract_id)
        if contract is not None:
            _set_without(connection, contract, category_id, None)


def may_come_back(contract: Contract) -> bool:
    """Whether it ended with a category, so that it needs its pool if that comes back."""
    return (contract.status, contract.note) == (db.WITHDRAWN, ENDED)


def refuted(contract: Contract, watched: int, wrong: int) -> bool | None:
    """Whether blind answers refute what a narrowed contract promises; None if it is not narrowed.

    Args:
        contract: active.
        watched: blind answers to cells that it decided and that are still there.
        wrong: of these.
    """
    without = contract.config.get(_WITHOUT)
    if not without:
        return None
    whole = contract.cells
    if contract.kind in ("reject", finishing.KIND):
        whole = int(contract.config["whole"]) - sum(gone["whole"] for gone in without.values())
    return finishing.wrong_left(contract, watched, wrong) > contract.target * max(whole, 0)


def allowed(contract: Contract) -> int:
    """Wrong cells that a contract that finishes allows in the categories that are still there."""
    gone = sum(one["whole"] for one in contract.config.get(_WITHOUT, {}).values())
    return max(int(contract.config["allowed"] - contract.target * gone), 0)


def _going(connection: Connection, contract: Contract, category_id: int) -> dict[str, int]:
    """How many cells it decided in a category, and by how much the whole it speaks of shrinks."""
    cells = sum(
        int((part["category"] == category_id).sum())
        for part in store.event_cells(connection, contract.event_id or 0)
    )
    counts = {one.id: one for one in store.categories(connection)}
    present = counts[category_id].present
    whole = store.count_images(connection) if contract.kind == finishing.KIND else present
    return {"cells": cells, "whole": whole}


def _set_without(
    connection: Connection, contract: Contract, category_id: int, gone: dict[str, int] | None
) -> None:
    config = dict(contract.config)
    without = dict(config.pop(_WITHOUT, {}))
    before = without.pop(str(category_id), {"cells": 0})
    if gone is not None:
        without[str(category_id)] = gone
    if without:
        config[_WITHOUT] = without
    cells = contract.cells + before["cells"] - (0 if gone is None else gone["cells"])
    db.change(connection, contract.id, cells=cells, config=config)


def _another(connection: Connection, contract: Contract) -> bool:
    """Whether such a contract was proposed again meanwhile."""
    return any(
        (one.kind, one.category_id) == (contract.kind, contract.category_id)
        for one in db.of_status(connection, db.PROPOSED)
    )
