"""The networks on frozen features: trained now and then, and sources of every fit after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.scores import PairScores
from annotator.training.picture_features import Tell
from annotator.training.records import only_appended
from hst_core.deep_tier import PAIRS, DeepEvidence, DeepTier, DeepTierConfig
from hst_core.fast_tier import ExtraSource, FastTier, FastTierScores
from hst_core.inputs import CachedFeatures
from hst_core.neighbours import NeighbourGraph
from hst_core.trainer import EpochRecord

OnEpoch = Callable[[int, EpochRecord], None]
"""Told the number of a network and what an epoch of it did."""


class Networks:
    """The networks of the last training, and the categories in whose order they speak.

    Args:
        config: how they are trained.
        device: to train on, as torch names it.
    """

    def __init__(self, config: DeepTierConfig, device: str) -> None:
        self._config = config
        self._device = device
        self._evidence: DeepEvidence | None = None
        self._categories: tuple[int, ...] = ()

    @property
    def known_cells(self) -> int:
        """Known cells that the networks were trained on, 0 without any."""
        return self._evidence.known_cells if self._evidence else 0

    def drop(self) -> None:
        """Forget the networks."""
        self._evidence, self._categories = None, ()

    def sources(
        self,
        graph: NeighbourGraph,
        labels: NDArray[np.int8],
        category_ids: Sequence[int],
        should_stop: Callable[[], bool],
    ) -> list[ExtraSource]:
        """What the networks say of every cell, for a fit of the fast tier; empty without any.

        Args:
            graph: whose coordinates they read.
            labels: [N, C].
            category_ids: of the columns; networks of categories that went are dropped.
            should_stop: asked often.
        """
        evidence = self._usable(category_ids)
        return evidence.sources(network_inputs(graph), labels, should_stop) if evidence else []

    def train(
        self,
        graph: NeighbourGraph,
        labels: NDArray[np.int8],
        category_ids: Sequence[int],
        fast: tuple[FastTier, FastTierScores],
        tell: Tell,
        should_stop: Callable[[], bool],
        on_epoch: OnEpoch | None,
    ) -> None:
        """Train the networks on what a fit of the fast tier knows.

        Raises:
            Stopped: if ``should_stop`` says so; the networks trained before stay.
        """
        inputs = network_inputs(graph)
        before = self._usable(category_ids)
        tier, scores = fast
        fitted = DeepTier.fit(
            inputs,
            labels,
            tier.folds,
            scores.sources["base"],
            config=self._config,
            previous=before.tier if before else None,
            device=self._device,
            progress=lambda share, message: tell(message, share),
            on_epoch=on_epoch,
            should_stop=should_stop,
        )
        self._evidence = DeepEvidence.after_fit(fitted, inputs, labels, should_stop)
        self._categories = tuple(category_ids)

    def pair_scores(self, scores: FastTierScores) -> PairScores | None:
        """Pair probabilities to store, if the stack of a fit makes use of them."""
        categories = len(scores.threshold)
        evidence = self._evidence
        found = None if evidence is None else evidence.all_pairs(categories)
        if evidence is None or found is None:
            return None
        if not any(s.name == PAIRS and s.kept for s in scores.stack):
            return None
        offset = np.zeros(categories, dtype=np.float32)
        offset[: len(evidence.tier.pair_offset)] = evidence.tier.pair_offset
        return PairScores(found, offset)

    def state_dict(self) -> dict[str, Any] | None:
        """What `load_state_dict` needs, None without networks."""
        if self._evidence is None:
            return None
        return {"categories": list(self._categories), **self._evidence.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the networks of a checkpoint."""
        evidence = DeepEvidence.from_state_dict(state)
        self._categories = tuple(int(c) for c in state["categories"])
        self._evidence = evidence

    def _usable(self, category_ids: Sequence[int]) -> DeepEvidence | None:
        """The networks' evidence if categories were only appended since; else they are dropped."""
        if not only_appended(self._categories, category_ids):
            self.drop()
        return self._evidence


def network_inputs(graph: NeighbourGraph) -> CachedFeatures:
    """What the networks read: the graph's coordinates, each of about unit variance."""
    coordinates = graph.coordinates.numpy()
    return CachedFeatures(coordinates * np.float32(coordinates.shape[1] ** 0.5))
