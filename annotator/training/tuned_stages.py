"""The fine-tuned last stages of one workspace: trained now and then, a source of every fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.training.activations import MOST_BYTES, Activations, Parts
from annotator.training.networks import network_inputs
from annotator.training.picture_features import PictureFeatures, Tell
from annotator.training.records import only_appended
from hst_core.fast_tier import ExtraSource, FastTier, FastTierConfig
from hst_core.features import StoredMaps
from hst_core.neighbours import NeighbourGraph
from hst_core.tuned_evidence import TunedEvidence, score_files
from hst_core.tuning import TunedTraining, TuningConfig
from hst_core.windows import WindowCoordinates

#: Pictures scored before the fit is put in force again: some minutes on two cores.
SCORED_AT_ONCE = 20_000
#: Files that could not be opened are tried again after this: a disk may have been taken away.
MISSING_FILE_RETRY_SECONDS = 300.0
#: A training is given up when this share of the labels it began with were withdrawn or changed.
_CHANGED_SHARE = 0.1


@dataclass(frozen=True)
class _Begun:
    """A training that was interrupted, or that runs.

    Attributes:
        categories: of the columns of its labels.
        known_cells: of the project when it began.
    """

    training: TunedTraining
    categories: tuple[int, ...]
    known_cells: int

    def serves(self, labels: NDArray[np.int8], category_ids: Sequence[int]) -> bool:
        """Whether it is worth going on with, with the labels and columns of now."""
        if not only_appended(self.categories, category_ids):
            return False
        taught = self.training.labels
        changed = (labels[: len(taught), : taught.shape[1]] != taught) & (taught != 0)
        return int(changed.sum()) <= _CHANGED_SHARE * int(np.count_nonzero(taught))


class TunedStages:
    """What the last tuning made, and the one that has begun.

    Args:
        features: of the pictures.
        folder: of all features of the workspace.
        config: how stages are trained.
        device: to compute on, as torch names it.
        fast: how the fast tier is fitted that teaches.
        most_bytes: of disk for activations.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        features: PictureFeatures,
        folder: Path,
        config: TuningConfig,
        device: str,
        fast: FastTierConfig,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._features, self._folder = features, folder
        self._config, self._device, self._fast = config, device, fast
        self._most_bytes, self._clock = most_bytes, clock
        self._evidence: TunedEvidence | None = None
        self._categories: tuple[int, ...] = ()
        self._begun: _Begun | None = None
        self._known_cells = 0
        self._unreadable: set[int] = set()
        self._missing: set[int] = set()
        self._missing_at = 0.0
        self._added = False
        self.note = ""

    @property
    def known_cells(self) -> int:
        """Known cells of the project when the last tuning began, 0 without any.

        They outlive stages that were of no use, so that the next tuning waits for more labels.
        """
        return self._known_cells

    def possible(self) -> bool:
        """Whether the backbone of these features has a last stage that can be tuned."""
        return self._parts is not None

    def forget(self) -> None:
        """Let go of stages that are of no use; they would only cost time and disk."""
        self._evidence = None

    def drop(self) -> None:
        """Let go of them as if there had been none."""
        self._evidence, self._categories, self._known_cells = None, (), 0

    def sources(
        self,
        graph: NeighbourGraph,
        labels: NDArray[np.int8],
        category_ids: Sequence[int],
    ) -> list[ExtraSource]:
        """What the stages say of every cell, for a fit of the fast tier; empty without any.

        Args:
            graph: with the coordinates of all pictures.
            labels: [N, C].
            category_ids: of the columns; stages of categories that went are dropped.
        """
        if not only_appended(self._categories, category_ids):
            if self._evidence is not None:
                self.note = "what was fine-tuned was dropped, since categories went or moved"
            self.drop()
        self._added = False
        if self._evidence is None:
            return []
        return self._evidence.sources(network_inputs(graph), labels)

    def train(
        self,
        labels: NDArray[np.int8],
        category_ids: Sequence[int],
        paths: Mapping[str, Path],
        compared: tuple[NeighbourGraph, WindowCoordinates | None],
        tell: Tell,
        should_stop: Callable[[], bool],
    ) -> None:
        """Begin to tune, or go on, to the end; nothing is done if there are no new labels.

        Args:
            labels: known now [N, C].
            category_ids: of the columns.
            paths: of pictures, by hash.
            compared: neighbours and windows of all pictures, for the teacher.
            tell: told what is being done.
            should_stop: asked before every step.

        Raises:
            Stopped: if ``should_stop`` says so; the next call goes on from there.
            FeatureStoreError: if activations cannot be written.
        """
        parts, known = self._parts, int(np.count_nonzero(labels))
        if parts is None or (self._begun is None and self.known_cells == known):
            return
        if self._begun is not None and not self._begun.serves(labels, category_ids):
            self._begun = None
        begun = self._begun
        kept = Activations(self._folder, parts, self._device, self._most_bytes)
        if begun is None:
            taught = self._read(kept, labels, paths, tell, should_stop)
            if not taught.any():
                return
            graph = compared[0]
            training = TunedTraining(
                taught, parts.stage, graph.space, graph.coordinates,
                config=self._config, device=self._device,
            )  # fmt: skip
            begun = self._begun = _Begun(training, tuple(category_ids), known)
        activations = StoredMaps(kept.store, kept.store.rows(self._features.store.hashes))
        tier = begun.training.run(
            activations,
            lambda seen: self._teach(seen, compared, should_stop),
            progress=lambda share, message: tell(message, share),
            should_stop=should_stop,
        )
        tell("asking the fine-tuned networks about labelled pictures", 0.99)
        self._evidence = TunedEvidence.after_training(
            tier, activations, begun.training.labels, begun.known_cells, should_stop
        )
        self._categories, self._begun = begun.categories, None
        self._known_cells = begun.known_cells
        self._unreadable.clear()
        self._missing.clear()

    def left(self) -> int:
        """Number of pictures that the stages have not been asked about."""
        return len(self._todo())

    def score(
        self,
        paths: Mapping[str, Path],
        tell: Tell,
        should_stop: Callable[[], bool],
        most: int = SCORED_AT_ONCE,
    ) -> bool:
        """Ask the stages about pictures that they were not asked about yet.

        Args:
            paths: of pictures, by hash.
            tell: told what is being done.
            should_stop: asked after every few pictures; what is finished stays.
            most: pictures.

        Returns:
            Whether a fit pays: it was not stopped, and there is something new since the last one.
        """
        parts, evidence = self._parts, self._evidence
        if parts is None or evidence is None:
            return False
        hashes = self._features.store.hashes
        rows = {hashes[row]: row for row in self._todo()[:most]}
        images = [(sha256, paths[sha256]) for sha256 in rows if sha256 in paths]
        stopped = False

        def ask() -> bool:
            nonlocal stopped
            stopped = stopped or should_stop()
            return stopped

        def say(done: int) -> None:
            text = f"asking the fine-tuned networks about pictures: {done:,} of {len(images):,}"
            tell(text, done / max(1, len(images)))

        say(0)
        found, unreadable = score_files(
            evidence.tier, parts.before, parts.input_size, images,
            device=self._device, progress=say, should_stop=ask,
        )  # fmt: skip
        if found:
            at = np.array([rows[sha256] for sha256 in found], dtype=np.intp)
            evidence.add(at, np.stack(list(found.values())))
            self._added = True
        self._unreadable |= {rows[sha256] for sha256 in unreadable}
        if not stopped:
            without = {row for sha256, row in rows.items() if sha256 not in found}
            self._missing |= without - self._unreadable
            self._missing_at = self._clock()
        return self._added and not stopped

    def state_dict(self) -> dict[str, Any] | None:
        """What `load_state_dict` needs, None without stages."""
        if not self._known_cells:
            return None
        state = {"categories": list(self._categories), "known_cells": self._known_cells}
        return state | (self._evidence.state_dict() if self._evidence else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the stages of a checkpoint."""
        parts = self._parts
        if parts is None:
            raise ValueError("its last stages are of another backbone")
        there = "tier" in state
        evidence = TunedEvidence.from_state_dict(state, parts.stage) if there else None
        self._categories = tuple(int(c) for c in state["categories"])
        self._known_cells = int(state["known_cells"])
        self._evidence = evidence

    @cached_property
    def _parts(self) -> Parts | None:
        """The backbone in two parts, made when it is first needed."""
        return Parts.of(self._features.store.feature_set)

    def _read(
        self,
        kept: Activations,
        labels: NDArray[np.int8],
        paths: Mapping[str, Path],
        tell: Tell,
        should_stop: Callable[[], bool],
    ) -> NDArray[np.int8]:
        """Read what is missing; returns the labels of the pictures that have activations."""
        hashes = self._features.store.hashes
        labelled = [hashes[row] for row in np.flatnonzero((labels != 0).any(axis=1))]
        chosen = kept.choose([sha256 for sha256 in labelled if sha256 in paths])

        def say(done: int, total: int) -> None:
            text = f"reading pictures to fine-tune on: {done:,} of {total:,}"
            tell(text, done / max(1, total))

        kept.read([(sha256, paths[sha256]) for sha256 in chosen], say, should_stop)
        self.note = ""
        if len(chosen) < len(labelled):
            self.note = (
                f"fine-tuned on {len(chosen):,} of {len(labelled):,} labelled pictures: what is "
                f"stored of them may take {self._most_bytes / 1e9:.1f} GB and a quarter of the "
                "free disk"
            )
        there = kept.store.rows(hashes) >= 0
        return np.where(there[:, None], labels, 0).astype(np.int8)

    def _teach(
        self,
        seen: NDArray[np.int8],
        compared: tuple[NeighbourGraph, WindowCoordinates | None],
        should_stop: Callable[[], bool],
    ) -> NDArray[np.float32]:
        """What a fast tier makes of these labels; pictures may have come since they were taken."""
        graph, windows = compared
        labels = np.zeros((len(graph), seen.shape[1]), dtype=np.int8)
        labels[: len(seen)] = seen
        tier = FastTier.fit(
            None,
            labels,
            config=self._fast,
            neighbours=graph,
            windows=windows,
            should_stop=should_stop,
        )
        return tier.scores().probability[: len(seen)]

    def _todo(self) -> list[int]:
        """Rows of pictures to ask about, without those whose files gave nothing."""
        if self._evidence is None:
            return []
        if self._clock() - self._missing_at >= MISSING_FILE_RETRY_SECONDS:
            self._missing.clear()
        unscored = self._evidence.unscored(len(self._features)).tolist()
        without = self._unreadable | self._missing
        return [row for row in unscored if row not in without]
