"""Finds planted label errors by out-of-fold evidence: precision and recall of several rankings.

python benchmarks/label_errors.py --workspace DIR --images DIR --labels FILE.csv [--split train]

takes the features of a workspace, flips 1, 5 and 10 % of the true labels (all cells known), or 10
and 30 % of the present ones alone, as somebody who overlooks things would, fits the fast tier on
them, and looks how many of the first cells of each ranking are flipped ones.

Rankings: `self-confidence` is what cleanlab ranks the cells of a class by; `adjusted` the same
after its adjustment by the mean self-confidence of each class (Northcutt et al. 2021, Kuan and
Mueller 2022), `confident learning` puts its off-diagonal cells first, `less the usual` takes off
what is usual for the other cells of the category and state, `suspicion` is that of the tool. The
formulas are written out here; cleanlab itself is no dependency.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping

import numpy as np
from labelled_pictures import Collection, collection, collection_arguments
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from annotator.contradictions import plain_suspicion, suspicion

PLANTED = (("any", 0.01), ("any", 0.05), ("any", 0.1), ("missed", 0.1), ("missed", 0.3))
"""Errors: a share of all cells turned around, or of the present cells said to be absent."""
FIRST = (0.25, 0.5, 1.0, 2.0)
"""How far down a ranking it is looked, in cells per planted error."""

Rank = Callable[[NDArray[np.float32], NDArray[np.int8]], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    collection_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    pictures = collection(options)
    truth = pictures.truth
    shown = Table(
        "planted", "ranking",
        *(f"precision, recall in the first {first:g} per error" for first in FIRST),
        title=f"{len(truth):,} pictures, {np.count_nonzero(truth):,} cells, "
        f"mean of {len(options.seeds)} seeds; {platform.machine()}",
    )  # fmt: skip
    for kind, share in PLANTED:
        found = [measure(pictures, kind, share, seed) for seed in options.seeds]
        for name in RANKINGS:
            figures = np.mean([one[name] for one in found], axis=0)
            shown.add_row(f"{share:.0%} {kind}", name, *(f"{p:.0%}, {r:.0%}" for p, r in figures))
    Console(width=150).print(shown)


def adjusted(probability: NDArray[np.float32], labels: NDArray[np.int8]) -> NDArray[np.float32]:
    """Of each label its probability less what cells with this label get on average."""
    found = np.full(labels.shape, np.nan, dtype=np.float32)
    usual = {state: _mean_of(probability, labels, state) for state in (1, -1)}
    most = np.maximum(usual[1], usual[-1])
    own = {1: probability - usual[1] + most, -1: (1 - probability) - usual[-1] + most}
    total = own[1] + own[-1]
    for state in (1, -1):
        found = np.where(labels == state, 1 - own[state] / total, found)
    return np.asarray(found, dtype=np.float32)


def confident_learning(
    probability: NDArray[np.float32], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """Cells as sure of the other label as cells of that label are, first; by probability then."""
    against = plain_suspicion(probability, labels)
    present, absent = (_mean_of(probability, labels, state) for state in (1, -1))
    counted = np.where(labels == 1, 1 - probability >= absent, probability >= present)
    return np.where(labels == 0, np.nan, against + counted).astype(np.float32)


def _mean_of(
    probability: NDArray[np.float32], labels: NDArray[np.int8], state: int
) -> NDArray[np.float32]:
    """Mean probability of a state over the cells that have it, by category [C]."""
    mine = labels == state
    p = probability if state == 1 else 1 - probability
    total = np.where(mine, p, 0).sum(axis=0)
    return np.asarray(total / np.maximum(mine.sum(axis=0), 1), dtype=np.float32)


def less_the_usual(
    probability: NDArray[np.float32], labels: NDArray[np.int8]
) -> NDArray[np.float32]:
    """The probability of the other state, less its mean over the other cells of this label."""
    found = np.full(labels.shape, np.nan, dtype=np.float32)
    for state, against in ((1, 1 - probability), (-1, probability)):
        mine = labels == state
        own = np.where(mine, against, 0)
        usual = (own.sum(axis=0) - own) / np.maximum(mine.sum(axis=0) - 1, 1)
        found = np.where(mine, (against - usual) / (1 - usual).clip(1e-6), found)
    return np.asarray(np.clip(found, 0, 1), dtype=np.float32)


RANKINGS: Mapping[str, Rank] = {
    "self-confidence": plain_suspicion,
    "adjusted": adjusted,
    "confident learning": confident_learning,
    "less the usual": less_the_usual,
    "suspicion": suspicion,
}


def measure(
    pictures: Collection, kind: str, share: float, seed: int
) -> dict[str, list[tuple[float, float]]]:
    """Precision and recall in the first cells of each ranking, see `PLANTED` and `FIRST`."""
    truth = pictures.truth
    may = truth == 1 if kind == "missed" else truth != 0
    flipped = (np.random.default_rng(seed).random(truth.shape) < share) & may
    labels = np.where(flipped, -truth, truth).astype(np.int8)
    probability = pictures.fit(labels).scores().probability
    count, result = int(flipped.sum()), {}
    for name, rank in RANKINGS.items():
        worth = np.nan_to_num(rank(probability, labels), nan=-1).ravel()
        hits = np.cumsum(flipped.ravel()[np.argsort(-worth, kind="stable")])
        places = [max(1, round(first * count)) for first in FIRST]
        result[name] = [(float(hits[n - 1] / n), float(hits[n - 1] / count)) for n in places]
    return result


if __name__ == "__main__":
    main()
