"""Contracts: automatic decisions under a promise that blind answers have proved (reference §12).

The life of a contract. *Proposed*: the unknown cells that it might decide and their scores are
frozen, a random order of them is fixed by a seed, and its first cells are asked blind. When all of
them are answered the widest set that keeps the promise is found. *Active*: a person applied it; one
event decided the set, and further cells of the same random order go on being asked. *Withdrawn*:
those answers broke the bound, or a person took it back; its cells are unknown again. *Undone*: a
person undid the event that applied it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import require
from annotator.completion import finishing, pools
from annotator.completion.contract_questions import (
    ask,
    ask_on,
    draw,
    look_at_watched,
    places_of,
    watch_on,
)
from annotator.completion.contract_states import state, unproved
from annotator.completion.drafting import Draft
from annotator.completion.planning import level_of_look
from annotator.completion.pools import Pool
from annotator.db import cells as packed
from annotator.db import contracts as db
from annotator.db import store
from annotator.errors import Conflict
from annotator.importing import BulkChange
from annotator.types import Audit, CellBatch, Contract, Event

SOURCE = "contract"


EVENT_KIND = "contract"


def propose(
    connection: Connection,
    workspace: Path,
    drafted: Draft,
    at: datetime,
    *,
    model_version_id: int,
    user_id: int | None,
) -> Contract:
    """Freeze the pool and draw the cells to ask.

    Args:
        connection: of a writing transaction.
        workspace: folder in which the pool is kept.
        drafted: in the same transaction.
        at: now.
        model_version_id: that the cells would be decided by.
        user_id: who proposes.
    """
    promise = drafted.promise
    pool, planned = drafted.pool, drafted.plan
    config = {
        "seed": drafted.seed,
        "digest": pool.digest(),
        "pool": len(planned.cells),
        "asked": planned.answers,
        "looks": drafted.looks,
        "expected_wrong": planned.expected_wrong,
        "known_present": drafted.known_present,
    }
    asked, others = drafted.asked, drafted.outside
    if promise.kind == finishing.KIND:
        asked = asked[: finishing.portion(planned.answers, 0)]
        config |= {"allowed": drafted.allowed, "portions": [len(asked)], "asked": len(asked)}
        # Each proposal spends its share at once, as every answer to it may be looked at.
        config |= {"planned": planned.answers, "looks": drafted.looks + 1}
        config |= {"level": level_of_look(promise.confidence, drafted.looks)}
        config |= {"drawn_by": finishing.DRAWN_BY}
    contract_id = db.add(
        connection,
        kind=promise.kind,
        category_id=promise.category_id,
        target=promise.target,
        confidence=promise.confidence,
        status=db.PROPOSED,
        user_id=user_id,
        model_version_id=model_version_id,
        created_at=at,
        config=config,
    )
    pool.save(workspace, contract_id)
    ask(connection, contract_id, db.PROPOSAL, pool, range(len(asked)), asked, at)
    ask(connection, contract_id, db.OUTSIDE, pool, range(len(others)), others, at)
    return require(db.one(connection, contract_id), "contract", contract_id)


def extend(connection: Connection, workspace: Path, contract: Contract, at: datetime) -> Contract:
    """Ask further cells of the same random order, where the first ones proved nothing.

    Raises:
        Conflict: if the contract does not wait for that.
    """
    config = dict(contract.config)
    if state(connection, contract).stage != "unproved":
        raise Conflict(f"contract {contract.id} does not wait for more answers")
    pool = Pool.load(workspace, contract.id, config["digest"])
    if contract.kind == finishing.KIND:
        finishing.check_drawn_alike(contract)
        return ask_on(connection, contract, pool, at)
    more = min(config["asked"], config["pool"] - config["asked"])
    if more <= 0:
        raise Conflict(f"all cells of contract {contract.id} have been asked (withdraw it)")
    places = range(config["asked"], config["asked"] + more)
    draw(connection, contract.id, pool, config["seed"], places, at)
    config |= {"asked": config["asked"] + more, "looked": False}
    db.change(connection, contract.id, config=config, note="")
    return require(db.one(connection, contract.id), "contract", contract.id)


def settle(connection: Connection, workspace: Path, contract: Contract, at: datetime) -> Contract:
    """Look at the answers if all are in and nobody has; otherwise change nothing."""
    config = dict(contract.config)
    if contract.status != db.PROPOSED or config.get("looked"):
        return contract
    # Asked first, as this is looked at after every blind answer.
    if db.waits(connection, contract.id, db.PROPOSAL, db.OUTSIDE):
        return contract
    audits = db.audits(connection, contract.id, db.PROPOSAL)
    others = db.audits(connection, contract.id, db.OUTSIDE)
    if contract.kind == finishing.KIND:
        return _settle_finish(connection, workspace, contract, audits, at)
    # Imported here, as scipy below it takes a third of a second that starting need not spend.
    from hst_core.contracts import fit_contract

    pool = Pool.load(workspace, contract.id, config["digest"])
    audited = np.zeros(len(pool), dtype=bool)
    present = np.zeros(len(pool), dtype=bool)
    places = places_of(pool, audits)
    audited[places] = True
    present[places] = [audit.state == 1 for audit in audits]
    counted = (sum(a.state == 1 for a in others), len(others), int((~pool.inside).sum()))
    level = level_of_look(contract.confidence, config["looks"])
    found = fit_contract(
        "accept" if contract.kind == "accept" else "reject",
        pool.score[pool.inside],
        audited[pool.inside],
        present[pool.inside],
        target=contract.target,
        confidence=level,
        known_present=config["known_present"],
        outside=counted if contract.kind == "reject" else None,
    )
    config |= {"looked": True, "looks": config["looks"] + 1, "level": level}
    config |= {"size": found.size, "whole": found.whole}
    config |= {"audited": found.audited, "errors": found.errors}
    note = "" if found.holds else unproved(audits, contract)
    db.change(
        connection,
        contract.id,
        threshold=found.threshold,
        cells=found.cells,
        bound=found.bound,
        config=config,
        note=note,
    )
    return require(db.one(connection, contract.id), "contract", contract.id)


def apply(
    connection: Connection,
    workspace: Path,
    contract: Contract,
    *,
    user_id: int,
    key: str,
    digest: str,
    at: datetime,
) -> Event:
    """Decide the cells as one event, and go on auditing them.

    The pool is needed no more once the transaction is committed; until then it stays.

    Raises:
        Conflict: if it is not proved, or what people decided since has used up its promise.
    """
    if state(connection, contract).stage != "proved" or contract.threshold is None:
        raise Conflict(f"contract {contract.id} is not proved (answer its blind questions first)")
    config = dict(contract.config)
    pool = Pool.load(workspace, contract.id, config["digest"])
    audits = db.audits(connection, contract.id, db.PROPOSAL)
    inside = _inside(contract, pool.score) & pool.inside
    inside[places_of(pool, audits)] = False
    event_id = store.add_event(
        connection,
        kind=EVENT_KIND,
        user_id=user_id,
        source=SOURCE,
        model_version_id=contract.model_version_id,
        at=at,
        idempotency_key=key,
        request_digest=digest,
        cell_count=0,
        summary={},
    )
    change = BulkChange(connection, event_id, overwrite=False)
    for piece in _batch(contract, pool, inside).pieces(packed.PART):
        change.add(piece)
    bound = _bound_now(contract, change)
    if change.added == 0 or bound > contract.target:
        raise Conflict(
            f"since contract {contract.id} was proved, people have answered so many of its cells "
            "that it cannot be kept for the rest (withdraw it and propose a new one)"
        )
    summary = change.summary() | {"contract": contract.id}
    store.set_event_result(connection, event_id, change.changed, summary)
    db.change(
        connection,
        contract.id,
        status=db.ACTIVE,
        event_id=event_id,
        cells=change.added,
        bound=bound,
        config=config | {"watch_seed": pools.another_seed(config["seed"])},
    )
    active = require(db.one(connection, contract.id), "contract", contract.id)
    watch_on(connection, active, at)
    return require(store.event(connection, event_id), "event", event_id)


def after_undo(connection: Connection, event_id: int) -> None:
    """Keep contracts and audits true when an event is undone."""
    for contract_id in sorted(db.ask_again(connection, event_id)):
        _look_again(connection, require(db.one(connection, contract_id), "contract", contract_id))
    contract = db.of_event(connection, event_id)
    if contract is not None and contract.status == db.ACTIVE:
        db.change(connection, contract.id, status=db.UNDONE, note="taken back by undo")


def after_answers(
    connection: Connection,
    changes: packed.Cells,
    event_id: int,
    at: datetime,
    withdraw: Callable[[Contract, str], None],
) -> None:
    """Take an event's decisions as blind answers, and withdraw what they break.

    Args:
        connection: of a writing transaction.
        changes: cells of the event.
        event_id: of an event that was decided blind.
        at: now.
        withdraw: takes the cells of a contract back, for the reason given.
    """
    for contract_id in sorted(db.answer(connection, changes, event_id)):
        contract = require(db.one(connection, contract_id), "contract", contract_id)
        reason = look_at_watched(connection, contract, at)
        if reason is not None:
            withdraw(contract, reason)


def _look_again(connection: Connection, contract: Contract) -> None:
    """Forget a proof whose answers were taken back; the look that it took stays spent."""
    if contract.event_id is None and contract.config.get("looked"):
        config = dict(contract.config) | {"looked": False}
        # A proposal that ended may come back (`leaving`), and keeps saying why until then.
        note = "" if contract.status == db.PROPOSED else contract.note
        db.change(
            connection, contract.id, threshold=None, cells=0, bound=1.0, config=config, note=note
        )


def _settle_finish(
    connection: Connection,
    workspace: Path,
    contract: Contract,
    audits: list[Audit],
    at: datetime,
) -> Contract:
    """Look at the answers of a portion: proved, or ask the next one, or give up for now."""
    config = dict(contract.config)
    finishing.check_drawn_alike(contract)
    pool = Pool.load(workspace, contract.id, config["digest"])
    proof = finishing.prove(pool, audits, config["portions"], config["allowed"])
    if finishing.holds(proof, config["level"]):
        whole = round(config["allowed"] / contract.target)
        config |= {"looked": True, "size": len(pool), "whole": whole}
        config |= {"errors": proof.wrong, "audited": proof.answers}
        db.change(
            connection,
            contract.id,
            threshold=0.5,
            cells=len(pool) - proof.answers,
            bound=contract.target,
            config=config,
            note="",
        )
        return require(db.one(connection, contract.id), "contract", contract.id)
    if finishing.goes_on(proof, len(config["portions"]), len(pool)):
        return ask_on(connection, contract, pool, at)
    config |= {"looked": True}
    db.change(connection, contract.id, config=config, note=unproved(audits, contract))
    return require(db.one(connection, contract.id), "contract", contract.id)


def _inside(contract: Contract, score: NDArray[np.float32]) -> NDArray[np.bool_]:
    if contract.threshold is None or contract.kind == finishing.KIND:
        return np.full(len(score), contract.threshold is not None)
    threshold = np.float32(contract.threshold)
    return np.asarray(score >= threshold if contract.kind == "accept" else score <= threshold)


def _batch(contract: Contract, pool: Pool, chosen: NDArray[np.bool_]) -> CellBatch:
    return CellBatch(
        pool.image_ids[chosen],
        pool.category_ids[chosen],
        _decided(contract, pool.score[chosen]),
        pool.score[chosen],
    )


def _bound_now(contract: Contract, change: BulkChange) -> float:
    """The bound after people have decided some of the cells themselves.

    The proof bounds a number of wrong cells; those that people found are not left any more.
    """
    whole = int(contract.config["whole"])
    if contract.kind == finishing.KIND:
        return contract.bound  # of all cells, whoever decides them
    left = max(round(contract.bound * whole) - change.kept, 0)
    return left / (whole if contract.kind == "reject" else max(change.added, 1))


def _decided(contract: Contract, score: NDArray[np.float32]) -> NDArray[np.int8]:
    """States that it gives to cells of these scores [n]."""
    if contract.kind == finishing.KIND:
        return finishing.states(score)
    return np.full(len(score), 1 if contract.kind == "accept" else -1, dtype=np.int8)
