"""A model version with drawn scores, so that a page can show probabilities without a training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from annotator.db import store
from annotator.scores import ScoreFolder, SourceWeight
from annotator.service import AnnotationService

NEAR = 20


@dataclass(frozen=True)
class DrawnScores:
    """Scores as a fit would leave them, with no meaning."""

    probability: NDArray[np.float32]
    picture_logit: NDArray[np.float32]
    reference: NDArray[np.float32]
    sources: dict[str, NDArray[np.float32]]
    cooccurrence: NDArray[np.float32]
    stack: list[SourceWeight]
    calibration: NDArray[np.float32]
    threshold: NDArray[np.float32]
    neighbours: NDArray[np.int32]
    neighbour_similarity: NDArray[np.float32]
    exemplars: NDArray[np.int32]


def add_version(service: AnnotationService, rng: np.random.Generator, spread: float = 2) -> int:
    """A version that is ready; the pictures (0, 1), (2, 3), (4, 5) and 6 to 9 are alike.

    `spread` is that of the logits: with a large one the model is sure of most cells.
    """
    labels = service.labels()
    count, categories = labels.states.shape
    logit = rng.normal(-1, spread, (count, categories)).astype(np.float32)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    near = (np.arange(count)[:, None] + np.arange(1, NEAR + 1)) % count
    alike = np.tile(np.linspace(0.7, 0.3, NEAR, dtype=np.float32), (count, 1))
    for first in (0, 2, 4, 6, 7, 8):
        alike[first, 0] = 0.93
    with service.database.writing() as connection:
        version = store.add_model_version(
            connection,
            kind="fast",
            created_at=datetime.now(UTC),
            event_id=labels.event_id,
            feature_set="tiny",
        )
    ScoreFolder.write(
        service.workspace.scores / str(version),
        DrawnScores(
            probability=probability,
            picture_logit=logit,
            reference=probability,
            sources={"base": logit},
            cooccurrence=np.zeros((categories, categories), np.float32),
            stack=[SourceWeight("base", "classifier", 1.0, True, 0.2, 0.3)],
            calibration=np.stack([np.ones(categories), np.zeros(categories)]).astype(np.float32),
            threshold=np.full(categories, 0.5, np.float32),
            neighbours=near.astype(np.int32),
            neighbour_similarity=alike,
            exemplars=np.zeros((categories, 1), np.int32),
        ),
        labels=labels.states,
        image_ids=labels.image_ids,
        category_ids=labels.category_ids,
        event_id=labels.event_id,
        feature_set="tiny",
        waiting={},
    )
    with service.database.writing() as connection:
        store.set_model_version(connection, version, status=store.READY)
    return version
