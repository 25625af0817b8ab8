"""Score folders that are open in this process, and what they say of pictures now."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import WorkspaceError
from annotator.scores import ScoreFolder, smoothed_prior
from annotator.suggestions import CellEvidence, Suggestion, probabilities, rank, rank_by_prior
from annotator.types import Category, KnownCell

_KEPT_OPEN = 3


class OpenScores:
    """Opens score folders once and keeps the newest few. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, ScoreFolder] = {}
        self._guard = threading.Lock()

    def newest(self, versions: Iterable[int]) -> ScoreFolder | None:
        """The first of these model versions whose folder can be read, None if there is none."""
        for version in versions:
            found = self._get(version)
            if found is not None:
                return found
        return None

    def _get(self, version: int) -> ScoreFolder | None:
        with self._guard:
            if version not in self._open:
                try:
                    self._open[version] = ScoreFolder.open(self._folder / str(version))
                except WorkspaceError:
                    # An older version serves as well; the worker writes a new one in any case.
                    return None
                for old in sorted(self._open)[:-_KEPT_OPEN]:
                    del self._open[old]
            return self._open.get(version)


def label_vector(known: Iterable[KnownCell], categories: Sequence[Category]) -> NDArray[np.int8]:
    """States of one picture in the order of the categories [C]."""
    states = {cell.category_id: cell.state for cell in known}
    return np.array([states.get(category.id, 0) for category in categories], dtype=np.int8)


def prior_of(categories: Sequence[Category]) -> NDArray[np.float32]:
    """Smoothed share of present among the known cells of each category [C]."""
    return smoothed_prior(
        np.array([category.present for category in categories], dtype=np.int64),
        np.array([category.absent for category in categories], dtype=np.int64),
    )


def suggest(
    scores: ScoreFolder | None,
    image_id: int,
    labels: NDArray[np.int8],
    categories: Sequence[Category],
    limit: int,
) -> tuple[Suggestion, ...]:
    """Suggestions for one picture under the labels known now, most probable first.

    Before anything is known there is nothing to suggest: the list is empty.
    """
    if not any(category.present or category.absent for category in categories):
        return ()
    prior = prior_of(categories)
    if scores is None:
        return tuple(rank_by_prior(prior, labels, categories, limit=limit))
    return tuple(rank(scores.image(image_id), labels, categories, prior=prior, limit=limit))


def no_evidence(category: Category, prior: float) -> CellEvidence:
    """What can be said of a cell before the first model version: how common the category is."""
    return CellEvidence(
        category_id=category.id,
        name=category.name,
        probability=prior,
        threshold=0.5,
        start=float(np.log(prior / (1 - prior))),
        sources=(),
        terms=(),
        neighbours=(),
        exemplars=(),
        waiting="the model has not been trained yet",
    )


def live_probabilities(
    scores: ScoreFolder | None,
    image_id: int,
    labels: NDArray[np.int8],
    categories: Sequence[Category],
) -> NDArray[np.float32]:
    """Probability of every category under the labels known now, NaN without a model [C]."""
    if scores is None:
        return np.full(len(categories), np.nan, dtype=np.float32)
    return probabilities(scores.image(image_id), labels, categories)
