"""The fast tier: suggestions from frozen features and a few decisions, in seconds (reference §11).

What a caller needs. How it is fitted is in :mod:`hst_core.fast_tier_fitting`, what a fit consists
of in :mod:`hst_core.fast_tier_state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int8
from numpy.typing import NDArray

from hst_core.activation import ChannelClassifier
from hst_core.fast_tier_fitting import (
    WAITS_FOR_ABSENT,
    WAITS_FOR_BOTH,
    WAITS_FOR_PRESENT,
    ExtraSource,
    Fitting,
    Images,
    check_graph,
    check_sources,
    check_windows,
)
from hst_core.fast_tier_state import WINDOWS, FastTierConfig, FastTierScores, State
from hst_core.labels import check_label_matrix
from hst_core.neighbours import NeighbourGraph
from hst_core.stopping import ShouldStop
from hst_core.windows import WindowCoordinates

__all__ = [
    "WAITS_FOR_ABSENT",
    "WAITS_FOR_BOTH",
    "WAITS_FOR_PRESENT",
    "ExtraSource",
    "FastTier",
    "FastTierConfig",
    "FastTierScores",
]


class FastTier:
    """A fit of the fast tier; made by :meth:`fit`, never changed.

    Attributes:
        config: it was fitted with.
        waiting: categories without a model, and what each waits for.
    """

    def __init__(self, state: State, images: Images | None) -> None:
        self._state = state
        self._images = images
        self.config = state.config
        self.waiting = state.waiting

    @classmethod
    def fit(
        cls,
        vectors: Float[np.ndarray, "images channels"] | None,
        labels: Int8[np.ndarray, "images categories"],
        *,
        config: FastTierConfig | None = None,
        neighbours: NeighbourGraph | None = None,
        windows: WindowCoordinates | None = None,
        previous: FastTier | None = None,
        extra_sources: Sequence[ExtraSource] = (),
        progress: Callable[[float, str], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> FastTier:
        """Fit on what is known now.

        Args:
            vectors: pooled features, at least one image; None where ``neighbours`` is given, which
                holds all that is needed of them.
            labels: -1 absent, 0 unknown, 1 present.
            config: defaults if None.
            neighbours: graph of exactly these images; built here if None, which at many images
                takes longer than everything else.
            windows: of exactly these images, in the space of ``neighbours``; without them there is
                no evidence of windows.
            previous: an earlier fit to start from. Labels may have changed, and images and
                categories may have been appended since; the order must be the same.
            extra_sources: evidence from elsewhere.
            progress: told the share done and what comes next.
            should_stop: asked at least every second or so.

        Raises:
            Stopped: if ``should_stop`` says so.
            ValueError: if the shapes do not fit together.
        """
        labels = check_label_matrix(labels)
        graph = check_graph(vectors, labels, neighbours, should_stop)
        fitting = Fitting(
            config or (previous.config if previous is not None else FastTierConfig()),
            graph,
            check_windows(windows, graph),
            labels,
            previous._state if previous is not None else None,
            check_sources(extra_sources, labels.shape),
            progress or (lambda share, message: None),
            should_stop,
        )
        return cls(*fitting.run())

    def scores(self) -> FastTierScores:
        """Return the scores of the fitted images.

        Raises:
            ValueError: for a tier restored from a checkpoint, whose scores were stored apart.
        """
        if self._images is None:
            raise ValueError("a restored fit has no scores of its own (use those stored with it)")
        return self._images.scores

    def scores_for(
        self,
        vectors: Float[np.ndarray, "images channels"],
        neighbours: NeighbourGraph | None = None,
        windows: Float[np.ndarray, "images windows channels"] | None = None,
        extra_values: Mapping[str, Float32[np.ndarray, "images categories"]] | None = None,
    ) -> FastTierScores:
        """Score images that were not part of the fit and of which no label is known.

        Args:
            vectors: pooled features.
            neighbours: the graph of the fit; only needed for a restored tier.
            windows: pooled features of their windows; without them the whole picture stands for
                its best window, and a fit that relies on windows is cautious.
            extra_values: of the extra sources, by name; one that is missing counts as 0.
        """
        graph = neighbours
        if graph is None and self._images is not None:
            graph = self._images.graph
        if graph is None:
            raise ValueError("a restored fit needs the neighbour graph it was fitted with")
        return self._state.score_others(vectors, graph, windows, dict(extra_values or {}))

    def channel_classifier(self, category: int) -> ChannelClassifier:
        """Return the base of one category on channels, for maps of where it looks."""
        return ChannelClassifier.of(self._state.space, self._state.base, category)

    @property
    def picture_weights(self) -> tuple[float, float]:
        """Return the stack's weights of the base and of its best window, 0 for one left out."""
        return self._state.stack.weight("base"), self._state.stack.weight(WINDOWS)

    @property
    def folds(self) -> NDArray[np.int8]:
        """Fold of each known cell [images, categories], -1 elsewhere."""
        return self._state.folds

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values: everything but the features and the scores."""
        return self._state.to_dict()

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> FastTier:
        """Restore a fit, to score other images with or to start the next fit from.

        Raises:
            ValueError: if the state is of another format than this program's.
        """
        return cls(State.from_dict(state), None)
