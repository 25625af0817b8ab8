"""The main job on real photographs: from a folder to suggestions, and what they are worth.

    python benchmarks/main_job.py --images DIR --labels FILE.csv

Part 1 uses the ``annotator`` command as a person would: init, import of a tenth of the labels,
train (reading all pictures first), suggest; seconds, pictures per second and peak memory of each.

Part 2 hides labels of the training images by chance (reference §8) and measures, as means over the
mask seeds, mAP on the test images, and mAP, pooled AP and recall at 95 % precision on the hidden
cells of the training images, and their mean log loss: the base alone against the full stack.
``--pictures 100`` takes as many training images only, drawn anew for each seed, to see what a
small project gets.

The label file has one row per image and one column per category (1 present, 0 absent, -1 or empty
unknown). Its column ``split`` tells train from test images (``--train``, ``--test``); without one,
all images are trained on and only the hidden cells are measured.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from annotator.settings import Workspace
from hst_core.datasets import LabelTable, mask_labels, read_label_csv
from hst_core.fast_tier import FastTier
from hst_core.features import FeatureStore
from hst_core.metrics import completion_metrics, mean_average_precision
from hst_core.neighbours import NeighbourGraph
from hst_core.windows import WindowCoordinates

console = Console()


@dataclass(frozen=True)
class Stage:
    """One command of the tool."""

    name: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Quality:
    """One fit, base against stack; AP and recall in per cent, log loss per hidden cell."""

    known: float
    model: str
    test_map: float
    hidden_map: float
    hidden_pooled: float
    hidden_recall: float
    hidden_loss: float
    fit_seconds: float


@dataclass(frozen=True)
class Features:
    """What was read of pictures: of the whole [n, channels], of windows [n, windows, channels]."""

    vectors: NDArray[np.float32]
    windows: NDArray[np.float16] | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--feature-sets", nargs="+", default=["fast", "balanced"])
    parser.add_argument("--known", nargs="+", type=float, default=[0.1, 0.3, 0.5, 0.9])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--pictures", type=int, help="of a small project, drawn for each seed")
    parser.add_argument("--train", default="train", help="name of the split to train on")
    parser.add_argument("--test", default="val", help="name of the split to test on")
    parser.add_argument(
        "--cache", type=Path, help="folder whose workspaces are kept; features found there are used"
    )
    options = parser.parse_args()
    table = read_label_csv(options.labels, minus_one="unknown")
    train, test = splits(table, options.train, options.test)
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; "
        f"{len(table.images):,} pictures, {len(table.categories)} categories, "
        f"{len(train):,} to train on, {len(test):,} to test on"
    )
    with folder_for(options.cache) as cache:
        for feature_set in options.feature_sets:
            workspace = cache / feature_set
            if not (workspace / "workspace.toml").exists():
                stages = run_tool(workspace, feature_set, options.images, table, train, cache)
                show_stages(feature_set, stages, len(table.images))
            features = features_of(workspace, feature_set, options.images, table)
            projects = [(seed, drawn(train, options.pictures, seed)) for seed in options.seeds]
            rows = list(measure(features, table, projects, test, options.known))
            show_quality(feature_set, rows, len(options.seeds))


@contextmanager
def folder_for(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def splits(table: LabelTable, train: str, test: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    everything = np.arange(len(table.images))
    if table.splits is None:
        return everything, everything[:0]
    return table.rows(train), table.rows(test)


def drawn(rows: NDArray[np.intp], count: int | None, seed: int) -> NDArray[np.intp]:
    """So many of the rows, in order; all of them if None."""
    if count is None or count >= len(rows):
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))


def run_tool(
    workspace: Path,
    feature_set: str,
    images: Path,
    table: LabelTable,
    train: NDArray[np.intp],
    scratch: Path,
) -> list[Stage]:
    """Go from a folder to suggestions with the commands that a person would type."""
    known = scratch / f"{feature_set}-known.csv"
    labels = np.zeros(table.labels.shape, dtype=np.int8)
    labels[train] = mask_labels(table.labels[train], 0.1, 0).labels
    write_csv(known, table, labels)
    names = scratch / f"{feature_set}-categories.txt"
    names.write_text("\n".join(table.categories) + "\n", encoding="utf-8")
    at = ["-w", str(workspace)]
    suggestions = scratch / f"{feature_set}-suggestions.csv"
    return [
        stage("init", ["init", str(workspace), "--images", str(images), "--categories", str(names),
                       "--feature-set", feature_set]),
        stage("import csv", ["import", "csv", str(known), *at]),
        stage("train: read pictures, fit", ["train", *at]),
        stage("suggest", ["suggest", "--out", str(suggestions), "--overwrite", *at]),
    ]  # fmt: skip


def stage(name: str, arguments: Sequence[str]) -> Stage:
    """Run one command in a process of its own."""
    console.print(f"[dim]annotator {' '.join(arguments)}[/dim]", highlight=False, soft_wrap=True)
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("annotator")), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"annotator {' '.join(arguments)} failed with status {status}")
    return Stage(name, time.perf_counter() - started, usage.ru_maxrss / 1024)


def write_csv(path: Path, table: LabelTable, labels: NDArray[np.int8]) -> None:
    words = {1: "1", -1: "0", 0: ""}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *table.categories])
        for name, row in zip(table.images, labels.tolist(), strict=True):
            writer.writerow([name, *(words[value] for value in row)])


def features_of(workspace: Path, feature_set: str, images: Path, table: LabelTable) -> Features:
    """Read what the tool extracted, in the order of the label file."""
    store = FeatureStore.open(Workspace.open(workspace).features / feature_set, feature_set)
    rows = store.rows(
        [hashlib.sha256((images / name).read_bytes()).hexdigest() for name in table.images]
    )
    if (rows < 0).any():
        sys.exit(f"{int((rows < 0).sum())} pictures of the label file have no features")
    return Features(store.vectors(rows), store.windows(rows))


def measure(
    features: Features,
    table: LabelTable,
    projects: Sequence[tuple[int, NDArray[np.intp]]],
    test: NDArray[np.intp],
    known: Sequence[float],
) -> Iterable[Quality]:
    """Fit every mask and measure the base and the stack.

    Args:
        features: of all images of the table.
        table: true labels.
        projects: seed of the mask, and rows of the training images.
        test: rows of the test images.
        known: shares of the labels.
    """
    trained_on: NDArray[np.intp] | None = None
    for seed, train in projects:
        if train is not trained_on:
            trained_on, truth = train, table.labels[train]
            graph = NeighbourGraph.build(features.vectors[train])
            windows = others_windows = None
            if features.windows is not None:
                windows = WindowCoordinates.of(graph.space, features.windows[train])
                others_windows = features.windows[test]
        for proportion in known:
            masked = mask_labels(truth, proportion, seed)
            started = time.perf_counter()
            tier = FastTier.fit(None, masked.labels, neighbours=graph, windows=windows)
            seconds = time.perf_counter() - started
            scores = tier.scores()
            on_test_images: list[NDArray[np.float32] | None] = [None, None]
            if len(test):
                others = tier.scores_for(features.vectors[test], windows=others_windows)
                on_test_images = [others.sources["base"], others.probability]
            for name, probability, logits in (
                ("base", expit(scores.sources["base"]), on_test_images[0]),
                ("full stack", scores.probability, on_test_images[1]),
            ):
                found = completion_metrics(probability, truth, masked.known)
                on_test = None
                if logits is not None:
                    on_test = mean_average_precision(logits, table.labels[test])
                yield Quality(
                    known=proportion,
                    model=name,
                    test_map=percent(on_test),
                    hidden_map=percent(found.mean_ap),
                    hidden_pooled=percent(found.pooled_ap),
                    hidden_recall=percent(found.recall_at_precision),
                    hidden_loss=log_loss(probability, np.where(masked.known, 0, truth)),
                    fit_seconds=seconds,
                )


def log_loss(probability: NDArray[np.float32], truth: NDArray[np.int8]) -> float:
    """Mean log loss of the cells whose true state is not 0, in nats."""
    right = np.where(truth == 1, probability, 1 - probability)[truth != 0]
    return float(-np.log(np.clip(right, 1e-6, 1)).mean())


def percent(value: float | None) -> float:
    return float("nan") if value is None else 100 * value


def show_stages(feature_set: str, stages: Sequence[Stage], images: int) -> None:
    table = Table("stage", "seconds", "pictures/s", "peak MiB", title=f"Pipeline, {feature_set}")
    for item in stages:
        rate = f"{images / item.seconds:,.0f}"
        table.add_row(item.name, f"{item.seconds:.1f}", rate, f"{item.peak_mib:,.0f}")
    table.add_row("all", f"{sum(item.seconds for item in stages):.1f}", "", "")
    console.print(table)


def show_quality(feature_set: str, rows: Sequence[Quality], seeds: int) -> None:
    table = Table(
        "known", "model", "test mAP", "hidden mAP", "hidden pooled AP", "recall at 95 %",
        "hidden log loss", "fit s",
        title=f"Quality, {feature_set}, mean of {seeds} mask seeds",
    )  # fmt: skip
    for known in sorted({row.known for row in rows}):
        for model in ("base", "full stack"):
            own = [row for row in rows if (row.known, row.model) == (known, model)]
            figures: list[Callable[[Quality], float]] = [
                lambda r: r.test_map, lambda r: r.hidden_map, lambda r: r.hidden_pooled,
                lambda r: r.hidden_recall,
            ]  # fmt: skip
            means = [f"{np.mean([figure(row) for row in own]):.1f}" for figure in figures]
            means.append(f"{np.mean([row.hidden_loss for row in own]):.4f}")
            median = float(np.median([row.fit_seconds for row in own]))
            fit = f"{median:.1f}" if model == "full stack" else ""
            table.add_row(f"{known:.0%}", model, *means, fit)
    console.print(table)


if __name__ == "__main__":
    main()
