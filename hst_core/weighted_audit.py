"""Proving that few of many cells are wrong, by blind answers to cells drawn by their risk.

To prove that at most 1 % of what a model decides is wrong, one may draw cells at random; most of
them are certain and teach nothing. Here a cell is drawn the more often the less sure the model is
of it, and the answers are weighed so that the conclusion holds whatever the model believes: its
risks only decide how many answers are needed.

The test is a bet. Wealth starts at 1 and is multiplied after each answer by

    right: (1 - q) / (1 - e)        wrong: q / e

with ``q`` the risk that the model gives the cell and ``e`` its risk in the worst case: among all
ways to have ``allowed`` wrong cells, the one that is hardest to tell from the model's. While more
cells than allowed are wrong among those not yet asked, wealth is expected to shrink, so by Ville's
inequality it ever reaches ``1 / (1 - confidence)`` with a chance of at most ``1 - confidence``,
however often one looks. Growth in bits per answer is as large as it can be (the reverse
information projection of Grünwald, de Heide and Koolen, "Safe testing", 2024, with the weights
that maximise it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]

_HALVINGS, _STEPS = 32, 6
_LEAST_GAIN = 1e-7
_LEAST_RISK, _MOST_RISK = 1e-6, 0.9


@dataclass(frozen=True)
class WeightedAudit:
    """How to draw among cells, and what each answer is worth.

    Cells of one level have the same risk; there may be a level per cell.

    Attributes:
        weight: chance of one cell of a level to be drawn first [levels].
        right: natural logarithm of the factor of wealth for a right cell [levels], at least 0.
        wrong: the same for a wrong cell [levels], at most 0.
        gain: expected growth of the logarithm of wealth with each answer, if the risks are true.
    """

    weight: Floats
    right: Floats
    wrong: Floats
    gain: float

    def first(self, uniform: Floats, level: Integers, count: int) -> npt.NDArray[np.int64]:
        """Draw cells one after the other without replacement, each by its weight.

        Args:
            uniform: independent numbers in (0, 1) [cells].
            level: of each cell [cells].
            count: how many to draw at most.

        Returns:
            Indexes of the cells in the order of the draw.
        """
        key = -np.log(uniform) / self.weight[level]
        drawn = np.argpartition(key, count)[:count] if count < len(key) else np.arange(len(key))
        return np.asarray(drawn[np.argsort(key[drawn], kind="stable")])

    def evidence(self, wrong: npt.NDArray[np.bool_], level: Integers) -> Floats:
        """Logarithm of wealth after each answer.

        Args:
            wrong: answers in the order of the draw [answers].
            level: of the cells that they are about [answers].
        """
        return np.cumsum(np.where(wrong, self.wrong[level], self.right[level]))

    def answers(self, confidence: float) -> int:
        """Blind answers that the proof takes, if the risks are true."""
        return int(np.ceil(-np.log1p(-confidence) / self.gain))


def design_audit(risk: Floats, allowed: int, count: Integers | None = None) -> WeightedAudit | None:
    """Plan the proof that at most ``allowed`` of these cells are wrong.

    The best weights and the worst case have the same divergence in every cell (a saddle point), so
    both follow from one number, which is found by halving.

    Args:
        risk: chance of a cell to be wrong, 0-1 [levels]; only guides.
        allowed: wrong cells that the promise allows, at least 1.
        count: cells of each level [levels]; one each if None.

    Returns:
        None if the risks themselves say that more cells than allowed are wrong.

    Raises:
        ValueError: if a risk is not from 0 to 1, nothing is allowed or shapes differ.
    """
    if risk.ndim != 1 or not ((risk >= 0) & (risk <= 1)).all():
        raise ValueError(f"risk must be [levels] from 0 to 1, got shape {risk.shape}")
    if allowed < 1:
        raise ValueError(f"allowed must be at least 1, got {allowed}")
    number = np.ones(len(risk)) if count is None else count.astype(np.float64)
    if number.shape != risk.shape:
        raise ValueError(f"count must be {risk.shape} as risk, got {number.shape}")
    q = np.clip(risk.astype(np.float64), _LEAST_RISK, _MOST_RISK)
    if not number.sum() or (q * number).sum() >= allowed:
        return None
    low, high = _LEAST_GAIN, 5.0
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        if (_worst(q, middle) * number).sum() > allowed:
            high = middle
        else:
            low = middle  # the side on which the worst case has at most the allowed number
    if low == _LEAST_GAIN:
        return None
    e = _worst(q, low)
    weight = 1 / ((1 - q) / (1 - e) - q / e)
    return WeightedAudit(
        weight=weight / (weight * number).sum(),
        right=np.log1p(-q) - np.log1p(-e),
        wrong=np.log(q) - np.log(e),
        gain=low,
    )


def _worst(q: Floats, divergence: float) -> Floats:
    """Risk above ``q`` at this Kullback-Leibler divergence from it, elementwise.

    The divergence is convex, so Newton's steps from above stay above and close in.
    """
    e = np.minimum(q + np.sqrt(2 * q * divergence) + 2 * divergence, 1 - 1e-9)
    for _ in range(_STEPS):
        over = q * np.log(q / e) + (1 - q) * (np.log1p(-q) - np.log1p(-e)) - divergence
        e = np.maximum(e - over * e * (1 - e) / (e - q), q * (1 + 1e-9))
    return np.asarray(e)
