"""Automatic decisions under a contract: thresholds that hold with stated confidence.

A batch of unknown cells may be decided without asking only when blind answers on cells drawn at
random say that it is safe (reference §12). The largest prefix of the ranking whose audited error
meets the target overshoots, because it is the luckiest of many. Here the candidate sets are nested
and fixed before the answers are seen, and they are tested in that order, each at the full level,
until the first failure (fixed-sequence testing): the chance that the set which is taken breaks the
promise is at most ``1 - confidence``.

The pool is finite and audited without replacement, so the bounds are exact hypergeometric ones; for
a large pool they are the Clopper-Pearson bounds (`clopper_pearson`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, gammaincinv, gammaln, pdtr

Floats = npt.NDArray[np.floating]
Kind = Literal["accept", "reject"]


def clopper_pearson(errors: int, answers: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval of a rate from ``errors`` in ``answers`` draws.

    Zero errors in n answers give an upper end near ``3.7 / n`` at 95 % (one-sided: ``3 / n``).

    Raises:
        ValueError: if the counts are not ``0 <= errors <= answers`` or confidence is not in (0, 1).
    """
    _check_counts(errors, answers)
    _check_share("confidence", confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, answers - errors + 1, tail))
    right = answers - errors
    high = 1.0 if errors == answers else float(betaincinv(errors + 1, right, 1 - tail))
    return low, high


def most_errors(errors: int, answers: int, cells: int, confidence: float) -> int:
    """Return the largest number of errors among ``cells`` that the audit cannot rule out.

    Args:
        errors: wrong cells among the audited ones.
        answers: audited cells, drawn at random without replacement from ``cells``.
        cells: size of the set, audited cells included.
        confidence: one-sided, in (0, 1).

    Returns:
        The largest ``k`` with ``P(at most errors | k wrong of cells) > 1 - confidence``, which
        counts the errors already found.
    """
    _check_counts(errors, answers)
    _check_share("confidence", confidence)
    if answers > cells:
        raise ValueError(f"answers must be at most cells, got {answers} of {cells}")
    low, high = errors, cells - (answers - errors)
    while low < high:
        middle = (low + high + 1) // 2
        if _at_most(errors, cells, middle, answers) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def fewest_errors(errors: int, answers: int, cells: int, confidence: float) -> int:
    """Return the smallest number of errors among ``cells`` that the audit cannot rule out."""
    return cells - most_errors(answers - errors, answers, cells, confidence)


def answers_needed(target: float, confidence: float = 0.95) -> int:
    """Return how many faultless blind answers prove an error rate below ``target``.

    The plan of the audit stream: ``1 - (1 - target) ** n >= confidence`` (reference §12: about
    ``3 / target`` at 95 %).
    """
    _check_share("target", target)
    _check_share("confidence", confidence)
    return int(np.ceil(np.log1p(-confidence) / np.log1p(-target)))


