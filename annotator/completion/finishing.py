"""Contracts that finish a label set: all that is left is decided as the model says.

They promise that at most a stated share of *all* cells is wrong. The cells asked blind are drawn
by their risk (`hst_core.weighted_audit`), a portion at a time: the proof may be looked at after
every answer, so the audit ends as soon as it has proved enough and goes on where it has not. Each
portion is drawn anew from the cells that nobody was asked about, so people mend what they find
wrong, and the promise is about what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotator.completion.planning import Plan
from annotator.completion.pools import Pool, mixed
from annotator.db import contracts as db
from annotator.errors import WorkspaceError
from annotator.types import Audit, Contract

if TYPE_CHECKING:
    from hst_core.weighted_audit import WeightedAudit

KIND = db.FINISH

FLOOR = 0.0005
"""Risk of a cell that the model is certain of."""

DRAWN_BY = db.DRAWN_BY
"""Number of the rule of `risks` and `draw`."""

MOST_PORTIONS = 41
"""Portions after which a proof is given up: about three times the answers planned."""

FEWEST = 20
"""Blind answers of a portion at least."""

_FIRST, _FURTHER = 2, 16  # shares of the planned answers: a half, then a sixteenth at a time
_PLACES_PER_PORTION = 1 << 20


@dataclass(frozen=True)
class Proof:
    """How far the proof of a contract is.

    Attributes:
        wealth: natural logarithm of the wealth that it bets with, the most it ever was.
        now: the same after the last answer.
        answers: blind answers so far.
        wrong: of these.
    """

    wealth: float
    now: float
    answers: int
    wrong: int


def check_drawn_alike(contract: Contract) -> None:
    """Refuse answers that were drawn by another rule than they would be weighed by.

    Raises:
        WorkspaceError: saying what to do.
    """
    trouble = drawn_otherwise(contract)
    if trouble:
        raise WorkspaceError(trouble)


def drawn_otherwise(contract: Contract) -> str:
    """Why its questions prove nothing here, and what to do; empty if they can.

    Such questions are not asked: see `annotator.db.contracts.open_audits`.
    """
    if contract.kind != KIND or contract.config.get("drawn_by") == DRAWN_BY:
        return ""
    return (
        f"the questions of contract {contract.id} were drawn by another version of the "
        "program, so they prove nothing in this one (withdraw it and propose a new one)"
    )


def states(score: NDArray[np.float32]) -> NDArray[np.int8]:
    """What the model decides: present from even odds on [n]."""
    return np.where(score >= 0.5, 1, -1).astype(np.int8)


def risks(score: NDArray[np.float32]) -> NDArray[np.float64]:
    """Chance of each decision to be wrong, as it is believed before the audit [n]."""
    p = score.astype(np.float64)
    return np.minimum(FLOOR + np.minimum(p, 1 - p), 0.5)


def plan(score: NDArray[np.float32], *, allowed: int, confidence: float) -> Plan | None:
    """How many blind answers would prove that at most ``allowed`` decisions are wrong.

    Args:
        score: probability of each unknown cell [n].
        allowed: wrong cells that the promise allows.
        confidence: one-sided.

    Returns:
        None if too many are expected to be wrong, or asking all would take no more.
    """
    count = _count(_levels(score))
    audit = _design(count, allowed)
    if audit is None or audit.answers(confidence) >= len(score):
        return None
    wrong = float((_grid()[1] * count).sum())
    return Plan(np.arange(len(score)), audit.answers(confidence), wrong)


def portion(planned: int, number: int) -> int:
    """Blind answers of a portion, the first one being number 0."""
    return max(planned // (_FURTHER if number else _FIRST), FEWEST)


def draw(
    pool: Pool, asked: NDArray[np.int64], *, allowed: int, seed: int, number: int, count: int
) -> NDArray[np.int64]:
    """Places of the next cells to ask, in the order in which they are drawn.

    Args:
        pool: as frozen.
        asked: places drawn in earlier portions.
        allowed: as in `plan`.
        seed: of the contract.
        number: of the portion, the first one being 0; each has an order of its own.
        count: how many at most.
    """
    left = np.ones(len(pool), dtype=bool)
    left[asked] = False
    places = np.flatnonzero(left)
    level = _levels(pool.score[places])
    audit = _design(_count(level), allowed)
    if audit is None:
        return places[:0]
    bits = mixed(pool.keys[places], seed + number * _PLACES_PER_PORTION) >> np.uint64(11)
    uniform = (bits.astype(np.float64) + 0.5) / 2**53
    return np.asarray(places[audit.first(uniform, level, count)])


def prove(pool: Pool, audits: Sequence[Audit], portions: Sequence[int], allowed: int) -> Proof:
    """Weigh the answers in the order of the draw.

    Args:
        pool: as frozen.
        audits: of the proposal, all answered, in the order of the draw.
        portions: how many were drawn at a time.
        allowed: as in `plan`.
    """
    places = pool.places([a.image_id for a in audits], [a.category_id for a in audits])
    present = np.array([audit.state == 1 for audit in audits], dtype=bool)
    return weigh(pool, places, present, portions, allowed)


def weigh(
    pool: Pool,
    places: NDArray[np.int64],
    present: NDArray[np.bool_],
    portions: Sequence[int],
    allowed: int,
) -> Proof:
    """As `prove`, from the places in the pool that were asked and the answers [answers]."""
    level = _levels(pool.score[places])
    wrong = (states(pool.score[places]) == 1) != present
    left = _count(_levels(pool.score))
    now, most, start = 0.0, 0.0, 0
    for count in portions:
        part = slice(start, start + count)
        audit = _design(left, allowed)
        if audit is None:
            break
        path = now + audit.evidence(wrong[part], level[part])
        now, most, start = float(path[-1]), max(most, float(path.max())), start + count
        left = left - _count(level[part])
    return Proof(most, now, len(places), int(wrong.sum()))


def holds(proof: Proof, confidence: float) -> bool:
    """Whether the answers prove the promise."""
    return bool(proof.wealth >= -np.log1p(-confidence))


def goes_on(proof: Proof, portions: int, cells: int) -> bool:
    """Whether it is worth asking a further portion of ``cells`` without being told to."""
    return portions < MOST_PORTIONS and proof.answers < cells and proof.now > _HOPELESS


def broken(contract: Contract, watched: int, wrong: int) -> bool:
    """Whether answers since it was applied show that more is wrong than was promised."""
    return wrong_left(contract, watched, wrong) > int(contract.config["allowed"])


def allowance(allowed: int, cells: int) -> str:
    """What the promise comes to for the cells that are decided, and what it assumes of others."""
    most = f"{min(allowed, cells):,} of the {cells:,} decided"
    return f"up to {most}; labels known before count as right"


def wrong_left(contract: Contract, watched: int, wrong: int) -> int:
    """How many wrong cells are left at least, as sure as it must be to take a contract back."""
    from hst_core.contracts import fewest_errors  # late, as above

    return fewest_errors(wrong, watched, contract.cells, _SURE_OF_BREACH) - wrong


_LEVELS_PER_NAT = 50  # risks are rounded to this grid of logarithms: a few hundred levels


@cache
def _grid() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Level of each half-precision number from 0 to 1, by its bits, and the risk of each level."""
    values = np.arange(0x3C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    logs = np.round(np.log(risks(values)) * _LEVELS_PER_NAT)
    found, level = np.unique(logs, return_inverse=True)
    return level.astype(np.int64), np.exp(found / _LEVELS_PER_NAT)


def _levels(score: NDArray[np.float32]) -> NDArray[np.int64]:
    """Level of risk of each score [n]."""
    return _grid()[0][score.astype(np.float16).view(np.uint16)]


def _count(level: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cells of each level."""
    return np.bincount(level, minlength=len(_grid()[1]))


def _design(count: NDArray[np.int64], allowed: int) -> WeightedAudit | None:
    """How to draw, from how many cells there are of each level."""
    return _designed(count.tobytes(), allowed) if allowed > 0 else None


@lru_cache(maxsize=64)  # each portion looks at all portions before it again
def _designed(count: bytes, allowed: int) -> WeightedAudit | None:
    from hst_core.weighted_audit import design_audit

    return design_audit(_grid()[1], allowed, np.frombuffer(count, dtype=np.int64))


_HOPELESS = -5.0  # the answers speak against it by more than they must speak for it
_SURE_OF_BREACH = 0.99  # looked at after every fifty answers, so a good one must seldom fall
