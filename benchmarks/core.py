"""Speed of the method: one command for all of it.

    python benchmarks/core.py --images DIR

Pair head against the plain formulation, the network's training step, feature extraction against
the bare backbone (`core_ist.py` and `core_features.py`, which also run alone), then what the tool
lives on: a fit of the fast tier from scratch, a refit after 100 new labels, and scoring cached
images with the network. Figures are medians; features and labels of the last part are drawn, so
that any size can be asked for.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from core_features import find_pictures
from core_features import rows as feature_rows
from core_ist import rows as ist_rows
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hst_core.deep_tier import DeepTierConfig
from hst_core.fast_tier import FastTier
from hst_core.inputs import CachedFeatures
from hst_core.model import HST
from hst_core.neighbours import NeighbourGraph
from hst_core.predict import score

Line = tuple[str, str, str]
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="folder of JPEG photographs, for extraction")
    parser.add_argument("--categories", type=int, nargs="+", default=[20, 80, 200])
    parser.add_argument("--cached", type=int, default=100_000, help="images of the large project")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    console = Console(width=120)
    console.print(f"{os.cpu_count()} cores, torch {torch.__version__}, {platform.machine()}")
    table = Table("what", "time", "compared with")
    for line in project_lines(options.cached, options.device, options.repeats):
        table.add_row(*line)
    console.print(table)
    heads = ("what", "n", "plain", "ours", "faster", "plain", "ours", "smaller")
    pairs = Table(*heads, title="Pair head and network")
    categories = tuple(options.categories)
    for pair_row in ist_rows(categories, device=options.device, repeats=options.repeats):
        pairs.add_row(*pair_row.cells)
    console.print(pairs)
    if options.images is not None:
        heads = ("set", "length", "n", "files", "bare", "lanes", "decode", "of bare", "of lanes")
        features = Table(*heads, title="Features, per picture")
        for feature_row in feature_rows(find_pictures(options.images, 300), device=options.device):
            features.add_row(*feature_row.cells)
        console.print(features)


def project_lines(cached: int, device: str, repeats: int) -> Iterator[Line]:
    """Time what happens in a project of 2,500, of 5,000 and of ``cached`` images."""
    for images, categories, known in ((2_500, 20, 0.1), (5_000, 20, 0.1), (cached, 80, 0.02)):
        size = f"{images:,} images x {categories} categories, {known:.0%} known"
        vectors, labels = draw_project(images, categories, known)
        graph, seconds = timed(lambda vectors=vectors: NeighbourGraph.build(vectors))
        yield f"neighbour graph, {size}", f"{seconds:.1f} s", "once per image"
        rounds = repeats if images < 50_000 else 1
        fits = [
            timed(lambda v=vectors, y=labels, g=graph: FastTier.fit(v, y, neighbours=g))
            for _ in range(rounds)
        ]
        scratch = statistics.median(seconds for _, seconds in fits)
        yield f"fast tier from scratch, {size}", f"{scratch:.2f} s", ""
        again = labels.copy()
        unknown = np.argwhere(again == 0)
        for row, column in np.random.default_rng(1).permutation(unknown)[:100]:
            again[row, column] = -1
        refits = [
            timed(
                lambda v=vectors, y=again, g=graph, t=fits[0][0]: FastTier.fit(
                    v, y, neighbours=g, previous=t
                )
            )[1]
            for _ in range(rounds)
        ]
        seconds = statistics.median(refits)
        ratio = f"{scratch / seconds:.1f} times faster than from scratch"
        yield f"refit after 100 new labels, all scores, {size}", f"{seconds:.2f} s", ratio
        del fits
        if images == cached:
            yield network_line(vectors, categories, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield "peak memory of all this", f"{peak:,.0f} MiB", ""


def network_line(vectors: NDArray[np.float32], categories: int, device: str) -> Line:
    """Time one network of the deep tier over all cached vectors."""
    config = DeepTierConfig().network.model
    model = HST(config, categories, vectors.shape[1]).to(device)
    labels = np.zeros((len(vectors), categories), dtype=np.int8)
    _, seconds = timed(lambda: score(model, CachedFeatures(vectors), labels))
    rate = f"{len(vectors) / seconds:,.0f} images/s"
    what = f"scoring {len(vectors):,} cached images x {categories} categories with the network"
    return what, f"{seconds:.1f} s", rate


def draw_project(
    images: int, categories: int, known: float
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Features of 1,280 channels with a few strong directions, and labels that follow from them."""
    random = np.random.default_rng(0)
    scene = random.normal(size=(images, 32)).astype(np.float32)
    mixing = random.normal(size=(32, 1_280)).astype(np.float32)
    vectors = scene @ mixing
    vectors += 3 * random.standard_normal((images, 1_280), dtype=np.float32)
    drive = scene @ random.normal(size=(32, categories)).astype(np.float32)
    cut = np.quantile(drive, 1 - 3 / categories, axis=0)
    truth = np.where(drive > cut, 1, -1)
    shown = random.random(truth.shape) < known
    return vectors, np.where(shown, truth, 0).astype(np.int8)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started


if __name__ == "__main__":
    main()
