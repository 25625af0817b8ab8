"""Where a contract stands, and how that is said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from annotator.completion import finishing, leaving
from annotator.db import contracts as db
from annotator.db.contracts import Tally
from annotator.types import Audit, Contract
from annotator.wording import at_least, at_most, counted, per_cent

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


def agrees(contract: Contract, audit: Audit) -> bool:
    """Whether a blind answer says what the contract decides."""
    return audit.state == _said(contract, (audit.score or 0.0) >= 0.5)


def _said(contract: Contract, likely: bool) -> int:
    """State that it gives to a cell whose probability is, or is not, at least even."""
    present = likely if contract.kind == finishing.KIND else contract.kind == "accept"
    return 1 if present else -1


def unproved(audits: list[Audit], contract: Contract) -> str:
    """Why it waits for more answers, in a sentence."""
    wrong = sum(not agrees(contract, audit) for audit in audits)
    return (
        f"{wrong:,} of {len(audits):,} blind answers disagreed with the model: too many to promise "
        f"{at_most(contract.target)} (answer more, or withdraw it and label more first)"
    )


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


def _wanted(state: ContractState) -> str:
    return f"{'about ' if state.planned > state.asked else ''}{state.planned:,}"


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
