"""A last stage of the backbone that learns, with the fast tier as its teacher (reference §11).

Fine-tuned on a few thousand labels alone, a stage memorises them. So it starts as the base (nearly:
activations are of squares, also where features keep the proportions of pictures), reads
cut-outs of its pictures, and learns the unknown cells too: from what a fast tier says of them that
has seen the same labels as itself. Every network leaves out a fold of the pictures and speaks
about those, whose labels have then not reached it in any way; what all of them say on average
serves pictures without labels. The result is one source for the stack, which keeps it if it helps.

Its logit is the largest of the picture and its windows, as of the fast tier's windows.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hst_core.fast_tier import ExtraSource
from hst_core.inputs import FeatureArray
from hst_core.labels import check_label_matrix
from hst_core.last_stage import LastStage
from hst_core.linear import LinearBase, LinearConfig
from hst_core.pooling import pool_windows
from hst_core.projection import FeatureSpace
from hst_core.stacking import assign_folds
from hst_core.stopping import ShouldStop, check_stop

#: Name of the source.
TUNED = "fine-tuned"

Teacher = Callable[
    [Int8[np.ndarray, "images categories"]], Float32[np.ndarray, "images categories"]
]
"""Labels in, probabilities of all cells out, from these labels and nothing else."""


@dataclass(frozen=True)
class TuningConfig:
    """How last stages are trained.

    Attributes:
        networks: one per fold of the pictures; a network is trained on the others.
        epochs: passes over the pictures with labels.
        batch_size: pictures per step.
        stage_rate: highest learning rate of the stage.
        head_rate: the same of the linear classifier behind it.
        weight_decay: of the stage.
        teaching: weight of the loss on unknown cells, where known cells have weight 1.
        averaging: share of the running average of the weights that a step keeps.
        cuts: shares of the activations' side that a batch sees, one of them drawn per batch.
        windows: along each side of a picture.
        seed: of everything drawn at random.
    """

    networks: int = 2
    epochs: int = 3
    batch_size: int = 32
    stage_rate: float = 2e-4
    head_rate: float = 3e-4
    weight_decay: float = 0.01
    teaching: float = 1.0
    averaging: float = 0.99
    cuts: tuple[float, ...] = (1.0, 6 / 7, 5 / 7)
    windows: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.networks < 2:
            raise ValueError(f"networks must be at least 2, got {self.networks}")


class TunedNetwork(nn.Module):
    """A last stage, the space of the fast tier, and a linear classifier; starts nearly as the base.

    Args:
        stage: learns; not shared.
        space: of the pooled features of that stage before it learned.
        weight: of the base on coordinates in that space.
        bias: of the base.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor

    def __init__(
        self,
        stage: LastStage,
        space: FeatureSpace,
        weight: Float[Tensor, "coordinates categories"],
        bias: Float[Tensor, " categories"],
    ) -> None:
        super().__init__()
        self.stage = stage
        #: Coordinates are brought to about unit variance, so that steps fit weights and stage.
        self.unit = len(weight) ** 0.5
        for name, value in (("mean", space.mean), ("scale", space.scale), ("axes", space.axes)):
            self.register_buffer(name, value.clone())
        self.weight = nn.Parameter(weight.clone() / self.unit)
        self.bias = nn.Parameter(bias.clone())

    def forward(
        self, activations: Float[Tensor, "images inputs rows columns"]
    ) -> Float[Tensor, "images categories"]:
        """Return the logits of whole pictures, or of the cut-outs given."""
        return self.classify(self.stage(activations).mean(dim=(2, 3)))

    def best(
        self, activations: Float[Tensor, "images inputs rows columns"], windows: int
    ) -> Float[Tensor, "images categories"]:
        """Return the largest logit of a picture and its windows."""
        features = self.stage(activations)
        whole = features.mean(dim=(2, 3))[:, None]
        parts = pool_windows(features, "mean", windows)
        return self.classify(torch.cat([whole, parts], dim=1)).amax(dim=1)

    def classify(
        self, pooled: Float[Tensor, "*leading channels"]
    ) -> Float[Tensor, "*leading categories"]:
        """Return the logits of pooled features."""
        length = pooled.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        # As `FeatureSpace`, but with a bounded slope where a channel is silent.
        rooted = (pooled / length).clamp(min=1e-5).sqrt()
        coordinates = ((rooted - self.mean) * self.scale) @ self.axes * self.unit
        logits: Tensor = coordinates @ self.weight + self.bias
        return logits


