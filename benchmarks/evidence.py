"""Which evidence helps: every candidate added to the fast tier's, on hidden cells.

    python benchmarks/evidence.py --images DIR --labels FILE.csv [--cache DIR]

Labels of the training images are hidden by chance (reference §8). Each row is a stack of sources;
every value of a known cell comes from a fit that had not seen the cell, and weights and strengths
are chosen on known cells only. The first row is the fast tier without windows and learned metric,
which were found here and belong to it now. Hidden cells are looked at once, to print mAP (mean over
the mask seeds, and in brackets the largest distance from it), beside the out-of-fold log loss of
the known cells, which is what a choice between the rows may use.

Pictures are read once per view, as squares unless told otherwise; vectors of 34 windows are kept in
the cache beside the mean of the whole picture. "ms" is processor time per picture for what the row
reads beyond the first input size, one picture at a time and with loading the network, so more than
the tool needs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from hst_core.cst import spherical_kmeans
from hst_core.datasets import mask_labels, read_label_csv
from hst_core.fast_tier import ExtraSource, FastTier, FastTierConfig
from hst_core.features import FEATURE_SETS, FeatureBlock, FeatureSet, feature_maps, load_backbones
from hst_core.linear import LinearBase, LinearConfig, LogisticProblem, minimise
from hst_core.metrics import completion_metrics
from hst_core.neighbours import NeighbourGraph, NeighbourTransfer
from hst_core.pooling import pool_windows
from hst_core.stacking import assign_folds
from hst_core.word_vectors import word_vectors

console = Console()
Matrix = NDArray[np.float32]
FOLDS = 5
#: Strengths for features of which the fast tier's own list has none weak enough.
LINEAR = LinearConfig(l2=(0.01, 0.03, 0.1, 0.3, 1.0))


# --- pictures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vectors:
    """Vectors of one input size.

    Attributes:
        windows: float16 [images, 35, channels]; the whole picture, 3 x 3 windows of half its
            side, 5 x 5 of a third.
        milliseconds: of processor time per picture; NaN if it was not measured.
    """

    windows: NDArray[np.float16]
    milliseconds: float


def window_vectors(found: Tensor) -> Tensor:
    """Average a map [channels, rows, columns] over the whole and 34 windows, [35, channels]."""
    down, across = (_thirds(int(side)) for side in found.shape[1:])
    thirds = [found[:, a, b].mean((1, 2)) for a in down for b in across]
    whole, halves = found.mean((1, 2)), pool_windows(found[None], "mean", 3)[0]
    return torch.cat([whole[None], halves, torch.stack(thirds)])


def _thirds(side: int) -> list[slice]:
    """Spread five windows of a third of ``side`` locations from edge to edge."""
    width = min(side, max(3, side // 3))
    at = np.linspace(0, side - width, 5).round().astype(int).tolist()
    return [slice(start, start + width) for start in at]


@dataclass(frozen=True)
class View:
    """One way to read pictures.

    Attributes:
        size: side of the square, or of a square of the same area.
        flip: left and right exchanged.
        step: 0 for squares, else as of ``input_shape``.
    """

    size: int
    flip: bool = False
    step: int = 0

    def __str__(self) -> str:
        how = ", flipped" if self.flip else ", in proportion" if self.step else ""
        return f"{self.size} px{how}"


def read_windows(images: Sequence[Path], backbone: str, view: View, cache: Path) -> Vectors:
    """Read the pictures, or what an earlier call has kept."""
    suffix = "-flipped" if view.flip else "-in-proportion" if view.step else ""
    path = cache / f"{backbone}-{view.size}{suffix}.npy"
    about = path.with_suffix(".json")
    if about.exists():
        stored = np.load(path, mmap_mode="r")
        if len(stored) == len(images):
            return Vectors(stored, float(json.loads(about.read_text())["milliseconds"]))
    block = FeatureBlock(backbone, view.size, "mean", 1280)
    feature_set = FeatureSet("windows", (block,), step=view.step)
    networks = load_backbones(feature_set)
    if view.flip:
        trunk = networks[backbone].trunk
        trunk.register_forward_pre_hook(lambda module, pixels: (pixels[0].flip(3),))
    started, rows = time.process_time(), []
    for number, image in enumerate(images):
        found = feature_maps(feature_set, networks, image)[backbone, view.size]
        rows.append(window_vectors(found).half().numpy())
        if number % 200 == 0:
            console.print(f"[dim]{path.stem}: {number:,} of {len(images):,}[/dim]")
    milliseconds = 1000 * (time.process_time() - started) / len(images)
    np.save(path, np.stack(rows))
    about.write_text(json.dumps({"milliseconds": milliseconds}))
    return Vectors(np.stack(rows), milliseconds)


# --- one mask -------------------------------------------------------------------------------------


class Case:
    """One mask: labels, folds, and the base and neighbours of one space.

    Logits come in a list: entry 0 of the model, entry 1 + f of the fit without fold f.
    """

    def __init__(self, truth: NDArray[np.int8], graph: NeighbourGraph, known: float, seed: int):
        masked = mask_labels(truth, known, seed)
        self.truth, self.graph, self.labels, self.known = truth, graph, masked.labels, masked.known
        self.folds = assign_folds(self.labels, FOLDS, 0)
        self.base = self.fit(graph.coordinates)
        self.logits = [self.base.logits(graph.coordinates, k).numpy() for k in range(FOLDS + 1)]
        self.priors = [_prior(self.seen(k)) for k in range(FOLDS + 1)]
        self.voters = NeighbourTransfer(graph.indices, graph.similarities, len(graph))

    def fit(self, coordinates: Tensor) -> LinearBase:
        """Fit a base on other coordinates."""
        return LinearBase.fit(coordinates, self.labels, self.folds, FOLDS, LINEAR)

    def seen(self, fit: int) -> NDArray[np.int8]:
        """Return the labels that a fit may see."""
        held = self.folds == fit - 1 if fit else np.zeros_like(self.known)
        return np.where(held, 0, self.labels).astype(np.int8)

    def out_of_fold(self, values: Callable[[int], Matrix]) -> Matrix:
        """Take the model's values, for a known cell those of the fit that had not seen it."""
        out = np.array(values(0), dtype=np.float32)
        for fold in range(FOLDS):
            held = self.folds == fold
            if held.any():
                out[held] = values(1 + fold)[held]
        return out

    def vote(self, fit: int, logits: Matrix, voters: NeighbourTransfer | None = None) -> Matrix:
        """Let the neighbours vote with what is known, else with these logits."""
        voting = voters or self.voters
        votes: Matrix = voting.vote(expit(logits), self.labels, self.priors[fit])
        return votes


