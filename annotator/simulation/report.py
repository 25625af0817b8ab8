"""What played projects cost: tables, CSV files and a plot."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.simulation.play import Game, Step

TARGETS = (0.01, 0.005)


@dataclass(frozen=True)
class Played:
    """One project that was played.

    Attributes:
        images: number of pictures.
        cells: number of cells that count.
        present: true present cells.
    """

    game: Game
    steps: Sequence[Step]
    images: int
    cells: int
    present: int

    def error(self, step: Step) -> float:
        """Share of all cells that are wrong at a step."""
        return int(step.wrong.sum()) / self.cells

    def at(self, target: float) -> tuple[float, float] | None:
        """Answers and seconds per picture when the total error first met a target.

        Between two rounds by interpolation; None if it never did.
        """
        before = None
        for step in self.steps:
            error = self.error(step)
            if error <= target:
                share = 1.0
                if before is not None:
                    last = self.error(before)
                    share = (last - target) / max(last - error, 1e-12)
                start = (0.0, 0.0) if before is None else (before.answers, before.seconds)
                answers = start[0] + share * (step.answers - start[0])
                seconds = start[1] + share * (step.seconds - start[1])
                return answers / self.images, seconds / self.images
            before = step
        return None


def write_course(path: Path, played: Sequence[Played]) -> None:
    """One row per round: answers, seconds, precision, recall and total error."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "seed", "round", "answers_per_image", "seconds_per_image",
                         "total_error", "precision", "recall"])  # fmt: skip
        for one in played:
            for step in one.steps:
                found, called = int(step.found.sum()), int(step.called.sum())
                writer.writerow(
                    [one.game.policy, one.game.seed, step.round]
                    + [round(v / one.images, 4) for v in (step.answers, step.seconds)]
                    + [round(v, 6) for v in (one.error(step), found / max(1, called),
                                             found / max(1, one.present))]
                )  # fmt: skip


def write_categories(path: Path, played: Sequence[Played], names: Sequence[str]) -> None:
    """One row per round and category."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "seed", "round", "category", "wrong", "found", "called"])
        for one in played:
            for step in one.steps:
                columns = zip(names, step.wrong, step.found, step.called, strict=True)
                for name, *values in columns:
                    row = [one.game.policy, one.game.seed, step.round, name]
                    writer.writerow(row + [int(value) for value in values])


def summary(played: Sequence[Played]) -> list[tuple[str, ...]]:
    """Rows of the table: policy, then answers and seconds per picture at each target."""
    by_policy: dict[str, list[Played]] = {}
    for one in played:
        by_policy.setdefault(one.game.policy, []).append(one)
    rows = []
    for policy, own in by_policy.items():
        cells = [policy, f"{len(own)}"]
        for target in TARGETS:
            found = [one.at(target) for one in own]
            met = [value for value in found if value is not None]
            if len(met) < len(own):
                cells += ["not met", ""]
                continue
            answers, seconds = np.mean(met, axis=0)
            cells += [f"{answers:.2f}", f"{seconds:.1f}"]
        rows.append(tuple(cells))
    return rows


def plot(path: Path, played: Sequence[Played]) -> bool:
    """Draw total error over answers per picture; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(p.game.policy for p in played))}
    for one in played:
        answers = [step.answers / one.images for step in one.steps]
        errors = [100 * one.error(step) for step in one.steps]
        first = one is next(p for p in played if p.game.policy == one.game.policy)
        label = one.game.policy if first else None
        axes.plot(answers, errors, color=colours[one.game.policy], label=label, linewidth=1.5)
    axes.set_yscale("log")
    axes.set_xlabel("human answers per picture")
    axes.set_ylabel("cells wrong in all, %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path)
    return True
