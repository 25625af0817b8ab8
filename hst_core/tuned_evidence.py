"""What fine-tuned last stages say of a project, kept up to date until the next tuning.

Pictures with labels at the time were scored by the network that had not seen them, and keep that
for good. All others are scored once by the mean of the networks, straight from their files, so
that activations are stored of pictures with labels only. That takes as long as reading pictures
does; until it is done, a picture has what a linear guess from its coordinates makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int8
from numpy.typing import NDArray
from torch import Tensor

from hst_core.backbone import Backbone
from hst_core.extraction import stream
from hst_core.fast_tier import ExtraSource
from hst_core.forward import Forward, prepared
from hst_core.inputs import FeatureArray, Inputs
from hst_core.last_stage import LastStage
from hst_core.row_store import ROWS
from hst_core.stopping import ShouldStop
from hst_core.tuning import TUNED, TunedTier

#: Pictures that the linear guess is fitted on, at most; it has a few hundred parameters.
_GUESS_ROWS = 20_000
#: L2 of the guess per picture, in units of a coordinate's variance.
_GUESS_L2 = 0.01


class TunedEvidence:
    """What trained networks say of every picture.

    Args:
        tier: the networks.
        known_cells: of the project when training began.
        values: what they say; anything where ``scored`` is false.
        scored: pictures that they have been asked about.
    """

    def __init__(
        self,
        tier: TunedTier,
        known_cells: int,
        values: Float32[np.ndarray, "images categories"],
        scored: NDArray[np.bool_],
    ) -> None:
        self.tier = tier
        self.known_cells = known_cells
        self._values = values
        self._scored = scored

    @classmethod
    def after_training(
        cls,
        tier: TunedTier,
        activations: FeatureArray,
        labels: Int8[np.ndarray, "images categories"],
        known_cells: int,
        should_stop: ShouldStop | None = None,
    ) -> TunedEvidence:
        """Ask about the pictures with labels, each the network that has not seen it.

        Args:
            tier: just trained.
            activations: of the pictures with labels at least.
            labels: that the networks were trained on.
            known_cells: of the project then.
            should_stop: asked between batches.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        values = tier.out_of_fold(activations, labels, should_stop, labelled_only=True)
        return cls(tier, known_cells, values, (labels != 0).any(axis=1))

    def unscored(self, count: int) -> NDArray[np.intp]:
        """Return which of ``count`` pictures the networks have not been asked about."""
        scored = np.zeros(count, dtype=bool)
        scored[: len(self._scored)] = self._scored
        return np.flatnonzero(~scored)

    def add(self, rows: NDArray[np.intp], values: Float32[np.ndarray, "images categories"]) -> None:
        """Take in what the networks say of further pictures; see :func:`score_files`."""
        short = int(rows.max(initial=-1)) + 1 - len(self._scored)
        if short > 0:
            empty = np.zeros((short, self._values.shape[1]), dtype=np.float32)
            self._values = np.concatenate([self._values, empty])
            self._scored = np.concatenate([self._scored, np.zeros(short, dtype=bool)])
        self._values[rows] = values
        self._scored[rows] = True

    def sources(
        self,
        inputs: Inputs,
        labels: Int8[np.ndarray, "images categories"],
    ) -> list[ExtraSource]:
        """Return the source for the labels known now.

        Args:
            inputs: coordinates of all images, those of the training first and in the same order.
            labels: as known now; categories may have been appended and have no evidence.
        """
        count, categories = len(labels), self._values.shape[1]
        values = np.zeros(labels.shape, dtype=np.float32)
        values[: len(self._values), :categories] = self._values[:count]
        unscored = self.unscored(count)
        if len(unscored):
            values[unscored, :categories] = self._guess(inputs, unscored)
        return [ExtraSource(TUNED, "classifier", values)]

    def _guess(self, inputs: Inputs, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Say what the networks would, by ridge regression on the coordinates of those scored."""
        scored = np.flatnonzero(self._scored)
        if len(scored) > _GUESS_ROWS:
            scored = np.sort(np.random.default_rng(0).permutation(scored)[:_GUESS_ROWS])
        known = _coordinates(inputs, scored)
        centre, mean = known.mean(axis=0), self._values[scored].mean(axis=0)
        known = known - centre
        gram = known.T @ known
        ridge = _GUESS_L2 * len(scored) * np.eye(len(gram), dtype=np.float32)
        slope = np.linalg.solve(gram + ridge, known.T @ (self._values[scored] - mean))
        found: NDArray[np.float32] = (_coordinates(inputs, rows) - centre) @ slope + mean
        return found.astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        return {
            "tier": self.tier.state_dict(),
            "known_cells": self.known_cells,
            "values": torch.from_numpy(self._values).half(),
            "scored": torch.from_numpy(self._scored),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], stage: LastStage) -> TunedEvidence:
        """Restore what :meth:`state_dict` described; ``stage`` gives the shape of the stages."""
        return cls(
            TunedTier.from_state_dict(state["tier"], stage),
            int(state["known_cells"]),
            state["values"].float().numpy(),
            state["scored"].numpy().copy(),  # it is written to
        )


class _Scores(Forward):
    """What tuned networks say of pictures, by way of the frozen part before them."""

    def __init__(self, tier: TunedTier, before: Backbone, input_size: int, device: str) -> None:
        super().__init__(torch.device(device), "auto", [input_size])
        self._before = prepared(before, device)
        self._tier = tier

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        activations = self.feature_map(self._before, pixels[self.sizes[0]])
        return {ROWS: self._tier.mean_logits(activations)}


def score_files(
    tier: TunedTier,
    before: Backbone,
    input_size: int,
    images: Sequence[tuple[str, Path]],
    *,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> tuple[dict[str, Float32[np.ndarray, " categories"]], list[str]]:
    """Ask the networks about pictures of which no activations are stored.

    Args:
        tier: the networks.
        before: the frozen part before the last stage, as `hst_core.last_stage.split` gives it.
        input_size: side in pixels.
        images: (sha256 of the file's bytes, path).
        device: to compute on.
        progress: told the number of pictures done.
        should_stop: asked after every batch.

    Returns:
        By hash, as far as it got; and the hashes of files that are no readable pictures. Files
        that cannot be opened are in neither.
    """
    tier.to(device)
    found: dict[str, NDArray[np.float32]] = {}
    unreadable: list[str] = []
    done = 0
    for hashes, rows, failures in stream(_Scores(tier, before, input_size, device), images):
        done += len(hashes) + len(failures)
        unreadable += [failure.image_hash for failure in failures if failure.permanent]
        if rows is not None:
            found.update(zip(hashes, rows[ROWS].astype(np.float32), strict=True))
        if progress is not None:
            progress(done)
        if should_stop is not None and should_stop():
            break
    return found, unreadable


def _coordinates(inputs: Inputs, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = inputs.load(rows, None)["features"].numpy()
    return found