def _prior(labels: NDArray[np.int8]) -> Matrix:
    positives, counts = (labels == 1).sum(axis=0), (labels != 0).sum(axis=0)
    rate = (positives + 0.1) / (counts + 2.0)
    odds: Matrix = np.log(rate / (1 - rate)).astype(np.float32)
    return odds


# --- candidates -----------------------------------------------------------------------------------


def best_window(case: Case, windows: Sequence[Tensor], base: LinearBase | None = None) -> Matrix:
    """Largest logit of the base over windows, each [images, coordinates]."""
    fitted = base or case.base

    def values(fit: int) -> Matrix:
        best = fitted.logits(windows[0], fit)
        for window in windows[1:]:
            torch.maximum(best, fitted.logits(window, fit), out=best)
        found: Matrix = best.numpy()
        return found

    return case.out_of_fold(values)


def second_order(case: Case) -> Matrix:
    """Vote of the neighbours with base and neighbours in place of the base."""

    def values(fit: int) -> Matrix:
        # The first vote must not know the fold: a cell's label would come back to it.
        first = case.voters.vote(expit(case.logits[fit]), case.seen(fit), case.priors[fit])
        return case.vote(fit, 0.7 * case.logits[fit] + 0.7 * first + 0.4 * case.priors[fit])

    return case.out_of_fold(values)


