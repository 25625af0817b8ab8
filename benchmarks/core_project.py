"""Speed of what the tool lives on: fits of the fast tier, the worker's round, networks.

    python benchmarks/core_project.py                        2,500, 5,000 and 100,000 images
    python benchmarks/core_project.py --large 0              without the large project

Features and labels are drawn, so that any size can be asked for; the worker's row goes through a
real workspace: decisions are written, the worker notices them, fits, and puts all scores in force.
Figures are medians. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from device_option import add_device, described
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from annotator.db.engine import Database
from annotator.images import ScannedImage
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace
from annotator.training.loop import Worker
from annotator.training.schedule import DeepRule
from annotator.types import CellBatch
from hst_core.deep_tier import DeepTier, DeepTierConfig
from hst_core.fast_tier import FastTier
from hst_core.features import WINDOWS, FeatureStore
from hst_core.inputs import CachedFeatures
from hst_core.model import HST
from hst_core.neighbours import NeighbourGraph
from hst_core.predict import score
from hst_core.windows import WindowCoordinates

Line = tuple[str, str, str]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int8]
T = TypeVar("T")

HEADS = ("what", "time", "remark")
CHANNELS = 1_280
NEW = 100


def rows(
    large: int = 100_000, device: str = "cpu", repeats: int = 3, networks: bool = True
) -> Iterator[Line]:
    """All lines of the table, as they are measured."""
    yield from fit_lines(2_500, 20, 0.1, repeats)
    yield from fit_lines(5_000, 20, 0.1, repeats)
    yield from worker_lines(5_000, 20, 0.1, repeats)
    if networks:
        yield from network_update_lines(5_000, 20, 0.1, device)
    if large:
        yield from fit_lines(large, 80, 0.02, 1)
        if networks:
            yield scoring_line(large, 80, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield "peak memory of all this", f"{peak:,.0f} MiB", "drawn features included"


def fit_lines(images: int, categories: int, known: float, repeats: int) -> Iterator[Line]:
    """Neighbours once per image, a fit from scratch, a refit after a hundred more labels."""
    size = f"{images:,} x {categories}, {known:.0%} known"
    vectors, labels, truth = draw_project(images, categories, known)
    graph, seconds = timed(lambda: NeighbourGraph.build(vectors))
    yield f"neighbour graph, {size}", f"{seconds:.2f} s", "once per image"
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_windows(vectors, Path(folder) / "drawn.f16")
        windows, seconds = timed(
            lambda: WindowCoordinates.kept_in(Path(folder), graph.space, drawn)
        )
        yield f"windows into the space, {size}", f"{seconds:.2f} s", "once per image"
        fit = partial(FastTier.fit, None, neighbours=graph, windows=windows)
        tier, scratch = median(lambda: fit(labels), repeats)
        yield f"fast tier from scratch, {size}", f"{scratch:.2f} s", "all scores included"
        again = with_more(labels, truth)
        _, seconds = median(lambda: fit(again, previous=tier), repeats)
    remark = f"{scratch / seconds:.1f} times faster than from scratch"
    yield f"refit after {NEW} labels, {size}", f"{seconds:.2f} s", remark


def worker_lines(images: int, categories: int, known: float, repeats: int) -> Iterator[Line]:
    """From a hundred decisions in the database to suggestions for a picture, and for all."""
    vectors, labels, truth = draw_project(images, categories, known)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(feature_set="fast", device="cpu", deep_tier="off")
        workspace = Workspace.create(Path(folder) / "work", settings)
        fill_features(workspace, vectors)
        with (
            AnnotationService.create(workspace) as service,
            workspace.lock("worker"),
            Database.open(workspace.database_url) as database,
        ):
            ids, category_ids = fill_project(service, workspace, labels)
            with Worker(workspace, database, deep_rule=DeepRule()) as worker:
                steps(worker)
                near, far = [], []
                for number in range(repeats):
                    after = with_more(labels, truth, seed=1 + number)
                    new = np.where(labels == 0, after, 0).astype(np.int8)
                    version = newest(service)
                    started = time.perf_counter()
                    batches = CellBatch.of_matrix(ids, category_ids, new)
                    service.import_decisions(batches)
                    service.image_state(int(ids[np.flatnonzero(new.any(axis=1))[0]]))
                    near.append(time.perf_counter() - started)
                    while newest(service) == version:
                        worker.step()
                    service.image_state(int(ids[0]))
                    far.append(time.perf_counter() - started)
                    labels = after
    size = f"{images:,} x {categories}"
    text = f"{NEW} decisions stored, pictures suggested anew from their labels, {size}"
    yield text, f"{statistics.median(near):.2f} s", "pictures in the queue follow at once"
    text = f"{NEW} decisions to a new version in force, all scores on disk, {size}"
    yield text, f"{statistics.median(far):.2f} s", "the worker's whole round"


def network_update_lines(images: int, categories: int, known: float, device: str) -> Iterator[Line]:
    """Train the deep tier, and go on with a hundred new labels and a replay of old ones."""
    vectors, labels, truth = draw_project(images, categories, known)
    graph = NeighbourGraph.build(vectors)
    coordinates = graph.coordinates.numpy()
    inputs = CachedFeatures(coordinates * np.float32(coordinates.shape[1] ** 0.5))
    fast = FastTier.fit(None, labels, neighbours=graph)
    base = fast.scores().sources["base"]
    (tier, _), seconds = timed(
        lambda: DeepTier.fit(inputs, labels, fast.folds, base, device=device)
    )
    size = f"{images:,} x {categories}"
    yield f"deep tier from scratch, {size}", f"{seconds:.1f} s", f"{len(tier.networks)} networks"
    again = with_more(labels, truth)
    fresh = np.flatnonzero((again != labels).any(axis=1))
    later = FastTier.fit(None, again, neighbours=graph, previous=fast)
    _, seconds = timed(
        lambda: DeepTier.fit(
            inputs,
            again,
            later.folds,
            later.scores().sources["base"],
            previous=tier,
            fresh=fresh,
            device=device,
        )
    )
    yield f"deep tier after {NEW} labels, {size}", f"{seconds:.1f} s", "with a replay of old ones"


def scoring_line(images: int, categories: int, device: str) -> Line:
    """Time one network of the deep tier over cached coordinates."""
    inputs = np.random.default_rng(0).standard_normal((images, 256), dtype=np.float32)
    model = HST(DeepTierConfig().network.model, categories, inputs.shape[1]).to(device)
    labels = np.zeros((images, categories), dtype=np.int8)
    _, seconds = timed(lambda: score(model, CachedFeatures(inputs), labels))
    rate = f"{images / seconds:,.0f} images/s"
    return f"one network scores {images:,} x {categories}", f"{seconds:.1f} s", rate


def draw_project(images: int, categories: int, known: float) -> tuple[Vectors, Labels, Labels]:
    """Features of 1,280 channels with a few strong directions; labels that follow; the truth."""
    random = np.random.default_rng(0)
    scene = random.normal(size=(images, 32)).astype(np.float32)
    mixing = random.normal(size=(32, CHANNELS)).astype(np.float32)
    vectors = scene @ mixing
    vectors += 3 * random.standard_normal((images, CHANNELS), dtype=np.float32)
    drive = scene @ random.normal(size=(32, categories)).astype(np.float32)
    cut = np.quantile(drive, 1 - 3 / categories, axis=0)
    truth = np.where(drive > cut, 1, -1).astype(np.int8)
    shown = random.random(truth.shape) < known
    return vectors, np.where(shown, truth, 0).astype(np.int8), truth


def with_more(labels: Labels, truth: Labels, seed: int = 1) -> Labels:
    """The labels, with a hundred more cells known."""
    again = labels.copy()
    unknown = np.flatnonzero(labels == 0)
    chosen = np.random.default_rng(seed).choice(unknown, NEW, replace=False)
    again.ravel()[chosen] = truth.ravel()[chosen]
    return again


def draw_windows(vectors: Vectors, path: Path) -> NDArray[np.float16]:
    """Draw nine windows that look like their picture, into a file [images, 9, channels]."""
    random = np.random.default_rng(1)
    shape = (len(vectors), 9, CHANNELS)
    drawn = np.memmap(path, np.float16, mode="w+", shape=shape)
    for start in range(0, len(vectors), 500):
        whole = vectors[start : start + 500, None]
        noise = random.standard_normal((len(whole), *shape[1:]), dtype=np.float32)
        drawn[start : start + 500] = whole + 3 * noise
    drawn.flush()
    return drawn


def fill_features(workspace: Workspace, vectors: Vectors) -> None:
    hashes = [f"{number:064x}" for number in range(1, len(vectors) + 1)]
    drawn = draw_windows(vectors, workspace.path / "drawn.f16")
    with FeatureStore.open(workspace.features / "fast", "fast") as store:
        store.append(hashes, vectors, {WINDOWS: drawn})


def fill_project(
    service: AnnotationService, workspace: Workspace, labels: Labels
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Add pictures, categories and decisions; ids of the pictures and of the categories."""
    service.add_categories([f"category {number}" for number in range(labels.shape[1])])
    service.add_images(
        ScannedImage(f"{n:064x}", workspace.path / f"{n}.jpg", f"{n}.jpg", 640, 480, 1, "jpeg")
        for n in range(1, len(labels) + 1)
    )
    found = service.labels()
    service.import_decisions(CellBatch.of_matrix(found.image_ids, found.category_ids, labels))
    return found.image_ids, found.category_ids


def newest(service: AnnotationService) -> int:
    version = service.status().model_version
    return 0 if version is None else version.id


def steps(worker: Worker) -> None:
    while worker.step():
        pass


def median(call: Callable[[], T], repeats: int) -> tuple[T, float]:
    """The last result, and the median of the seconds."""
    runs = [timed(call) for _ in range(repeats)]
    return runs[-1][0], statistics.median(seconds for _, seconds in runs)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--large", type=int, default=100_000, help="images of the large project")
    add_device(parser)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    table = Table(*HEADS, title=f"projects, {described(options.device)}")
    for line in rows(options.large, options.device, options.repeats):
        table.add_row(*line)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
