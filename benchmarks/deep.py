"""What the deep tier is worth, and what it costs: one command, one table.

    python benchmarks/deep.py --images DIR --labels FILE.csv
    python benchmarks/deep.py --images DIR --labels FILE.csv --known 0.1 --images-limit 600
    python benchmarks/deep.py --images DIR --labels FILE.csv --device cuda

Labels of the training images are hidden by chance (reference §8). Four rows per known proportion:

base         logistic regression on pooled vectors
fast         the fast tier: base, windows, neighbours, prototypes, co-occurrence
+ network    the deep tier on frozen features, as the tool's worker trains it
+ HST, tuned the same networks, each with a last stage of the backbone of its own that learns from
             cached activations; only with --hst-tuned, since it takes longest
+ tuned      last stages with a linear classifier, taught by the fast tier (`hst_core.tuning`)

mAP on the test images and on the hidden cells of the training images, means over the mask seeds,
and log loss of the hidden cells. Whether the stack made use of the network is the column *kept*.
Seconds are those of that row alone. The label file is that of `main_job.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from device_option import add_device, described
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hst_core.backbone import build_backbone
from hst_core.config import Config
from hst_core.datasets import LabelTable, mask_labels, read_label_csv
from hst_core.deep_tier import PAIRS, DeepTier, DeepTierConfig
from hst_core.fast_tier import ExtraSource, FastTier, FastTierConfig, FastTierScores
from hst_core.features import FeatureMapStore, FeatureStore, StoredMaps, extract, extract_maps
from hst_core.inputs import CachedFeatures, Inputs
from hst_core.last_stage import LastStage, split
from hst_core.metrics import completion_metrics, mean_average_precision
from hst_core.neighbours import NeighbourGraph
from hst_core.tuning import TUNED, TunedTier, TuningConfig
from hst_core.windows import WindowCoordinates

console = Console(width=110)
#: Learning rate of the last stage, relative to the rest of the network.
BACKBONE_FACTOR = 0.1


@dataclass(frozen=True)
class Quality:
    """One fit; mAP in per cent, log loss in nats per hidden cell."""

    known: float
    model: str
    test_map: float
    hidden_map: float
    hidden_loss: float
    kept: bool
    seconds: float


@dataclass(frozen=True)
class Material:
    """Everything that the rows share, training images first, then test images."""

    vectors: NDArray[np.float32]
    windows: NDArray[np.float16]
    truth: NDArray[np.int8]
    train: int
    activations: StoredMaps | None
    last_stage: LastStage | None

    @property
    def test(self) -> slice:
        """Where the test images are."""
        return slice(self.train, len(self.vectors))


def main() -> None:
    options = parse()
    table = read_label_csv(options.labels, minus_one="unknown")
    train, test = table.rows(options.train), table.rows(options.test)
    if options.images_limit:
        random = np.random.default_rng(0)
        train, test = (
            np.sort(random.permutation(rows)[: options.images_limit]) for rows in (train, test)
        )
    console.print(
        f"{described(options.device)}; "
        f"{len(train):,} pictures to train on, {len(test):,} to test on"
    )
    with folder_for(options.cache) as cache:
        material = read_material(options, table, train, test, cache)
        rows = []
        for known in options.known:
            for seed in options.seeds:
                for row in measure(material, known, seed, options):
                    rows.append(row)
                    console.print(f"[dim]mask {seed}: {row}[/dim]", highlight=False, soft_wrap=True)
    show(rows, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--train", default="train", help="name of the split to train on")
    parser.add_argument("--test", default="val", help="name of the split to test on")
    parser.add_argument("--feature-set", default="fast")
    parser.add_argument("--known", nargs="+", type=float, default=[0.1, 0.5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--images-limit", type=int, help="training and test images, drawn")
    parser.add_argument("--folds", type=int, default=5, help="of cells; a network of HST each")
    parser.add_argument("--networks", type=int, default=2, help="of + tuned")
    parser.add_argument("--epochs", type=int, default=6, help="at most, of + HST, tuned")
    parser.add_argument("--no-tuning", action="store_true", help="leave the last rows out")
    parser.add_argument("--no-network", action="store_true", help="leave out + network")
    parser.add_argument("--hst-tuned", action="store_true", help="measure + HST, tuned too")
    add_device(parser)
    parser.add_argument(
        "--cache", type=Path, help="where features are kept; DIR/features of a workspace will do"
    )
    return parser.parse_args()


@contextmanager
def folder_for(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def read_material(
    options: argparse.Namespace,
    table: LabelTable,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    cache: Path,
) -> Material:
    """Extract what is not in the cache yet."""
    paths = [options.images / table.images[row] for row in np.concatenate([train, test])]
    images = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in paths]
    hashes = [image_hash for image_hash, _ in images]
    store = FeatureStore.open(cache / options.feature_set, options.feature_set)
    started = time.perf_counter()
    extract(store, images, device=options.device)
    console.print(f"features: {time.perf_counter() - started:.0f} s")
    activations = last_stage = None
    if not options.no_tuning:
        # What is tuned must give the features that the fast tier reads, so that it can begin there.
        block = store.feature_set.blocks[0]
        before, last_stage = split(build_backbone(block.backbone))
        size = block.input_size
        maps = FeatureMapStore.open(cache / f"{before.name}-{size}", before, size)
        started = time.perf_counter()
        extract_maps(maps, images, before, device=options.device)
        console.print(f"activations before the last stage: {time.perf_counter() - started:.0f} s")
        activations = StoredMaps(maps, maps.rows(hashes))
    truth = table.labels[np.concatenate([train, test])]
    rows = store.rows(hashes)
    windows = store.windows(rows)
    if windows is None:
        windows = np.zeros((len(rows), 0, store.dim), dtype=np.float16)
    return Material(store.vectors(rows), windows, truth, len(train), activations, last_stage)


def measure(
    material: Material, known: float, seed: int, options: argparse.Namespace
) -> Iterator[Quality]:
    """Fit all rows on one mask."""
    train = slice(0, material.train)
    mask = mask_labels(material.truth[train], known, seed)
    config = FastTierConfig(seed=seed, folds=options.folds)
    graph = NeighbourGraph.build(material.vectors[train])
    windows = WindowCoordinates.of(graph.space, material.windows[train])
    vectors_there, windows_there = material.vectors[material.test], material.windows[material.test]
    started = time.perf_counter()
    fast = FastTier.fit(None, mask.labels, config=config, neighbours=graph, windows=windows)
    seconds = time.perf_counter() - started
    judge = Judge(material, mask.labels, known)
    on_train, on_test = fast.scores(), fast.scores_for(vectors_there, windows=windows_there)
    yield judge.base(on_train, on_test)
    yield judge("fast", on_train, on_test, False, seconds)
    base = (on_train.sources["base"], on_test.sources["base"])
    for name, trained in networks(material, graph, windows, mask.labels, fast, base, options):
        sources, others, seconds = trained
        started = time.perf_counter()
        fused = FastTier.fit(
            None,
            mask.labels,
            config=config,
            neighbours=graph,
            windows=windows,
            extra_sources=sources,
        )
        seconds += time.perf_counter() - started
        kept = any(s.kept for s in fused.scores().stack if s.name in {e.name for e in sources})
        found = fused.scores_for(vectors_there, windows=windows_there, extra_values=others)
        yield judge(name, fused.scores(), found, kept, seconds)


Trained = tuple[list[ExtraSource], dict[str, NDArray[np.float32]], float]


def networks(
    material: Material,
    graph: NeighbourGraph,
    windows: WindowCoordinates,
    labels: NDArray[np.int8],
    fast: FastTier,
    base: tuple[NDArray[np.float32], NDArray[np.float32]],
    options: argparse.Namespace,
) -> Iterator[tuple[str, Trained]]:
    """Train the deep tier on frozen features, then with a last stage of its own."""
    scale = np.float32(graph.coordinates.shape[1] ** 0.5)
    test = graph.space.apply(material.vectors[material.test])
    frozen = DeepTierConfig()
    inputs = [CachedFeatures(part.numpy() * scale) for part in (graph.coordinates, test)]
    if not options.no_network:
        yield "+ network", train(inputs, labels, fast, base, frozen, None, options.device)
    if material.activations is None:
        return
    if options.hst_tuned:
        yield "+ HST, tuned", train_tuned_hst(material, labels, fast, base, options)
    yield "+ tuned", tune(material, graph, windows, labels, options)


def train_tuned_hst(
    material: Material,
    labels: NDArray[np.int8],
    fast: FastTier,
    base: tuple[NDArray[np.float32], NDArray[np.float32]],
    options: argparse.Namespace,
) -> Trained:
    """Train the networks of the deep tier with a last stage each."""
    assert material.activations is not None
    frozen = DeepTierConfig()
    settings = frozen.network.replace(
        f"train.backbone_factor={BACKBONE_FACTOR}",
        f"train.epochs={options.epochs}",
        "train.warm_up_epochs=1",
        "train.batch_size=32",
    )
    tuned = replace(frozen, network=Config.from_dict(settings.to_dict()))
    parts = [material.activations.part(slice(0, material.train))]
    parts.append(material.activations.part(material.test))
    inputs = [CachedFeatures(part, before_last_stage=True) for part in parts]
    return train(inputs, labels, fast, base, tuned, material.last_stage, options.device)


def tune(
    material: Material,
    graph: NeighbourGraph,
    windows: WindowCoordinates,
    labels: NDArray[np.int8],
    options: argparse.Namespace,
) -> Trained:
    """Train last stages with the fast tier as their teacher."""
    assert material.activations is not None
    assert material.last_stage is not None

    def teacher(seen: NDArray[np.int8]) -> NDArray[np.float32]:
        return FastTier.fit(None, seen, neighbours=graph, windows=windows).scores().probability

    started = time.perf_counter()
    tier, source = TunedTier.fit(
        material.activations.part(slice(0, material.train)),
        labels,
        material.last_stage,
        graph.space,
        graph.coordinates,
        teacher,
        config=TuningConfig(networks=options.networks),
        device=options.device,
        progress=lambda share, text: console.print(f"[dim]{share:.0%} {text}[/dim]", end="\r"),
    )
    others = {TUNED: tier.values_for(material.activations.part(material.test))}
    return [source], others, time.perf_counter() - started


def train(
    inputs: Sequence[Inputs],
    labels: NDArray[np.int8],
    fast: FastTier,
    base: tuple[NDArray[np.float32], NDArray[np.float32]],
    config: DeepTierConfig,
    last_stage: LastStage | None,
    device: str,
) -> Trained:
    """Sources for the training images, values for the test images, seconds."""
    started = time.perf_counter()
    tier, sources = DeepTier.fit(
        inputs[0], labels, fast.folds, base[0], config=config, last_stage=last_stage, device=device
    )
    others = tier.values_for(inputs[1], base[1])
    # Pairs speak through known labels of the same image; a test image has none.
    others[PAIRS] = np.zeros_like(base[1])
    return sources, others, time.perf_counter() - started


@dataclass(frozen=True)
class Judge:
    """Compares scores with the truth."""

    material: Material
    labels: NDArray[np.int8]
    known: float

    def __call__(
        self, model: str, train: FastTierScores, test: FastTierScores, kept: bool, seconds: float
    ) -> Quality:
        """Judge the whole stack."""
        return self._judge(model, train.probability, test.probability, kept, seconds)

    def base(self, train: FastTierScores, test: FastTierScores) -> Quality:
        """Judge the base alone."""
        train_p, test_p = (1 / (1 + np.exp(-s.sources["base"])) for s in (train, test))
        return self._judge("base", train_p, test_p, False, 0.0)

    def _judge(
        self,
        model: str,
        train: NDArray[np.float32],
        test: NDArray[np.float32],
        kept: bool,
        seconds: float,
    ) -> Quality:
        truth = self.material.truth[: self.material.train]
        hidden = (self.labels == 0) & (truth != 0)
        loss = float("nan")  # with all labels known none is hidden
        if hidden.any():
            p = np.clip(train[hidden].astype(np.float64), 1e-7, 1 - 1e-7)
            loss = -float(np.where(truth[hidden] == 1, np.log(p), np.log1p(-p)).mean())
        completion = completion_metrics(train, truth, self.labels != 0)
        on_test = mean_average_precision(test, self.material.truth[self.material.test])
        return Quality(
            self.known, model, percent(on_test), percent(completion.mean_ap), loss, kept, seconds
        )


def percent(value: float | None) -> float:
    return float("nan") if value is None else 100 * value


def show(rows: Sequence[Quality], options: argparse.Namespace) -> None:
    title = f"{options.feature_set}, mean of {len(options.seeds)} mask seeds"
    heads = ("known", "model", "test mAP", "hidden mAP", "hidden log loss", "kept", "s")
    table = Table(*heads, title=title)
    for known in sorted({row.known for row in rows}):
        for model in dict.fromkeys(row.model for row in rows):
            own = [row for row in rows if (row.known, row.model) == (known, model)]
            table.add_row(
                f"{known:.0%}",
                model,
                f"{np.mean([row.test_map for row in own]):.2f}",
                f"{np.mean([row.hidden_map for row in own]):.2f}",
                f"{np.mean([row.hidden_loss for row in own]):.4f}",
                f"{sum(row.kept for row in own)} of {len(own)}" if model.startswith("+") else "",
                f"{np.mean([row.seconds for row in own]):.1f}" if model != "base" else "",
            )
    console.print(table)


if __name__ == "__main__":
    main()