def learned_metric(case: Case, strength: float) -> Matrix:
    """Vote of the neighbours after adding the cosine of the base's logits to their similarity."""
    indices = np.maximum(case.graph.indices, 0)

    def values(fit: int) -> Matrix:
        logits = case.logits[fit]
        units = (logits - logits.mean(axis=0)) / np.maximum(logits.std(axis=0), 1e-6)
        units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-6)
        cosine = np.einsum("nc,nkc->nk", units, units[indices], optimize=True)
        similar = np.where(case.graph.indices >= 0, case.graph.similarities + strength * cosine, -9)
        order = np.argsort(-similar, axis=1, kind="stable")
        voters = NeighbourTransfer(
            np.take_along_axis(case.graph.indices, order, 1),
            np.take_along_axis(similar, order, 1).astype(np.float32),
            len(indices),
            temperature=0.1 * (1 + strength),
        )
        return case.vote(fit, logits, voters)

    return case.out_of_fold(values)


def prototypes(case: Case, count: int = 4) -> Matrix:
    """Largest cosine to the k-means prototypes of the category, found anew without each fold."""
    units = functional.normalize(case.graph.coordinates, dim=1)

    def values(fit: int) -> Matrix:
        out = np.zeros(case.labels.shape, np.float32)
        for category, column in enumerate(case.seen(fit).T):
            rows = np.flatnonzero(column == 1)
            if len(rows):
                generator = torch.Generator().manual_seed(0)
                found = spherical_kmeans(units[rows], min(count, len(rows)), generator)
                out[:, category] = (units @ found.centroids.T).amax(dim=1)
        standard: Matrix = (out - out.mean(axis=0)) / np.maximum(out.std(axis=0), 1e-6)
        return standard

    return case.out_of_fold(values)


def pseudo_labels(case: Case, hard: bool, share: float = 0.3, l2: float = 0.1) -> Matrix:
    """Base that also learns from what base and neighbours say of the unknown cells."""
    z = functional.pad(case.graph.coordinates, (0, 1), value=1.0)
    targets, weights = [], []
    for fit in range(FOLDS + 1):
        seen = case.seen(fit)
        vote = case.voters.vote(expit(case.logits[fit]), seen, case.priors[fit])
        said = expit(0.7 * case.logits[fit] + 0.7 * vote + 0.4 * case.priors[fit])
        trust = np.where((said > 0.9) | (said < 0.02), share, 0.0) if hard else share
        targets.append(np.where(seen != 0, seen == 1, said > 0.5 if hard else said))
        weights.append(np.where(seen != 0, 1.0, trust))
    target = torch.from_numpy(np.hstack(targets).astype(np.float32))
    weight = torch.from_numpy(np.hstack(weights).astype(np.float32))
    penalty = torch.full((z.shape[1], target.shape[1]), l2)
    penalty[-1] = 0.0
    total = weight.sum(dim=0)
    rate = (weight * target).sum(dim=0) / total
    variance = (0.5 * rate * (1 - rate) * total).clamp(min=1e-4)
    problem = LogisticProblem(
        lambda p: z @ p, lambda r: z.T @ r, target, weight, penalty,
        z.square().mean(dim=0)[:, None] * variance + penalty + 1e-4,
    )  # fmt: skip
    start = torch.cat([case.base.weight, case.base.bias[:, None]], dim=1)
    solved = minimise(problem, torch.cat(list(start), dim=1))
    parts = np.split((z @ solved).numpy(), FOLDS + 1, axis=1)
    return case.out_of_fold(lambda fit: parts[fit])


