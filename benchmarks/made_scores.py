"""Scores as a fit would leave them, made up: for tests and benchmarks that need no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.db import model_work
from annotator.scores import ScoreFolder, SourceWeight
from annotator.service import AnnotationService

_EDGE = 1e-6


@dataclass(frozen=True)
class MadeScores:
    """What `annotator.scores.FittedScores` asks for."""

    probability: NDArray[np.floating[Any]]
    picture_logit: NDArray[np.floating[Any]]
    reference: NDArray[np.floating[Any]]
    sources: Mapping[str, NDArray[np.floating[Any]]]
    cooccurrence: NDArray[np.floating[Any]]
    stack: Sequence[SourceWeight]
    calibration: NDArray[np.floating[Any]]
    threshold: NDArray[np.floating[Any]]
    neighbours: NDArray[np.int32]
    neighbour_similarity: NDArray[np.floating[Any]]
    exemplars: NDArray[np.int32]

    @classmethod
    def of(cls, probability: NDArray[np.floating[Any]], **other: Any) -> MadeScores:
        """Scores of one classifier with these probabilities of present.

        Args:
            probability: [N, C], 0-1; the ends are drawn in a little.
            other: takes the place of what is made otherwise.
        """
        images, categories = probability.shape
        p = np.clip(probability, _EDGE, 1 - _EDGE).astype(np.float32)
        logit = np.log(p / (1 - p))
        made: dict[str, Any] = {
            "probability": p,
            "picture_logit": logit,
            "reference": p,
            "sources": {"base": logit},
            "cooccurrence": np.zeros((categories, categories), np.float32),
            "stack": [weight("base", "classifier")],
            "calibration": np.stack([np.ones(categories), np.zeros(categories)]),
            "threshold": np.full(categories, 0.5, np.float32),
            "neighbours": np.roll(np.arange(images), -1)[:, None].astype(np.int32),
            "neighbour_similarity": np.full((images, 1), 0.5, np.float32),
            "exemplars": np.zeros((categories, 1), np.int32),
        }
        return cls(**(made | other))

    @classmethod
    def random(cls, images: int, categories: int, seed: int = 0) -> MadeScores:
        """Values without a meaning, with labels that speak for and against each other."""
        rng = np.random.default_rng(seed)
        logit = rng.normal(-1, 2, (images, categories)).astype(np.float32)
        both = rng.normal(0, 1, (categories, categories)).astype(np.float32)
        both += both.T
        np.fill_diagonal(both, 0)
        stack = [weight("base", "classifier"), weight("cooccurrence", "ist")]
        return cls.of(1 / (1 + np.exp(-logit)), cooccurrence=both, stack=stack)


def weight(name: str, kind: str, value: float = 1.0) -> SourceWeight:
    """A source that is kept."""
    return SourceWeight(name, kind, value, True, 0.2, 0.3)


def add_version(
    service: AnnotationService,
    scores: MadeScores | None = None,
    *,
    waiting: Mapping[int, str] | None = None,
    at: datetime | None = None,
) -> int:
    """A model version that is ready, fitted to the labels known now; returns its id.

    Args:
        service: of the workspace.
        scores: by default random ones, other ones for each version.
        waiting: category id -> what it waits for.
        at: when it was made, by default now.
    """
    labels = service.labels()
    with service.database.writing() as connection:
        version = model_work.add_model_version(
            connection,
            kind="fast",
            created_at=at or datetime.now(UTC),
            event_id=labels.event_id,
            feature_set="tiny",
        )
    ScoreFolder.write(
        service.workspace.scores / str(version),
        scores or MadeScores.random(*labels.states.shape, seed=version),
        labels=labels.states,
        image_ids=labels.image_ids,
        category_ids=labels.category_ids,
        event_id=labels.event_id,
        feature_set="tiny",
        waiting=waiting or {},
    )
    with service.database.writing() as connection:
        model_work.set_model_version(connection, version, status=model_work.READY)
    return version
