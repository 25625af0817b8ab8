"""The worker's side of the label database: what it reads, its job row, commands, model versions.

No torch here. The worker has one job row of kind ``worker`` while it lives: heartbeat, progress and
message in one. People steer it by adding jobs of the kinds in `COMMANDS` with status ``waiting``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annotator.attention_maps import ATTENTION
from annotator.db import model_work, store
from annotator.db.engine import Database
from annotator.types import Job, ModelVersion

WORKER, TRAIN, PAUSE, RESUME, STOP = "worker", "train", "pause", "resume", "stop"
COMMANDS = (TRAIN, PAUSE, RESUME, STOP)
_MOST_WAITING = 1_000

Activity = Literal["starting", "reading", "learning", "waiting", "idle", "paused"]

NEWS_SECONDS = 1.0  # between two writes of the job row while its numbers change
HEARTBEAT_SECONDS = 5.0  # and while they do not
_PICTURES_AT_ONCE = 10_000


@dataclass(frozen=True)
class Marks:
    """Cheap signs of change; equal marks mean that nothing the worker cares for has changed.

    Attributes:
        known_cells: decided cells.
        trainable: some category has both a present and an absent cell.
    """

    event_id: int = 0
    newest_image_id: int = 0
    category_ids: tuple[int, ...] = ()
    known_cells: int = 0
    trainable: bool = False


@dataclass(frozen=True)
class Picture:
    """What the worker needs of an image row."""

    id: int
    sha256: str
    path: str
    known: int


@dataclass(frozen=True)
class Snapshot:
    """All decisions at one moment.

    Attributes:
        event_id: newest event they contain.
        category_ids: [C] ascending, so that new categories come last, as a warm start needs.
        category_names: [C].
        images: (id, content hash) of all pictures.
        cells: image ids, category ids and states of all decided cells, [n] each.
    """

    event_id: int
    category_ids: NDArray[np.int64]
    category_names: tuple[str, ...]
    images: tuple[tuple[int, str], ...]
    cells: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]

    def matrix(self, image_ids: NDArray[np.int64]) -> NDArray[np.int8]:
        """Labels [N, C] of these images; rows of ids that are not in the project stay unknown."""
        labels = np.zeros((len(image_ids), len(self.category_ids)), dtype=np.int8)
        images, categories, states = self.cells
        row, has_row = _places(image_ids, images)
        column, has_column = _places(self.category_ids, categories)
        there = has_row & has_column
        labels[row[there], column[there]] = states[there]
        return labels


class Records:
    """What one worker process reads from and writes to the label database.

    Args:
        database: open.
        clock: seconds that only grow.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._job = 0
        self._said: tuple[Activity, str, float] = ("starting", "", 0.0)
        self._beat_at = -float("inf")

    # -- the job row

    def begin(self) -> list[Job]:
        """Add this process's job row; jobs that a dead worker left are marked as failed.

        The caller must hold the worker lock: then no other worker can be alive.
        """
        with self._database.writing() as connection:
            left = [
                job
                for kind in (WORKER, *COMMANDS)
                for job in model_work.jobs(connection, kind=kind, status="running")
            ]
            for job in left:
                reason = f"its process {job.pid} ended without a word"
                model_work.set_job(
                    connection, job.id, status="failed", reason=reason, finished_at=_now()
                )
            self._job = model_work.add_job(
                connection,
                kind=WORKER,
                status="running",
                config={"activity": "starting"},
                message="starting",
                pid=os.getpid(),
                heartbeat=_now(),
                created_at=_now(),
            )
        return left

    def say(
        self,
        activity: Activity,
        message: str,
        progress: float = 0.0,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what the worker does; not every time if only the numbers change."""
        said = (activity, message, progress)
        wait = HEARTBEAT_SECONDS if said == self._said else NEWS_SECONDS
        if said[0] == self._said[0] and self._clock() - self._beat_at < wait:
            return
        self._said, self._beat_at = said, self._clock()
        with self._database.writing() as connection:
            model_work.set_job(
                connection,
                self._job,
                message=message,
                progress=min(1.0, max(0.0, progress)),
                config={"activity": activity, **(details or {})},
                heartbeat=_now(),
            )

    def beat(self) -> None:
        """Show that the worker lives, in a step that has nothing new to say."""
        if self._clock() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = self._clock()
        with self._database.writing() as connection:
            model_work.set_job(connection, self._job, heartbeat=_now())

    def end(self, status: Literal["done", "failed", "stopped"], message: str) -> None:
        """Close the job row and whatever command was being carried out.

        Args:
            status: how it ended.
            message: its last word; the reason if it is not done.
        """
        reason = "" if status == "done" else message
        with self._database.writing() as connection:
            if status != "done":
                model_work.fail_jobs_of(connection, os.getpid(), reason, _now())
            closed = {"status": status, "reason": reason, "finished_at": _now()}
            model_work.set_job(connection, self._job, message=message, progress=1.0, **closed)

    # -- commands

    def commands(self) -> list[Job]:
        """Commands that wait to be carried out, oldest first."""
        with self._database.reading() as connection:
            waiting = model_work.jobs(connection, status="waiting", limit=_MOST_WAITING)
        return sorted((job for job in waiting if job.kind in COMMANDS), key=lambda job: job.id)

    def was_paused(self) -> bool:
        """Whether the newest word on pausing was to pause; a restart keeps to it."""
        with self._database.reading() as connection:
            said = [
                job
                for kind in (PAUSE, RESUME)
                for job in model_work.jobs(connection, kind=kind, status="done", limit=1)
            ]
        return bool(said) and max(said, key=lambda job: job.id).kind == PAUSE

    def take(self, commands: Sequence[Job]) -> None:
        """Note that commands are being carried out."""
        with self._database.writing() as connection:
            for job in commands:
                model_work.set_job(
                    connection, job.id, status="running", pid=os.getpid(), heartbeat=_now()
                )

    def answer(
        self, commands: Sequence[Job], message: str, status: Literal["done", "stopped"] = "done"
    ) -> None:
        """Close commands with what came of them."""
        if not commands:
            return
        with self._database.writing() as connection:
            for job in commands:
                model_work.set_job(
                    connection,
                    job.id,
                    status=status,
                    message=message,
                    reason=message if status == "stopped" else "",
                    progress=1.0,
                    finished_at=_now(),
                )

    # -- where the model looks

    def attention_wanted(self) -> list[Job]:
        """Requests for maps of where the model looks, the newest first: somebody waits for it."""
        with self._database.reading() as connection:
            return model_work.jobs(
                connection, kind=ATTENTION, status="waiting", limit=_MOST_WAITING
            )

    def attention_answered(self, jobs: Sequence[Job]) -> None:
        """Remove requests: the maps are the answer, and there would soon be thousands of rows."""
        with self._database.writing() as connection:
            model_work.remove_jobs(connection, [job.id for job in jobs])

    # -- the project

    def picture(self, image_id: int) -> Picture | None:
        """One picture, None if it left the project."""
        with self._database.reading() as connection:
            one = store.image(connection, image_id)
        return None if one is None else Picture(one.id, one.sha256, one.path, one.known)

    def marks(self) -> Marks:
        """Cheap signs of change."""
        with self._database.reading() as connection:
            categories = store.categories(connection)
            return Marks(
                event_id=store.newest_event_id(connection),
                newest_image_id=store.newest_image_id(connection),
                category_ids=tuple(sorted(c.id for c in categories)),
                known_cells=sum(c.present + c.absent for c in categories),
                trainable=any(c.present and c.absent for c in categories),
            )

    def changed_cells_after(self, event_id: int) -> int:
        """How many cells the events newer than this one changed."""
        with self._database.reading() as connection:
            return store.changed_cells_after(connection, event_id)

    def pictures(self, after: int = 0) -> list[Picture]:
        """Pictures with a larger id."""
        with self._database.reading() as connection:
            found: list[Picture] = []
            while some := store.images_after(connection, after, _PICTURES_AT_ONCE):
                after = some[-1].id
                found += [Picture(one.id, one.sha256, one.path, one.known) for one in some]
            return found

    def snapshot(self) -> Snapshot:
        """All decisions, categories and pictures at one moment."""
        with self._database.reading() as connection:
            event_id = store.newest_event_id(connection)
            categories = sorted(store.categories(connection), key=lambda c: c.id)
            parts = list(store.decided(connection))
            hashes = store.image_hashes(connection)
        images, columns, states = zip(*parts, strict=True) if parts else ((), (), ())
        return Snapshot(
            event_id=event_id,
            category_ids=np.array([c.id for c in categories], dtype=np.int64),
            category_names=tuple(c.name for c in categories),
            images=tuple(hashes),
            cells=(
                np.concatenate([np.zeros(0, np.int64), *images]),
                np.concatenate([np.zeros(0, np.int64), *columns]),
                np.concatenate([np.zeros(0, np.int8), *states]),
            ),
        )

    # -- model versions

    def newest_version(self) -> ModelVersion | None:
        """The version in force."""
        with self._database.reading() as connection:
            ready = model_work.ready_versions(connection, limit=1)
            return model_work.model_version(connection, ready[0]) if ready else None

    def ready_versions(self, limit: int) -> list[int]:
        """Ids of the newest complete versions."""
        with self._database.reading() as connection:
            return model_work.ready_versions(connection, limit=limit)

    def fail_unfinished_versions(self) -> None:
        """Mark versions whose files a killed worker did not complete."""
        with self._database.writing() as connection:
            for version in model_work.model_versions(connection):
                if version.status == model_work.WRITING:
                    model_work.set_model_version(connection, version.id, status="failed")

    def reserve_version(self, event_id: int, feature_set: str, kind: str) -> int:
        """An id for a version of kind ``fast`` or ``deep`` whose files are about to be written."""
        with self._database.writing() as connection:
            version = model_work.add_model_version(
                connection,
                kind=kind,
                created_at=_now(),
                event_id=event_id,
                feature_set=feature_set,
            )
            model_work.set_model_version(connection, version, folder=str(version))
        return version

    def commit_version(
        self, version: int, metrics: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]
    ) -> None:
        """Put a version in force; its files must be complete."""
        with self._database.writing() as connection:
            model_work.set_model_version(
                connection,
                version,
                status=model_work.READY,
                metrics=dict(metrics),
                sources=[dict(source) for source in sources],
            )

    def fail_version(self, version: int) -> None:
        """Take a version out of force, since its files cannot be used."""
        with self._database.writing() as connection:
            model_work.set_model_version(connection, version, status="failed")


def only_appended(before: Sequence[int], now: Sequence[int]) -> bool:
    """Whether categories were at most added at the end: then all columns before keep their place.

    Args:
        before: category ids of the columns as they were.
        now: as they are.
    """
    return tuple(now[: len(before)]) == tuple(before)


def _places(
    values: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Position of each wanted value among ``values``, and whether it is there."""
    if not len(values):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(values, wanted, sorter=order).clip(max=len(values) - 1)
    found = order[place]
    return found, values[found] == wanted


def _now() -> datetime:
    return datetime.now(UTC)
