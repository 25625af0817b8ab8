"""What to ask next: policies of the simulator, over cells rather than whole pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOCUS_SECONDS, SWEEP_SECONDS, FLIP_SECONDS = 1.2, 0.2, 1.2
NAIVE_SECONDS = 1.6
"""For a yes or no without a suggestion, in a list of everything."""

Probability = NDArray[np.float32]
Mask = NDArray[np.bool_]
Cells = tuple[NDArray[np.intp], ...]
Rank = Callable[[Probability, NDArray[np.int8], np.random.Generator], NDArray[np.float64]]


def uncertainty(
    probability: Probability, known: NDArray[np.int8], random: np.random.Generator
) -> NDArray[np.float64]:
    """Entropy of each cell; ties in random order."""
    p = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    noise = random.random(p.shape) * 1e-9
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)) + noise)


def rarity(
    probability: Probability, known: NDArray[np.int8], random: np.random.Generator
) -> NDArray[np.float64]:
    """Entropy, worth more where the category has few present cells among the known ones."""
    present = (known == 1).sum(axis=0)
    worth = 1 + 1 / np.sqrt(1 + present)
    return np.asarray(uncertainty(probability, known, random) * worth)


def at_random(
    probability: Probability, known: NDArray[np.int8], random: np.random.Generator
) -> NDArray[np.float64]:
    """No order at all."""
    return random.random(probability.shape)


def in_order(
    probability: Probability, known: NDArray[np.int8], random: np.random.Generator
) -> NDArray[np.float64]:
    """Picture by picture, as they are listed."""
    return np.asarray(-np.arange(probability.size, dtype=np.float64).reshape(probability.shape))


class Seeking:
    """Looks for present cells of categories that have hardly any, as one does on Browse.

    A model that has seen a category once or never thinks every picture unlikely, so that nothing of
    it ever looks uncertain. So its most probable pictures are asked, a few each round; random ones
    while there is no model for it.

    Args:
        categories: how many there are.
        random: for ties, and for categories without a model.
    """

    FEW, EACH, MOST = 5, 10, 100
    """Present cells that are enough, answers of a round, and answers before it is given up."""

    def __init__(self, categories: int, random: np.random.Generator) -> None:
        self._tries = np.zeros(categories, dtype=np.int64)
        self._random = random

    def choose(
        self, probability: Probability, known: NDArray[np.int8], open_: Mask
    ) -> list[tuple[int, int]]:
        """Row and column of the cells to ask in this round."""
        found: list[tuple[int, int]] = []
        few = ((known == 1).sum(axis=0) < self.FEW) & (self._tries < self.MOST)
        for column in np.flatnonzero(few).tolist():
            rows = np.flatnonzero(open_[:, column])
            self._random.shuffle(rows)  # a category without a model has one probability for all
            first = rows[np.argsort(-probability[rows, column], kind="stable")[: self.EACH]]
            self._tries[column] += len(first)
            found += [(row, column) for row in first.tolist()]
        return found


@dataclass(frozen=True)
class Policy:
    """How a project is worked through.

    Attributes:
        rank: worth of asking each cell [N, C].
        retrains: after each round; otherwise the first model stays.
        base_only: decides by the base alone, without neighbours and co-occurrence.
        learns: without a model nothing is decided but by people, and the rest counts as absent.
        random_share: of the cells of a round drawn at random instead.
        sweeps: cells beyond doubt of a round are looked through as pages of one category.
        answer_seconds: for each answer that is not swept.
        seeks: first looks for present cells of categories that have hardly any, see `Seeking`.
        finishes: goes through the queue of the tool and ends with a contract, see `tool`.
        sweeps_present: goes through the pages of Sweep before that.
    """

    rank: Rank
    retrains: bool = True
    base_only: bool = False
    learns: bool = True
    random_share: float = 0.0
    sweeps: bool = False
    answer_seconds: float = FOCUS_SECONDS
    seeks: bool = False
    finishes: bool = False
    sweeps_present: bool = False

    def choose(
        self,
        probability: Probability,
        known: NDArray[np.int8],
        open_: Mask,
        wanted: int,
        random: np.random.Generator,
    ) -> Cells:
        """The next cells to ask, as indexes of the matrix."""
        worth = np.where(open_, self.rank(probability, known, random), -np.inf)
        wanted = min(wanted, int(open_.sum()))
        drawn = round(self.random_share * wanted)
        flat = np.argpartition(-worth.ravel(), wanted - drawn - 1)[: wanted - drawn]
        if drawn:
            rest = np.setdiff1d(np.flatnonzero(open_), flat, assume_unique=True)
            flat = np.concatenate([flat, random.choice(rest, min(drawn, len(rest)), False)])
        return np.unravel_index(flat, worth.shape)

    def seconds(self, probability: Probability, said: NDArray[np.int8]) -> float:
        """How long a person takes for these answers."""
        if not self.sweeps:
            return self.answer_seconds * len(said)
        suggested = np.where(probability >= 0.5, 1, -1)
        flips = int((suggested != said).sum())
        return SWEEP_SECONDS * len(said) + FLIP_SECONDS * flips


POLICIES: Mapping[str, Policy] = {
    "exhaustive": Policy(in_order, learns=False, answer_seconds=NAIVE_SECONDS),
    "random": Policy(at_random),
    "base-once": Policy(uncertainty, retrains=False, base_only=True),
    "base": Policy(uncertainty, base_only=True),
    "stack": Policy(uncertainty),
    "stack-seek": Policy(uncertainty, seeks=True),
    "stack-rarity": Policy(rarity),
    "stack-audited": Policy(uncertainty, random_share=0.1),
    "stack-sweep": Policy(uncertainty, sweeps=True),
    "tool": Policy(uncertainty, seeks=True, finishes=True),
    "tool-sweep": Policy(uncertainty, seeks=True, finishes=True, sweeps_present=True),
}
"""Policies by name."""
