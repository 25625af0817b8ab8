"""Run folders: everything of one experiment in one place, and resumable.

run.toml      what to learn from, and every setting
mask.npz      which labels are known (reference §8)
features/     cached features, unless the run keeps them elsewhere
state.pt      where training is, written after each epoch
network.pt    the trained network
history.csv   one line per epoch
curves.png    the same as curves
metrics.json  what `hst evaluate` measured
"""

from __future__ import annotations

import csv
import hashlib
import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w
import torch
from jaxtyping import Float32, Int8
from numpy.typing import NDArray

from hst_core.backbone import build_backbone
from hst_core.config import Config, ConfigError, read_section, section_to_dict
from hst_core.datasets import LabelTable, load_mask, mask_labels, read_label_csv, save_mask
from hst_core.fast_tier import FastTier
from hst_core.features import FeatureMapStore, FeatureStore, StoredMaps, extract, extract_maps
from hst_core.files import replacing
from hst_core.inputs import CachedFeatures, Inputs, Photographs
from hst_core.labels import LabelState
from hst_core.metrics import (
    CompletionMetrics,
    completion_metrics,
    f1_scores,
    mean_average_precision,
)
from hst_core.model import HST
from hst_core.predict import score
from hst_core.row_store import RowStore
from hst_core.stopping import ShouldStop
from hst_core.trainer import History, Step, Trainer, TrainingSet, World
from hst_core.word_vectors import word_vectors

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DataConfig:
    """What a run learns from; the table ``[data]`` of ``run.toml``.

    Attributes:
        images: folder of the photographs.
        labels: CSV file, see :func:`~hst_core.datasets.read_label_csv`.
        minus_one: what -1 means in it.
        known: proportion of the training labels that may be seen (reference §8).
        mask_seed: of the known labels.
        validation: share of the known labels held out, to keep the best epoch; 0 keeps the last.
        train_split: rows to train on; empty for all.
        test_split: rows to test on; empty for none.
        inputs: pooled ``vectors`` of a feature set, feature ``maps`` of a frozen backbone, or
            ``images``, with the last stage of the backbone fine-tuned.
        feature_set: of ``vectors``, and of the base where ``model.skip`` is set.
        backbone: of ``maps`` and ``images``.
        weights: ``default``, ``random`` or a file.
        size: side of the square pictures in pixels; 0 is the backbone's own.
        cache: folder of the features; empty for ``features/`` in the run.
    """

    images: str
    labels: str
    minus_one: Literal["absent", "unknown"] | None = None
    known: float = 0.1
    mask_seed: int = 0
    validation: float = 0.1
    train_split: str = "train"
    test_split: str = "val"
    inputs: Literal["vectors", "maps", "images"] = "vectors"
    feature_set: str = "fast"
    backbone: str = "efficientnet-lite0"
    weights: str = "default"
    size: int = 0
    cache: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.known <= 1:
            raise ConfigError(
                f"data.known must be in (0, 1], got {self.known} (use 0.1 for 10 % known labels)"
            )
        if not 0 <= self.validation < 1:
            raise ConfigError(f"data.validation must be in [0, 1), got {self.validation}")


