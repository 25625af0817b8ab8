"""Contracts: automatic decisions under a promise that blind answers have proved (reference §12).

The life of a contract. *Proposed*: the unknown cells that it might decide and their scores are
frozen, a random order of them is fixed by a seed, and its first cells are asked blind. When all of
them are answered the widest set that keeps the promise is found. *Active*: a person applied it; one
event decided the set, and further cells of the same random order go on being asked. *Withdrawn*:
those answers broke the bound, or a person took it back; its cells are unknown again. *Undone*: a
person undid the event that applied it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import require
from annotator.completion import finishing, leaving, pools
from annotator.completion.drafting import Draft
from annotator.completion.planning import bound_after, level_of_look
from annotator.completion.pools import Pool
from annotator.db import cells as packed
from annotator.db import contracts as db
from annotator.db import store
from annotator.db.contracts import Tally
from annotator.errors import Conflict
from annotator.importing import BulkChange
from annotator.precision import Share
from annotator.standing import Checked
from annotator.types import Audit, CellBatch, Contract, Event
from annotator.wording import at_least, at_most, counted, per_cent

SOURCE = "contract"
AUDIT_SOURCE = "audit"
EVENT_KIND = "contract"

WATCH_ANSWERS = 50
"""Cells of an active contract that are asked together; the bound is looked at when all are in."""

Stage = Literal["asking", "proved", "unproved", "active", "withdrawn", "undone"]


@dataclass(frozen=True)
class ContractState:
    """A contract and how far it is.

    Attributes:
        stage: ``asking`` while blind answers are missing, then ``proved`` or ``unproved``; then as
            the status.
        asked: blind answers wanted before it can be applied.
        answered: of these.
        wrong: of these, on the wrong side.
        watched: blind answers since it was applied.
        watched_wrong: of these.
        expected_cells: cells that it may decide, as planned: those that are left after `planned`
            answers. Where a proof may end early (``finish``) it is an estimate.
        trouble: why its answers cannot be looked at, and what to do; empty if they can.
    """

    contract: Contract
    stage: Stage
    asked: int
    answered: int
    wrong: int
    watched: int
    watched_wrong: int
    expected_cells: int
    trouble: str = ""

    @property
    def planned(self) -> int:
        """Blind answers that it takes in all, as planned; never fewer than `asked`."""
        return max(int(self.contract.config.get("planned", 0)), self.asked)

    def words(self) -> str:
        """What it promises and where it stands, in one sentence without any name."""
        return _words(self)


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
    _ask(connection, contract_id, db.PROPOSAL, pool, range(len(asked)), asked, at)
    _ask(connection, contract_id, db.OUTSIDE, pool, range(len(others)), others, at)
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
        return _ask_on(connection, contract, pool, at)
    more = min(config["asked"], config["pool"] - config["asked"])
    if more <= 0:
        raise Conflict(f"all cells of contract {contract.id} have been asked (withdraw it)")
    places = range(config["asked"], config["asked"] + more)
    _draw(connection, contract.id, pool, config["seed"], places, at)
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
    places = _places(pool, audits)
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
    note = "" if found.holds else _unproved(audits, contract)
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
    inside[_places(pool, audits)] = False
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
    _watch_on(connection, active, at)
    return require(store.event(connection, event_id), "event", event_id)


def look_at_watched(connection: Connection, contract: Contract, at: datetime) -> str | None:
    """Bring the bound of an active contract up to date when a round of questions is answered.

    Returns:
        Why it has to be withdrawn, None if the promise holds or the round is not over.
    """
    if contract.status != db.ACTIVE or db.waits(connection, contract.id, db.WATCH):
        return None
    audits = db.audits(connection, contract.id, db.WATCH)
    config = contract.config
    wrong = sum(not _agrees(contract, audit) for audit in audits)
    refuted = leaving.refuted(contract, len(audits), wrong)
    if refuted is not None or contract.kind == finishing.KIND:
        if refuted or (refuted is None and finishing.broken(contract, len(audits), wrong)):
            return (
                f"{wrong:,} of {len(audits):,} blind answers since disagreed: more is wrong than "
                f"the {at_most(contract.target)} that were promised"
            )
        _watch_on(connection, contract, at)
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
    _watch_on(connection, contract, at)
    return None


def after_category_went(connection: Connection, at: datetime) -> None:
    """Go on asking for active contracts whose last questions went with a category."""
    for contract in db.of_status(connection, db.ACTIVE):
        if not db.waits(connection, contract.id, db.WATCH):
            _watch_on(connection, contract, at)


def state(connection: Connection, contract: Contract) -> ContractState:
    """How far a contract is."""
    (found,) = states(connection, [contract])
    return found


def states(connection: Connection, found: Sequence[Contract]) -> list[ContractState]:
    """How far contracts are, in the same order."""
    counts: dict[int, list[Tally]] = {}
    for one in db.tally(connection, [contract.id for contract in found]):
        counts.setdefault(one.contract_id, []).append(one)
    return [_counted(contract, counts.get(contract.id, [])) for contract in found]


def _counted(contract: Contract, tally: Sequence[Tally]) -> ContractState:
    stage = _stage(contract)
    answered = [one for one in tally if one.state is not None]
    wrong = [one for one in answered if one.state != _said(contract, one.likely)]
    return ContractState(
        contract=contract,
        stage=stage,
        asked=_cells(tally, db.PROPOSAL, db.OUTSIDE),
        answered=_cells(answered, db.PROPOSAL, db.OUTSIDE),
        wrong=_cells(wrong, db.PROPOSAL),
        watched=_cells(answered, db.WATCH),
        watched_wrong=_cells(wrong, db.WATCH),
        expected_cells=_left_as_planned(contract.config),
        trouble=finishing.drawn_otherwise(contract) if stage in ("asking", "unproved") else "",
    )


def _left_as_planned(config: Mapping[str, Any]) -> int:
    """Cells that nobody will have been asked about, the same number as `drafting.preview` gives."""
    return int(config["pool"]) - max(int(config.get("planned", 0)), int(config["asked"]))


def _cells(tally: Sequence[Tally], *streams: str) -> int:
    return sum(one.cells for one in tally if one.stream in streams)


def checked(connection: Connection, contract: Contract) -> list[Checked]:
    """Blind answers since an active contract decided its cells, by category."""
    decided: set[int] = set()
    for cells in store.event_cells(connection, contract.event_id or 0):
        decided |= set(np.unique(cells["category"]).tolist())
    answers = [a for a in db.audits(connection, contract.id, db.WATCH) if a.state is not None]
    total = Counter(audit.category_id for audit in answers)
    right = Counter(audit.category_id for audit in answers if _agrees(contract, audit))
    return [
        Checked(contract.id, contract.kind, one, Share(right[one], total[one]))
        for one in sorted(decided & set(_categories(connection)))
    ]


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


# --------------------------------------------------------------------------------------- parts


def _draw(
    connection: Connection, contract_id: int, pool: Pool, seed: int, places: range, at: datetime
) -> None:
    order = pool.order(seed)[places.start : places.stop]
    _ask(connection, contract_id, db.PROPOSAL, pool, places, order, at)


def _ask(
    connection: Connection,
    contract_id: int,
    stream: str,
    pool: Pool,
    places: range | list[int],
    cells: NDArray[np.int64],
    at: datetime,
) -> None:
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
        return _ask_on(connection, contract, pool, at)
    config |= {"looked": True}
    db.change(connection, contract.id, config=config, note=_unproved(audits, contract))
    return require(db.one(connection, contract.id), "contract", contract.id)


def _ask_on(connection: Connection, contract: Contract, pool: Pool, at: datetime) -> Contract:
    """Ask the next portion of a contract that finishes.

    Raises:
        Conflict: if all cells have been asked.
    """
    config = dict(contract.config)
    audits = db.audits(connection, contract.id, db.PROPOSAL)
    more = finishing.draw(
        pool,
        _places(pool, audits),
        allowed=config["allowed"],
        seed=config["seed"],
        number=len(config["portions"]),
        count=finishing.portion(config["planned"], len(config["portions"])),
    )
    if not len(more):
        raise Conflict(f"all cells of contract {contract.id} have been asked (withdraw it)")
    places = range(len(audits), len(audits) + len(more))
    _ask(connection, contract.id, db.PROPOSAL, pool, places, more, at)
    config |= {"portions": [*config["portions"], len(more)], "looked": False}
    config |= {"asked": len(audits) + len(more)}
    db.change(connection, contract.id, config=config, note="")
    return require(db.one(connection, contract.id), "contract", contract.id)


def _wanted(state: ContractState) -> str:
    return f"{'about ' if state.planned > state.asked else ''}{state.planned:,}"


def _watch_on(connection: Connection, contract: Contract, at: datetime) -> None:
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
    _ask(connection, contract.id, db.WATCH, pool, places.tolist(), order[places], at)


def _categories(connection: Connection) -> list[int]:
    return [category.id for category in store.categories(connection)]


def _places(pool: Pool, audits: list[Audit]) -> NDArray[np.int64]:
    return pool.places([a.image_id for a in audits], [a.category_id for a in audits])


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


def _agrees(contract: Contract, audit: Audit) -> bool:
    """Whether a blind answer says what the contract decides."""
    return audit.state == _said(contract, (audit.score or 0.0) >= 0.5)


def _said(contract: Contract, likely: bool) -> int:
    """State that it gives to a cell whose probability is, or is not, at least even."""
    present = likely if contract.kind == finishing.KIND else contract.kind == "accept"
    return 1 if present else -1


def _stage(contract: Contract) -> Stage:
    if contract.status == db.PROPOSED:
        if not contract.config.get("looked"):
            return "asking"
        return "unproved" if contract.threshold is None else "proved"
    stages: dict[str, Stage] = {
        db.ACTIVE: "active",
        db.WITHDRAWN: "withdrawn",
        db.UNDONE: "undone",
    }
    return stages[contract.status]


def _unproved(audits: list[Audit], contract: Contract) -> str:
    wrong = sum(not _agrees(contract, audit) for audit in audits)
    return (
        f"{wrong:,} of {len(audits):,} blind answers disagreed with the model: too many to promise "
        f"{at_most(contract.target)} (answer more, or withdraw it and label more first)"
    )


def _words(state: ContractState) -> str:
    contract = state.contract
    if state.trouble:
        return state.trouble
    if state.stage == "asking":
        cells = state.expected_cells
        most = "about" if contract.kind == finishing.KIND else "up to"
        return (
            f"would decide {most} {counted(cells, 'cell')}, {_promise(contract, cells)}; "
            f"{state.answered:,} of {_wanted(state)} blind answers given"
        )
    if state.stage == "proved":
        return f"can decide {counted(contract.cells, 'cell')}, {_promise(contract, contract.cells)}"
    if state.stage == "active":
        return (
            f"decided {counted(contract.cells, 'cell')}, {_promise(contract, contract.cells)}; "
            f"{state.watched:,} checked since, {state.watched_wrong:,} wrong"
        )
    return contract.note or state.stage


def _promise(contract: Contract, cells: int) -> str:
    sure = f"with {per_cent(contract.confidence, 2)} confidence"
    share = contract.target if contract.threshold is None else contract.bound
    if contract.kind == "accept":
        return f"at least {at_least(1 - share)} of them right {sure}"
    if contract.kind == finishing.KIND:
        most = finishing.allowance(leaving.allowed(contract), cells)
        return f"at most {at_most(share)} of all cells wrong {sure} ({most})"
    whole = contract.config.get("whole")
    if contract.threshold is not None and whole:
        missed = counted(round(share * whole), "present one")
        return f"missing at most {missed} ({at_most(share)}) {sure}"
    return f"missing at most {at_most(share)} of all present ones {sure}"