def similar_names(case: Case, vectors: Matrix) -> Matrix:
    """Logits of the categories with similar names, weighted by the similarity."""
    weight = np.maximum(vectors @ vectors.T - 0.2, 0) * (1 - np.eye(len(vectors)))
    weight = (weight / np.maximum(weight.sum(axis=0), 1e-6)).astype(np.float32)
    return case.out_of_fold(lambda fit: (case.logits[fit] - case.priors[fit]) @ weight)


# --- measuring ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """One row under one mask; mAP in per cent, loss in hundredths of a nat per known cell."""

    hidden: float
    loss: float
    seconds: float


def measure(case: Case, sources: Mapping[str, Matrix], prepared: float) -> Figures:
    """Fit the fast tier with further sources."""
    started = time.perf_counter()
    extra = [ExtraSource(name, "classifier", values) for name, values in sources.items()]
    plain = FastTierConfig(metric=0.0)
    tier = FastTier.fit(None, case.labels, config=plain, neighbours=case.graph, extra_sources=extra)
    seconds = prepared + time.perf_counter() - started
    probability = tier.scores().probability
    loss = _loss(probability[case.known], case.labels[case.known] == 1)
    return Figures(_hidden(case, probability), loss, seconds)


def _hidden(case: Case, probability: Matrix) -> float:
    value = completion_metrics(probability, case.truth, case.known).mean_ap
    return float("nan") if value is None else 100 * value


def _loss(probability: Matrix, present: NDArray[np.bool_]) -> float:
    right = np.clip(np.where(present, probability, 1 - probability), 1e-7, 1.0)
    return float(-100 * np.log(right.astype(np.float64)).mean())


def rows_of(
    case: Case, spaces: Mapping[str, Sequence[Tensor]], names: Matrix | None
) -> dict[str, Callable[[], dict[str, Matrix]]]:
    """Give each row the sources that it adds."""
    windows = spaces["first"]
    rows: dict[str, Callable[[], dict[str, Matrix]]] = {
        "neither windows nor metric": dict,
        "+ best of 3 x 3 windows": lambda: {"best window": best_window(case, windows[:10])},
        "+ best of 34 windows": lambda: {"best window": best_window(case, windows)},
        "+ neighbours, learned metric": lambda: {"metric": learned_metric(case, 0.3)},
        "+ neighbours, second order": lambda: {"second": second_order(case)},
        "+ k-means prototypes": lambda: {"nearest": prototypes(case)},
        "+ soft pseudo labels": lambda: {"soft": pseudo_labels(case, hard=False)},
        "+ hard pseudo labels": lambda: {"hard": pseudo_labels(case, hard=True)},
    }
    if names is not None:
        rows["+ similar names"] = lambda: {"names": similar_names(case, names)}
    further = [name for name in spaces if name != "first"]
    for name in further:
        rows[f"+ base, {name}"] = partial(_of_view, case, spaces[name][:1])
        rows[f"+ windows, {name}"] = partial(_of_view, case, spaces[name])

    def all_that_help() -> dict[str, Matrix]:
        found = {
            "best window": best_window(case, windows),
            "metric": learned_metric(case, 0.3),
        }
        for name in further:
            other = spaces[name]
            found[name] = best_window(case, other, case.fit(other[0]))
        return found

    rows["windows, learned metric, further sizes"] = all_that_help
    return rows


