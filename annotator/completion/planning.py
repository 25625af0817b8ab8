"""What a contract could decide and how many blind answers would prove it: pure functions.

Everything here is computed from scores alone, before a single blind answer is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["accept", "reject", "finish"]


def kind_of(name: str) -> Kind:
    """The kind of a stored contract."""
    kinds: dict[str, Kind] = {"accept": "accept", "reject": "reject", "finish": "finish"}
    return kinds[name]


_SIZES = 120
_COUNTED = 0.65  # of the present cells that a few dozen answers outside the pool let us count on
_FIRST_LOOK, _NEXT_LOOK = 0.8, 0.2


@dataclass(frozen=True)
class Plan:
    """What to draw from, and how much.

    Attributes:
        cells: indexes into the scores, best first: the pool.
        answers: blind answers to ask for.
        expected_wrong: cells that the model itself expects to be wrong among these.
    """

    cells: NDArray[np.int64]
    answers: int
    expected_wrong: float


def plan(
    kind: Kind,
    score: NDArray[np.float32],
    *,
    target: float,
    confidence: float,
    known_present: int = 0,
) -> Plan | None:
    """The pool that saves most answers, None if none saves any.

    Args:
        kind: accept the most probable cells, or reject the least probable ones.
        score: probability of each unknown cell [n].
        target: as in `hst_core.contracts.Contract`.
        confidence: one-sided, after what earlier looks have spent.
        known_present: present cells that are known already; they count for ``reject``.
    """
    order = np.argsort(-score if kind == "accept" else score, kind="stable")
    ranked = score[order].astype(np.float64)
    # Imported here, as scipy below it takes a third of a second that starting need not spend.
    from hst_core.contracts import plan_answers

    wrong = np.cumsum(1 - ranked if kind == "accept" else ranked)
    present = known_present + _COUNTED * float(score.sum(dtype=np.float64))
    level = confidence if kind == "accept" else (1 + confidence) / 2
    best: Plan | None = None
    for size in np.unique(np.geomspace(20, max(len(score), 20), _SIZES).astype(int)):
        if size > len(score):
            break
        # What the model says itself: where it is too sure, more answers prove it or less is taken.
        expected = float(wrong[size - 1]) / size
        allowed = min(target if kind == "accept" else target * present / size, 0.5)
        if expected >= 0.7 * allowed:  # telling closer rates apart takes more than it saves
            continue
        try:
            answers = plan_answers(expected, allowed, level)
        except ValueError:  # after many looks the level that is left is close to certainty
            continue
        if answers < size and (best is None or size - answers > len(best.cells) - best.answers):
            best = Plan(order[:size], answers, float(wrong[size - 1]))
    return best


def bound_after(
    kind: Kind, *, decided: int, audited: int, watched: int, errors: int, whole: int, level: float
) -> float:
    """Upper bound of the wrong (accept) or missed (reject) share after further blind answers.

    Args:
        kind: of the contract.
        decided: cells that it decided.
        audited: blind answers inside its set before that.
        watched: blind answers to cells that it decided; their errors are mended by the answer.
        errors: wrong ones among both.
        whole: present cells that ``reject`` counted on.
        level: confidence of the contract's proof.
    """
    from hst_core.contracts import most_errors  # late, as above

    level = level if kind == "accept" else (1 + level) / 2
    left = most_errors(errors, audited + watched, decided + audited, level) - errors
    return left / max(whole if kind == "reject" else decided - watched, 1)


def level_of_look(confidence: float, look: int) -> float:
    """Confidence that look number ``look`` (from 0) at the answers must reach.

    Whoever may look again after a failure succeeds too often by luck. So all looks of a series
    share the chance of failure: the first has four fifths of it, each further one a fifth of what
    the one before had; they never use up the whole.
    """
    return 1 - (1 - confidence) * _FIRST_LOOK * _NEXT_LOOK**look
