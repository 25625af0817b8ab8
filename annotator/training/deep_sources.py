"""The sources of the deep tier: fine-tuned last stages, and networks on frozen features.

Which of them are trained follows from what was measured (docs/speed.md): tuned stages help where
many labels are known, on any device. Networks on frozen features have not been found to help, but
bring pair probabilities and what follows from them; so they are trained where a GPU makes it cheap,
where somebody asks for them, and where the features have no stage to tune.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.scores import PairScores
from annotator.training.networks import Networks, OnEpoch
from annotator.training.picture_features import Tell
from annotator.training.tuned_stages import TunedStages
from hst_core.fast_tier import ExtraSource, FastTier, FastTierScores
from hst_core.neighbours import NeighbourGraph
from hst_core.tuning import TUNED
from hst_core.windows import WindowCoordinates


@dataclass(frozen=True)
class Known:
    """What a fit of the fast tier knew, for the deep tier to learn from.

    Attributes:
        labels: [N, C].
        category_ids: [C] of the columns.
        fast: the fit, and its scores.
        graph: neighbours of all pictures.
        windows: of all pictures, None in features without.
        paths: of pictures, by hash.
    """

    labels: NDArray[np.int8]
    category_ids: tuple[int, ...]
    fast: tuple[FastTier, FastTierScores]
    graph: NeighbourGraph
    windows: WindowCoordinates | None
    paths: Mapping[str, Path]


class DeepSources:
    """What the last trainings made.

    Args:
        networks: on frozen features.
        tuned: last stages.
        with_networks: train networks also where last stages can be tuned.
    """

    def __init__(self, networks: Networks, tuned: TunedStages, *, with_networks: bool) -> None:
        self._networks, self._tuned = networks, tuned
        self._with_networks = with_networks
        self._networks_next = False
        self._note = ""

    @property
    def known_cells(self) -> int:
        """Known cells when the last training began, 0 without any or if a part is still to come.

        Where last stages can be tuned, they set the pace.
        """
        if self._networks_next:
            return 0
        tuned, networks = self._tuned.known_cells, self._networks.known_cells
        if tuned or not networks:
            return tuned
        return 0 if self._tuned.possible() else networks

    @property
    def note(self) -> str:
        """Something worth knowing about the last training; empty if there is nothing."""
        return "; ".join(note for note in (self._note, self._tuned.note) if note)

    def compared_anew(self) -> None:
        """Forget the networks on coordinates that are no more; last stages read pictures."""
        if self._networks.known_cells:
            self._networks.drop()
            if self._trains_networks():
                self._networks_next = self._tuned.known_cells > 0
                self._note = "the networks were dropped, since all pictures were compared anew"

    def sources(
        self,
        graph: NeighbourGraph,
        labels: NDArray[np.int8],
        category_ids: list[int],
        should_stop: Callable[[], bool],
    ) -> list[ExtraSource]:
        """What all of them say of every cell, for a fit of the fast tier."""
        return [
            *self._networks.sources(graph, labels, category_ids, should_stop),
            *self._tuned.sources(graph, labels, category_ids),
        ]

    def train(
        self,
        known: Known,
        tell: Tell,
        should_stop: Callable[[], bool],
        on_epoch: OnEpoch | None,
    ) -> None:
        """Train on what a fit of the fast tier knows.

        Raises:
            Stopped: if ``should_stop`` says so; what was trained before stays, and last stages go
                on from there the next time.
            FeatureStoreError: if activations cannot be written.
        """
        labels, ids, compared = known.labels, known.category_ids, (known.graph, known.windows)
        # Stopped after the stages, it goes on with the networks: stages tuned on what is known by
        # then would be stopped as well, and the networks would never have their turn.
        if self._tuned.possible() and not (self._networks_next and self._tuned.known_cells):
            self._tuned.train(labels, ids, known.paths, compared, tell, should_stop)
            self._networks_next = self._with_networks
        if self._trains_networks():
            self._networks.train(known.graph, labels, ids, known.fast, tell, should_stop, on_epoch)
        self._networks_next, self._note = False, ""

    def _trains_networks(self) -> bool:
        return self._with_networks or not self._tuned.possible()

    def forget_unkept(self, kept: Set[str]) -> None:
        """Let go of stages that a fit made no use of.

        Args:
            kept: names of the sources it makes use of.
        """
        if TUNED not in kept:
            self._tuned.forget()

    def left(self) -> int:
        """Number of pictures that the tuned stages have not been asked about."""
        return self._tuned.left()

    def score(self, paths: Mapping[str, Path], tell: Tell, should_stop: Callable[[], bool]) -> bool:
        """Ask the tuned stages about some of them; whether a fit pays (`TunedStages.score`)."""
        return self._tuned.score(paths, tell, should_stop)

    def pair_scores(self, scores: FastTierScores) -> PairScores | None:
        """Pair probabilities to store, if the stack of a fit makes use of them."""
        return self._networks.pair_scores(scores)

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """What `load_state_dict` needs, for the tiers of a checkpoint."""
        found = {"deep": self._networks.state_dict(), "tuned": self._tuned.state_dict()}
        return {name: state for name, state in found.items() if state is not None}

    def load_state_dict(self, tiers: Mapping[str, Any]) -> None:
        """Take what a checkpoint has: all of it, or after an exception nothing."""
        try:
            if "deep" in tiers:
                self._networks.load_state_dict(tiers["deep"])
            if "tuned" in tiers:
                self._tuned.load_state_dict(tiers["tuned"])
        except Exception:
            self._networks.drop()
            self._tuned.drop()
            raise
        missing = self._tuned.known_cells > 0 and not self._networks.known_cells
        self._networks_next = self._with_networks and missing
