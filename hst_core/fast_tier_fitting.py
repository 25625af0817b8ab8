"""One fit of the fast tier, step by step: evidence out of fold, co-occurrence, the stacks.

The base and its best window, neighbours and prototypes (CST) and residual co-occurrence (IST) are
fitted on known cells, every one convex or closed, and fused by a stack that sees only values from
fits which had not seen the cell in question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from scipy.special import expit
from torch.nn import functional

from hst_core.centres import Centres
from hst_core.cooccurrence import ResidualCooccurrence, enough_labels
from hst_core.cst import CategoryPrototypes
from hst_core.fast_tier_state import (
    WINDOWS,
    FastTierConfig,
    FastTierScores,
    State,
    assemble,
    modelled,
    voters_of,
)
from hst_core.linear import LinearBase
from hst_core.neighbours import NeighbourGraph
from hst_core.stacking import EvidenceStack, SourceKind, StackSource, assign_folds
from hst_core.stopping import ShouldStop, check_stop
from hst_core.thresholds import learn_thresholds
from hst_core.windows import WindowCoordinates

#: What a category waits for, in words for the person who labels.
WAITS_FOR_BOTH = "needs at least one present and one absent label"
WAITS_FOR_PRESENT = "needs at least one present label"
WAITS_FOR_ABSENT = "needs at least one absent label"


_KINDS: dict[str, SourceKind] = {
    "base": "classifier",
    WINDOWS: "classifier",
    "prior": "prior",
    "neighbours": "cst",
    "prototypes": "cst",
    "cooccurrence": "ist",
}


#: Usual weights in the stack and what they take off that of the base, which is 1 alone: what did
#: best, unfitted, on hidden cells of photographs of which less than two thousand labels were known.
_USUAL = {WINDOWS: (0.35, 0.35), "neighbours": (0.7, 0.3)}


@dataclass(frozen=True)
class ExtraSource:
    """Evidence from elsewhere, such as a trained network; it enters under the same rule.

    Attributes:
        name: unlike that of any other source.
        kind: of transfer.
        values: log-odds-like evidence for every cell, 0 = none; for known cells from a fit that
            had not seen the cell.
        live: the tool computes the values anew from the labels known at the time, so they are no
            part of the stored picture logit.
    """

    name: str
    kind: SourceKind
    values: Float32[np.ndarray, "images categories"]
    live: bool = False


@dataclass(frozen=True)
class Images:
    """What belongs to the fitted images."""

    graph: NeighbourGraph
    scores: FastTierScores


class Fitting:
    """One call of :meth:`FastTier.fit`, step by step."""

    def __init__(
        self,
        config: FastTierConfig,
        graph: NeighbourGraph,
        windows: WindowCoordinates | None,
        labels: NDArray[np.int8],
        previous: State | None,
        extra: Sequence[ExtraSource],
        progress: Callable[[float, str], None],
        should_stop: ShouldStop | None,
    ) -> None:
        self.config, self.graph, self.windows, self.labels = config, graph, windows, labels
        if previous is not None and not previous.space.same_as(graph.space):
            previous = None  # coordinates mean something else now
        self.previous, self.extra = previous, extra
        self.progress, self.should_stop = progress, should_stop
        self.folds = assign_folds(
            labels, config.folds, config.seed, previous.folds if previous else None
        )
        #: Log odds per category: of all known cells, then without each fold.
        self.priors = [
            _prior_logit(np.where(self.folds == f, 0, labels).astype(np.int8) if f >= 0 else labels)
            for f in range(-1, config.folds)
        ]
        self.prior_logit = self.priors[0]
        self.waiting = _waiting(labels)
        #: Labels of the categories that have a model; the others' would only disturb the fusion.
        self.usable = labels.copy()
        self.usable[:, [index for index, _ in self.waiting]] = 0

    def run(self) -> tuple[State, Images]:
        """Fit everything and score the fitted images."""
        self.progress(0.0, "fitting the base")
        base = LinearBase.fit(
            self.graph.coordinates,
            self.labels,
            self.folds,
            self.config.folds,
            self.config.linear,
            previous=self.previous.base if self.previous else None,
            should_stop=self.should_stop,
        )
        self.progress(0.6, "asking windows and neighbours")
        stored = self.evidence_of_pictures(base)
        prototypes, centres, stored["prototypes"] = self.fit_prototypes()
        stored |= {s.name: s.values for s in self.extra if not s.live}
        self.progress(0.75, "fitting co-occurrence")
        kinds = _KINDS | {s.name: s.kind for s in self.extra}
        cells = self.sample_cells()
        picture_stack = self.fit_stack(stored, kinds, cells)
        offset = picture_stack.logit(stored, self.labels.shape)
        reference = picture_stack.probability(offset)
        speaking = enough_labels(self.usable, self.config.cooccurrence_labels)
        cooccurrence = ResidualCooccurrence.fit(
            speaking,
            reference,
            offset,
            number_of_folds=self.config.folds,
            l2=self.config.cooccurrence_l2,
            seed=self.config.seed,
            previous=self.previous.cooccurrence if self.previous else None,
            should_stop=self.should_stop,
        )
        self.progress(0.9, "fusing the evidence")
        live = {"cooccurrence": cooccurrence.transfer(speaking, reference)}
        live |= {s.name: s.values for s in self.extra if s.live}
        stack = self.fit_stack(stored | live, kinds, cells)
        state = State(
            config=self.config,
            space=self.graph.space,
            base=base,
            prototypes=prototypes,
            centres=centres,
            cooccurrence=cooccurrence,
            picture_stack=picture_stack,
            stack=stack,
            prior_logit=self.prior_logit,
            threshold=np.full(self.labels.shape[1], 0.5, dtype=np.float32),
            labels=self.labels,
            folds=self.folds,
            waiting=self.waiting,
            extra=tuple((s.name, s.live) for s in self.extra),
        )
        return self.finish(state, stored, live)

    def evidence_of_pictures(self, base: LinearBase) -> dict[str, NDArray[np.float32]]:
        """Return what needs the base: logits, best window, prior and vote; known cells out of fold.

        For a cell of fold f, also the neighbours that are not known vote with the base that was
        fitted without fold f, and the metric is of that base: the other would have passed the
        cell's own label on to them.
        """
        found = self.evidence_of_fit(base, 0, np.arange(len(self.labels)))
        for fold in range(self.config.folds):
            held = self.folds == fold
            rows = np.flatnonzero(held.any(axis=1))
            if not len(rows):
                continue
            without = self.evidence_of_fit(base, 1 + fold, rows)
            for name, values in found.items():
                values[rows] = np.where(held[rows], without[name], values[rows])
        return found

    def evidence_of_fit(
        self, base: LinearBase, fit: int, rows: NDArray[np.intp]
    ) -> dict[str, NDArray[np.float32]]:
        """Return values [rows, categories] of some images by one of the base's fits."""
        check_stop(self.should_stop)
        every = base.logits(self.graph.coordinates, fit)
        own = every[torch.from_numpy(rows)]
        near = (self.graph.indices[rows], self.graph.similarities[rows])
        voters = voters_of(self.config, near, own, every, modelled(self.labels))
        check_stop(self.should_stop)
        prior = self.priors[fit]
        found = {
            "base": own.numpy(),
            "prior": np.broadcast_to(prior, own.shape).copy(),
            "neighbours": voters.vote(expit(every.numpy()), self.labels, prior),
        }
        if self.windows is not None:
            best = self.windows.best_logits(base, own, fit, rows, self.should_stop)
            found[WINDOWS] = best.numpy()
        return found

    def fit_prototypes(self) -> tuple[CategoryPrototypes, Centres, NDArray[np.float32]]:
        """Return the prototypes, the centres, and how near every image is to the latter."""
        coordinates, labels = self.graph.coordinates, torch.from_numpy(self.labels)
        prototypes = CategoryPrototypes(
            self.labels.shape[1],
            coordinates.shape[1],
            self.config.prototypes,
            max(1, -(-self.config.exemplars // self.config.prototypes) + 1),
        )
        for category in range(self.labels.shape[1]):
            check_stop(self.should_stop)
            prototypes.fit(coordinates, labels, seed=self.config.seed, categories=[category])
        units = functional.normalize(coordinates, dim=1)
        centres = [
            Centres.of(units, (self.labels == 1) & (self.folds != f))
            for f in range(-1, self.config.folds)
        ]
        values = centres[0].nearness(units)
        for fold, without in enumerate(centres[1:]):
            held = self.folds == fold
            if held.any():
                values[held] = without.nearness(units)[held]
        return prototypes, centres[0], values

    def sample_cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and columns of the known cells that the stack is fitted on.

        A category with a single label of a state has a fold whose fit lacks that state: its
        evidence about the only present picture would be that nothing is ever present.
        """
        rows, columns = np.nonzero(enough_labels(self.usable, 2))
        if len(rows) > self.config.stack_cells:
            generator = np.random.default_rng(self.config.seed)
            chosen = np.sort(
                generator.choice(len(rows), size=self.config.stack_cells, replace=False)
            )
            rows, columns = rows[chosen], columns[chosen]
        return rows, columns

    def fit_stack(
        self,
        values: Mapping[str, NDArray[np.float32]],
        kinds: Mapping[str, SourceKind],
        cells: tuple[NDArray[np.intp], NDArray[np.intp]],
    ) -> EvidenceStack:
        """Fit a stack of these sources."""
        check_stop(self.should_stop)
        return EvidenceStack.fit(
            [
                StackSource(name, kinds[name], value[cells], *_USUAL.get(name, ()))
                for name, value in values.items()
            ],
            (self.labels[cells] == 1).astype(np.float64),
            cells[1],
            self.folds[cells],
            self.labels.shape[1],
        )

    def finish(
        self,
        state: State,
        stored: dict[str, NDArray[np.float32]],
        live: dict[str, NDArray[np.float32]],
    ) -> tuple[State, Images]:
        """Score the fitted images and learn the thresholds on their known cells."""
        graph = (self.graph.indices, self.graph.similarities)
        scores = assemble(state, stored, live, graph)
        threshold = learn_thresholds(scores.probability, self.usable)
        state = replace(state, threshold=threshold)
        return state, Images(self.graph, replace(scores, threshold=threshold))


def _prior_logit(labels: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return log odds per category, drawn to the share of all categories as by two cells."""
    positives, counts = (labels == 1).sum(axis=0), (labels != 0).sum(axis=0)
    share = (positives.sum() + 1.0) / (counts.sum() + 10.0)
    rate = (positives + 2.0 * share) / (counts + 2.0)
    result: NDArray[np.float32] = np.log(rate / (1.0 - rate)).astype(np.float32)
    return result


def _waiting(labels: NDArray[np.int8]) -> list[tuple[int, str]]:
    present, absent = (labels == 1).any(axis=0), (labels == -1).any(axis=0)
    texts = {
        (False, False): WAITS_FOR_BOTH,
        (False, True): WAITS_FOR_PRESENT,
        (True, False): WAITS_FOR_ABSENT,
    }
    return [
        (index, texts[bool(p), bool(a)])
        for index, (p, a) in enumerate(zip(present, absent, strict=True))
        if not (p and a)
    ]


def check_graph(
    vectors: NDArray[np.floating] | None,
    labels: NDArray[np.int8],
    graph: NeighbourGraph | None,
    should_stop: ShouldStop | None,
) -> NeighbourGraph:
    """Return the graph of exactly the images of the labels, built of vectors if there is none.

    Raises:
        ValueError: if it is of other images, or there is nothing to build it of.
    """
    if vectors is not None and len(vectors) != len(labels):
        raise ValueError(f"got {len(vectors)} vectors and labels of {len(labels)} images")
    if graph is None:
        if vectors is None:
            raise ValueError("a fit needs vectors or the neighbour graph made of them")
        return NeighbourGraph.build(vectors, should_stop=should_stop)
    if len(graph) != len(labels):
        raise ValueError(
            f"the neighbour graph has {len(graph)} images, expected {len(labels)} (extend it)"
        )
    return graph


def check_windows(
    windows: WindowCoordinates | None, graph: NeighbourGraph
) -> WindowCoordinates | None:
    """Return the windows.

    Raises:
        ValueError: if they are of other images or another space than the graph.
    """
    wanted = (len(graph), graph.coordinates.shape[1])
    if windows is not None and (len(windows), windows.values.shape[2]) != wanted:
        raise ValueError(
            f"windows must be of {wanted[0]} images in {wanted[1]} coordinates, got "
            f"{len(windows)} in {windows.values.shape[2]} (take those of the same features)"
        )
    return windows


def check_sources(sources: Sequence[ExtraSource], shape: tuple[int, ...]) -> Sequence[ExtraSource]:
    """Return the sources.

    Raises:
        ValueError: if one has another shape than the labels, or a name that is taken.
    """
    names = set(_KINDS)
    for source in sources:
        if source.values.shape != shape:
            raise ValueError(
                f"source {source.name!r} must have values {list(shape)}, "
                f"got {list(source.values.shape)}"
            )
        if source.name in names:
            raise ValueError(f"the name {source.name!r} is taken by another source")
        names.add(source.name)
    return sources
