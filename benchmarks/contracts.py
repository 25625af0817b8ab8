"""Whether contracts keep their promise on real scores: many audits of the same project.

python benchmarks/contracts.py --workspace DIR --images DIR --labels FILE.csv [--split train]

takes the features of a workspace, lets people know a tenth of the cells and answer the least
certain ones for a few rounds, and then makes hundreds of contracts of each kind on what is left,
each with another draw of blind questions. The pool and its scores stay the same, so the share of
contracts that broke their promise can be set against the confidence.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from labelled_pictures import collection, collection_arguments
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from annotator.completion import finishing
from annotator.completion.drafting import OUTSIDE_ANSWERS
from annotator.completion.planning import Kind, Plan, level_of_look, plan
from annotator.completion.pools import Pool
from hst_core.contracts import fit_contract

LOOKS = 3
"""Looks at the answers of an accept or reject contract: the first and two with twice as many."""


@dataclass(frozen=True)
class Left:
    """What is left of a project, as a contract sees it, and the truth of it.

    Attributes:
        pool: unknown cells with their scores.
        present: whether each is [n].
        cells: of the whole project.
        known_present: present cells that are known.
    """

    pool: Pool
    present: NDArray[np.bool_]
    cells: int
    known_present: int

    def model_wrong(self) -> NDArray[np.bool_]:
        """Where deciding by even odds would be wrong [n]."""
        return np.asarray((finishing.states(self.pool.score) == 1) != self.present)


@dataclass(frozen=True)
class Made:
    """One contract.

    Attributes:
        answers: blind ones that it took.
        decided: cells.
        broken: share that is wrong or missed of what it promised; None where nothing was proved.
    """

    answers: int
    decided: int
    broken: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    collection_arguments(parser)
    parser.add_argument("--rounds", type=int, default=6, help="of answers before the contracts")
    parser.add_argument("--per-round", type=float, default=0.25, help="answers per picture")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--plot", type=Path, help="SVG of what was really wrong, by contract")
    options = parser.parse_args()
    left = left_over(options)
    wrong = int(left.model_wrong().sum())
    shown = Table(
        "contract", "draws", "proved", "blind answers, median", "cells decided, median",
        "wrong or missed, mean", "broke the promise",
        title=f"{len(left.pool):,} unknown of {left.cells:,} cells, deciding them by the model "
        f"{wrong / left.cells:.2%} of all would be wrong; {options.confidence:.0%} confidence; "
        f"{platform.machine()}",
    )  # fmt: skip
    shares: dict[str, NDArray[np.float64]] = {}
    for name, target, make in contracts_of(left, options.confidence):
        made = [make(seed) for seed in range(options.draws)]
        row = (name, f"{options.draws}", *figures(made, target))
        shown.add_row(*row)
        Console(width=150).print(*row, sep=" | ", style="dim")  # minutes pass between two of them
        shares[name] = np.array([one.broken for one in made if one.broken is not None]) / target
    Console(width=150).print(shown)
    if options.plot is not None:
        plot(options.plot, shares, options.draws)


def left_over(options: argparse.Namespace) -> Left:
    """Play the rounds with the fast tier alone."""
    pictures = collection(options)
    truth = pictures.truth
    counted = truth != 0
    known = (np.random.default_rng(0).random(truth.shape) < 0.1) & counted
    tier = None
    for number in range(options.rounds + 1):
        labels = np.where(known, truth, 0).astype(np.int8)
        tier = pictures.fit(labels, tier)
        probability = tier.scores().probability.astype(np.float16)
        if number < options.rounds:
            risk = np.where(known | ~counted, -1, np.minimum(probability, 1 - probability))
            count = round(options.per_round * len(truth))
            known.ravel()[np.argpartition(-risk.ravel(), count)[:count]] = True
    rows, columns = np.nonzero(counted & ~known)
    score = probability[rows, columns].astype(np.float32)
    pool = Pool(rows + 1, columns + 1, score, np.ones(len(rows), dtype=bool))
    known_present = int(((truth == 1) & known).sum())
    return Left(pool, truth[rows, columns] == 1, int(counted.sum()), known_present)


def contracts_of(
    left: Left, confidence: float
) -> Sequence[tuple[str, float, Callable[[int], Made]]]:
    """Each contract by name, with its promise and what makes one from a seed."""
    level = level_of_look(confidence, 0)

    def chosen(kind: Kind, target: float) -> Callable[[int], Made]:
        score, known = left.pool.score, left.known_present
        planned = plan(kind, score, target=target, confidence=level, known_present=known)
        return lambda seed: by_ranking(left, kind, planned, target, confidence, seed)

    def finish(target: float, of: Left = left) -> Callable[[int], Made]:
        return lambda seed: by_risk(of, target, level, seed)

    kinds: list[tuple[Kind, float]] = [
        ("accept", 0.02), ("accept", 0.05), ("reject", 0.05), ("reject", 0.1),
    ]  # fmt: skip
    found = [(f"{kind} {target:.1%}", target, chosen(kind, target)) for kind, target in kinds]
    found += [(f"finish {t:.2%}", t, finish(t)) for t in (0.015, 0.0125, 0.01)]
    # A promise of less than what is really wrong, by a model that is far too sure of itself:
    # whatever is proved is a failure.
    less, sure = (
        0.95 * int(left.model_wrong().sum()) / left.cells,
        replace(left, pool=sharper(left)),
    )
    return [*found, (f"finish {less:.2%}, model too sure", less, finish(less, sure))]


def sharper(left: Left) -> Pool:
    """The pool with logits 1.5 times as large: the same decisions, believed in more."""
    p = np.clip(left.pool.score.astype(np.float64), 1e-7, 1 - 1e-7)
    return replace(left.pool, score=(1 / (1 + ((1 - p) / p) ** 1.5)).astype(np.float32))


def by_ranking(
    left: Left, kind: Kind, planned: Plan | None, target: float, confidence: float, seed: int
) -> Made:
    """What propose, settle, extend and apply do for accept and reject; twice asked again."""
    rng = np.random.default_rng(seed)
    if planned is None:
        return Made(0, 0, None)
    inside = np.zeros(len(left.pool), dtype=bool)
    inside[planned.cells] = True
    others = rng.permutation(np.flatnonzero(~inside))[: OUTSIDE_ANSWERS * (kind == "reject")]
    outside = (int(left.present[others].sum()), len(others), int((~inside).sum()))
    order = rng.permutation(planned.cells)
    asked = 0
    for look in range(LOOKS):
        asked = min(planned.answers * 2**look, len(order))
        audited = np.zeros(len(inside), dtype=bool)
        audited[order[:asked]] = True
        found = fit_contract(
            "accept" if kind == "accept" else "reject",
            left.pool.score[inside],
            audited[inside],
            left.present[inside],
            target=target,
            confidence=level_of_look(confidence, look),
            known_present=left.known_present,
            outside=outside if kind == "reject" else None,
        )
        if found.threshold is not None:
            score = left.pool.score
            there = score >= found.threshold if kind == "accept" else score <= found.threshold
            decided = there & inside & ~audited
            wrong = int((decided & (left.present != (kind == "accept"))).sum())
            whole = int(left.present.sum()) + left.known_present
            share = wrong / max(1, int(decided.sum()) if kind == "accept" else whole)
            return Made(asked + len(others), int(decided.sum()), share)
    return Made(asked + len(others), 0, None)


def by_risk(left: Left, target: float, level: float, seed: int) -> Made:
    """What a finish contract does: portions drawn by risk until it is proved or hopeless."""
    pool, wrong = left.pool, left.model_wrong()
    allowed = int(target * left.cells)
    planned = finishing.plan(pool.score, allowed=allowed, confidence=level)
    answers = finishing.FEWEST if planned is None else planned.answers
    places, portions = np.zeros(0, dtype=np.int64), list[int]()
    proof = finishing.Proof(0.0, 0.0, 0, 0)
    while finishing.goes_on(proof, len(portions), len(pool)):
        number = len(portions)
        more = finishing.draw(
            pool,
            places,
            allowed=allowed,
            seed=seed,
            number=number,
            count=finishing.portion(answers, number),
        )
        if not len(more):
            break
        places, portions = np.concatenate([places, more]), [*portions, len(more)]
        proof = finishing.weigh(pool, places, left.present[places], portions, allowed)
        if finishing.holds(proof, level):
            rest = np.ones(len(pool), dtype=bool)
            rest[places] = False
            return Made(len(places), int(rest.sum()), int((wrong & rest).sum()) / left.cells)
    return Made(len(places), 0, None)


def plot(path: Path, shares: Mapping[str, NDArray[np.float64]], draws: int) -> None:
    """Draw what was wrong of each contract, as a share of what was promised."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.5 * len(shares) + 1), layout="constrained")
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for row, (name, share) in enumerate(shares.items()):
        broken = share > 1
        height = row + rng.uniform(-0.25, 0.25, len(share))
        axes.plot(
            share[~broken],
            height[~broken],
            ".",
            color="C0",
            markersize=3,
            alpha=0.5,
            rasterized=True,
        )  # hundreds of points are smaller as a picture
        axes.plot(share[broken], height[broken], ".", color="C3", markersize=5)
        told = f"{name}\n{len(share)} of {draws} proved, {int(broken.sum())} broken"
        axes.text(-0.02, row, told, ha="right", va="center", fontsize=8)
    axes.axvline(1, color="C3", linewidth=1)
    axes.set_xlim(0, 1.3)
    axes.set_yticks([])
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.set_xlabel("really wrong or missed, as a share of what was promised")
    figure.savefig(path)


def figures(made: Sequence[Made], target: float) -> tuple[str, ...]:
    """Proved, answers, cells, share wrong, and how many broke their promise."""
    proved = [one for one in made if one.broken is not None]
    answers = f"{np.median([one.answers for one in made]):,.0f}"
    if not proved:
        return "0", answers, "", "", ""
    shares = np.array([one.broken for one in proved], dtype=np.float64)
    failed = int((shares > target).sum())
    return (
        f"{len(proved)}",
        answers,
        f"{np.median([one.decided for one in proved]):,.0f}",
        f"{shares.mean():.2%}",
        f"{failed} ({failed / len(made):.1%} of all)",
    )


if __name__ == "__main__":
    main()
