"""Finds planted label errors by out-of-fold evidence: precision and recall of two rankings.

python benchmarks/label_errors.py --workspace DIR --images DIR --labels FILE.csv

takes the features of a workspace, flips 1, 5 and 10 % of the true labels (all cells known), fits
the fast tier on them, and looks how many of the first cells of the ranking are flipped ones.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from annotator.contradictions import plain_suspicion, suspicion
from annotator.settings import Workspace
from hst_core.datasets import read_label_csv
from hst_core.fast_tier import FastTier
from hst_core.features import FeatureStore
from hst_core.neighbours import NeighbourGraph


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True, help="whose features are used")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--split", default="", help="only this split")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    table = read_label_csv(options.labels, minus_one="unknown")
    wanted = table.rows(options.split) if options.split else np.arange(len(table.images))
    truth = table.labels[wanted]
    names = [table.images[i] for i in wanted.tolist()]
    vectors = features_of(options.workspace, options.images, names)
    graph = NeighbourGraph.build(vectors)
    shown = Table("planted", "ranking", "precision at as many", "recall at twice as many",
                  title=f"{len(names):,} pictures, mean of {len(options.seeds)} seeds")  # fmt: skip
    for share in (0.01, 0.05, 0.1):
        found = [measure(vectors, graph, truth, share, seed) for seed in options.seeds]
        for name in found[0]:
            figures = np.mean([one[name] for one in found], axis=0)
            shown.add_row(f"{share:.0%}", name, *(f"{figure:.1%}" for figure in figures))
    Console().print(shown)


def features_of(workspace: Path, images: Path, names: Sequence[str]) -> NDArray[np.float32]:
    opened = Workspace.open(workspace)
    name = opened.settings.feature_set
    hashes = [hashlib.sha256((images / one).read_bytes()).hexdigest() for one in names]
    with FeatureStore.open(opened.features / name, name) as store:
        return store.vectors(store.rows(hashes))


def measure(
    vectors: NDArray[np.float32],
    graph: NeighbourGraph,
    truth: NDArray[np.int8],
    share: float,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Precision among as many cells as are flipped, and recall among twice as many."""
    flipped = (np.random.default_rng(seed).random(truth.shape) < share) & (truth != 0)
    labels = np.where(flipped, -truth, truth).astype(np.int8)
    tier = FastTier.fit(vectors, labels, neighbours=graph)
    probability = tier.scores().probability
    result = {}
    for name, rank in (("self-confidence", plain_suspicion), ("less what is usual", suspicion)):
        worth = np.nan_to_num(rank(probability, labels), nan=-1).ravel()
        order = np.argsort(-worth, kind="stable")
        count = int(flipped.sum())
        hits = flipped.ravel()[order[: 2 * count]]
        result[name] = (float(hits[:count].mean()), float(hits.sum() / count))
    return result


if __name__ == "__main__":
    main()
