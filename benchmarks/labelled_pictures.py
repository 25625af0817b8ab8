"""Pictures whose true labels are known, with the features that a workspace has of them."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.settings import Workspace
from hst_core.datasets import read_label_csv
from hst_core.fast_tier import FastTier
from hst_core.features import FeatureStore
from hst_core.neighbours import NeighbourGraph
from hst_core.windows import WindowCoordinates


@dataclass(frozen=True)
class Collection:
    """Pictures with true labels and everything that the fast tier fits on.

    Attributes:
        truth: states [n, C], 0 where a cell does not count.
        graph: of their neighbours.
        windows: of each of them; None if the feature set has none.
    """

    truth: NDArray[np.int8]
    graph: NeighbourGraph
    windows: WindowCoordinates | None

    def fit(self, labels: NDArray[np.int8], previous: FastTier | None = None) -> FastTier:
        """The fast tier on these labels [n, C], as the trainer of a workspace fits it."""
        return FastTier.fit(
            None, labels, neighbours=self.graph, windows=self.windows, previous=previous
        )


def collection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `collection` reads."""
    parser.add_argument("--workspace", type=Path, required=True, help="whose features are used")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--split", default="", help="only this split")


def collection(options: argparse.Namespace) -> Collection:
    """The pictures that the options name."""
    table = read_label_csv(options.labels, minus_one="unknown")
    wanted = table.rows(options.split) if options.split else np.arange(len(table.images))
    names = [table.images[i] for i in wanted.tolist()]
    vectors, parts = features_of(options.workspace, options.images, names)
    graph = NeighbourGraph.build(vectors)
    windows = None if parts is None else WindowCoordinates.of(graph.space, parts)
    return Collection(table.labels[wanted], graph, windows)


def features_of(
    workspace: Path, images: Path, names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float16] | None]:
    """Features of pictures by file name, from the store of a workspace.

    Returns:
        Of whole pictures [n, d], and of their windows [n, windows, d] if the feature set has any.
    """
    opened = Workspace.open(workspace)
    name = opened.settings.feature_set
    hashes = [hashlib.sha256((images / one).read_bytes()).hexdigest() for one in names]
    with FeatureStore.open(opened.features / name, name) as store:
        rows = store.rows(hashes)
        return store.vectors(rows), store.windows(rows)
