"""From a folder and a label file to played projects; features are computed once for all of them."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.errors import InvalidInput
from annotator.exchange import read_csv
from annotator.formats.table import LabelTable
from annotator.images import find_images, scan_images
from annotator.service import AnnotationService
from annotator.settings import SETTINGS_FILE, Settings, Workspace
from annotator.simulation import report, results
from annotator.simulation.play import Game, Tell, play, prepare, truth_of
from annotator.simulation.report import Played
from annotator.types import Labels

SPLIT_COLUMN = "split"


@dataclass(frozen=True)
class Source:
    """Pictures with complete labels.

    Attributes:
        images: folder.
        labels: CSV; -1 is a cell that does not count.
        feature_set: as in `Settings`.
        ignore_columns: that are no category.
        split: only rows with this value in the column `SPLIT_COLUMN`; all if empty.
    """

    images: Path
    labels: Path
    feature_set: str = "balanced"
    ignore_columns: tuple[str, ...] = ()
    split: str = ""

    def table(self) -> LabelTable:
        """The wanted rows.

        Raises:
            InvalidInput: if no row is left.
        """
        with self.labels.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            wanted = [self.split in ("", row.get(SPLIT_COLUMN, "")) for row in reader]
        ignored = [name for name in self.ignore_columns if name in columns]
        table = read_csv(self.labels, ignore_columns=ignored, minus_one="unknown")
        kept = np.flatnonzero(wanted)
        if not len(kept):
            raise InvalidInput(f"no row of {self.labels} has {SPLIT_COLUMN} {self.split!r}")
        return LabelTable(
            [table.images[i] for i in kept.tolist()], table.categories, table.states[kept]
        )


@dataclass(frozen=True)
class Done:
    """All projects.

    Attributes:
        rows: of the table of policies at equal error, see `report.summary`.
        finished: of the table of projects that ended with a contract, see `report.finished`.
        exhaustive: answers per picture if everything unknown is asked.
    """

    played: Sequence[Played]
    rows: list[tuple[str, ...]]
    finished: list[tuple[str, ...]]
    images: int
    cells: int
    exhaustive: float


def play_all(source: Source, games: Sequence[Game], out: Path, tell: Tell) -> Done:
    """Play projects one after another and write their course, their categories and a plot.

    The workspace of each project is removed when it has been played; the one with the features,
    ``out/base``, is kept, so that further games on the same pictures begin at once. So is the
    course of every game: one that was played to its end is not played again.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = source.table()
    base = out / "base"
    if not (base / SETTINGS_FILE).exists():
        _make_base(base, source, table)
    if any(not results.path_of(out, game).exists() for game in games):
        prepare(base, tell)  # the worker reads pictures also without any label
    with AnnotationService(Workspace.open(base)) as service:
        truth = truth_of(service, dict(zip(table.images, table.states, strict=True)))
    played = []
    for game in games:
        kept = results.path_of(out, game)
        if not kept.exists():
            results.save(kept, _play_one(base, truth, game, out / f"playing-{os.getpid()}", tell))
        played.append(results.load(kept))
        report.write_course(out / "course.csv", played)
        report.write_categories(out / "categories.csv", played, table.categories)
    report.plot(out / "course.svg", played)
    images, cells = len(truth.image_ids), int((truth.states != 0).sum())
    known = games[0].known if games else 0.0
    rows, finished = report.summary(played), report.finished(played)
    return Done(played, rows, finished, images, cells, cells * (1 - known) / images)


def _play_one(base: Path, truth: Labels, game: Game, folder: Path, tell: Tell) -> Played:
    shutil.rmtree(folder, ignore_errors=True)
    steps = []
    for step in play(base, truth, game, folder, tell):
        steps.append(step)
        wrong = int(step.wrong.sum()) / max(1, int((truth.states != 0).sum()))
        per_image = step.spent.answers / len(truth.image_ids)
        tell(f"{game.policy}, seed {game.seed}: {per_image:.2f} answers, {wrong:.2%} wrong", 0.0)
    shutil.rmtree(folder, ignore_errors=True)
    counted = truth.states != 0
    return Played(
        game, steps, len(truth.image_ids), int(counted.sum()), int((truth.states == 1).sum())
    )


def _make_base(base: Path, source: Source, table: LabelTable) -> None:
    wanted, root = set(table.images), source.images.expanduser().resolve()
    found = [path for path in find_images(root) if path.relative_to(root).as_posix() in wanted]
    if len(found) < len(wanted):
        raise InvalidInput(f"{len(wanted) - len(found)} pictures of {source.labels} are missing")
    workspace = Workspace.create(base, Settings(feature_set=source.feature_set, deep_tier="off"))
    with AnnotationService.create(workspace) as service:
        service.add_categories(table.categories)
        service.add_images(scan_images(found, root, workspace.thumbnail))