def plan_answers(
    expected: float, allowed: float, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Return how many blind answers should be planned to prove a rate of errors.

    Args:
        expected: rate of errors that the model expects, at least 0 and below ``allowed``.
        allowed: rate to be proved, in (0, 1).
        confidence: one-sided.
        power: chance that the proof succeeds if the model is right.

    Raises:
        ValueError: if a rate is out of range, or ``expected`` is so close to ``allowed`` that no
            reasonable number of answers could tell them apart.
    """
    _check_share("allowed", allowed)
    _check_share("confidence", confidence)
    if not 0 <= expected < allowed:
        raise ValueError(f"expected must be at least 0 and below {allowed}, got {expected}")
    for errors, most in enumerate(_most_expected(confidence)):
        if pdtr(errors, most / allowed * expected) >= power:
            return int(np.ceil(most / allowed))
    raise ValueError(f"{expected} is too close to {allowed} to be told apart by an audit")


#: Errors up to which a plan is looked for; more would mean thousands of answers.
_MOST_PLANNED = 200


@lru_cache(maxsize=16)  # a plan asks for one level hundreds of times
def _most_expected(confidence: float) -> list[float]:
    """By number of errors, how many may be expected at most where that few are seen."""
    return list(gammaincinv(np.arange(_MOST_PLANNED) + 1, confidence).tolist())


@dataclass(frozen=True)
class Contract:
    """A threshold with the promise that it carries.

    Attributes:
        kind: ``accept`` decides cells at or above the threshold present, ``reject`` cells at or
            below it absent.
        target: largest share that may be wrong: of the decided cells (accept), or of all present
            cells of the pool (reject).
        confidence: of the promise, one-sided.
        threshold: calibrated probability, or None where no set could be proved.
        cells: unaudited cells that the contract decides.
        bound: upper bound of the share that is wrong among them (accept) or missed (reject).
        audited: blind answers inside the decided set.
        errors: wrong ones among those.
        size: all cells of the set, audited ones included.
        whole: what ``bound`` is a share of: decided cells (accept), present cells (reject).
    """

    kind: Kind
    target: float
    confidence: float
    threshold: float | None
    cells: int
    bound: float
    audited: int
    errors: int
    size: int = 0
    whole: int = 0

    @property
    def holds(self) -> bool:
        """Whether any cell may be decided under it."""
        return self.threshold is not None


def fit_contract(
    kind: Kind,
    probability: Floats,
    audited: npt.NDArray[np.bool_],
    present: npt.NDArray[np.bool_],
    *,
    target: float,
    confidence: float = 0.95,
    known_present: int = 0,
    outside: tuple[int, int, int] | None = None,
    steps: int = 20,
) -> Contract:
    """Find the widest set of cells that may be decided, by fixed-sequence testing.

    Args:
        kind: what to promise, see `Contract`.
        probability: calibrated probability per cell of the pool [cells], fixed before the audit.
        audited: which cells were drawn at random from the whole pool and answered blind [cells].
            Answers given because a cell looked uncertain are not a random draw and may not be
            marked here.
        present: the answers [cells]; read only where ``audited``.
        target: in (0, 1), see `Contract.target`.
        confidence: one-sided, in (0, 1).
        known_present: present cells outside the pool that count towards the total of ``reject``.
        outside: for ``reject``, where the pool was cut to cells that are hardly ever present:
            (present, answers, cells) of a random draw from the other unknown cells. The total of
            present cells is then bounded by these instead of by the pool.
        steps: number of nested candidate sets, fixed in advance by their numbers of cells.

    Raises:
        ValueError: if shapes differ or a value is out of range.
    """
    _check_share("target", target)
    _check_share("confidence", confidence)
    if not probability.shape == audited.shape == present.shape or probability.ndim != 1:
        raise ValueError(
            "probability, audited and present must be [cells] alike, got "
            f"{probability.shape}, {audited.shape}, {present.shape}"
        )
    score = probability if kind == "accept" else -probability
    wrong = ~present if kind == "accept" else present
    order = np.argsort(-score, kind="stable")
    score, drawn = score[order], audited[order]
    wrong_drawn = np.where(drawn, wrong[order], False)
    total = known_present
    if kind == "reject":
        found = outside or (int((present & audited).sum()), int(audited.sum()), len(audited))
        total += fewest_errors(*found, (1 + confidence) / 2)
    # The reject promise spends half of the allowed failures on the number of present cells.
    level = confidence if kind == "accept" else (1 + confidence) / 2
    nothing = Contract(kind, target, confidence, None, 0, 1.0, 0, 0)
    best: tuple[int, int, int] | None = None
    for size in _nested_sets(score, steps):
        answers, errors = int(drawn[:size].sum()), int(wrong_drawn[:size].sum())
        allowed = target * max(total if kind == "reject" else size - answers, 1)
        if _may_be_more(0, answers, size, allowed, level):
            continue  # too few answers to prove anything; known before the answers are
        if _may_be_more(errors, answers, size, allowed + errors, level):
            break
        best = (size, answers, errors)
    if best is None:
        return nothing
    size, answers, errors = best
    left = most_errors(errors, answers, size, level) - errors
    whole = max(total if kind == "reject" else size - answers, 1)
    edge = float(score[size - 1]) if kind == "accept" else float(-score[size - 1])
    return Contract(
        kind, target, confidence, edge, size - answers, left / whole, answers, errors, size, whole
    )


def _nested_sets(score: Floats, steps: int) -> list[int]:
    """Sizes of growing prefixes in equal steps of cells; ties stay together.

    They depend on neither the answers nor on which cells were drawn: a set that ended at a drawn
    cell would hold that one for certain, and the rest would be no random sample of it.
    """
    if not len(score):
        return []
    ends = np.ceil(np.linspace(0, len(score), steps + 1)[1:]).astype(int)
    # A threshold cannot separate equal scores, so each set is widened to the end of its tie.
    widened = np.searchsorted(-score, -score[ends - 1], side="right")
    return [int(end) for end in np.unique(widened)]


def _may_be_more(errors: int, answers: int, cells: int, allowed: float, confidence: float) -> bool:
    """Whether `most_errors` is above ``allowed``, without looking for it."""
    wrong = int(np.floor(allowed)) + 1
    if wrong > cells - (answers - errors):
        return False
    return _at_most(errors, cells, wrong, answers) > 1 - confidence


def _at_most(errors: int, cells: int, wrong: int, answers: int) -> float:
    """Chance of at most ``errors`` wrong ones in ``answers`` draws; hypergeometric."""
    found = np.arange(max(0, answers - (cells - wrong)), min(errors, wrong, answers) + 1)
    if not len(found):
        return 0.0
    logs = (
        _log_choose(wrong, found)
        + _log_choose(cells - wrong, answers - found)
        - _log_choose(cells, np.array([answers]))
    )
    return float(min(1.0, np.exp(logs).sum()))


def _log_choose(n: int, k: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def _check_counts(errors: int, answers: int) -> None:
    if not 0 <= errors <= answers:
        raise ValueError(f"errors must be between 0 and answers, got {errors} of {answers}")


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1), got {value} (use 0.98 for 98 %)")
