"""The fine-tuned last stages of one workspace: trained now and then, a source of every fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.training.activations import MOST_BYTES, Activations, Parts
from annotator.training.picture_features import PictureFeatures, Tell
from hst_core.fast_tier import ExtraSource, FastTier, FastTierConfig
from hst_core.features import StoredMaps
from hst_core.inputs import CachedFeatures
from hst_core.neighbours import NeighbourGraph
from hst_core.tuned_evidence import TunedEvidence, score_files
from hst_core.tuning import TunedTraining, TuningConfig
from hst_core.windows import WindowCoordinates

#: Pictures scored before the fit is put in force again: some minutes on two cores.
SCORED_AT_ONCE = 20_000


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


class TunedStages:
    """What the last tuning made, and the one that has begun.

    Args:
        features: of the pictures.
        folder: of all features of the workspace.
        config: how stages are trained.
        device: to compute on, as torch names it.
        fast: how the fast tier is fitted that teaches.
        most_bytes: of disk for activations.
    """

    def __init__(
        self,
        features: PictureFeatures,
        folder: Path,
        config: TuningConfig,
        device: str,
        fast: FastTierConfig,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._features, self._folder = features, folder
        self._config, self._device, self._fast = config, device, fast
        self._most_bytes = most_bytes
        self._parts: Parts | None = None
        self._looked = False
        self._evidence: TunedEvidence | None = None
        self._categories: tuple[int, ...] = ()
        self._begun: _Begun | None = None
        self._given_up: set[int] = set()
        self.note = ""

    @property
    def known_cells(self) -> int:
        """Known cells of the project when the last tuning began, 0 without any."""
        return self._evidence.known_cells if self._evidence else 0

    def possible(self) -> bool:
        """Whether the backbone of these features has a last stage that can be tuned."""
        return self._cut() is not None

    def sources(
        self,
        inputs: CachedFeatures,
        labels: NDArray[np.int8],
        category_ids: Sequence[int],
    ) -> list[ExtraSource]:
        """What the stages say of every cell, for a fit of the fast tier; empty without any.

        Args:
            inputs: coordinates of all pictures.
            labels: [N, C].
            category_ids: of the columns; stages of categories that went are dropped.
        """
        if tuple(category_ids[: len(self._categories)]) != self._categories:
            self._evidence, self._categories = None, ()
            self.note = "what was fine-tuned was dropped, since categories went or moved"
        return self._evidence.sources(inputs, labels) if self._evidence else []

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
        parts, known = self._cut(), int(np.count_nonzero(labels))
        if parts is None or (self._begun is None and self.known_cells == known):
            return
        begun = self._begun
        if begun and tuple(category_ids[: len(begun.categories)]) != begun.categories:
            begun = self._begun = None
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
        self._given_up.clear()

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
            Whether it was not stopped.
        """
        parts, evidence = self._cut(), self._evidence
        if parts is None or evidence is None:
            return True
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
        found = score_files(
            evidence.tier, parts.before, parts.input_size, images,
            device=self._device, progress=say, should_stop=ask,
        )  # fmt: skip
        if found:
            at = np.array([rows[sha256] for sha256 in found], dtype=np.intp)
            evidence.add(at, np.stack(list(found.values())))
        if not stopped:
            self._given_up |= {row for sha256, row in rows.items() if sha256 not in found}
        return not stopped

    def state_dict(self) -> dict[str, Any] | None:
        """What `load_state_dict` needs, None without stages."""
        if self._evidence is None:
            return None
        return {"categories": list(self._categories), **self._evidence.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the stages of a checkpoint."""
        parts = self._cut()
        if parts is None:
            raise ValueError("its last stages are of another backbone")
        self._evidence = TunedEvidence.from_state_dict(state, parts.stage)
        self._categories = tuple(int(c) for c in state["categories"])

    def _cut(self) -> Parts | None:
        """The backbone in two parts, made when it is first needed."""
        if not self._looked:
            self._parts, self._looked = Parts.of(self._features.store.feature_set), True
        return self._parts

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
        unscored = self._evidence.unscored(len(self._features)).tolist()
        return [row for row in unscored if row not in self._given_up]