@dataclass(frozen=True)
class TunedTier:
    """Trained networks; network f has not seen the pictures of fold f.

    Attributes:
        networks: in the order of the folds.
        config: they were trained with.
    """

    networks: tuple[TunedNetwork, ...]
    config: TuningConfig

    @classmethod
    def fit(
        cls,
        activations: FeatureArray,
        labels: Int8[np.ndarray, "images categories"],
        stage: LastStage,
        space: FeatureSpace,
        coordinates: Float[Tensor, "images coordinates"],
        teacher: Teacher,
        *,
        config: TuningConfig | None = None,
        device: str = "cpu",
        progress: Callable[[float, str], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> tuple[TunedTier, ExtraSource]:
        """Train on what is known now, and return the source for the stack.

        Args:
            activations: before the last stage, of all images.
            labels: -1 absent, 0 unknown, 1 present.
            stage: as published; every network trains a copy.
            space: of the pooled features that it gives.
            coordinates: of the images in that space.
            teacher: a fast tier of these images.
            config: defaults if None.
            device: to train on.
            progress: told the share done and what is being done.
            should_stop: asked before every step.

        Raises:
            Stopped: if ``should_stop`` says so; `TunedTraining` can go on where it stopped.
            ValueError: if no cell is known.
        """
        training = TunedTraining(labels, stage, space, coordinates, config=config, device=device)
        tier = training.run(activations, teacher, progress=progress, should_stop=should_stop)
        values = tier.out_of_fold(activations, training.labels, should_stop)
        return tier, ExtraSource(TUNED, "classifier", values)

    def values_for(
        self, activations: FeatureArray, should_stop: ShouldStop | None = None
    ) -> Float32[np.ndarray, "images categories"]:
        """Return the source for images whose labels no network has seen."""
        rows = np.arange(len(activations))
        found = [self._score(f, activations, rows, should_stop) for f in range(len(self.networks))]
        mean: NDArray[np.float32] = np.mean(found, axis=0, dtype=np.float32)
        return mean

    def mean_logits(
        self, activations: Float[Tensor, "images inputs rows columns"]
    ) -> Float[Tensor, "images categories"]:
        """Return the same of activations that are at hand, on the networks' device."""
        found = [network.best(activations, self.config.windows) for network in self.networks]
        return torch.stack(found).mean(dim=0)

    def to(self, device: str) -> TunedTier:
        """Move the networks; returns itself."""
        for network in self.networks:
            network.to(device).eval()
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        states = [
            {name: value.cpu() for name, value in network.state_dict().items()}
            for network in self.networks
        ]
        return {"networks": states, "config": asdict(self.config)}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], stage: LastStage) -> TunedTier:
        """Restore what :meth:`state_dict` described; ``stage`` gives the shape of the stages."""
        config = dict(state["config"])
        config["cuts"] = tuple(config["cuts"])
        networks = []
        for weights in state["networks"]:
            axes = weights["axes"]
            spread = axes.new_ones(axes.shape[1])  # nothing here asks for it
            space = FeatureSpace(weights["mean"], weights["scale"], axes, spread, 0)
            network = TunedNetwork(copy.deepcopy(stage), space, weights["weight"], weights["bias"])
            network.load_state_dict(weights)
            networks.append(network)
        return cls(tuple(networks), TuningConfig(**config))

    def out_of_fold(
        self,
        activations: FeatureArray,
        labels: Int8[np.ndarray, "images categories"],
        should_stop: ShouldStop | None = None,
        *,
        labelled_only: bool = False,
    ) -> Float32[np.ndarray, "images categories"]:
        """Score labelled images by the network that has not seen them, the others by all.

        Args:
            activations: of all images, or of the labelled ones.
            labels: that the networks were trained on.
            should_stop: asked between batches.
            labelled_only: leave the others at 0.
        """
        values = np.zeros(labels.shape, dtype=np.float32)
        labelled = (labels != 0).any(axis=1)
        folds = fold_of_images(len(labels), self.config)
        for fold in range(len(self.networks)):
            others = np.zeros_like(labelled) if labelled_only else ~labelled
            rows = np.flatnonzero(others | (labelled & (folds == fold)))
            share = np.where(labelled[rows], 1.0, 1 / len(self.networks)).astype(np.float32)
            values[rows] += share[:, None] * self._score(fold, activations, rows, should_stop)
        return values

    def _score(
        self,
        number: int,
        activations: FeatureArray,
        rows: NDArray[np.intp],
        should_stop: ShouldStop | None,
    ) -> NDArray[np.float32]:
        network = self.networks[number].eval()
        found = np.zeros((len(rows), len(network.bias)), dtype=np.float32)
        for start in range(0, len(rows), self.config.batch_size):
            check_stop(should_stop)
            part = slice(start, start + self.config.batch_size)
            with torch.inference_mode():
                images = _load(activations, rows[part]).to(network.bias.device)
                found[part] = network.best(images, self.config.windows).cpu().numpy()
        return found


