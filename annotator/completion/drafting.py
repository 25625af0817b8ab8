"""What a contract would freeze and ask: worked out before anything is written."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.completion import finishing, pools
from annotator.completion.planning import Kind, Plan, level_of_look, plan
from annotator.completion.pools import Pool
from annotator.db import contracts as db
from annotator.errors import Conflict, InvalidInput, OutOfReach
from annotator.scores import ScoreFolder
from annotator.types import Labels
from annotator.wording import at_most, counted, per_cent

_KINDS = ", ".join(repr(kind) for kind in get_args(Kind))

OUTSIDE_ANSWERS = 60
"""Cells outside the pool of a reject contract that are asked, to count the present ones."""


@dataclass(frozen=True)
class Promise:
    """What a contract is to promise.

    Attributes:
        kind: ``accept`` decides the most probable cells present, ``reject`` the least probable
            ones absent, ``finish`` all that are left as the model says.
        target: largest share that may be wrong of the decided cells (accept) or of all cells
            (finish), or missed of all present cells (reject); 0.02 is 2 %.
        confidence: one-sided.
        category_id: of this category alone; None for all together.
    """

    kind: Kind
    target: float
    confidence: float = 0.95
    category_id: int | None = None

    def check(self) -> None:
        """Refuse what is no promise.

        Raises:
            InvalidInput: if the kind is unknown or a share is not between 0 and 1.
        """
        if self.kind not in get_args(Kind):
            raise InvalidInput(f"kind must be {_KINDS}, got {self.kind!r}")
        for name, value in (("target", self.target), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise InvalidInput(f"{name} must be between 0 and 1, got {value} (0.02 is 2 %)")

    def words(self) -> str:
        """The promise alone, in words."""
        sure = f"with {per_cent(self.confidence, 2)} confidence"
        if self.kind == "accept":
            return f"at most {at_most(self.target)} of them wrong {sure}"
        if self.kind == finishing.KIND:
            return f"at most {at_most(self.target)} of all cells wrong {sure}"
        return f"at most {at_most(self.target)} of all present cells missed {sure}"


@dataclass(frozen=True)
class Draft:
    """What a proposal would freeze and ask.

    Attributes:
        pool: the cells that may be decided; for ``reject`` all unknown ones, the others outside.
        plan: how many of them are asked.
        seed: of the random order.
        looks: looks at answers so far, which have spent a part of the confidence.
        known_present: present cells that are known already.
        allowed: cells that may be wrong; only for ``finish``.
    """

    promise: Promise
    pool: Pool
    plan: Plan
    seed: int
    looks: int
    known_present: int
    allowed: int = 0

    @cached_property
    def asked(self) -> NDArray[np.int64]:
        """Places in the pool of the candidates that are asked first."""
        if self.promise.kind == finishing.KIND:
            nobody = np.zeros(0, dtype=np.int64)
            return finishing.draw(
                self.pool,
                nobody,
                allowed=self.allowed,
                seed=self.seed,
                number=0,
                count=self.plan.answers,
            )
        return self.pool.order(self.seed)[: self.plan.answers]

    @cached_property
    def outside(self) -> NDArray[np.int64]:
        """Places in the pool of other cells that are asked, to count the present ones."""
        return self.pool.order(self.seed, inside=False)[:OUTSIDE_ANSWERS]


@dataclass(frozen=True)
class CategoryDraft:
    """The part of one category in a draft.

    Attributes:
        cells: that may be decided without being asked.
        questions: of it among the blind questions.
    """

    category_id: int
    cells: int
    questions: int


@dataclass(frozen=True)
class Preview:
    """What a proposal would ask, and what it might decide afterwards.

    Attributes:
        cells: that may be decided at most; the answers say how many really.
        questions: blind questions before.
        images: pictures on which they are asked.
        by_category: of the categories with a cell or a question, in the order of their ids.
        allowed: of the cells, that may be wrong; only for ``finish``.
    """

    promise: Promise
    cells: int
    questions: int
    images: int
    by_category: Sequence[CategoryDraft]
    allowed: int = 0

    def words(self) -> str:
        """The same in two sentences, without any name."""
        decided = {"accept": "present", "reject": "absent"}.get(
            self.promise.kind, "as the model says"
        )
        scope = "for this category alone"
        if self.promise.category_id is None:
            scope = "for all categories together, not for each alone"
        asked, most = counted(self.questions, "blind question"), "up to"
        promised = self.promise.words()
        if self.promise.kind == finishing.KIND:
            promised += f" ({finishing.allowance(self.allowed, self.cells)})"
            # The proof may be had sooner or take longer: both numbers are estimates.
            asked, most = f"About {asked}", "about"
        return (
            f"{asked} on {counted(self.images, 'picture')}, "
            f"then {most} {counted(self.cells, 'cell')} could be decided {decided}: "
            f"{promised}, {scope}. Nothing is decided before the answers prove it and "
            "somebody applies it."
        )


class NothingSaved(OutOfReach):
    """Proving a promise would take more answers than it saves.

    Args:
        promise: that is out of reach.
        cells: unknown ones.
        planned_for: plans another target, without the database.
    """

    def __init__(
        self, promise: Promise, cells: int, planned_for: Callable[[float], Plan | None]
    ) -> None:
        self._promise, self._cells, self._planned_for = promise, cells, planned_for
        super().__init__(self._words("label more first"))

    def explained(self) -> OutOfReach:
        """The same with what could be promised instead.

        Takes several plans, each a second where there are millions of cells: only where no
        transaction waits for it.
        """
        nearest = _in_reach(self._promise, self._cells, self._planned_for)
        return OutOfReach(self._words(nearest))

    def _words(self, instead: str) -> str:
        return (
            f"nothing can be decided with {self._promise.words()}: proving it would take more "
            f"answers than it saves ({counted(self._cells, 'unknown cell')}; {instead})"
        )


def draft(
    connection: Connection, scores: ScoreFolder, labels: Labels, promise: Promise, seed: int
) -> Draft:
    """Choose the cells that may be decided and those to ask.

    Args:
        connection: of a transaction; nothing is written.
        scores: of the model version to decide by.
        labels: as they are now.
        promise: what is to be promised.
        seed: of the random order.

    Raises:
        InvalidInput: if a share is not between 0 and 1.
        NothingSaved: if nothing can be saved.
        Conflict: if there is such a proposal already.
    """
    promise.check()
    looks = _looks_so_far(connection, promise)
    finishes = promise.kind == finishing.KIND
    pool = _unknown(scores, labels, promise.category_id, also_waiting=finishes)
    level = level_of_look(promise.confidence, looks)
    present = _known_present(labels, promise.category_id)
    cells = _cells(labels, promise.category_id)

    def planned_for(target: float) -> Plan | None:
        if finishes:
            return finishing.plan(pool.score, allowed=int(target * cells), confidence=level)
        return plan(
            promise.kind, pool.score, target=target, confidence=level, known_present=present
        )

    planned = planned_for(promise.target)
    if planned is None:
        raise NothingSaved(promise, len(pool), planned_for)
    allowed = int(promise.target * cells) if finishes else 0
    pool.inside[:] = False
    pool.inside[planned.cells] = True
    pool = pool if promise.kind == "reject" else pool.candidates()
    return Draft(promise, pool, planned, seed, looks, present, allowed)


_ROUND_SHARES = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03,
                 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)  # fmt: skip
"""What is tried where a promise is out of reach."""


def _in_reach(promise: Promise, cells: int, planned_for: Callable[[float], Plan | None]) -> str:
    """The smallest round share above the one wanted that could be promised, in words."""
    shares = [share for share in _ROUND_SHARES if share > promise.target]
    # A plan takes a second where there are millions of cells, so few of them are tried.
    first = bisect_left(shares, True, key=lambda share: planned_for(share) is not None)
    found = planned_for(shares[first]) if first < len(shares) else None
    if found is None:
        return "label more first"
    could = f"{per_cent(shares[first], 2)} could be promised now"
    asked = found.answers
    if promise.kind == "reject":
        asked += min(OUTSIDE_ANSWERS, cells - len(found.cells))
    return f"{could}, by {counted(asked, 'blind answer')}; or label more first"


def preview(drafted: Draft) -> Preview:
    """Count what a draft would ask and might decide."""
    pool = drafted.pool
    asked = np.concatenate([drafted.asked, drafted.outside])
    left = pool.inside.copy()
    left[drafted.asked] = False
    cells, questions = _by_category(pool, np.flatnonzero(left)), _by_category(pool, asked)
    return Preview(
        promise=drafted.promise,
        cells=int(left.sum()),
        questions=len(asked),
        images=len(np.unique(pool.image_ids[asked])),
        by_category=[
            CategoryDraft(one, cells.get(one, 0), questions.get(one, 0))
            for one in sorted(cells.keys() | questions.keys())
        ],
        allowed=drafted.allowed,
    )


def _by_category(pool: Pool, places: NDArray[np.int64]) -> dict[int, int]:
    ids, counts = np.unique(pool.category_ids[places], return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def _looks_so_far(connection: Connection, promise: Promise) -> int:
    """Looks at answers since the last contract of this kind and scope was applied."""
    looks = 0
    for contract in db.of_scope(connection, promise.kind, promise.category_id):
        if contract.status == db.PROPOSED:
            raise Conflict(
                f"contract {contract.id} of this kind is proposed already "
                "(answer its blind questions, or withdraw it)"
            )
        if contract.event_id is not None:
            break
        looks = max(looks, int(contract.config["looks"]))
    return looks


def _unknown(
    scores: ScoreFolder, labels: Labels, category_id: int | None, *, also_waiting: bool
) -> Pool:
    """Unknown cells with a score, of one category or of all.

    A category that waits for labels has the share of present cells for its score: nothing to
    choose cells by, but enough to finish with.
    """
    rows = scores.rows(labels.image_ids)
    columns = np.array([scores.column(c) for c in labels.category_ids.tolist()])
    waiting = set() if also_waiting else set(scores.model.waiting)
    usable = np.array(
        [
            column >= 0 and ident not in waiting and category_id in (None, ident)
            for column, ident in zip(columns.tolist(), labels.category_ids.tolist(), strict=True)
        ],
        dtype=bool,
    )
    probability = np.full(labels.states.shape, np.nan, dtype=np.float16)
    there = rows >= 0
    probability[np.ix_(there, usable)] = scores.probability[np.ix_(rows[there], columns[usable])]
    return pools.unknown_cells(
        probability, labels.states != 0, labels.image_ids, labels.category_ids
    )


def _cells(labels: Labels, category_id: int | None) -> int:
    """All cells of one category or of all categories, known ones included."""
    return labels.states.size if category_id is None else len(labels.states)


def _known_present(labels: Labels, category_id: int | None) -> int:
    wanted = slice(None) if category_id is None else labels.category_ids == category_id
    return int((labels.states[:, wanted] == 1).sum())
