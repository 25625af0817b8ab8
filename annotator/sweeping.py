"""Sweep: pages of one category, and which categories are worth a page.

What a page needs is held in memory and follows the event log, so a page costs milliseconds however
large the project is. Nothing is decided here: an accepted page is one ordinary decision with the
source ``sweep`` (`AnnotationService.decide`), and so one event to undo.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from annotator.answer_counts import AnswerCounts
from annotator.checks import require
from annotator.db import store
from annotator.db.engine import Database
from annotator.errors import Conflict, InvalidInput
from annotator.precision import NOTHING, Precision, Share, precision
from annotator.scores import ScoreFolder
from annotator.sweep_tiles import SIDES, OpenCells, Verdict, usefulness, verdict
from annotator.tile_leases import TileLeases
from annotator.types import Category

MOST_TILES = 200
"""Most tiles on a page."""

MINIMUM_PRECISION = 0.95
"""Share of right suggestions below which a category is pointed to Focus; a person can set it."""

_SETTING = "sweep_minimum"


@dataclass(frozen=True)
class SweepCategory:
    """A category and what a page of it promises.

    Attributes:
        unknown: its undecided cells, with and without a suggestion.
        present: undecided cells that are suggested present.
        absent: undecided cells that are suggested absent.
        past: how right past suggestions were, at today's threshold.
        share: of the side that was asked for.
        verdict: of that share, see `annotator.sweep_tiles.verdict`.
        use: the larger, the more a page is worth; 0 where nothing waits.
        waits_for: why the model has no suggestion, in plain words; empty if it has the category.
    """

    id: int
    name: str
    unknown: int
    present: int
    absent: int
    past: Precision
    share: Share
    verdict: Verdict
    use: float
    waits_for: str


@dataclass(frozen=True)
class SweepList:
    """All categories, the most useful first.

    Attributes:
        model_version_id: that the suggestions come from, None before the first version.
        minimum: share of right suggestions that the person asks for, 0-1.
    """

    categories: tuple[SweepCategory, ...]
    model_version_id: int | None
    minimum: float


@dataclass(frozen=True)
class Tile:
    """One cell of a page: probability of present, and 1 present or -1 absent as suggested."""

    image_id: int
    file_name: str
    probability: float
    suggested: int


@dataclass(frozen=True)
class SweepPage:
    """Tiles of one category; they are this person's alone for a while.

    Attributes:
        side: ``present``, ``absent`` or ``both``.
        threshold: of the category, 0-1; None without a model.
        present: undecided cells suggested present, those of this page included.
        absent: undecided cells suggested absent.
        elsewhere: undecided cells that other people have on their pages.
        waits_for: why there is no suggestion, in plain words; empty if there can be.
    """

    category_id: int
    name: str
    side: str
    model_version_id: int | None
    threshold: float | None
    tiles: tuple[Tile, ...]
    present: int
    absent: int
    elsewhere: int
    waits_for: str


class Sweeping:
    """What Sweep asks of a workspace. Thread-safe.

    Args:
        database: open.
        newest: gives the scores of the newest model version.
        answers: counts of past answers.
        clock: gives the time, aware.
    """

    def __init__(
        self,
        database: Database,
        newest: Callable[[Connection], ScoreFolder | None],
        answers: AnswerCounts,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._newest = newest
        self._answers = answers
        self._clock = clock
        self._guard = threading.Lock()
        self._cells: OpenCells | None = None
        self._leases = TileLeases()

    def prepare(self) -> None:
        """Do now what the first page would wait for."""
        with self._guard, self._database.reading() as connection:
            cells = self._up_to_date(connection)
            _past(precision(self._answers.now(connection), thresholds=_thresholds(cells)))
        Share(0, 0).interval()  # imports what it needs

    def categories(self, user_id: int, side: str) -> SweepList:
        """All categories, the most useful first: many cells that wait, and suggestions right.

        Categories whose past suggestions were too often wrong come after the others, those with
        nothing to suggest last.

        Args:
            user_id: whose minimum precision counts.
            side: ``present``, ``absent`` or ``both``.

        Raises:
            InvalidInput: if there is no such side.
            NotFound: if there is no such user.
        """
        _check_side(side)
        with self._guard, self._database.reading() as connection:
            user = require(store.user(connection, user_id), "user", user_id)
            minimum = float(user.settings.get(_SETTING, MINIMUM_PRECISION))
            cells = self._up_to_date(connection)
            images = store.count_images(connection)
            known = store.categories(connection)
            answers = self._answers.now(connection)
            past = _past(precision(answers, thresholds=_thresholds(cells)))
            found = [_listed(one, images, side, cells, past, minimum) for one in known]
        found.sort(key=lambda one: (one.use == 0, one.verdict == "below", -one.use))
        version = None if cells is None else cells.scores.version
        return SweepList(tuple(found), version, minimum)

    def page(
        self, user_id: int, category_id: int, side: str, *, count: int, without: Sequence[int] = ()
    ) -> SweepPage:
        """Hand a page of tiles to a person.

        Args:
            user_id: who asks.
            category_id: of the tiles.
            side: ``present``, ``absent`` or ``both``.
            count: at most this many, 1 to `MOST_TILES`.
            without: pictures that this person has on another page, or has left unknown.

        Raises:
            InvalidInput: if there is no such side or the count is out of range.
            NotFound: if there is no such user or category.
        """
        _check_side(side)
        if not 1 <= count <= MOST_TILES:
            raise InvalidInput(f"count must be from 1 to {MOST_TILES}, got {count}")
        with self._guard, self._database.reading() as connection:
            require(store.user(connection, user_id), "user", user_id)
            category = require(_category(connection, category_id), "category", category_id)
            cells = self._up_to_date(connection)
            waits_for = _waits_for(cells, category_id)
            if cells is None or waits_for:
                version = None if cells is None else cells.scores.version
                return SweepPage(
                    category_id, category.name, side, version, None, (), 0, 0, 0, waits_for
                )
            now = self._clock()
            taken = self._leases.of_others(category_id, user_id, now)
            chosen = cells.choose(category_id, side, count, taken.union(without))
            self._leases.take(category_id, user_id, chosen.image_ids.tolist(), now)
            names = store.images(connection, chosen.image_ids.tolist())
            present, absent = cells.waiting(category_id)
            columns = (chosen.image_ids, chosen.probability, chosen.suggested)
            return SweepPage(
                category_id=category_id,
                name=category.name,
                side=side,
                model_version_id=cells.scores.version,
                threshold=cells.threshold(category_id),
                tiles=tuple(
                    Tile(image_id, names[image_id].file_name, probability, suggested)
                    for image_id, probability, suggested in zip(
                        *(column.tolist() for column in columns), strict=True
                    )
                    if image_id in names
                ),
                present=present,
                absent=absent,
                elsewhere=cells.count_open(category_id, taken),
                waits_for="",
            )

    def release(self, user_id: int, category_id: int, image_ids: Iterable[int]) -> None:
        """Give tiles back that a person has left without deciding."""
        with self._guard:
            self._leases.release(category_id, user_id, image_ids)

    def set_minimum(self, user_id: int, minimum: float) -> None:
        """Set the precision below which a person is pointed to Focus.

        Raises:
            InvalidInput: if it is not from 0 to 1.
            NotFound: if there is no such user.
        """
        if not 0 <= minimum <= 1:
            raise InvalidInput(f"minimum must be from 0 to 1, got {minimum} (0.95 is 95 %)")
        with self._database.writing() as connection:
            user = require(store.user(connection, user_id), "user", user_id)
            store.set_user_settings(connection, user_id, {**user.settings, _SETTING: minimum})

    def _up_to_date(self, connection: Connection) -> OpenCells | None:
        """The cells of the newest version as they are now; None before the first."""
        scores = self._newest(connection)
        newest = store.newest_event_id(connection)
        if scores is None:
            return None
        if self._cells is None or self._cells.scores is not scores:
            self._cells = OpenCells(scores)
        if newest < self._cells.event_id:
            raise Conflict(
                f"the label database is older than model version {scores.version} "
                "(it was restored from a backup; train again)"
            )
        for event_id, cells in store.cells_after(connection, self._cells.event_id):
            self._cells.apply(event_id, cells["image"], cells["category"], cells["after"])
        self._cells.event_id = newest
        return self._cells


def _check_side(side: str) -> None:
    if side not in SIDES:
        raise InvalidInput(f"there is no side {side!r} (choose one of {', '.join(SIDES)})")


def _category(connection: Connection, category_id: int) -> Category | None:
    return next((c for c in store.categories(connection) if c.id == category_id), None)


def _thresholds(cells: OpenCells | None) -> dict[int, float]:
    if cells is None:
        return {}
    model = cells.scores.model
    return dict(zip(model.category_ids.tolist(), model.threshold.tolist(), strict=True))


def _past(found: Iterable[Precision]) -> dict[int, Precision]:
    return {one.category_id: one for one in found if one.category_id is not None}


def _listed(
    category: Category,
    images: int,
    side: str,
    cells: OpenCells | None,
    precisions: dict[int, Precision],
    minimum: float,
) -> SweepCategory:
    present, absent = (0, 0) if cells is None else cells.waiting(category.id)
    past = precisions.get(category.id, NOTHING)
    waiting, share = {
        "present": (present, past.present),
        "absent": (absent, past.absent),
        "both": (present + absent, past.present + past.absent),
    }[side]
    return SweepCategory(
        id=category.id,
        name=category.name,
        unknown=images - category.present - category.absent,
        present=present,
        absent=absent,
        past=past,
        share=share,
        verdict=verdict(share, minimum),
        use=usefulness(waiting, share),
        waits_for=_waits_for(cells, category.id),
    )


def _waits_for(cells: OpenCells | None, category_id: int) -> str:
    if cells is None:
        return "there is no model yet"
    if cells.scores.column(category_id) < 0:
        return "it is newer than the model and comes with its next version"
    return cells.scores.model.waiting.get(category_id, "")