def fold_of_images(images: int, config: TuningConfig) -> NDArray[np.intp]:
    """Deal images into folds; an image keeps its fold when others are appended."""
    folds = [
        np.random.default_rng([config.seed, block]).permutation(config.networks)
        for block in range(-(-images // config.networks))
    ]
    return np.concatenate([*folds, np.zeros(0, dtype=np.int64)])[:images].astype(np.intp)


class TunedTraining:
    """Training that can be left at any step, and taken up again by the same process.

    New decisions end what takes minutes, so a training that began anew every time would never
    reach its end beside a person who labels. Labels that came since the start have been seen by no
    network, so they need no care.

    Args:
        labels: known now; -1, 0 or 1 [images, categories].
        stage: as published; every network trains a copy.
        space: of the pooled features that it gives.
        coordinates: of the images in that space.
        config: defaults if None.
        device: to train on.

    Raises:
        ValueError: if no cell is known.
    """

    def __init__(
        self,
        labels: Int8[np.ndarray, "images categories"],
        stage: LastStage,
        space: FeatureSpace,
        coordinates: Float[Tensor, "images coordinates"],
        *,
        config: TuningConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.labels = check_label_matrix(labels)
        if not self.labels.any():
            raise ValueError("a last stage cannot be trained without a known cell")
        self.config = config or TuningConfig()
        self._stage, self._space, self._coordinates = stage, space, coordinates
        self._device = device
        self._done: list[TunedNetwork] = []
        self._now: _Training | None = None

    def run(
        self,
        activations: FeatureArray,
        teacher: Teacher,
        *,
        progress: Callable[[float, str], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> TunedTier:
        """Go on to the end.

        Args:
            activations: before the last stage; only those of images with labels are asked for.
            teacher: a fast tier of these images.
            progress: told the share done and what is being done.
            should_stop: asked before every step.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        number = self.config.networks
        while (fold := len(self._done)) < number:

            def tell(share: float, fold: int = fold) -> None:
                if progress is not None:
                    progress((fold + share) / number, f"fine-tuning network {fold + 1} of {number}")

            if self._now is None:
                tell(0.0)
                self._now = self._begin(fold, teacher, should_stop)
            self._done.append(self._now.run(activations, tell, should_stop))
            self._now = None
        return TunedTier(tuple(self._done), self.config)

    def _begin(self, fold: int, teacher: Teacher, should_stop: ShouldStop | None) -> _Training:
        folds = fold_of_images(len(self.labels), self.config)
        seen = np.where(folds[:, None] == fold, 0, self.labels).astype(np.int8)
        network = _start(self._stage, self._space, self._coordinates, seen, should_stop)
        return _Training(network.to(self._device), seen, teacher(seen), self.config, fold)


def _start(
    stage: LastStage,
    space: FeatureSpace,
    coordinates: Tensor,
    seen: NDArray[np.int8],
    should_stop: ShouldStop | None,
) -> TunedNetwork:
    """Build a network that says what a base says that was fitted on the labels it may see."""
    folds = assign_folds(seen, 2)
    base = LinearBase.fit(coordinates, seen, folds, 2, LinearConfig(), should_stop=should_stop)
    return TunedNetwork(copy.deepcopy(stage), space, base.weight[0], base.bias[0])


class _Training:
    """Trains one network."""

    def __init__(
        self,
        network: TunedNetwork,
        seen: NDArray[np.int8],
        taught: NDArray[np.float32],
        config: TuningConfig,
        fold: int,
    ) -> None:
        self.network, self.config, self.fold = network, config, fold
        self.seen, self.taught = torch.from_numpy(seen), torch.from_numpy(taught)
        self.rows = np.flatnonzero((seen != 0).any(axis=1))
        self.random = np.random.default_rng([config.seed, fold])
        self.average = copy.deepcopy(network)
        stage = [p for p in network.stage.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": stage, "lr": config.stage_rate, "weight_decay": config.weight_decay},
                {"params": [network.weight, network.bias], "lr": config.head_rate,
                 "weight_decay": 0.0},
            ]
        )  # fmt: skip
        self.steps = max(1, config.epochs * -(-len(self.rows) // config.batch_size))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.batches = list(self._batches())
        self.done = 0

    def run(
        self,
        activations: FeatureArray,
        tell: Callable[[float], None],
        should_stop: ShouldStop | None,
    ) -> TunedNetwork:
        """Go on to the end, and return the average of the weights."""
        self.network.train()
        while self.done < len(self.batches):
            check_stop(should_stop)
            tell(self.done / self.steps)
            rows = self.batches[self.done]
            self._step(_load(activations, rows), rows, self.done)
            self.done += 1
        return self.average.eval()

    def _rate(self, step: int) -> float:
        """Rise over the first steps, then fall along a cosine."""
        return min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def _batches(self) -> Iterator[NDArray[np.intp]]:
        size = self.config.batch_size
        for _ in range(self.config.epochs):
            order = self.random.permutation(self.rows)
            for start in range(0, len(order), size):
                yield np.sort(order[start : start + size])  # from disk in its own order

    def _step(self, activations: Tensor, rows: NDArray[np.intp], done: int) -> None:
        device = self.network.bias.device
        logits = self.network(self._cut(activations).to(device))
        loss = taught_loss(
            logits,
            self.seen[rows].to(device),
            self.taught[rows].to(device),
            self.config.teaching,
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        # The average follows quickly at first, so that it forgets the start.
        kept = min(self.config.averaging, (done + 2) / (done + 11))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for average, now in pairs:
                average.lerp_(now, 1 - kept)

    def _cut(self, activations: Tensor) -> Tensor:
        """Cut one square out of all maps of a batch: nearly what a cut-out picture would give.

        Sides stay even, as a stage that halves them expects.
        """
        side = activations.shape[2]
        share = float(self.random.choice(self.config.cuts))
        kept = side if share >= 1 else max(1, 2 * round(share * side / 2))
        top, left = self.random.integers(0, side - kept + 1, 2).tolist()
        return activations[:, :, top : top + kept, left : left + kept]


def taught_loss(
    logits: Float[Tensor, "images categories"],
    labels: Int8[Tensor, "images categories"],
    taught: Float[Tensor, "images categories"],
    weight: float,
) -> Float[Tensor, ""]:
    """Return the log loss of known cells plus ``weight`` times that of unknown ones.

    Args:
        logits: of the network.
        labels: -1, 0 or 1.
        taught: the teacher's probabilities; only those of unknown cells are used.
        weight: of the unknown cells' mean.
    """
    known = labels != 0
    targets = torch.where(known, (labels == 1).to(logits.dtype), taught.to(logits.dtype))
    terms = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    mean_known = torch.where(known, terms, 0.0).sum() / known.sum().clamp(min=1)
    mean_unknown = torch.where(known, 0.0, terms).sum() / (~known).sum().clamp(min=1)
    return mean_known + weight * mean_unknown


def _load(activations: FeatureArray, rows: NDArray[np.intp]) -> Tensor:
    return torch.from_numpy(np.asarray(activations[rows], dtype=np.float32))
