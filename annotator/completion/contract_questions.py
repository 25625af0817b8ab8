"""Blind questions of a contract: those that prove it, and those that watch what it decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import require
from annotator.completion import finishing, leaving
from annotator.completion.contract_states import agrees
from annotator.completion.planning import bound_after
from annotator.completion.pools import Pool
from annotator.db import contracts as db
from annotator.db import store
from annotator.errors import Conflict
from annotator.precision import Share
from annotator.standing import Checked
from annotator.types import Audit, Contract
from annotator.wording import at_most

AUDIT_SOURCE = "audit"
"""Source of decisions that answer blind questions."""


WATCH_ANSWERS = 50
"""Cells of an active contract that are asked together; the bound is looked at when all are in."""


def ask(
    connection: Connection,
    contract_id: int,
    stream: str,
    pool: Pool,
    places: range | list[int],
    cells: NDArray[np.int64],
    at: datetime,
) -> None:
    """Ask these cells of the pool, as a stream's questions of the given places."""
    rows: list[Mapping[str, Any]] = [
        {
            "contract_id": contract_id,
            "stream": stream,
            "place": place,
            "image_id": int(pool.image_ids[cell]),
            "category_id": int(pool.category_ids[cell]),
            "score": float(pool.score[cell]),
            "drawn_at": at,
        }
        for place, cell in zip(places, cells.tolist(), strict=True)
    ]
    db.add_audits(connection, rows)


def draw(
    connection: Connection, contract_id: int, pool: Pool, seed: int, places: range, at: datetime
) -> None:
    """Ask the cells that the random order of the pool has at these places."""
    order = pool.order(seed)[places.start : places.stop]
    ask(connection, contract_id, db.PROPOSAL, pool, places, order, at)


def ask_on(connection: Connection, contract: Contract, pool: Pool, at: datetime) -> Contract:
    """Ask the next portion of a contract that finishes.

    Raises:
        Conflict: if all cells have been asked.
    """
    config = dict(contract.config)
    audits = db.audits(connection, contract.id, db.PROPOSAL)
    more = finishing.draw(
        pool,
        places_of(pool, audits),
        allowed=config["allowed"],
        seed=config["seed"],
        number=len(config["portions"]),
        count=finishing.portion(config["planned"], len(config["portions"])),
    )
    if not len(more):
        raise Conflict(f"all cells of contract {contract.id} have been asked (withdraw it)")
    places = range(len(audits), len(audits) + len(more))
    ask(connection, contract.id, db.PROPOSAL, pool, places, more, at)
    config |= {"portions": [*config["portions"], len(more)], "looked": False}
    config |= {"asked": len(audits) + len(more)}
    db.change(connection, contract.id, config=config, note="")
    return require(db.one(connection, contract.id), "contract", contract.id)


def places_of(pool: Pool, audits: list[Audit]) -> NDArray[np.int64]:
    """Where the cells of questions lie in the pool."""
    return pool.places([a.image_id for a in audits], [a.category_id for a in audits])


def watch_on(connection: Connection, contract: Contract, at: datetime) -> None:
    """Ask the next cells among those that the contract decided, in a random order of their own.

    It owes nothing to the order of the proposal: where cells were drawn by their risk, those that
    were left then come late in it, the risky ones most of all.
    """
    parts = list(store.event_cells(connection, contract.event_id or 0))
    cells = np.concatenate(parts)
    pool = Pool(
        cells["image"].astype(np.int64),
        cells["category"].astype(np.int64),
        cells["after_score"].astype(np.float32),
        np.ones(len(cells), dtype=bool),
    )
    asked = db.audits(connection, contract.id, db.WATCH)
    config = contract.config
    # Contracts that were applied before there was another seed go on in the order that they have.
    order = pool.order(int(config.get("watch_seed", config["seed"])))
    wanted = np.isin(pool.category_ids[order], _categories(connection))  # others went since
    wanted[: max((audit.place + 1 for audit in asked), default=0)] = False
    places = np.flatnonzero(wanted)[:WATCH_ANSWERS]
    ask(connection, contract.id, db.WATCH, pool, places.tolist(), order[places], at)


def look_at_watched(connection: Connection, contract: Contract, at: datetime) -> str | None:
    """Bring the bound of an active contract up to date when a round of questions is answered.

    Returns:
        Why it has to be withdrawn, None if the promise holds or the round is not over.
    """
    if contract.status != db.ACTIVE or db.waits(connection, contract.id, db.WATCH):
        return None
    audits = db.audits(connection, contract.id, db.WATCH)
    config = contract.config
    wrong = sum(not agrees(contract, audit) for audit in audits)
    refuted = leaving.refuted(contract, len(audits), wrong)
    if refuted is not None or contract.kind == finishing.KIND:
        if refuted or (refuted is None and finishing.broken(contract, len(audits), wrong)):
            return (
                f"{wrong:,} of {len(audits):,} blind answers since disagreed: more is wrong than "
                f"the {at_most(contract.target)} that were promised"
            )
        watch_on(connection, contract, at)
        return None
    answers, errors = config["audited"] + len(audits), config["errors"] + wrong
    bound = bound_after(
        "accept" if contract.kind == "accept" else "reject",
        decided=contract.cells,
        audited=config["audited"],
        watched=len(audits),
        errors=errors,
        whole=config["whole"],
        level=config["level"],
    )
    if bound > contract.target:
        what = "wrong" if contract.kind == "accept" else "missed"
        return (
            f"{errors:,} of {answers:,} blind answers disagreed: up to {at_most(bound)} may be "
            f"{what}, promised were {at_most(contract.target)}"
        )
    db.change(connection, contract.id, bound=bound)
    watch_on(connection, contract, at)
    return None


def after_category_went(connection: Connection, at: datetime) -> None:
    """Go on asking for active contracts whose last questions went with a category."""
    for contract in db.of_status(connection, db.ACTIVE):
        if not db.waits(connection, contract.id, db.WATCH):
            watch_on(connection, contract, at)


def checked(connection: Connection, contract: Contract) -> list[Checked]:
    """Blind answers since an active contract decided its cells, by category."""
    decided: set[int] = set()
    for cells in store.event_cells(connection, contract.event_id or 0):
        decided |= set(np.unique(cells["category"]).tolist())
    answers = [a for a in db.audits(connection, contract.id, db.WATCH) if a.state is not None]
    total = Counter(audit.category_id for audit in answers)
    right = Counter(audit.category_id for audit in answers if agrees(contract, audit))
    return [
        Checked(contract.id, contract.kind, one, Share(right[one], total[one]))
        for one in sorted(decided & set(_categories(connection)))
    ]


def _categories(connection: Connection) -> list[int]:
    return [category.id for category in store.categories(connection)]
