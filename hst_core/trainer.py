"""Training of the network: from scratch, or going on with new labels, images and categories.

A run is a sequence of epochs. All randomness of an epoch follows from the seed and its number, so a
run that is stopped after an epoch and resumed from its state gives what it would have given.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int8
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hst_core.config import Config
from hst_core.cst import CrossImageTransfer
from hst_core.inputs import Inputs
from hst_core.labels import check_label_matrix
from hst_core.losses import hide_known
from hst_core.model import HST, HSTOutput
from hst_core.objective import Objective
from hst_core.predict import autocast, outputs
from hst_core.stopping import ShouldStop, check_stop
from hst_core.transfer import TransferScores

#: Images from which the thresholds get their start after the warm-up.
_THRESHOLD_IMAGES = 4_096


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did.

    Attributes:
        epoch: counted from 1.
        losses: mean of each term of the objective over the steps.
        validation: log loss per held-out known cell; None without any.
        ist_threshold: learned threshold of IST, the mean if there is one per category.
        cst_threshold: the same of CST.
        learning_rate: of the network.
        seconds: that it took.
    """

    epoch: int
    losses: dict[str, float]
    validation: float | None
    ist_threshold: float
    cst_threshold: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Step:
    """Where training is; told after every step."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


@dataclass
class History:
    """The epochs of a run, and which of them was best on held-out cells.

    Attributes:
        epochs: in order.
        best_epoch: lowest loss on the held-out cells; 0 is the state before training.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0


@dataclass(frozen=True)
class World:
    """This process among those that train together (``torchrun`` sets it up)."""

    rank: int = 0
    size: int = 1


@dataclass(frozen=True)
class TrainingSet:
    """What is learned from.

    Attributes:
        inputs: of the images.
        labels: -1 absent, 0 unknown, 1 present.
        base_logits: of a base that had not seen the labels, for networks with a skip connection
            (reference §11); None lets the network use its own.
        validation: labels held out of ``labels``, 0 elsewhere; None for no validation.
        fresh: rows with new labels. Each epoch then takes all of them and as many others, drawn
            anew, so that what was learned before is replayed. None takes all images.
    """

    inputs: Inputs
    labels: Int8[np.ndarray, "images categories"]
    base_logits: Float32[np.ndarray, "images categories"] | None = None
    validation: Int8[np.ndarray, "images categories"] | None = None
    fresh: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        shape = check_label_matrix(self.labels).shape
        if len(self.inputs) != shape[0]:
            raise ValueError(f"{len(self.inputs)} inputs do not fit labels of {shape[0]} images")
        for name in ("base_logits", "validation"):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} must be {shape} like the labels, got {value.shape}")


