"""Fitting: from labels to evidence on every cell, each fit from the last one where that works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annotator.attention_maps import NoAttention
from annotator.errors import WorkspaceError
from annotator.scores import PairScores
from annotator.settings import Workspace
from annotator.training.deep_sources import DeepSources, Known
from annotator.training.networks import Networks, OnEpoch
from annotator.training.picture_features import PictureFeatures, Tell
from annotator.training.records import Picture, Snapshot, only_appended
from annotator.training.tuned_stages import TunedStages
from annotator.wording import counted
from hst_core import checkpoint
from hst_core.activation import activation_map
from hst_core.checkpoint import Checkpoint, CheckpointError
from hst_core.deep_tier import DeepTierConfig
from hst_core.fast_tier import FastTier, FastTierConfig, FastTierScores
from hst_core.features import UnreadablePictureError
from hst_core.metrics import mean_average_precision
from hst_core.tuning import TuningConfig


@dataclass(frozen=True)
class Fit:
    """One fit, before it is written.

    Attributes:
        image_ids: of each row [N], -1 where the picture left the project.
        labels: that it was fitted on [N, C].
        pairs: pair probabilities of the networks, None if they are of no use.
        kind: ``fast``, or ``deep`` after the deep tier was trained.
    """

    tier: FastTier
    scores: FastTierScores
    snapshot: Snapshot
    image_ids: NDArray[np.int64]
    labels: NDArray[np.int8]
    pairs: PairScores | None = None
    kind: str = "fast"

    @property
    def known(self) -> int:
        """Number of known cells it was fitted on."""
        return int(np.count_nonzero(self.labels))

    def metrics(self) -> dict[str, Any]:
        """Figures of the fit; quality from cells whose label the evidence had not seen."""
        modelled = np.ones(self.labels.shape[1], dtype=bool)
        modelled[[index for index, _ in self.tier.waiting]] = False
        cells = (self.labels != 0) & modelled
        present = self.labels[cells] == 1
        p = np.clip(self.scores.probability[cells].astype(np.float64), 1e-7, 1 - 1e-7)
        loss = -np.where(present, np.log(p), np.log1p(-p)).mean()
        precision = mean_average_precision(self.scores.probability, np.where(cells, self.labels, 0))
        return {
            "known_cells": self.known,
            "images": int((self.image_ids >= 0).sum()),
            "rows": len(self.labels),
            "category_ids": self.snapshot.category_ids.tolist(),
            "categories_waiting": len(self.tier.waiting),
            "log_loss": float(loss),
            **({} if precision is None else {"map": precision}),
        }


class Learner:
    """Both tiers of one workspace; knows nothing of the database.

    Args:
        workspace: for its settings, features and pictures.
        deep: how networks on frozen features are trained.
        tuning: how last stages are.

    Raises:
        WorkspaceError: if the settings ask for a device that is not there.
    """

    def __init__(
        self,
        workspace: Workspace,
        deep: DeepTierConfig | None = None,
        tuning: TuningConfig | None = None,
    ) -> None:
        settings = workspace.settings
        self._workspace = workspace
        self._fast = FastTierConfig(seed=settings.seed)
        self._device = _choose_device(settings.device)
        self.features = PictureFeatures(workspace, self._device)
        self._deep = DeepSources(
            Networks(deep or DeepTierConfig(), self._device),
            TunedStages(
                self.features,
                workspace.features,
                tuning or TuningConfig(seed=settings.seed),
                self._device,
                self._fast,
            ),
            with_networks=self.has_gpu or settings.deep_tier == "all",
        )
        self._previous: FastTier | None = None
        self._previous_categories: tuple[int, ...] = ()

    @property
    def has_fit(self) -> bool:
        """Whether the last fit is at hand; not if it was of other features, or is damaged."""
        return self._previous is not None

    @property
    def device(self) -> str:
        """What it computes on, as a person would say it."""
        if self._device == "cpu":
            return f"CPU, {counted(torch.get_num_threads(), 'thread')}"
        return torch.cuda.get_device_name(self._device)

    @property
    def has_gpu(self) -> bool:
        """Whether networks and features are computed on a GPU."""
        return self._device != "cpu"

    @property
    def deep_known(self) -> int:
        """Known cells when the last training of the deep tier began; see `DeepSources`."""
        return self._deep.known_cells

    @property
    def deep_left(self) -> int:
        """Number of pictures that the fine-tuned stages have not been asked about."""
        return self._deep.left()

    @property
    def note(self) -> str:
        """Something worth knowing about the features or the last training; empty if nothing."""
        return "; ".join(note for note in (self.features.note, self._deep.note) if note)

    def labels(self, snapshot: Snapshot) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Image id [N] and labels [N, C] of each row of the features; see `Fit`."""
        image_ids = self.features.image_ids(snapshot.images)
        return image_ids, snapshot.matrix(image_ids)

    def fit(
        self,
        snapshot: Snapshot,
        image_ids: NDArray[np.int64],
        labels: NDArray[np.int8],
        tell: Tell,
        should_stop: Callable[[], bool],
    ) -> Fit:
        """Fit the fast tier, from the last fit where that is possible.

        Raises:
            Stopped: if ``should_stop`` says so; the last fit stays in force.
        """
        graph, anew = self.features.neighbours(tell, should_stop)
        if anew:
            self._deep.compared_anew()
        categories = snapshot.category_ids.tolist()
        tier = FastTier.fit(
            None,
            labels,
            config=self._fast,
            neighbours=graph,
            windows=self.features.windows(graph, tell, should_stop),
            previous=self._usable_previous(snapshot),
            extra_sources=self._deep.sources(graph, labels, categories, should_stop),
            progress=lambda share, message: tell(message, share),
            should_stop=should_stop,
        )
        scores = tier.scores()
        return Fit(tier, scores, snapshot, image_ids, labels, self._deep.pair_scores(scores))

    def deepen(
        self,
        fit: Fit,
        pictures: Sequence[Picture],
        tell: Tell,
        should_stop: Callable[[], bool],
        on_epoch: OnEpoch | None = None,
    ) -> Fit:
        """Train the deep tier on what a fit of the fast tier knows, and fuse what it says.

        Args:
            fit: of the fast tier.
            pictures: of the project.
            tell: told what is being done.
            should_stop: asked before every step.
            on_epoch: told the number of a network and what each epoch did.

        Raises:
            Stopped: if ``should_stop`` says so; what was trained before stays.
            FeatureStoreError: if the disk is full.
        """
        graph, _ = self.features.neighbours(tell, should_stop)
        known = Known(
            fit.labels,
            tuple(fit.snapshot.category_ids.tolist()),
            (fit.tier, fit.scores),
            graph,
            self.features.windows(graph, tell, should_stop),
            self._paths(pictures),
        )
        self._deep.train(known, tell, should_stop, on_epoch)
        fused = self.fit(fit.snapshot, fit.image_ids, fit.labels, tell, should_stop)
        self._deep.forget_unkept({source.name for source in fused.scores.stack if source.kept})
        return replace(fused, kind="deep")

    def score_rest(
        self, pictures: Sequence[Picture], tell: Tell, should_stop: Callable[[], bool]
    ) -> bool:
        """Ask the fine-tuned stages about pictures they have not seen.

        Returns:
            Whether a fit pays: it was not stopped, and some of them could be read.
        """
        return self._deep.score(self._paths(pictures), tell, should_stop)

    def _paths(self, pictures: Sequence[Picture]) -> dict[str, Path]:
        return {p.sha256: self._workspace.image_path(p.path) for p in pictures}

    def look(self, picture: Picture, category_id: int) -> NDArray[np.float32] | NoAttention:
        """Where the last fit looks for a category in a picture, 0-1 [rows, columns]."""
        tier = self._previous
        if tier is None or category_id not in self._previous_categories:
            return NoAttention("the model is being fitted anew", again=True)
        try:
            maps = self.features.maps(picture)
        except UnreadablePictureError as error:
            return NoAttention(f"the picture cannot be read: {error}", again=False)
        except OSError as error:
            text = f"the picture's file cannot be opened: {error.strerror or error}"
            return NoAttention(text, again=False)
        column = self._previous_categories.index(category_id)
        classifier = tier.channel_classifier(column)
        feature_set = self.features.store.feature_set
        return activation_map(classifier, feature_set, maps, tier.picture_weights).shown()

    def remember(self, fit: Fit) -> None:
        """Start the next fit from this one. Only its parameters are kept, not its scores."""
        self._previous = FastTier.from_state_dict(fit.tier.state_dict())
        self._previous_categories = tuple(fit.snapshot.category_ids.tolist())

    def checkpoint(self, fit: Fit, version: int) -> Checkpoint:
        """Everything of a fit that the next process needs."""
        hashes = self.features.store.hashes
        rows = [[hashes[i] for i in nearest if i >= 0] for nearest in fit.scores.exemplars.tolist()]
        tiers = {"fast": fit.tier.state_dict(), **self._deep.state_dict()}
        count = len(fit.labels)
        return Checkpoint(
            model_version=version,
            event_id=fit.snapshot.event_id,
            feature_set=self.features.set_name,
            category_ids=tuple(fit.snapshot.category_ids.tolist()),
            category_names=fit.snapshot.category_names,
            thresholds=tuple(fit.scores.threshold.tolist()),
            exemplars=tuple(tuple(nearest) for nearest in rows),
            config={"images": count, "rows": self.features.row_digest(count)},
            tiers=tiers,
        )

    def restore(self, path: Path) -> str:
        """Start the next fit from a checkpoint; returns why not, empty if it will."""
        try:
            saved = checkpoint.load(path)
            if saved.feature_set != self.features.set_name:
                return f"the checkpoint is of {saved.feature_set} features: fitted from scratch"
            count = int(saved.config.get("images", -1))
            if saved.config.get("rows") != self.features.row_digest(count):
                return "the features are no longer those of the checkpoint: fitted from scratch"
            previous = FastTier.from_state_dict(saved.tiers["fast"])
            self._deep.load_state_dict(saved.tiers)
        # torch has a RuntimeError for tensors of another shape or name.
        except (CheckpointError, ValueError, KeyError, TypeError, RuntimeError) as error:
            return f"the last checkpoint could not be used ({error}): fitted from scratch"
        self._previous, self._previous_categories = previous, saved.category_ids
        return ""

    def _usable_previous(self, snapshot: Snapshot) -> FastTier | None:
        """The last fit if categories were only appended since: columns keep their place."""
        now = tuple(snapshot.category_ids.tolist())
        return self._previous if only_appended(self._previous_categories, now) else None


def device_memory() -> int | None:
    """Bytes that torch has taken of the GPU, None while it uses none."""
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.memory_reserved() if used else None


def _choose_device(wanted: str) -> str:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise WorkspaceError(
            f"device is {wanted!r} in the settings but torch finds no CUDA device "
            '(set device = "auto" in workspace.toml, or install a torch with CUDA)'
        )
    return "cuda"
