"""The fast tier: suggestions from frozen features and a few decisions, in seconds (reference §11).

The base and its best window, neighbours and prototypes (CST) and residual co-occurrence (IST) are
fitted on known cells, every one convex or closed, and fused by a stack that sees only values from
fits which had not seen the cell in question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, Int32
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from hst_core.activation import ChannelClassifier
from hst_core.cooccurrence import ResidualCooccurrence, enough_labels
from hst_core.cst import CategoryPrototypes
from hst_core.labels import check_label_matrix
from hst_core.linear import LinearBase, LinearConfig
from hst_core.neighbours import LearnedMetric, NeighbourGraph, NeighbourTransfer
from hst_core.projection import FeatureSpace
from hst_core.stacking import (
    EvidenceStack,
    SourceKind,
    SourceWeight,
    StackSource,
    assign_folds,
)
from hst_core.stopping import ShouldStop, check_stop
from hst_core.thresholds import learn_thresholds
from hst_core.windows import WindowCoordinates

#: What a category waits for, in words for the person who labels.
WAITS_FOR_BOTH = "needs at least one present and one absent label"
WAITS_FOR_PRESENT = "needs at least one present label"
WAITS_FOR_ABSENT = "needs at least one absent label"

#: Of the state; raised when an earlier fit is no start for a later one any more.
STATE_FORMAT = 2


@dataclass(frozen=True)
class FastTierConfig:
    """How the fast tier is fitted.

    Attributes:
        folds: over cells, for out-of-fold evidence.
        linear: of the base.
        neighbours: k, how many images vote.
        neighbour_temperature: see :class:`~hst_core.neighbours.NeighbourTransfer`; it grows with
            the learned metric, which spreads the similarities.
        metric: strength of the :class:`~hst_core.neighbours.LearnedMetric`, 0 for none.
        prototypes: K, most prototypes per category.
        exemplars: images remembered per category, to be shown.
        cooccurrence_l2: strengths of the residual co-occurrence to choose from.
        cooccurrence_labels: categories with fewer present or fewer absent labels have no
            co-occurrence; with fewer than there are folds, a fold has nothing to judge it by.
        stack_cells: most known cells that weights and calibration are fitted on.
        seed: of folds, prototypes and samples.
    """

    folds: int = 5
    linear: LinearConfig = field(default_factory=LinearConfig)
    neighbours: int = 40
    neighbour_temperature: float = 0.1
    metric: float = 0.3
    prototypes: int = 10
    exemplars: int = 12
    cooccurrence_l2: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    cooccurrence_labels: int = 5
    stack_cells: int = 200_000
    seed: int = 0


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
class FastTierScores:
    """What the tool stores of a fit; with it, suggestions need numpy only.

    The log odds of a cell given the labels known now, with w the weight of a source, are
    ``calibration[0] * (picture_logit + w["cooccurrence"] * sum_j V_ij (y_j - reference_j) + live
    sources) + calibration[1]``, the sum over the known labels j != i of the image.

    Attributes:
        probability: calibrated, with the labels known at fit time; known cells out of fold.
        picture_logit: of the stack without its live sources, before calibration.
        reference: p_j of the co-occurrence residual, known cells out of fold.
        sources: values of the stored sources by name.
        cooccurrence: V, symmetric with a zero diagonal.
        stack: weight of each source.
        calibration: [slope; intercept] per category.
        threshold: on the probability, learned on out-of-fold values (reference §5).
        neighbours: rows of the nearest fitted images, -1 = none.
        neighbour_similarity: their cosines.
        exemplars: rows of known-present images nearest to the category's prototypes, -1 = none.
    """

    probability: Float32[np.ndarray, "images categories"]
    picture_logit: Float32[np.ndarray, "images categories"]
    reference: Float32[np.ndarray, "images categories"]
    sources: dict[str, Float32[np.ndarray, "images categories"]]
    cooccurrence: Float32[np.ndarray, "categories categories"]
    stack: tuple[SourceWeight, ...]
    calibration: Float32[np.ndarray, "2 categories"]
    threshold: Float32[np.ndarray, " categories"]
    neighbours: Int32[np.ndarray, "images neighbours"]
    neighbour_similarity: Float32[np.ndarray, "images neighbours"]
    exemplars: Int32[np.ndarray, "categories exemplars"]


class FastTier:
    """A fit of the fast tier; made by :meth:`fit`, never changed.

    Attributes:
        config: it was fitted with.
        waiting: categories without a model, and what each waits for.
    """

    def __init__(self, state: _State, images: _Images | None) -> None:
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
        graph = _check_graph(vectors, labels, neighbours, should_stop)
        fitting = _Fitting(
            config or (previous.config if previous is not None else FastTierConfig()),
            graph,
            _check_windows(windows, graph),
            labels,
            previous._state if previous is not None else None,
            _check_sources(extra_sources, labels.shape),
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
        return cls(_State.from_dict(state), None)


class Centres(NamedTuple):
    """The mean direction of the images known to show each category.

    The mean cosine to any number of prototypes is the cosine to one vector (reference §4). Taking
    the centre for it makes leaving a fold out a subtraction, where clusters would have to be found
    anew: clusters that a cell helped to form know the cell even if it is taken out of its own.

    Attributes:
        vectors: sums of unit vectors, brought to unit length; 0 for a category without positives.
        mean: of the cosine over the images that the fit saw.
        scale: 1 / standard deviation of the cosine; 0 if there is none.
    """

    vectors: Tensor  # [categories, coordinates]
    mean: Tensor  # [categories]
    scale: Tensor  # [categories]

    @classmethod
    def of(cls, units: Tensor, positive: NDArray[np.bool_]) -> Centres:
        """Compute the centres from the positive cells [images, categories]."""
        sums = torch.from_numpy(positive.astype(np.float32)).T @ units
        vectors = functional.normalize(sums, dim=1)
        cosine = units @ vectors.T
        deviation = cosine.std(dim=0, correction=0)
        scale = torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 0.0)
        return cls(vectors, cosine.mean(dim=0), scale)

    def nearness(self, units: Tensor) -> NDArray[np.float32]:
        """Return the standard score of the cosine to each centre; 0 without a centre."""
        values: NDArray[np.float32] = ((units @ self.vectors.T - self.mean) * self.scale).numpy()
        return values


@dataclass(frozen=True)
class _Images:
    """What belongs to the fitted images."""

    graph: NeighbourGraph
    scores: FastTierScores


@dataclass(frozen=True)
class _State:
    """Everything that scores images."""

    config: FastTierConfig
    space: FeatureSpace
    base: LinearBase
    prototypes: CategoryPrototypes
    centres: Centres
    cooccurrence: ResidualCooccurrence
    picture_stack: EvidenceStack
    stack: EvidenceStack
    prior_logit: NDArray[np.float32]
    threshold: NDArray[np.float32]
    labels: NDArray[np.int8]
    folds: NDArray[np.int8]
    waiting: list[tuple[int, str]]
    extra: tuple[tuple[str, bool], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return tensors, numbers and text only, as ``weights_only`` loading wants."""
        return {
            "format": STATE_FORMAT,
            "config": asdict(self.config),
            "space": self.space.state_dict(),
            "base": self.base.state_dict(),
            "prototypes": self.prototypes.state_dict(),
            "centres": self.centres._asdict(),
            "cooccurrence": {
                "matrix": torch.from_numpy(self.cooccurrence.matrix),
                "fold_matrices": torch.from_numpy(self.cooccurrence.fold_matrices),
                "image_folds": torch.from_numpy(self.cooccurrence.image_folds),
                "l2": self.cooccurrence.l2,
            },
            "picture_stack": self.picture_stack.state_dict(),
            "stack": self.stack.state_dict(),
            "prior_logit": torch.from_numpy(self.prior_logit),
            "threshold": torch.from_numpy(self.threshold),
            "labels": torch.from_numpy(self.labels),
            "folds": torch.from_numpy(self.folds),
            "waiting": [list(item) for item in self.waiting],
            "extra": [list(item) for item in self.extra],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> _State:
        if state.get("format") != STATE_FORMAT:
            raise ValueError(
                f"the fit has format {state.get('format', 1)}, this program reads {STATE_FORMAT} "
                "(fit again)"
            )
        config = dict(state["config"])
        config["linear"] = LinearConfig(**_tuples(config["linear"]))
        prototypes = state["prototypes"]
        categories, count, channels = prototypes["centroids"].shape
        module = CategoryPrototypes(categories, channels, count, prototypes["exemplars"].shape[2])
        module.load_state_dict(prototypes)
        cooccurrence = state["cooccurrence"]
        return cls(
            config=FastTierConfig(**_tuples(config)),
            space=FeatureSpace.from_state_dict(state["space"]),
            base=LinearBase.from_state_dict(state["base"]),
            prototypes=module,
            centres=Centres(**state["centres"]),
            cooccurrence=ResidualCooccurrence(
                cooccurrence["matrix"].numpy(),
                cooccurrence["fold_matrices"].numpy(),
                cooccurrence["image_folds"].numpy(),
                float(cooccurrence["l2"]),
            ),
            picture_stack=EvidenceStack.from_state_dict(state["picture_stack"]),
            stack=EvidenceStack.from_state_dict(state["stack"]),
            prior_logit=state["prior_logit"].numpy(),
            threshold=state["threshold"].numpy(),
            labels=state["labels"].numpy(),
            folds=state["folds"].numpy(),
            waiting=[(int(index), str(text)) for index, text in state["waiting"]],
            extra=tuple((str(name), bool(live)) for name, live in state["extra"]),
        )

    def score_others(
        self,
        vectors: NDArray[np.floating],
        graph: NeighbourGraph,
        windows: NDArray[np.floating] | None,
        extra: dict[str, NDArray[np.float32]],
    ) -> FastTierScores:
        coordinates = self.space.apply(vectors)
        shape = (len(vectors), len(self.prior_logit))
        near = graph.query(vectors)
        base, fitted = self.base.logits(coordinates), self.base.logits(graph.coordinates)
        voters = _voters(self.config, near, base, fitted, _modelled(self.labels))
        stored = {
            "base": base.numpy(),
            "prior": np.broadcast_to(self.prior_logit, shape),
            "neighbours": voters.vote(expit(fitted.numpy()), self.labels, self.prior_logit),
            "prototypes": self.centres.nearness(functional.normalize(coordinates, dim=1)),
            **{name: extra[name] for name, live in self.extra if not live and name in extra},
        }
        if any(source.name == WINDOWS for source in self.stack.sources):
            best = base
            if windows is not None:
                there = WindowCoordinates.of(self.space, windows)
                best = there.best_logits(self.base, base)
            stored[WINDOWS] = best.numpy()
        return _assemble(self, stored, {}, near)


class _Fitting:
    """One call of :meth:`FastTier.fit`, step by step."""

    def __init__(
        self,
        config: FastTierConfig,
        graph: NeighbourGraph,
        windows: WindowCoordinates | None,
        labels: NDArray[np.int8],
        previous: _State | None,
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

    def run(self) -> tuple[_State, _Images]:
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
        state = _State(
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
        voters = _voters(self.config, near, own, every, _modelled(self.labels))
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
        state: _State,
        stored: dict[str, NDArray[np.float32]],
        live: dict[str, NDArray[np.float32]],
    ) -> tuple[_State, _Images]:
        """Score the fitted images and learn the thresholds on their known cells."""
        graph = (self.graph.indices, self.graph.similarities)
        scores = _assemble(state, stored, live, graph)
        threshold = learn_thresholds(scores.probability, self.usable)
        state = replace(state, threshold=threshold)
        return state, _Images(self.graph, replace(scores, threshold=threshold))


WINDOWS = "windows"
_KINDS: dict[str, SourceKind] = {
    "base": "classifier",
    WINDOWS: "classifier",
    "prior": "prior",
    "neighbours": "cst",
    "prototypes": "cst",
    "cooccurrence": "ist",
}

#: Usual weights in the stack and what they take off that of the base, which is 1 alone. Photographs
#: of VOC and COCO fit about these from some thousand labels on; fewer labels stay close to them.
_USUAL = {WINDOWS: (0.35, 0.35), "neighbours": (0.7, 0.3)}


def _assemble(
    state: _State,
    stored: dict[str, NDArray[np.float32]],
    live: dict[str, NDArray[np.float32]],
    graph: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> FastTierScores:
    """Put the stack's formula together; waiting categories get their prior and nothing else."""
    shape = stored["base"].shape
    waiting = [index for index, _ in state.waiting]
    picture_logit = state.stack.logit(stored, shape)
    picture_logit[:, waiting] = state.prior_logit[waiting]
    total = picture_logit.copy()
    for name, value in live.items():
        total += np.float32(state.stack.weight(name)) * value
    total[:, waiting] = state.prior_logit[waiting]
    reference = state.picture_stack.probability(state.picture_stack.logit(stored, shape))
    reference[:, waiting] = expit(state.prior_logit[waiting])
    return FastTierScores(
        probability=state.stack.probability(total),
        picture_logit=picture_logit,
        reference=reference,
        sources=stored,
        cooccurrence=state.cooccurrence.matrix,
        stack=state.stack.sources,
        calibration=state.stack.calibration,
        threshold=state.threshold,
        neighbours=graph[0],
        neighbour_similarity=graph[1],
        exemplars=state.prototypes.nearest_images(state.config.exemplars).numpy().astype(np.int32),
    )


def _voters(
    config: FastTierConfig,
    near: tuple[NDArray[np.int32], NDArray[np.float32]],
    logits: Tensor,
    voting_logits: Tensor,
    modelled: NDArray[np.intp],
) -> NeighbourTransfer:
    """Choose who votes on some images, by their neighbours and by the logits of one fit."""
    metric = LearnedMetric(voting_logits.numpy()[:, modelled], config.metric)
    indices, similarities = metric.nearest(logits.numpy()[:, modelled], *near, config.neighbours)
    return NeighbourTransfer(
        indices,
        similarities,
        len(voting_logits),
        count=config.neighbours,
        temperature=config.neighbour_temperature * (1 + metric.strength),
    )


def _modelled(labels: NDArray[np.int8]) -> NDArray[np.intp]:
    """Return the categories that have a model: with labels of both signs."""
    return np.flatnonzero((labels == 1).any(axis=0) & (labels == -1).any(axis=0))


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


def _check_graph(
    vectors: NDArray[np.floating] | None,
    labels: NDArray[np.int8],
    graph: NeighbourGraph | None,
    should_stop: ShouldStop | None,
) -> NeighbourGraph:
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


def _check_windows(
    windows: WindowCoordinates | None, graph: NeighbourGraph
) -> WindowCoordinates | None:
    wanted = (len(graph), graph.coordinates.shape[1])
    if windows is not None and (len(windows), windows.values.shape[2]) != wanted:
        raise ValueError(
            f"windows must be of {wanted[0]} images in {wanted[1]} coordinates, got "
            f"{len(windows)} in {windows.values.shape[2]} (take those of the same features)"
        )
    return windows


def _check_sources(sources: Sequence[ExtraSource], shape: tuple[int, ...]) -> Sequence[ExtraSource]:
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


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn lists, which files have, back into the tuples of a configuration."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
