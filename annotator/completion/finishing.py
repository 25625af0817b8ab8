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

import numpy as np
from numpy.typing import NDArray

from annotator.completion.planning import Plan
from annotator.completion.pools import Pool, mixed
from annotator.types import Audit, Contract

KIND = "finish"

DOUBT, FLOOR = 1.2, 0.0005
"""Risk of a cell: so many times what the model says, and a little more where it is certain."""

MOST_PORTIONS = 21
"""Portions after which a proof is given up: about three times the answers planned."""

_FIRST, _FURTHER = 2, 8  # shares of the planned answers: a half, then an eighth at a time
_LEAST = 20
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


def states(score: NDArray[np.float32]) -> NDArray[np.int8]:
    """What the model decides: present from even odds on [n]."""
    return np.where(score >= 0.5, 1, -1).astype(np.int8)


def risks(score: NDArray[np.float32]) -> NDArray[np.float64]:
    """Chance of each decision to be wrong, as it is believed before the audit [n]."""
    p = score.astype(np.float64)
    return np.minimum(FLOOR + DOUBT * np.minimum(p, 1 - p), 0.5)


def plan(score: NDArray[np.float32], *, allowed: int, confidence: float) -> Plan | None:
    """How many blind answers would prove that at most ``allowed`` decisions are wrong.

    Args:
        score: probability of each unknown cell [n].
        allowed: wrong cells that the promise allows.
        confidence: one-sided.

    Returns:
        None if too many are expected to be wrong, or asking all would take no more.
    """
    from hst_core.weighted_audit import design_audit  # late: scipy beside it is slow to load

    risk = risks(score)
    audit = design_audit(risk, allowed) if allowed > 0 and len(score) else None
    if audit is None or audit.answers(confidence) >= len(score):
        return None
    return Plan(np.arange(len(score)), audit.answers(confidence), float(risk.sum()))


def portion(planned: int, number: int) -> int:
    """Blind answers of a portion, the first one being number 0."""
    return max(planned // (_FURTHER if number else _FIRST), _LEAST)


def draw(
    pool: Pool, asked: NDArray[np.int64], *, allowed: int, seed: int, number: int
) -> NDArray[np.int64]:
    """All places of a pool that were not asked, in the order in which they are drawn.

    Args:
        pool: as frozen.
        asked: places drawn in earlier portions.
        allowed: as in `plan`.
        seed: of the contract.
        number: of the portion, the first one being 0; each has an order of its own.
    """
    from hst_core.weighted_audit import design_audit

    left = np.setdiff1d(np.arange(len(pool)), asked)
    audit = design_audit(risks(pool.score[left]), allowed)
    if audit is None:
        return left[:0]
    bits = mixed(pool.keys[left], seed + number * _PLACES_PER_PORTION) >> np.uint64(11)
    return np.asarray(left[audit.order((bits.astype(np.float64) + 0.5) / 2**53)])


def prove(pool: Pool, audits: Sequence[Audit], portions: Sequence[int], allowed: int) -> Proof:
    """Weigh the answers in the order of the draw.

    Args:
        pool: as frozen.
        audits: of the proposal, all answered, in the order of the draw.
        portions: how many were drawn at a time.
        allowed: as in `plan`.
    """
    from hst_core.weighted_audit import design_audit

    places = pool.places([a.image_id for a in audits], [a.category_id for a in audits])
    wrong = np.array([audit.state for audit in audits]) != states(pool.score[places])
    wealth, most, start = 0.0, 0.0, 0
    for count in portions:
        part = slice(start, start + count)
        left = np.setdiff1d(np.arange(len(pool)), places[:start])
        audit = design_audit(risks(pool.score[left]), allowed)
        if audit is None:
            break
        path = wealth + audit.evidence(wrong[part], np.searchsorted(left, places[part]))
        wealth, most, start = float(path[-1]), max(most, float(path.max())), start + count
    return Proof(most, wealth, len(audits), int(wrong.sum()))


def holds(proof: Proof, confidence: float) -> bool:
    """Whether the answers prove the promise."""
    return bool(proof.wealth >= -np.log1p(-confidence))


def goes_on(proof: Proof, portions: int, cells: int) -> bool:
    """Whether it is worth asking a further portion of ``cells`` without being told to."""
    return portions < MOST_PORTIONS and proof.answers < cells and proof.now > _HOPELESS


def broken(contract: Contract, watched: int, wrong: int) -> bool:
    """Whether answers since it was applied show that more is wrong than was promised."""
    from hst_core.contracts import fewest_errors

    least = fewest_errors(wrong, watched, contract.cells, _SURE_OF_BREACH)
    return least - wrong > int(contract.config["allowed"])


_HOPELESS = -5.0  # the answers speak against it by more than they must speak for it
_SURE_OF_BREACH = 0.99  # looked at after every fifty answers, so a good one must seldom fall