class Trainer:
    """One run: the network, its optimiser, and where it is.

    Args:
        model: trained in place.
        data: what to learn from.
        config: losses and optimisation; the model part is not read.
        device: to train on.
        world: this process among several; one process by default.
        keep_best: end with the weights of the best epoch on the held-out cells, the start
            included, instead of the last.
        patience: stop after so many epochs without a better one; None never.
    """

    def __init__(
        self,
        model: HST,
        data: TrainingSet,
        config: Config,
        *,
        device: torch.device | str = "cpu",
        world: World | None = None,
        keep_best: bool = False,
        patience: int | None = None,
    ) -> None:
        if (keep_best or patience is not None) and data.validation is None:
            raise ValueError("keep_best and patience need data.validation, held-out known labels")
        if data.labels.shape[1] != model.categories:
            raise ValueError(
                f"labels have {data.labels.shape[1]} categories, the network {model.categories} "
                "(grow it first)"
            )
        self.device = torch.device(device)
        self.model = model.to(self.device)
        if config.train.compile != "off":
            model.compile_parts(config.train.compile)
        self.data, self.config, self.world = data, config, world or World()
        self.keep_best, self.patience = keep_best, patience
        self.history = History()
        self._labels = torch.from_numpy(check_label_matrix(data.labels))
        self._optimiser = torch.optim.Adam(model.parameter_groups(config.train))
        self._schedule = torch.optim.lr_scheduler.StepLR(
            self._optimiser, config.train.decay_every, config.train.decay_factor
        )
        self._best: dict[str, Tensor] | None = None
        self._best_loss = math.inf

    def run(
        self,
        *,
        on_epoch: Callable[[Trainer], None] | None = None,
        on_step: Callable[[Step], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> History:
        """Train until the last epoch, or until patience ends.

        Args:
            on_epoch: called after each epoch, when :meth:`state_dict` can be saved.
            on_step: told about every step.
            should_stop: asked before every step.

        Raises:
            Stopped: if ``should_stop`` says so. The network is then in the middle of an epoch.
        """
        objective = self._objective()
        if not self.history.epochs:
            self.model.use_statistics(self._labels)
            self._consider(0, self._validate(should_stop))
        while len(self.history.epochs) < self.config.train.epochs and not self._out_of_patience():
            self._epoch(objective, on_step, should_stop)
            if on_epoch is not None:
                on_epoch(self)
        if self.keep_best and self._best is not None:
            self.model.load_state_dict(self._best)
        return self.history

    def state_dict(self) -> dict[str, Any]:
        """Return everything to go on from after an epoch: tensors and plain values."""
        return {
            "model": _to_cpu(self.model.state_dict()),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "history": asdict(self.history),
            "best": self._best,
            "best_loss": self._best_loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state of a run with the same data and configuration."""
        self.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        history = state["history"]
        records = [EpochRecord(**record) for record in history["epochs"]]
        self.history = History(records, history["best_epoch"])
        self._best, self._best_loss = state["best"], state["best_loss"]

    def _objective(self) -> nn.Module:
        objective = Objective(self.model, self.config.loss)
        if self.world.size == 1:
            return objective
        # Terms without valid cells leave parameters out of a step, so unused ones are looked for.
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=ids, find_unused_parameters=True)

    def _epoch(
        self,
        objective: nn.Module,
        on_step: Callable[[Step], None] | None,
        should_stop: ShouldStop | None,
    ) -> None:
        train = self.config.train
        epoch = len(self.history.epochs)
        started = time.perf_counter()
        generator = _generator(train.seed, epoch, self.world.rank)
        warm = epoch >= train.warm_up_epochs
        if warm and (epoch - train.warm_up_epochs) % train.prototype_epochs == 0:
            self.fit_prototypes(should_stop)
        if epoch == train.warm_up_epochs:
            self._start_thresholds(should_stop)
        batches = list(self._batches(epoch))
        totals: dict[str, float] = {}
        self.model.train()
        augment = _generator(train.seed, epoch, self.world.rank, 1)
        for number, (rows, inputs) in enumerate(self._ahead(batches, augment), start=1):
            check_stop(should_stop)
            terms = self._step(objective, rows, inputs, generator, warm)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
            if on_step is not None:
                on_step(Step(epoch + 1, train.epochs, number, len(batches), terms["total"]))
        rate = self._optimiser.param_groups[0]["lr"]
        if batches:
            self._schedule.step()
        validation = self._validate(should_stop)
        self.history.epochs.append(
            EpochRecord(
                epoch=epoch + 1,
                losses=totals,
                validation=validation,
                ist_threshold=float(self.model.ist_threshold.value().mean()),
                cst_threshold=float(self.model.cst_threshold.value().mean()),
                learning_rate=rate,
                seconds=time.perf_counter() - started,
            )
        )
        self._consider(epoch + 1, validation)

    def _step(
        self,
        objective: nn.Module,
        rows: NDArray[np.intp],
        inputs: dict[str, Tensor],
        generator: torch.Generator,
        warm: bool,
    ) -> dict[str, float]:
        with autocast(self.device, self.config.train.precision):
            terms = objective(
                inputs,
                self._labels[rows].to(self.device),
                generator,
                self._base_logits(rows),
                warm,
            )
        self._optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        self._optimiser.step()
        return {name: float(value.detach()) for name, value in terms.items()}

    def _batches(self, epoch: int) -> Iterator[NDArray[np.intp]]:
        """Deal this process's rows of an epoch into batches; every process gets as many."""
        random = np.random.default_rng([self.config.train.seed, epoch])
        known = np.flatnonzero((self.data.labels != 0).any(axis=1))
        rows = known
        if self.data.fresh is not None:
            fresh = np.unique(self.data.fresh)
            others = np.setdiff1d(known, fresh, assume_unique=True)
            replay = random.choice(others, size=min(len(fresh), len(others)), replace=False)
            rows = np.concatenate([fresh, replay])
        rows = random.permutation(rows)
        share = -(-len(rows) // self.world.size)
        mine = np.resize(rows, share * self.world.size)[self.world.rank :: self.world.size]
        size = self.config.train.batch_size
        for start in range(0, len(mine), size):
            yield mine[start : start + size]

    @torch.no_grad()
    def fit_prototypes(self, should_stop: ShouldStop | None = None) -> None:
        """Compute the prototypes anew in evaluation mode (reference §4)."""
        cst = self.model.cst
        positive = np.flatnonzero((self.data.labels == 1).any(axis=1))
        if not isinstance(cst, CrossImageTransfer) or not len(positive):
            return
        # Only the features of known positives are kept, in half precision: all would seldom fit.
        kept: list[Tensor] = []
        for rows, output in self._outputs(positive, should_stop):
            kept.append(
                output.category_features[self._labels[rows].to(self.device) == 1].half().cpu()
            )
        examples = torch.cat(kept)
        images, categories = (self._labels[positive] == 1).nonzero(as_tuple=True)
        image_ids = torch.from_numpy(positive)[images]
        for category in range(self.model.categories):
            check_stop(should_stop)
            own = categories == category
            cst.prototypes.fit_category(
                category, examples[own].float(), image_ids[own], seed=self.config.train.seed
            )

    @torch.no_grad()
    def _start_thresholds(self, should_stop: ShouldStop | None) -> None:
        """Set both thresholds by bisection on labels hidden from the evidence (reference §5)."""
        train = self.config.train
        generator = _generator(train.seed, train.warm_up_epochs, 0)
        known = np.flatnonzero((self.data.labels != 0).any(axis=1))
        random = np.random.default_rng(train.seed)
        rows = np.sort(random.permutation(known)[:_THRESHOLD_IMAGES])
        found: dict[str, list[TransferScores]] = {"ist": [], "cst": []}
        hidden: list[Tensor] = []
        for part, output in self._outputs(rows, should_stop):
            features = output.category_features
            labels = self._labels[part]
            evidence, held_out = (
                split.to(self.device)
                for split in hide_known(labels, self.config.loss.held_out, generator)
            )
            hidden.append(held_out)
            if self.model.ist is not None:
                found["ist"].append(self.model.ist.transfer(features, evidence))
            if isinstance(self.model.cst, CrossImageTransfer):
                found["cst"].append(self.model.cst.transfer(features, held_out, leave_one_out=True))
        for threshold, parts in (
            (self.model.ist_threshold, found["ist"]),
            (self.model.cst_threshold, found["cst"]),
        ):
            if parts:
                scores, valid = (torch.cat(column) for column in zip(*parts, strict=True))
                threshold.start(TransferScores(scores, valid), torch.cat(hidden))

    @torch.no_grad()
    def _validate(self, should_stop: ShouldStop | None) -> float | None:
        """Return the log loss per held-out cell."""
        held_out = self.data.validation
        if held_out is None or not held_out.any():
            return None
        rows = np.flatnonzero(held_out.any(axis=1))
        labels = torch.from_numpy(held_out)
        total = 0.0
        for part, output in self._outputs(rows, should_stop):
            target = labels[part].to(self.device)
            terms = nn.functional.softplus(-target * output.logits.float())
            total += float(terms[target != 0].sum())
        return total / int((held_out != 0).sum())

    def _consider(self, epoch: int, validation: float | None) -> None:
        """Remember the weights if they are the best so far."""
        if validation is None or validation >= self._best_loss:
            return
        self._best_loss, self.history.best_epoch = validation, epoch
        if self.keep_best:
            self._best = copy.deepcopy(_to_cpu(self.model.state_dict()))

    def _out_of_patience(self) -> bool:
        past = len(self.history.epochs) - self.history.best_epoch
        return self.patience is not None and past >= self.patience

    def _outputs(
        self, rows: NDArray[np.intp], should_stop: ShouldStop | None
    ) -> Iterator[tuple[NDArray[np.intp], HSTOutput]]:
        """Run the network over images in evaluation mode."""
        return outputs(
            self.model,
            self.data.inputs,
            rows,
            base_logits=self.data.base_logits,
            batch_size=4 * self.config.train.batch_size,
            precision=self.config.train.precision,
            should_stop=should_stop,
        )

    def _ahead(
        self, batches: list[NDArray[np.intp]], augment: torch.Generator
    ) -> Iterator[tuple[NDArray[np.intp], dict[str, Tensor]]]:
        """Load the next batch while the present one is trained on."""
        # One thread, so that the augmentation is drawn in the order of the batches.
        with ThreadPoolExecutor(1) as loader:
            coming: deque[Future[dict[str, Tensor]]] = deque()
            for number, rows in enumerate(batches):
                for later in batches[number + len(coming) : number + 2]:
                    coming.append(loader.submit(self._load, later, augment))
                loaded = coming.popleft().result()
                yield (
                    rows,
                    {name: v.to(self.device, non_blocking=True) for name, v in loaded.items()},
                )

    def _load(self, rows: NDArray[np.intp], augment: torch.Generator | None) -> dict[str, Tensor]:
        loaded = self.data.inputs.load(rows, augment)
        if self.device.type == "cuda":
            # From pinned memory the copy runs beside the step before.
            return {name: value.pin_memory() for name, value in loaded.items()}
        return loaded

    def _base_logits(self, rows: NDArray[np.intp]) -> Tensor | None:
        if self.data.base_logits is None:
            return None
        return torch.from_numpy(self.data.base_logits[rows]).to(self.device)


def _generator(*numbers: int) -> torch.Generator:
    """Make a generator from numbers, none of which repeats the stream of another."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator().manual_seed(seed)


def _to_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in state.items()}