@dataclass(frozen=True)
class RunMetrics:
    """What a network is worth.

    Attributes:
        test_map: mAP on the test images; None without any.
        overall_f1: OF1 at p >= .5 on them.
        category_f1: CF1.
        completion: on the unknown cells of the training images.
    """

    test_map: float | None
    overall_f1: float | None
    category_f1: float | None
    completion: CompletionMetrics


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        folder: of the run.
        data: what to learn from.
        config: how.
    """

    folder: Path
    data: DataConfig
    config: Config = field(default_factory=Config)

    @classmethod
    def create(cls, folder: Path, data: DataConfig, config: Config | None = None) -> Run:
        """Write a new run folder.

        Raises:
            ConfigError: if the folder holds a run with other settings.
        """
        run = cls(folder, data, config or Config())
        if (folder / "run.toml").exists() and cls.load(folder) != run:
            raise ConfigError(
                f"{folder} holds a run with other settings (choose another folder, or remove it)"
            )
        folder.mkdir(parents=True, exist_ok=True)
        content = {"data": section_to_dict(data), **run.config.to_dict()}
        with replacing(folder / "run.toml") as file:
            tomli_w.dump(content, file)
        return run

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run folder.

        Raises:
            ConfigError: if it is none, or a setting is wrong.
        """
        try:
            content = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"{folder} is no run folder (make one with: hst prepare)") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{folder / 'run.toml'} is not a TOML file: {error}") from error
        data = read_section(DataConfig, content.pop("data", {}), "data")
        return cls(folder, data, Config.from_dict(content))

    def read_labels(self) -> LabelTable:
        """Read the label file, known and unknown alike."""
        return read_label_csv(Path(self.data.labels), self.data.minus_one)

    def split(self, table: LabelTable) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows to train and to test on."""
        everything = np.arange(len(table.images))
        train = table.rows(self.data.train_split) if self.data.train_split else everything
        test = table.rows(self.data.test_split) if self.data.test_split else everything[:0]
        return train, test

    def prepare(
        self,
        *,
        device: str = "cpu",
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> None:
        """Draw the mask and extract the features; what is there already is kept."""
        table = self.read_labels()
        train, _ = self.split(table)
        mask = self.folder / "mask.npz"
        if not mask.exists():
            save_mask(
                mask, mask_labels(table.labels[train], self.data.known, self.data.mask_seed).known
            )
        if self.data.inputs == "vectors" or self.config.model.skip:
            vectors = self._vector_store()
            images = _hashed(self.folder, Path(self.data.images), table.images)
            report = extract(
                vectors, images, device=device, progress=progress, should_stop=should_stop
            )
            _refuse_unreadable(report.unreadable)
        if self.data.inputs == "maps":
            maps, backbone = self._map_store()
            images = _hashed(self.folder, Path(self.data.images), table.images)
            report = extract_maps(
                maps, images, backbone, device=device, progress=progress, should_stop=should_stop
            )
            _refuse_unreadable(report.unreadable)

    def train(
        self,
        *,
        device: str = "cpu",
        world: World | None = None,
        on_step: Callable[[Step], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> History:
        """Train, or go on where training was stopped; the last process writes nothing.

        Raises:
            ConfigError: if the run is not prepared.
        """
        world = world or World()
        material = self._material()
        model = self._network(material)
        trainer = Trainer(
            model,
            material.training_set(self.data.validation, self.data.mask_seed),
            self.config,
            device=device,
            world=world,
            keep_best=self.data.validation > 0,
        )
        state = self.folder / "state.pt"
        if state.exists():
            trainer.load_state_dict(torch.load(state, weights_only=True, map_location="cpu"))
        first = world.rank == 0
        try:
            history = trainer.run(
                on_epoch=self._save if first else None, on_step=on_step, should_stop=should_stop
            )
        finally:
            if first and trainer.history.epochs:
                draw_curves(_rows(trainer.history), self.folder / "curves.png")
        if first:
            with replacing(self.folder / "network.pt") as file:
                torch.save(trainer.model.to_state(), file)
        return history

    def evaluate(self, *, device: str = "cpu", should_stop: ShouldStop | None = None) -> RunMetrics:
        """Measure the trained network and write ``metrics.json``.

        Raises:
            ConfigError: if the run is not trained.
        """
        path = self.folder / "network.pt"
        if not path.exists():
            raise ConfigError(f"{self.folder} is not trained (run: hst train {self.folder})")
        material = self._material()
        state = torch.load(path, weights_only=True, map_location="cpu")
        model = HST.from_state(state, self._backbone()).to(device)
        table, train, test = material.table, material.train, material.test
        labels = np.zeros(table.labels.shape, dtype=np.int8)
        labels[train] = material.labels
        logits = score(
            model,
            material.inputs,
            labels,
            base_logits=material.base_logits,
            precision=self.config.train.precision,
            should_stop=should_stop,
        ).logits
        probability = 1 / (1 + np.exp(-logits))
        f1 = f1_scores(probability[test], table.labels[test]) if len(test) else None
        found = RunMetrics(
            test_map=mean_average_precision(logits[test], table.labels[test]),
            overall_f1=f1.overall_f1 if f1 else None,
            category_f1=f1.category_f1 if f1 else None,
            completion=completion_metrics(
                probability[train], table.labels[train], material.labels != 0
            ),
        )
        with replacing(self.folder / "metrics.json") as file:
            file.write(json.dumps(asdict(found), indent=2).encode())
        return found

    def _material(self) -> _Material:
        mask = self.folder / "mask.npz"
        if not mask.exists():
            raise ConfigError(f"{self.folder} is not prepared (run: hst prepare)")
        table = self.read_labels()
        train, test = self.split(table)
        labels = np.where(load_mask(mask), table.labels[train], 0).astype(np.int8)
        images = _hashed(self.folder, Path(self.data.images), table.images)
        hashes = [image_hash for image_hash, _ in images]
        base_logits = None
        vectors = None
        if self.data.inputs == "vectors" or self.config.model.skip:
            store = self._vector_store()
            vectors = store.vectors(_found(store, hashes, self.folder))
        if self.config.model.skip and vectors is not None:
            base_logits = _base_logits(vectors, labels, train, len(hashes))
        inputs: Inputs
        if self.data.inputs == "images":
            size = self.data.size or build_backbone(self.data.backbone, weights="random").input_size
            inputs = Photographs([path for _, path in images], size)
        elif self.data.inputs == "maps":
            maps, _ = self._map_store()
            rows = _found(maps, hashes, self.folder)
            inputs = CachedFeatures(StoredMaps(maps, rows))
        else:
            inputs = CachedFeatures(_standardised(vectors, train))
        return _Material(table, train, test, labels, inputs, base_logits)

    def _network(self, material: _Material) -> HST:
        model = self.config.model
        vectors = None
        if model.word_vectors != "learned":
            found = word_vectors(material.table.categories, model.word_vectors)
            vectors = torch.from_numpy(found.matrix)
        sample = material.inputs.load(np.zeros(1, dtype=np.intp), None)
        backbone = self._backbone()
        channels = backbone.channels if backbone is not None else sample["features"].shape[1]
        return HST(
            model,
            len(material.table.categories),
            channels,
            word_vectors=vectors,
            backbone=backbone,
            seed=self.config.train.seed,
        )

    def _backbone(self) -> Any:
        if self.data.inputs != "images":
            return None
        return build_backbone(self.data.backbone, weights=self.data.weights).tune_last_stage()

    def _cache(self) -> Path:
        return Path(self.data.cache) if self.data.cache else self.folder / "features"

    def _vector_store(self) -> FeatureStore:
        return FeatureStore.open(self._cache() / self.data.feature_set, self.data.feature_set)

    def _map_store(self) -> tuple[FeatureMapStore, Any]:
        backbone = build_backbone(self.data.backbone, weights=self.data.weights)
        size = self.data.size or backbone.input_size
        folder = self._cache() / f"{self.data.backbone}-{size}"
        return FeatureMapStore.open(folder, backbone, size), backbone

    def _save(self, trainer: Trainer) -> None:
        with replacing(self.folder / "state.pt") as file:
            torch.save(trainer.state_dict(), file)
        rows = _rows(trainer.history)
        with (self.folder / "history.csv").open("w", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, list(rows[-1]), restval="")
            writer.writeheader()
            writer.writerows(rows)


@dataclass(frozen=True)
class _Material:
    """What a run reads, the rows of all images first to last."""

    table: LabelTable
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    labels: Int8[np.ndarray, "train_images categories"]
    inputs: Inputs
    base_logits: Float32[np.ndarray, "images categories"] | None

    def training_set(self, validation: float, seed: int) -> TrainingSet:
        """Return the training images, with some known labels held out."""
        shape = self.table.labels.shape
        labels = np.zeros(shape, dtype=np.int8)
        labels[self.train] = self.labels
        held_out = None
        if validation > 0:
            drawn = np.random.default_rng(seed).random(shape) < validation
            held_out = np.where(drawn, labels, LabelState.UNKNOWN).astype(np.int8)
            labels = np.where(drawn, LabelState.UNKNOWN, labels).astype(np.int8)
        return TrainingSet(self.inputs, labels, self.base_logits, held_out)


def draw_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw every column of a history over the epochs."""
    from matplotlib.figure import Figure

    names = [name for name in rows[-1] if name not in ("epoch", "seconds")]
    columns = 3
    figure = Figure(figsize=(4 * columns, 2.6 * -(-len(names) // columns)), layout="constrained")
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(-(-len(names) // columns), columns, number)
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) not in (None, "")]
        axes.plot(*zip(*points, strict=True), marker=".") if points else None
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _rows(history: History) -> list[dict[str, Any]]:
    """Return one flat line per epoch; terms that enter after the warm-up are empty before it."""
    rows = []
    for record in history.epochs:
        row = asdict(record)
        losses = row.pop("losses")
        rows.append({"epoch": row.pop("epoch"), **row, **{f"loss {k}": losses[k] for k in losses}})
    return rows


def _hashed(run: Path, folder: Path, names: Sequence[str]) -> list[tuple[str, Path]]:
    """Return (sha256, path) of each image; hashes are remembered by path, size and time."""
    cache = run / "hashes.json"
    known: dict[str, str] = json.loads(cache.read_text()) if cache.exists() else {}
    found: list[tuple[str, Path]] = []
    fresh = False
    for name in names:
        path = folder / name
        if not path.is_file():
            raise ConfigError(f"{path} is named in the label file but is not there")
        about = path.stat()
        key = f"{name}:{about.st_size}:{about.st_mtime_ns}"
        if key not in known:
            known[key] = hashlib.sha256(path.read_bytes()).hexdigest()
            fresh = True
        found.append((known[key], path))
    if fresh:
        with replacing(cache) as file:
            file.write(json.dumps(known).encode())
    return found


def _found(store: RowStore, hashes: Sequence[str], run: Path) -> NDArray[np.int64]:
    rows = store.rows(hashes)
    if (rows < 0).any():
        raise ConfigError(
            f"{int((rows < 0).sum())} images have no features yet (run: hst prepare on {run})"
        )
    return rows


def _refuse_unreadable(unreadable: Sequence[tuple[str, Path, str]]) -> None:
    if unreadable:
        _, path, reason = unreadable[0]
        raise ConfigError(
            f"{len(unreadable)} pictures cannot be read, the first is {path}: {reason} "
            "(remove them from the label file)"
        )


def _standardised(
    vectors: Float32[np.ndarray, "images channels"] | None, train: NDArray[np.intp]
) -> Float32[np.ndarray, "images channels"]:
    if vectors is None:
        raise ValueError("a run on vectors needs vectors")
    mean, deviation = vectors[train].mean(axis=0), vectors[train].std(axis=0)
    standard: NDArray[np.float32] = (vectors - mean) / np.maximum(deviation, 1e-6)
    return standard


def _base_logits(
    vectors: Float32[np.ndarray, "images channels"],
    labels: Int8[np.ndarray, "train_images categories"],
    train: NDArray[np.intp],
    count: int,
) -> Float32[np.ndarray, "images categories"]:
    """Fit the base on the training images; its logits of known cells come from other folds."""
    tier = FastTier.fit(vectors[train], labels)
    logits = np.zeros((count, labels.shape[1]), dtype=np.float32)
    logits[train] = tier.scores().sources["base"]
    others = np.setdiff1d(np.arange(count), train)
    if len(others):
        logits[others] = tier.scores_for(vectors[others]).sources["base"]
    return logits
