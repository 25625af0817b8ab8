"""Pictures whose true labels are known, with the features that a workspace has of them."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.settings import Workspace
from hst_core.datasets import read_label_csv
from hst_core.features import FeatureStore
from hst_core.neighbours import NeighbourGraph


def collection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `collection` reads."""
    parser.add_argument("--workspace", type=Path, required=True, help="whose features are used")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--split", default="", help="only this split")


def collection(options: argparse.Namespace) -> tuple[NDArray[np.int8], NeighbourGraph]:
    """True labels [n, C] of the pictures that the options name, and their neighbours."""
    table = read_label_csv(options.labels, minus_one="unknown")
    wanted = table.rows(options.split) if options.split else np.arange(len(table.images))
    names = [table.images[i] for i in wanted.tolist()]
    vectors = features_of(options.workspace, options.images, names)
    return table.labels[wanted], NeighbourGraph.build(vectors)


def features_of(workspace: Path, images: Path, names: Sequence[str]) -> NDArray[np.float32]:
    """Features [n, d] of pictures by file name, from the store of a workspace."""
    opened = Workspace.open(workspace)
    name = opened.settings.feature_set
    hashes = [hashlib.sha256((images / one).read_bytes()).hexdigest() for one in names]
    with FeatureStore.open(opened.features / name, name) as store:
        return store.vectors(store.rows(hashes))
