"""A project with scores that are right as often as they say, and the truth to answer from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from label_project import Project
from numpy.typing import NDArray

from annotator.completion.contract_states import ContractState
from annotator.service import CellChange
from benchmarks.made_scores import MadeScores

IMAGES = 500


@dataclass
class Contracted:
    """A project with scores and the truth behind them."""

    project: Project
    truth: NDArray[np.int8]

    @property
    def completion(self):  # type: ignore[no-untyped-def]
        return self.project.service.completion

    def answer_all(self, tell: Callable[[int], int] = lambda state: state) -> int:
        """Answer every open blind question; returns how many."""
        project, answered = self.project, 0
        while images := project.service.next_images(project.bo, "audit", count=50).images:
            cells = [
                CellChange(image.id, s.category_id, tell(self.state(image.id, s.category_id)))
                for image in images
                for s in image.suggestions
            ]
            key = f"blind-{next(project.keys)}"
            project.service.decide(project.bo, cells, key=key, source="audit")
            answered += len(cells)
        return answered

    def state(self, image_id: int, category_id: int) -> int:
        return int(self.truth[image_id - 1, category_id - 1])

    def proved(self, kind: str = "accept", target: float = 0.1) -> ContractState:
        made = self.completion.propose(self.project.ana, kind, target=target, seed=3)
        self.answer_all()
        return next(s for s in self.completion.contracts() if s.contract.id == made.contract.id)


def contracted(project: Project, seed: int = 0) -> Contracted:
    """Scores that are right as often as they say."""
    rng = np.random.default_rng(seed)
    scores = MadeScores.random(IMAGES, 4, seed)
    probability = rng.beta(0.1, 0.2, (IMAGES, 4)).astype(np.float32)
    truth = np.where(rng.random((IMAGES, 4)) < probability, 1, -1).astype(np.int8)
    project.decide(project.ana, *((1, c, int(truth[0, c - 1])) for c in (1, 2, 3, 4)))
    project.add_version(replace(scores, probability=probability))
    return Contracted(project, truth)
