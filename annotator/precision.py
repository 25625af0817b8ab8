"""How right past suggestions were, told from the answers that people gave to them.

Where a person decides a cell, the probability that the model gave it just before is kept beside
the answer. At or above a threshold the model had *suggested present*, below it *suggested absent*,
and the answer says whether that was right. The precision of a side is the share that was right.

What these figures are not: a fair estimate for the cells that wait. Which cells get an answer is
chosen: the queue "least certain first" asks for the hardest ones, which makes a model look worse
than it is, and a page of Sweep begins with the easiest ones, which makes it look better. Somebody
who is shown a suggestion also agrees with it more readily than without. The interval covers chance
alone, not this choice. Only answers to a random sample (source ``audit``) are free of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of the intervals, unless asked otherwise."""

EVEN = 0.5
"""Threshold of a category for which none is given: more likely present than absent."""


@dataclass(frozen=True)
class Answers:
    """Answers counted by everything that tells them apart; n kinds of answer.

    Attributes:
        category_ids: [n].
        version_ids: [n] model version whose suggestions were shown, 0 if the page named none.
        sources: [n] where it was answered: ``focus``, ``sweep``, ….
        percent: [n] probability of present that the model gave, in whole per cent, 0-100.
        states: [n] the answer, 1 present or -1 absent.
        counts: [n] how many.
    """

    category_ids: NDArray[np.int64]
    version_ids: NDArray[np.int64]
    sources: NDArray[np.str_]
    percent: NDArray[np.int64]
    states: NDArray[np.int8]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, str, int, int, int]]) -> Answers:
        """From rows in the order of the attributes."""
        columns = tuple(zip(*rows, strict=True)) or ((),) * 6
        kinds = (np.int64, np.int64, np.str_, np.int64, np.int8, np.int64)
        return cls(*(np.array(c, dtype=kind) for c, kind in zip(columns, kinds, strict=True)))

    def where(self, chosen: NDArray[np.bool_]) -> Answers:
        """Those that are chosen [n]."""
        return Answers(
            self.category_ids[chosen],
            self.version_ids[chosen],
            self.sources[chosen],
            self.percent[chosen],
            self.states[chosen],
            self.counts[chosen],
        )


@dataclass(frozen=True)
class Share:
    """How many of some suggestions were right."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """Share that was right, 0-1; None without any."""
        return self.right / self.total if self.total else None

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Exact interval around it, see `interval`."""
        low, high = interval(self.right, self.total, confidence)
        return float(low), float(high)

    def __add__(self, other: Share) -> Share:
        return Share(self.right + other.right, self.total + other.total)


@dataclass(frozen=True)
class Precision:
    """How right suggestions were.

    Attributes:
        category_id: None if it is over all categories.
        version_id: of the model; None if it is over all versions, 0 where none was named.
        present: of what was suggested present.
        absent: of what was suggested absent.
    """

    category_id: int | None
    version_id: int | None
    present: Share
    absent: Share


NOTHING = Precision(None, None, Share(0, 0), Share(0, 0))
"""Without any answer."""


def precision(
    answers: Answers,
    *,
    by_category: bool = True,
    by_version: bool = False,
    thresholds: Mapping[int, float] | float = EVEN,
) -> list[Precision]:
    """How right suggestions were, by category, by model version, by both or over all.

    Args:
        answers: as counted by the service (`AnnotationService.answers`).
        by_category: one entry per category that has answers.
        by_version: one entry per model version that has answers.
        thresholds: from where on a probability suggests present, 0-1, for all categories or by
            category id (others take `EVEN`); rounded to whole per cent.

    Returns:
        By category id, then version id; empty without answers.
    """
    categories = answers.category_ids if by_category else np.zeros_like(answers.category_ids)
    versions = answers.version_ids if by_version else np.zeros_like(answers.version_ids)
    groups, place = np.unique(np.stack([categories, versions]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    suggested = np.where(answers.percent >= _cut(answers.category_ids, thresholds), 1, -1)
    right = suggested == answers.states

    def count(chosen: NDArray[np.bool_]) -> list[int]:
        weights = np.where(chosen, answers.counts, 0)
        numbers = np.bincount(place, weights=weights, minlength=groups.shape[1])
        return [int(number) for number in numbers]

    columns = zip(
        *groups.tolist(),
        count(right & (suggested > 0)),
        count(suggested > 0),
        count(right & (suggested < 0)),
        count(suggested < 0),
        strict=True,
    )
    return [
        Precision(
            category if by_category else None,
            version if by_version else None,
            Share(right_present, present),
            Share(right_absent, absent),
        )
        for category, version, right_present, present, right_absent, absent in columns
    ]


@dataclass(frozen=True)
class Pooled:
    """How right suggestions of neighbouring model versions were, together.

    Attributes:
        first: oldest version with an answer.
        last: newest.
        share: of all of them.
    """

    first: int
    last: int
    share: Share

    @property
    def tells(self) -> bool:
        """Whether there are enough answers for their share to say something."""
        return self.share.total >= FEWEST


FEWEST = 20
"""Answers below which a share says next to nothing: even 20 of 20 leave 83 to 100 %."""


def pool_versions(shares: Sequence[tuple[int, Share]]) -> list[Pooled]:
    """Put neighbouring versions together until each group has `FEWEST` answers.

    A project has a new version every few answers, so that most have one or two of their own.

    Args:
        shares: (version id, answers) in the order of the versions; those without any count nothing.

    Returns:
        In the same order; only the newest group may have fewer.
    """
    groups: list[Pooled] = []
    for version, share in shares:
        if not share.total:
            continue
        if groups and not groups[-1].tells:
            before = groups.pop()
            groups.append(Pooled(before.first, version, before.share + share))
        else:
            groups.append(Pooled(version, version, share))
    return groups


def interval(
    right: NDArray[np.integer[Any]] | int,
    total: NDArray[np.integer[Any]] | int,
    confidence: float = CONFIDENCE,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Clopper-Pearson interval of a share: it covers the true one at least this often.

    Args:
        right: number of successes, any shape.
        total: number of trials, of the same shape.
        confidence: 0-1, exclusive.

    Returns:
        Lower and upper end, 0-1; 0 and 1 without trials.
    """
    # Imported here: it takes a third of a second, which starting need not spend.
    from scipy.special import betaincinv

    right, total = np.asarray(right, dtype=np.float64), np.asarray(total, dtype=np.float64)
    tail = (1 - confidence) / 2
    # A beta distribution needs positive parameters; where one would be 0 the end is 0 or 1.
    low = betaincinv(np.maximum(right, 1), total - right + 1, tail)
    high = betaincinv(right + 1, np.maximum(total - right, 1), 1 - tail)
    return np.where(right > 0, low, 0.0), np.where(right < total, high, 1.0)


def _cut(
    category_ids: NDArray[np.int64], thresholds: Mapping[int, float] | float
) -> NDArray[np.int64]:
    """Whole per cent from which on each answer counts as suggested present [n]."""
    if isinstance(thresholds, Mapping):
        values = [thresholds.get(category, EVEN) for category in category_ids.tolist()]
        return np.rint(np.array(values, dtype=np.float64) * 100).astype(np.int64)
    return np.full(len(category_ids), round(thresholds * 100), dtype=np.int64)
