"""What a fit of the fast tier consists of, how it is kept, and how it scores pictures.

A state holds every fitted part and turns into tensors and plain values and back; from the evidence
of some pictures it makes their scores, those of the fit and those of others in one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from hst_core.centres import Centres
from hst_core.cooccurrence import ResidualCooccurrence
from hst_core.cst import CategoryPrototypes
from hst_core.linear import LinearBase, LinearConfig
from hst_core.neighbours import LearnedMetric, NeighbourGraph, NeighbourTransfer
from hst_core.projection import FeatureSpace
from hst_core.stacking import EvidenceStack, SourceWeight
from hst_core.windows import WindowCoordinates

#: Of the state; raised when an earlier fit is no start for a later one any more.
STATE_FORMAT = 2


WINDOWS = "windows"


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


@dataclass(frozen=True)
class State:
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
    def from_dict(cls, state: Mapping[str, Any]) -> State:
        """Restore a state.

        Raises:
            ValueError: if it is of another format than this program's.
        """
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
        """Score images that were not part of the fit, see :meth:`FastTier.scores_for`."""
        coordinates = self.space.apply(vectors)
        shape = (len(vectors), len(self.prior_logit))
        near = graph.query(vectors)
        base, fitted = self.base.logits(coordinates), self.base.logits(graph.coordinates)
        voters = voters_of(self.config, near, base, fitted, modelled(self.labels))
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
        return assemble(self, stored, {}, near)


def assemble(
    state: State,
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


def voters_of(
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


def modelled(labels: NDArray[np.int8]) -> NDArray[np.intp]:
    """Return the categories that have a model: with labels of both signs."""
    return np.flatnonzero((labels == 1).any(axis=0) & (labels == -1).any(axis=0))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn lists, which files have, back into the tuples of a configuration."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