def _of_view(case: Case, windows: Sequence[Tensor]) -> dict[str, Matrix]:
    """Fit a base on another view of the pictures and take its best window."""
    return {"other": best_window(case, windows, case.fit(windows[0]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="folder that keeps what was read of pictures")
    parser.add_argument("--train", default="train", help="name of the split, if there are any")
    parser.add_argument("--known", nargs="+", type=float, default=[0.1, 0.5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--backbone", default="efficientnet-lite2")
    parser.add_argument("--sizes", nargs="+", type=int, default=[352])
    parser.add_argument("--flip", action="store_true", help="also read flipped pictures")
    parser.add_argument("--in-proportion", action="store_true",
                        help="also read pictures that are not squeezed to squares")  # fmt: skip
    parser.add_argument("--word-vectors", help="of category names: a file or a package")
    options = parser.parse_args()
    table = read_label_csv(options.labels, minus_one="unknown")
    rows = table.rows(options.train) if table.splits else np.arange(len(table.images))
    images = [options.images / table.images[row] for row in rows]
    console.print(f"{len(images):,} pictures, {len(table.categories)} categories, "
                  f"{os.cpu_count()} cores")  # fmt: skip
    names = None
    if options.word_vectors:
        names = word_vectors(table.categories, options.word_vectors).matrix
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        read = {
            str(view): read_windows(images, options.backbone, view, cache)
            for view in views_of(options)
        }
        graph, spaces, cost = spaces_of(read)
        found: dict[tuple[str, float], list[Figures]] = {}
        for known in options.known:
            for seed in options.seeds:
                case = Case(table.labels[rows], graph, known, seed)
                for name, figures in measure_all(case, spaces, names):
                    found.setdefault((name, known), []).append(figures)
        show(found, options.known, cost)


def views_of(options: argparse.Namespace) -> list[View]:
    first = options.sizes[0]
    views = [View(size) for size in options.sizes]
    views += [View(first, flip=True)] if options.flip else []
    views += [View(first, step=FEATURE_SETS["balanced"].step)] if options.in_proportion else []
    return views


def spaces_of(
    read: Mapping[str, Vectors],
) -> tuple[NeighbourGraph, dict[str, Sequence[Tensor]], dict[str, float]]:
    """Bring every window into the space of the whole pictures of its own input size."""
    spaces: dict[str, Sequence[Tensor]] = {}
    cost: dict[str, float] = {}
    graph = None
    for name, vectors in read.items():
        whole = np.ascontiguousarray(vectors.windows[:, 0])
        own = NeighbourGraph.build(whole.astype(np.float32))
        graph = graph or own
        count = vectors.windows.shape[1]
        coordinates = [own.space.apply(vectors.windows[:, k]) for k in range(count)]
        spaces["first" if not spaces else name] = coordinates
        cost[name] = vectors.milliseconds
    if graph is None:
        raise ValueError("at least one input size is needed")
    return graph, spaces, cost


def measure_all(
    case: Case, spaces: Mapping[str, Sequence[Tensor]], names: Matrix | None
) -> list[tuple[str, Figures]]:
    base = case.out_of_fold(lambda fit: case.logits[fit])
    loss = _loss(expit(base)[case.known], case.labels[case.known] == 1)
    found = [("base alone", Figures(_hidden(case, expit(base)), loss, float("nan")))]
    for name, sources in rows_of(case, spaces, names).items():
        started = time.perf_counter()
        extra = sources()
        found.append((name, measure(case, extra, time.perf_counter() - started)))
    return found


def show(
    found: Mapping[tuple[str, float], Sequence[Figures]],
    knowns: Sequence[float],
    cost: Mapping[str, float],
) -> None:
    columns = [f"{title} {known:.0%}" for known in knowns for title in ("hidden mAP", "known loss")]
    table = Table("evidence", *columns, "fit s", "ms")
    further = {name: ms for number, (name, ms) in enumerate(cost.items()) if number}
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for known in knowns:
            values = np.array([f.hidden for f in found[name, known]])
            cells.append(f"{values.mean():.2f} ({np.abs(values - values.mean()).max():.2f})")
            cells.append(f"{np.mean([f.loss for f in found[name, known]]):.3f}")
        seconds = np.median([f.seconds for known in knowns for f in found[name, known]])
        own = [ms for view, ms in further.items() if name.endswith(view)]
        ms = sum(further.values()) if name.endswith("further sizes") else sum(own)
        table.add_row(name, *cells, f"{seconds:.1f}", f"{ms:.0f}")
    console.print(table)
    for name, ms in cost.items():
        console.print(f"reading at {name}: {ms:.0f} ms of processor time per picture")


if __name__ == "__main__":
    main()
