"""What played projects cost: tables, CSV files and a plot."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.simulation.play import Game, Step
from annotator.simulation.policies import POLICIES

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

    @property
    def promised(self) -> float | None:
        """Total error that a contract promised; None where only the truth told when to stop."""
        return self.game.stop_at if POLICIES[self.game.policy].finishes else None

    @property
    def name(self) -> str:
        """Policy, and what it promised."""
        return self.game.policy + ("" if self.promised is None else f" {self.promised:.2%}")

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
                start = (
                    (0.0, 0.0) if before is None else (before.spent.answers, before.spent.seconds)
                )
                answers = start[0] + share * (step.spent.answers - start[0])
                seconds = start[1] + share * (step.spent.seconds - start[1])
                return answers / self.images, seconds / self.images
            before = step
        return None


def write_course(path: Path, played: Sequence[Played]) -> None:
    """One row per round: answers, seconds, precision, recall and total error."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "seed", "promised", "round", "answers_per_image",
                         "seconds_per_image", "total_error", "precision", "recall",
                         "focus", "blind", "tiles", "flips", "automatic", "uncounted"])  # fmt: skip
        for one in played:
            for step in one.steps:
                found, called = int(step.found.sum()), int(step.called.sum())
                spent = step.spent
                counted = [spent.focus, spent.blind, spent.tiles, spent.flips, spent.automatic,
                           spent.uncounted]  # fmt: skip
                writer.writerow(
                    [one.game.policy, one.game.seed, one.promised or "", step.round]
                    + [round(v / one.images, 4) for v in (step.spent.answers, step.spent.seconds)]
                    + [round(v, 6) for v in (one.error(step), found / max(1, called),
                                             found / max(1, one.present))]
                    + counted
                )  # fmt: skip


def write_categories(path: Path, played: Sequence[Played], names: Sequence[str]) -> None:
    """One row per round and category."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["policy", "seed", "promised", "round", "category", "wrong", "found", "called", "known"]
        )
        for one in played:
            for step in one.steps:
                columns = zip(names, step.wrong, step.found, step.called, step.known, strict=True)
                for name, *values in columns:
                    row = [one.game.policy, one.game.seed, one.promised or "", step.round, name]
                    writer.writerow(row + [int(value) for value in values])


def summary(played: Sequence[Played]) -> list[tuple[str, ...]]:
    """Rows of the table: policy, then answers and seconds per picture at each target.

    Only where the truth tells when the target is met; see `finished` for the others.
    """
    rows = []
    for policy, own in _by_policy(one for one in played if one.promised is None).items():
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


def finished(played: Sequence[Played]) -> list[tuple[str, ...]]:
    """Rows of the table of projects that ended with a contract: means over the seeds.

    Policy and promise, seeds (those that ended), answers and seconds per picture with everything,
    blind answers of these, share of cells really wrong at the end with the largest of any seed.
    """
    rows = []
    for policy, own in _by_policy(one for one in played if one.promised is not None).items():
        last = [one.steps[-1] for one in own]
        done = [step.spent.automatic > 0 for step in last]
        errors = [one.error(step) for one, step in zip(own, last, strict=True)]
        spent = np.mean(
            [
                [s.spent.answers, s.spent.seconds, s.spent.blind, s.spent.tiles]
                for s in last
            ],
            axis=0,
        ) / own[0].images  # fmt: skip
        rows.append(
            (
                policy,
                f"{sum(done)} of {len(own)}",
                *(f"{value:.2f}" for value in spent),
                f"{np.mean(errors):.2%}",
                f"{max(errors):.2%}",
            )
        )
    return rows


FINISHED = ("policy, promise", "proved", "answers", "seconds", "of these blind", "on Sweep",
            "wrong", "largest")  # fmt: skip
"""Columns of `finished`."""


def _by_policy(played: Iterable[Played]) -> dict[str, list[Played]]:
    found: dict[str, list[Played]] = {}
    for one in played:
        found.setdefault(one.name, []).append(one)
    return found


def plot(path: Path, played: Sequence[Played]) -> bool:
    """Draw total error over answers per picture; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(p.name for p in played))}
    for one in played:
        answers = [step.spent.answers / one.images for step in one.steps]
        errors = [100 * one.error(step) for step in one.steps]
        first = one is next(p for p in played if p.name == one.name)
        label = one.name if first else None
        style = "-" if one.promised is None else "--"
        axes.plot(answers, errors, style, color=colours[one.name], label=label, linewidth=1.2)
        if one.promised is not None:
            axes.plot(answers[-1], errors[-1], "o", color=colours[one.name], markersize=4)
    axes.set_xscale("symlog", linthresh=4)
    axes.set_yscale("log")
    axes.set_xlabel("human answers per picture")
    axes.set_ylabel("cells wrong in all, %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path)
    return True
