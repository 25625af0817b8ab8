"""The deep tier: the network as further sources of evidence, in minutes (reference §11).

One network per fold starts from the base as a skip connection, trains on the known cells of the
other folds, and stops early on known cells held out of those. What it says of its own fold has
therefore not seen the cell; unknown cells get the mean of all networks. Logit, prototypes and pair
probabilities then enter the stack of the fast tier under the same rule as every source: one that
does not lower the out-of-fold loss is left out, so few labels cost nothing in quality.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int8, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from hst_core.config import Config, LossConfig, ModelConfig, TrainConfig
from hst_core.fast_tier import ExtraSource
from hst_core.inputs import Inputs
from hst_core.last_stage import LastStage
from hst_core.model import HST
from hst_core.predict import attention_maps, pair_probabilities, score
from hst_core.stacking import SourceKind
from hst_core.stopping import ShouldStop
from hst_core.trainer import EpochRecord, Step, Trainer, TrainingSet

#: Names of the sources: what the network adds to the base's logit, and what its transfers say.
LOGIT, PROTOTYPES, PAIRS = "network", "network prototypes", "pairs"
#: Probabilities are kept this far from 0 and 1 before log odds are taken: one step of a uint8.
_EDGE = 1 / 255
#: Pair probabilities of a whole project are kept up to this size.
MOST_PAIR_BYTES = 2**27
_ROWS_AT_ONCE = 1_024


def _small_network() -> Config:
    """Return what was measured best on pooled vectors of frozen backbones."""
    return Config(
        ModelConfig(
            representation="modulation",
            channels=256,
            attention_hidden=256,
            word_dimension=64,
            graph_steps=0,
            classifier_hidden=256,
            pair_projection=64,
            pair_hidden=64,
        ),
        LossConfig(pair_limit=100_000),
        TrainConfig(
            epochs=20, warm_up_epochs=3, batch_size=128, learning_rate=3e-4, prototype_epochs=4
        ),
    )


@dataclass(frozen=True)
class DeepTierConfig:
    """How the deep tier is trained.

    Attributes:
        network: architecture, losses, optimisation.
        validation: share of the known cells on which each network stops early.
        patience: epochs without a better one.
        most_steps: of one network; large projects get fewer epochs.
    """

    network: Config = field(default_factory=_small_network)
    validation: float = 0.1
    patience: int = 3
    most_steps: int = 4_000


@dataclass(frozen=True)
class DeepTier:
    """Trained networks, one per fold.

    Attributes:
        networks: in the order of the folds; network f has not seen the known cells of fold f.
        best_epochs: on held-out cells; 0 where training found nothing to add to the base.
        pair_offset: mean log odds of the pair evidence per category; evidence is what lies above.
        config: they were trained with.
    """

    networks: tuple[HST, ...]
    best_epochs: tuple[int, ...]
    pair_offset: Float32[np.ndarray, " categories"]
    config: DeepTierConfig

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        labels: Int8[np.ndarray, "images categories"],
        folds: Int8[np.ndarray, "images categories"],
        base_logits: Float32[np.ndarray, "images categories"],
        *,
        config: DeepTierConfig | None = None,
        previous: DeepTier | None = None,
        fresh: NDArray[np.intp] | None = None,
        feature_channels: int | None = None,
        last_stage: LastStage | None = None,
        device: str = "cpu",
        progress: Callable[[float, str], None] | None = None,
        on_epoch: Callable[[int, EpochRecord], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> tuple[DeepTier, list[ExtraSource]]:
        """Train on what is known now, and return the sources for the stack.

        Args:
            inputs: of the images.
            labels: -1 absent, 0 unknown, 1 present.
            folds: of each known cell, -1 elsewhere, as the fast tier dealt them out.
            base_logits: of the base, known cells out of fold.
            config: defaults if None.
            previous: to go on from; categories may have been appended since. A cell must have kept
                its fold.
            fresh: rows with labels that ``previous`` had not seen; see
                :class:`~hst_core.trainer.TrainingSet`.
            feature_channels: of the inputs, read from the first image if None.
            last_stage: of a backbone, of which every network then trains a copy of its own; the
                inputs give the activations before it as ``images``.
            device: to train on.
            progress: told the share done and what is being done.
            on_epoch: told the number of a network, from 0, and what each epoch of it did, as soon
                as the next one has begun.
            should_stop: asked before every step.

        Raises:
            Stopped: if ``should_stop`` says so; ``previous`` is unchanged.
            ValueError: if no cell is known.
        """
        config = config or (previous.config if previous else DeepTierConfig())
        number = int(folds.max()) + 1
        if number < 2:
            raise ValueError("the network needs known cells in at least two folds")
        if previous is not None and len(previous.networks) != number:
            previous = None
        if last_stage is not None:
            feature_channels = last_stage.channels
        if feature_channels is None:
            sample = inputs.load(np.zeros(1, dtype=np.intp), None)
            feature_channels = int(sample["features"].shape[1])
        fitter = _Fitter(inputs, labels, folds, base_logits, config, device, should_stop)
        networks: list[HST] = []
        best: list[int] = []
        for fold in range(number):
            start = previous.networks[fold] if previous else None
            model = _network(config, labels.shape[1], feature_channels, fold, start, last_stage)

            def tell(step: Step, fold: int = fold) -> None:
                if progress is not None:
                    share = (step.epoch - 1 + step.step / step.steps) / step.epochs
                    text = f"training network {fold + 1} of {number}, epoch {step.epoch}"
                    progress((fold + share) / number, text)

            best.append(fitter.train(model, fold, fresh if previous else None, tell, on_epoch))
            networks.append(model)
        values, offset = fitter.sources(networks)
        tier = cls(tuple(networks), tuple(best), offset, config)
        return tier, values

    def values_for(
        self,
        inputs: Inputs,
        base_logits: Float32[np.ndarray, "images categories"],
        should_stop: ShouldStop | None = None,
    ) -> dict[str, Float32[np.ndarray, "images categories"]]:
        """Return the stored sources for other images, of which no label is known."""
        nothing = np.zeros(base_logits.shape, dtype=np.int8)
        found = [
            score(network, inputs, nothing, base_logits=base_logits, should_stop=should_stop)
            for network in self.networks
        ]
        return {
            LOGIT: np.mean([scores.logits for scores in found], axis=0) - base_logits,
            PROTOTYPES: np.mean([scores.cst for scores in found], axis=0),
        }

    def pairs(
        self,
        inputs: Inputs,
        rows: NDArray[np.intp],
        should_stop: ShouldStop | None = None,
    ) -> UInt8[np.ndarray, "images pairs"]:
        """Return the mean pair probabilities of chosen images in steps of 1/255."""
        total = np.zeros((), dtype=np.uint16)
        for network in self.networks:
            found = pair_probabilities(network, inputs, rows, should_stop=should_stop)
            total = total + found.astype(np.uint16)
        mean: NDArray[np.uint8] = np.rint(total / len(self.networks)).astype(np.uint8)
        return mean

    def attention(
        self, inputs: Inputs, rows: NDArray[np.intp]
    ) -> Float32[np.ndarray, "images categories rows columns"]:
        """Return where the networks looked, on average; for networks on feature maps."""
        maps = [attention_maps(network, inputs, rows) for network in self.networks]
        mean: NDArray[np.float32] = np.mean(maps, axis=0)
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        return {
            "networks": [network.to_state() for network in self.networks],
            "best_epochs": list(self.best_epochs),
            "pair_offset": torch.from_numpy(self.pair_offset),
            "config": {
                "network": self.config.network.to_dict(),
                "validation": self.config.validation,
                "patience": self.config.patience,
                "most_steps": self.config.most_steps,
            },
        }

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Any], last_stage: LastStage | None = None
    ) -> DeepTier:
        """Restore what :meth:`state_dict` described, with the last stage if it had one."""
        config = dict(state["config"])
        config["network"] = Config.from_dict(config["network"])
        return cls(
            networks=tuple(
                HST.from_state(network, copy.deepcopy(last_stage)) for network in state["networks"]
            ),
            best_epochs=tuple(int(epoch) for epoch in state["best_epochs"]),
            pair_offset=state["pair_offset"].numpy(),
            config=DeepTierConfig(**config),
        )


def pair_evidence(
    mean_probability: Float32[np.ndarray, "images categories"],
    valid: NDArray[np.bool_],
    offset: Float32[np.ndarray, " categories"],
) -> Float32[np.ndarray, "images categories"]:
    """Turn mean pair probabilities into log odds above their usual value; 0 where not valid."""
    clipped = np.clip(mean_probability, _EDGE, 1 - _EDGE)
    odds = np.log(clipped / (1 - clipped)) - offset
    evidence: NDArray[np.float32] = np.where(valid, odds, 0.0).astype(np.float32)
    return evidence


class DeepEvidence:
    """What a trained deep tier says of a project, kept up to date until the next training.

    Labels that came later have been seen by no network, so the mean of all of them is honest
    evidence for those cells too; cells that were known then keep what their own fold's network
    said. Pictures that came later are scored once. Categories that came later have no evidence.

    Args:
        tier: the networks.
        labels: that they were trained on.
        sources: that :meth:`DeepTier.fit` returned with the tier.
        pairs: mean pair probabilities of all images; None leaves the pair evidence out.
    """

    def __init__(
        self,
        tier: DeepTier,
        labels: Int8[np.ndarray, "images categories"],
        sources: Sequence[ExtraSource],
        pairs: UInt8[np.ndarray, "images pairs"] | None,
    ) -> None:
        self.tier = tier
        self._known = labels != 0
        self._values = {source.name: source.values for source in sources}
        self.pairs = pairs

    @property
    def known_cells(self) -> int:
        """Number of known cells that the networks were trained on."""
        return int(self._known.sum())

    @classmethod
    def after_fit(
        cls,
        fitted: tuple[DeepTier, list[ExtraSource]],
        inputs: Inputs,
        labels: Int8[np.ndarray, "images categories"],
        should_stop: ShouldStop | None = None,
    ) -> DeepEvidence:
        """Gather what is kept; pairs only up to `MOST_PAIR_BYTES`."""
        tier, sources = fitted
        count, categories = labels.shape
        pairs = None
        if 0 < count * categories * (categories - 1) // 2 <= MOST_PAIR_BYTES:
            pairs = tier.pairs(inputs, np.arange(count), should_stop)
        return cls(tier, labels, sources, pairs)

    def sources(
        self,
        inputs: Inputs,
        labels: Int8[np.ndarray, "images categories"],
        should_stop: ShouldStop | None = None,
    ) -> list[ExtraSource]:
        """Return the sources for the labels known now.

        Args:
            inputs: of all images, those of the training first and in the same order.
            labels: as known now; categories may have been appended.
            should_stop: asked between batches of new images.
        """
        self._score_new_images(inputs, should_stop)
        kinds: dict[str, SourceKind] = {LOGIT: "classifier", PROTOTYPES: "cst"}
        found = [
            ExtraSource(name, kind, _pad(self._values[name], labels.shape))
            for name, kind in kinds.items()
        ]
        if self.pairs is not None:
            live = self._pair_values(labels)
            found.append(ExtraSource(PAIRS, "ist", _pad(live, labels.shape), live=True))
        return found

    def all_pairs(self, categories: int) -> UInt8[np.ndarray, "images pairs"] | None:
        """Return the pairs of ``categories`` categories; those with a later one are 0."""
        old = self.tier.networks[0].categories
        if self.pairs is None or old == categories:
            return self.pairs
        first, second = np.triu_indices(categories, 1)
        wide = np.zeros((len(self.pairs), len(first)), dtype=np.uint8)
        wide[:, (first < old) & (second < old)] = self.pairs
        return wide

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        return {
            "tier": self.tier.state_dict(),
            "known": torch.from_numpy(self._known),
            "values": {name: torch.from_numpy(v).half() for name, v in self._values.items()},
            "pairs": None if self.pairs is None else torch.from_numpy(self.pairs),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> DeepEvidence:
        """Restore what :meth:`state_dict` described."""
        sources = [
            ExtraSource(name, "classifier", values.float().numpy())
            for name, values in state["values"].items()
        ]
        known = state["known"].numpy().astype(np.int8)
        pairs = state["pairs"]
        tier = DeepTier.from_state_dict(state["tier"])
        return cls(tier, known, sources, None if pairs is None else pairs.numpy())

    def _score_new_images(self, inputs: Inputs, should_stop: ShouldStop | None) -> None:
        have = len(self._known)
        fresh = np.arange(have, len(inputs))
        if not len(fresh):
            return
        added = _Rows(inputs, fresh)
        shape = (len(fresh), self._known.shape[1])
        # With a silent base the networks' logits are what they add to it.
        found = self.tier.values_for(added, np.zeros(shape, dtype=np.float32), should_stop)
        found[PAIRS] = np.zeros(shape, dtype=np.float32)
        if self.pairs is not None:
            new_pairs = self.tier.pairs(added, np.arange(len(fresh)), should_stop)
            self.pairs = np.concatenate([self.pairs, new_pairs])
        for name, values in found.items():
            self._values[name] = np.concatenate([self._values[name], values.astype(np.float32)])
        self._known = np.concatenate([self._known, np.zeros(shape, dtype=bool)])

    def _pair_values(
        self, labels: Int8[np.ndarray, "images categories"]
    ) -> Float32[np.ndarray, "images old_categories"]:
        """Return the pair evidence under the labels known now."""
        count, categories = self._known.shape
        present = (labels[:, :categories] == 1).astype(np.float32)
        total = np.zeros((count, categories), dtype=np.float32)
        if self.pairs is not None:
            first, second = np.triu_indices(categories, 1)
            for start in range(0, count, _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                table = np.zeros((len(self.pairs[part]), categories, categories), np.float32)
                table[:, first, second] = self.pairs[part] / np.float32(255)
                table += table.transpose(0, 2, 1)
                total[part] = np.einsum("nij,nj->ni", table, present[part])
        others = present.sum(axis=1, keepdims=True) - present
        live = pair_evidence(total / np.maximum(others, 1), others > 0, self.tier.pair_offset)
        return np.where(self._known, self._values[PAIRS], live).astype(np.float32)


class _Rows:
    """Some rows of other inputs."""

    def __init__(self, inputs: Inputs, rows: NDArray[np.intp]) -> None:
        self._inputs, self._rows = inputs, rows

    def __len__(self) -> int:
        return len(self._rows)

    def load(self, rows: NDArray[np.intp], augment: torch.Generator | None) -> dict[str, Tensor]:
        return self._inputs.load(self._rows[rows], augment)


def _pad(
    values: Float32[np.ndarray, "images categories"], shape: tuple[int, ...]
) -> Float32[np.ndarray, "images more_categories"]:
    """Append columns of 0, no evidence, for later categories."""
    missing = shape[1] - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing)))


class _Fitter:
    """Trains the networks of one call and gathers what they say."""

    def __init__(
        self,
        inputs: Inputs,
        labels: Int8[np.ndarray, "images categories"],
        folds: Int8[np.ndarray, "images categories"],
        base_logits: Float32[np.ndarray, "images categories"],
        config: DeepTierConfig,
        device: str,
        should_stop: ShouldStop | None,
    ) -> None:
        self.inputs, self.labels, self.folds = inputs, labels, folds
        self.base_logits, self.config = base_logits, config
        self.device, self.should_stop = device, should_stop

    def train(
        self,
        model: HST,
        fold: int,
        fresh: NDArray[np.intp] | None,
        tell: Callable[[Step], None],
        on_epoch: Callable[[int, EpochRecord], None] | None = None,
    ) -> int:
        """Train the network of one fold in place; returns its best epoch."""
        seen = np.where(self.folds != fold, self.labels, 0).astype(np.int8)
        random = np.random.default_rng([self.config.network.train.seed, fold])
        held = (random.random(seen.shape) < self.config.validation) & (seen != 0)
        data = TrainingSet(
            self.inputs,
            np.where(held, 0, seen).astype(np.int8),
            self.base_logits,
            np.where(held, seen, 0).astype(np.int8) if held.any() else None,
            fresh,
        )
        early_stop = bool(held.any())
        trainer = Trainer(
            model,
            data,
            self._settings(data, fold),
            device=self.device,
            keep_best=early_stop,
            patience=self.config.patience if early_stop else None,
        )
        told = 0

        def tell_epochs() -> None:
            nonlocal told
            for record in trainer.history.epochs[told:]:
                if on_epoch is not None:
                    on_epoch(fold, record)
                told += 1

        def on_step(step: Step) -> None:
            tell_epochs()
            tell(step)

        history = trainer.run(on_step=on_step, should_stop=self.should_stop)
        tell_epochs()
        trainer.fit_prototypes(self.should_stop)
        return history.best_epoch

    def _settings(self, data: TrainingSet, fold: int) -> Config:
        """Bound the steps of large projects, and give each network its own randomness."""
        train = self.config.network.train
        images = int((data.labels != 0).any(axis=1).sum())
        if data.fresh is not None:
            images = min(images, 2 * len(data.fresh))
        steps = max(1, -(-images // train.batch_size))
        epochs = min(train.epochs, max(1, self.config.most_steps // steps))
        train = replace(
            train,
            epochs=epochs,
            warm_up_epochs=min(train.warm_up_epochs, max(0, epochs - 1)),
            seed=train.seed + fold,
        )
        return replace(self.config.network, train=train)

    def sources(
        self, networks: Sequence[HST]
    ) -> tuple[list[ExtraSource], Float32[np.ndarray, " categories"]]:
        """Return the networks' evidence, known cells from the network that had not seen them."""
        sums = {name: np.zeros(self.labels.shape, dtype=np.float32) for name in (LOGIT, PROTOTYPES)}
        own = {name: np.zeros(self.labels.shape, dtype=np.float32) for name in (*sums, PAIRS)}
        pair_sum = np.zeros(self.labels.shape, dtype=np.float32)
        valid = np.zeros(self.labels.shape, dtype=bool)
        for fold, network in enumerate(networks):
            found = score(
                network,
                self.inputs,
                self.labels,
                base_logits=self.base_logits,
                should_stop=self.should_stop,
            )
            mine = self.folds == fold
            added = found.logits - self.base_logits
            for name, values in ((LOGIT, added), (PROTOTYPES, found.cst)):
                sums[name] += values / len(networks)
                own[name][mine] = values[mine]
            pair_sum += found.ist / len(networks)
            own[PAIRS][mine] = found.ist[mine]
            valid = found.ist_valid
        known = self.folds >= 0
        for name in sums:
            own[name] = np.where(known, own[name], sums[name])
        own[PAIRS] = np.where(known, own[PAIRS], pair_sum)
        raw = pair_evidence(own[PAIRS], valid, np.zeros(self.labels.shape[1], dtype=np.float32))
        counts = np.maximum((known & valid).sum(axis=0), 1)
        offset = (np.where(known, raw, 0.0).sum(axis=0) / counts).astype(np.float32)
        own[PAIRS] = pair_evidence(own[PAIRS], valid, offset)
        return [
            ExtraSource(LOGIT, "classifier", own[LOGIT]),
            ExtraSource(PROTOTYPES, "cst", own[PROTOTYPES]),
            ExtraSource(PAIRS, "ist", own[PAIRS], live=True),
        ], offset


def _network(
    config: DeepTierConfig,
    categories: int,
    channels: int,
    fold: int,
    start: HST | None,
    last_stage: LastStage | None,
) -> HST:
    """Build a network that says what the base says, or copy an earlier one and let it grow."""
    if start is not None:
        model = HST.from_state(start.to_state(), copy.deepcopy(last_stage))
        if model.categories < categories:
            added = categories - model.categories
            old = model.categories
            model.grow(added, seed=fold)
            with torch.no_grad():
                model.classifier.weight[old:].zero_()
        return model
    own = copy.deepcopy(last_stage)
    model = HST(config.network.model, categories, channels, backbone=own, seed=fold)
    # The base arrives as logits from outside; silent classifiers leave it as it is.
    nn.init.zeros_(model.classifier.weight)
    return model
