"""A small project for tests of the label database: helpers and what must hold of it at any time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from annotator.db import schema, store
from annotator.db.cells import replay
from annotator.db.engine import Database
from annotator.images import ScannedImage
from annotator.service import AnnotationService, CellChange
from annotator.settings import Settings, Workspace
from annotator.types import DecideResult, UndoResult
from benchmarks.made_scores import MadeScores, add_version

NAMES = ("cup", "dining table", "<img src=x onerror=alert(1)>", "🐄 بقرة")

Row = tuple[int, int, float | None]


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **step: float) -> None:
        self.now += timedelta(**step)


@dataclass
class Project:
    """A workspace with some pictures and categories, and two people."""

    workspace: Workspace
    service: AnnotationService
    clock: Clock
    ana: int
    bo: int
    keys: Iterator[int]

    def decide(self, user: int, *cells: tuple[int, int, int], key: str = "") -> DecideResult:
        changes = [CellChange(*cell) for cell in cells]
        return self.service.decide(user, changes, key=key or f"key-{next(self.keys)}")

    def undo(self, user: int, key: str = "") -> UndoResult:
        return self.service.undo(user, key=key or f"key-{next(self.keys)}")

    def states(self) -> dict[tuple[int, int], int]:
        """Known cells as (image, category) -> state."""
        return {cell: row[0] for cell, row in self.table().items()}

    def table(self) -> dict[tuple[int, int], Row]:
        """The decision table as (image, category) -> (state, event, score)."""
        d = schema.decision.c
        with self.service.database.reading() as connection:
            rows = connection.execute(
                select(d.image_id, d.category_id, d.state, d.event_id, d.score)
            )
            return {(i, c): (state, event, score) for i, c, state, event, score in rows}

    def check(self) -> None:
        """What must hold at any time: the log gives the table, counts are right."""
        table = self.table()
        with self.service.database.reading() as connection:
            log = [cells for _, cells in store.cells_after(connection, 0)]
            categories = store.categories(connection)
            image_ids, known = store.known_counts(connection)
            named = {event for _, event, _ in table.values()}
            undone = store.undone_events(connection, named)
        assert replay(log) == table
        assert undone == []
        for category in categories:
            states = [row[0] for (_, c), row in table.items() if c == category.id]
            assert (category.present, category.absent) == (states.count(1), states.count(-1))
        for image_id, number in zip(image_ids.tolist(), known.tolist(), strict=True):
            assert number == sum(i == image_id for i, _ in table)
        status = self.service.status()
        self._check_activity(table)
        assert status.images == len(known)
        assert status.images_untouched == np.count_nonzero(known == 0)
        assert status.images_open == np.count_nonzero(known < len(categories))

    def _check_activity(self, table: Mapping[tuple[int, int], Row]) -> None:
        """Every cell is counted once, where the decision that holds was made."""
        with self.service.database.reading() as connection:
            e = schema.event.c
            statement = select(e.id, e.kind, e.source, e.user_id, e.at)
            made = {ident: facts for ident, *facts in connection.execute(statement)}
        held: Counter[tuple[str, int]] = Counter()
        decided: Counter[tuple[int, str, int]] = Counter()
        for _, event, _ in table.values():
            kind, source, user, at = made[event]
            who = ("categories" if kind == "category" else source, user or 0)
            held[who] += 1
            decided[int(at.timestamp()) // 60, *who] += 1
        found = self.service.activity()
        counted: tuple[Counter[Any], Counter[Any]] = Counter(), Counter()
        for minute, source, user, net, standing in zip(
            *(getattr(found, field.name).tolist() for field in fields(found)), strict=True
        ):
            counted[0][source, user] += net
            counted[1][minute, source, user] += standing
        assert counted == (held, decided)

    def add_version(
        self, scores: MadeScores | None = None, *, waiting: Mapping[int, str] | None = None
    ) -> int:
        """A model version that is ready; returns its id."""
        return add_version(self.service, scores, waiting=waiting, at=self.clock())


def scanned(numbers: Iterable[int], folder: Path) -> list[ScannedImage]:
    return [
        ScannedImage(f"{i:064x}", folder / f"{i}.jpg", f"{i}.jpg", 640, 480, 1000 + i, "jpeg")
        for i in numbers
    ]


def make_project(
    folder: Path, *, url: str = "", template: Path | None = None, images: int = 6
) -> Project:
    """A project with pictures 1 to ``images`` and the categories 1 to 4.

    Args:
        folder: for the workspace.
        url: of the database; SQLite in the workspace if empty.
        template: an empty label database to begin with, since migrations take a while.
        images: how many pictures.
    """
    workspace = Workspace.create(folder, Settings(database=url))
    if template is not None and not url:
        shutil.copy(template, folder / "labels.db")
    clock = Clock()
    service = AnnotationService.create(workspace, clock=clock)
    service.add_categories(NAMES)
    service.add_images(scanned(range(1, images + 1), folder / "pictures"))
    ana, bo = service.ensure_user("ana").id, service.ensure_user("bo").id
    return Project(workspace, service, clock, ana, bo, count())


def empty_database(path: Path) -> Path:
    """An empty label database in one file."""
    with Database.create(f"sqlite:///{path}") as database:
        database.checkpoint()
    return path
