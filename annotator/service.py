"""AnnotationService: every use case of the tool, shared by pages, command line and Python callers.

Synchronous and thread-safe; several processes may work on the same workspace. What a method has
returned is on disk. No torch: scores come from the folders that the worker writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

from annotator import flags, people
from annotator.activity_log import ActivityLog
from annotator.adding import PictureAdder, add_categories
from annotator.all_labels import Export, label_matrix
from annotator.answer_counts import AnswerCounts
from annotator.attention import Attention
from annotator.attention_maps import AttentionMap, NoAttention
from annotator.browse import Browser
from annotator.category_changes import CategoryChanges
from annotator.changes import Changes, changes_after
from annotator.checks import require
from annotator.completion.use_cases import Completion
from annotator.db import flags as flag_table
from annotator.db import model_work, offers, store
from annotator.db.engine import CONNECTIONS, Database
from annotator.deciding import Decided, DecideRequest, Deciding
from annotator.handing_out import HandingOut
from annotator.images import ScannedImage, UnreadableImage
from annotator.importing import ConflictPolicy, ImportRequest, Progress, import_cells
from annotator.known_counts import KnownCounts
from annotator.looking_again import LookingAgain
from annotator.open_scores import OpenScores
from annotator.own_changes import OwnChanges
from annotator.precision import Answers
from annotator.progress import Activity
from annotator.project_status import project_status
from annotator.queue_orders import QueueOrders
from annotator.settings import Workspace
from annotator.suggestions import CellEvidence
from annotator.sweeping import Sweeping
from annotator.types import (
    AddReport,
    Category,
    CellBatch,
    CellChange,
    DecideResult,
    Event,
    Flag,
    Image,
    ImageState,
    ImportReport,
    Job,
    Labels,
    ModelVersion,
    QueueInfo,
    QueuePage,
    Status,
    StoredSuggestion,
    UndoResult,
    User,
)
from annotator.undoing import TakenBack, Undoing
from annotator.view_reader import SUGGESTIONS_SHOWN, ViewReader
from annotator.worker_jobs import request_job

__all__ = [
    "AddReport",
    "AnnotationService",
    "Category",
    "CellBatch",
    "CellChange",
    "ConflictPolicy",
    "DecideResult",
    "Export",
    "Image",
    "ImageState",
    "ImportReport",
    "Job",
    "Labels",
    "ModelVersion",
    "QueuePage",
    "Status",
    "UndoResult",
    "User",
]


def _now() -> datetime:
    return datetime.now(UTC)


class AnnotationService:
    """All use cases on one workspace. Also a context manager.

    Args:
        workspace: opened; its label database must exist (see `create`).
        clock: gives the time, aware.
        connections: most connections to the database at once.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        clock: Callable[[], datetime] = _now,
        connections: int = CONNECTIONS,
    ) -> None:
        database = Database.open(workspace.database_url, connections=connections)
        self._set_up(workspace, database, clock)

    @classmethod
    def create(cls, workspace: Workspace, *, clock: Callable[[], datetime] = _now) -> Self:
        """Make the label database of a new workspace; one that is there already is opened."""
        service = cls.__new__(cls)
        service._set_up(workspace, Database.create(workspace.database_url), clock)
        return service

    def _set_up(
        self, workspace: Workspace, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self.workspace = workspace
        self.database = database
        self._clock = clock
        scores = OpenScores(workspace.scores)
        self._reader = reader = ViewReader(scores)
        self._known = KnownCounts(database)
        self._answers = AnswerCounts()
        self._activity = ActivityLog()
        self._undoing = Undoing(database, reader, clock)
        self.completion = Completion(
            workspace, database, clock, reader.scores, label_matrix, self._undoing.take_back
        )
        self._deciding = Deciding(database, reader, self.completion, clock)
        self.looking_again = LookingAgain(database, reader.scores)
        self._handing_out = HandingOut(
            database,
            reader,
            self._known,
            QueueOrders(workspace.settings.seed),
            self.looking_again,
            clock,
        )
        self.browser = Browser(database, scores, clock)
        self.sweeping = Sweeping(database, reader.scores, self._answers, clock)
        self.own_changes = OwnChanges(database)
        self.category_changes = CategoryChanges(database, clock)

    def prepare(self) -> None:
        """Read what Sweep and Browse need, so that nobody waits for it; it can take seconds."""
        self.sweeping.prepare()
        self.browser.prepare()

    def close(self) -> None:
        """Give the database connections back."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -------------------------------------------------------------------------- people

    def ensure_user(self, name: str) -> User:
        """The person of this name, added if there is none.

        Raises:
            InvalidInput: if the name is empty, too long or has control characters.
        """
        return people.ensure_user(self.database, name, self._clock)

    def user(self, user_id: int) -> User:
        """One person.

        Raises:
            NotFound: if there is none of this id.
        """
        with self.database.reading() as connection:
            return require(store.user(connection, user_id), "user", user_id)

    def users(self) -> list[User]:
        """All people, in the order in which they came."""
        with self.database.reading() as connection:
            return store.users(connection)

    def set_user_settings(self, user_id: int, settings: Mapping[str, Any]) -> User:
        """Replace the settings of a person; values must be JSON."""
        with self.database.writing() as connection:
            return people.set_settings(connection, user_id, settings)

    def set_user_keys(self, user_id: int, keys: Mapping[str, Sequence[str]]) -> User:
        """Change the keys of a person on the labelling page; see `key_settings.clean_keys`."""
        with self.database.writing() as connection:
            return people.set_keys(connection, user_id, keys)

    # -------------------------------------------------------------- categories and pictures

    def categories(self) -> list[Category]:
        """All categories in list order, with how many of their cells are known."""
        with self.database.reading() as connection:
            return store.categories(connection)

    def add_categories(self, names: Iterable[str], user_id: int | None = None) -> list[Category]:
        """Append categories; their cells are unknown. Names that exist already stay as they are.

        Returns:
            The categories of these names, in the order given.

        Raises:
            InvalidInput: if a name is empty, too long or has control characters.
            Conflict: if a name differs from another one in case or typography only.
        """
        with self.database.writing() as connection:
            return add_categories(connection, names, user_id, self._clock())

    def add_images(
        self, scanned: Iterable[ScannedImage | UnreadableImage], user_id: int | None = None
    ) -> AddReport:
        """Add pictures by content; those that are there already are not added again.

        Committed every few hundred pictures, so work can begin before all are added.
        """
        return PictureAdder(self.workspace, self.database, self._clock).add(scanned, user_id)

    def image(self, image_id: int) -> Image:
        """One picture.

        Raises:
            NotFound: if there is none of this id.
        """
        with self.database.reading() as connection:
            return require(store.image(connection, image_id), "image", image_id)

    def images(self, image_ids: Iterable[int]) -> dict[int, Image]:
        """Pictures by id; those that do not exist are missing."""
        with self.database.reading() as connection:
            return store.images(connection, image_ids)

    def image_by_hash(self, sha256: str) -> Image:
        """The picture of this content.

        Raises:
            NotFound: if there is none.
        """
        with self.database.reading() as connection:
            return require(store.image_by_hash(connection, sha256), "image", sha256)

    def images_after(self, image_id: int, limit: int) -> list[Image]:
        """Pictures by id, at most ``limit`` after this one; 0 begins."""
        with self.database.reading() as connection:
            return store.images_after(connection, image_id, limit)

    def image_names(self) -> list[tuple[int, str, str]]:
        """(id, file name, stored path) of all pictures, for matching the names in a file."""
        with self.database.reading() as connection:
            return store.image_names(connection)

    # ----------------------------------------------------------------------------- decisions

    def decide(
        self,
        user_id: int,
        cells: Sequence[CellChange],
        *,
        key: str,
        source: str = "focus",
        model_version_id: int | None = None,
    ) -> DecideResult:
        """Decide cells or make them unknown, as one event; all of them or none.

        Args:
            user_id: who decides.
            cells: each cell once; state 1 present, -1 absent, 0 unknown.
            key: idempotency key. The same request with the same key is carried out once.
            source: where it was decided: ``focus``, ``sweep``, …
            model_version_id: of the suggestions that were shown; answers use it as long as it
                is kept, so that nothing moves under the cursor.

        Raises:
            InvalidInput: if a value is malformed or a cell is given two states.
            NotFound: if the user, a picture, a category or the model version does not exist.
            Conflict: if the key was used for another request.
        """
        return self.decided(
            user_id, cells, key=key, source=source, model_version_id=model_version_id
        ).result()

    def decided(
        self,
        user_id: int,
        cells: Sequence[CellChange],
        *,
        key: str,
        source: str = "focus",
        model_version_id: int | None = None,
    ) -> Decided:
        """As `decide`, but returns as soon as the decision is on disk, before its answer."""
        return self._deciding.decide(
            DecideRequest.of(user_id, cells, key, source, model_version_id)
        )

    def undo(self, user_id: int, *, key: str, event_id: int | None = None) -> UndoResult:
        """Take a person's newest event back that is not undone yet; a batch as one.

        Repeated undo walks back, across pictures. Each cell gets its former row again, with its
        provenance. A cell that somebody else changed since is left as it is and reported. Changes
        of the list of categories are taken back only by their event id.

        Args:
            user_id: who takes it back, and whose newest event if no event is named.
            key: idempotency key, as in `decide`.
            event_id: take this event back, whosever it is.

        Raises:
            NotFound: if there is nothing left to undo, or no such event.
            Conflict: if the key was used for another request, the event is undone already or
                cannot be, or a category's former name was given to another one since.
        """
        return self.taken_back(user_id, key=key, event_id=event_id).result()

    def taken_back(self, user_id: int, *, key: str, event_id: int | None = None) -> TakenBack:
        """As `undo`, but returns as soon as the event is on disk, before its answer."""
        return self._undoing.undo(user_id, key, event_id)

    def import_decisions(
        self,
        batches: Iterable[CellBatch],
        *,
        user_id: int | None = None,
        source: str = "import",
        conflict: ConflictPolicy = "keep",
        key: str | None = None,
        model_version_id: int | None = None,
        progress: Progress | None = None,
        file_name: str = "",
    ) -> ImportReport:
        """Decide any number of cells as one event that can be undone; all of them or none.

        Other writers wait meanwhile. Cells that are known with the same state stay as they are.

        Args:
            batches: columns of cells; memory stays bounded if they are made one at a time.
            user_id: who starts it, and who can undo it.
            source: ``import``, or what else decides in bulk.
            conflict: what happens to cells known with the other state: ``keep`` or ``overwrite``.
            key: idempotency key of the whole import; with a key that was used before for the same
                kind of import nothing is read.
            model_version_id: of the model behind the states, if there is one.
            progress: called with the number of cells done.
            file_name: where they come from, kept with the event.

        Raises:
            InvalidInput: if a state is not -1, 0 or 1, or a cell is given two states.
            NotFound: if a picture, category, user or model version does not exist.
            Conflict: if the key was used for something else.
        """
        request = ImportRequest(user_id, source, conflict, key, model_version_id, file_name)
        return import_cells(self.database, request, batches, progress, self._clock)

    # ---------------------------------------------------------------------- state and evidence

    def image_state(
        self,
        image_id: int,
        *,
        limit: int = SUGGESTIONS_SHOWN,
        model_version_id: int | None = None,
    ) -> ImageState:
        """What is known of a picture and what is suggested for the rest.

        Args:
            image_id: of the picture.
            limit: at most this many suggestions.
            model_version_id: take this version if it is still there, else the newest.

        Raises:
            NotFound: if there is no such picture.
        """
        with self.database.reading() as connection:
            view = self._reader.view(connection, [image_id], model_version_id)
        require(view.images.get(image_id), "image", image_id)
        return view.states([image_id], limit)[0]

    def evidence(
        self, image_id: int, category_id: int, *, model_version_id: int | None = None
    ) -> CellEvidence:
        """All that speaks for and against one cell, decided or not.

        Raises:
            NotFound: if there is no such picture or category.
        """
        with self.database.reading() as connection:
            view = self._reader.view(connection, [image_id], model_version_id)
            require(view.images.get(image_id), "image", image_id)
            require(view.column.get(category_id), "category", category_id)
            near = []
            if view.scores is not None:
                near = view.scores.image(image_id).neighbours.tolist()
            known_there = store.states_in_category(connection, category_id, near)
        return view.evidence(image_id, category_id, known_there)

    def attention(self, image_id: int, category_id: int) -> AttentionMap | NoAttention:
        """Where in a picture the model looks for a category; see `annotator.attention`."""
        asking = Attention(self.workspace, self.database, self._reader.scores, self._clock)
        return asking.find(image_id, category_id)

    def suggestion_history(self, image_id: int) -> list[StoredSuggestion]:
        """Every suggestion that was handed out for a picture, and what became of it."""
        with self.database.reading() as connection:
            return offers.suggestion_rows(connection, image_id)

    # --------------------------------------------------------------------------------- queues

    def queues(self) -> list[QueueInfo]:
        """The queues there are, with how many pictures wait in each."""
        return self._handing_out.queues()

    def next_images(
        self, user_id: int, queue: str, *, count: int = 1, after: int | None = None
    ) -> QueuePage:
        """Hand out the next pictures of a queue to a person.

        What was handed out stays this person's for a while and comes first the next time, in the
        same order, also when a new model version orders the queue anew. At the end of the queue
        the pictures passed without deciding come again, longest ago first.

        Args:
            user_id: who asks; each person has an own position.
            queue: one of `queue_orders.QUEUES`.
            count: how many, 1 to 100.
            after: the picture this person is through with, decided or not.

        Raises:
            InvalidInput: if there is no such queue or the count is out of range.
            NotFound: if the user or the picture ``after`` does not exist.
        """
        return self._handing_out.next_images(user_id, queue, count, after)

    # ---------------------------------------------------------------------------------- flags

    def set_flag(self, user_id: int, image_id: int, note: str) -> Flag:
        """Flag a picture with a note for somebody else; see `flags.set_flag`."""
        with self.database.writing() as connection:
            return flags.set_flag(connection, user_id, image_id, note, self._clock())

    def close_flag(self, user_id: int, flag_id: int) -> Flag:
        """Close a flag that was dealt with; it stays readable."""
        with self.database.writing() as connection:
            return flags.close_flag(connection, user_id, flag_id, self._clock())

    def flags(
        self, image_id: int | None = None, *, closed: bool = False, limit: int = 200
    ) -> list[Flag]:
        """The newest flags, of one picture or all; with ``closed`` also those dealt with."""
        with self.database.reading() as connection:
            return flag_table.flags(connection, image_id=image_id, closed=closed, limit=limit)

    # ---------------------------------------------------------------------- whole project

    def changes(self, after: int) -> Changes:
        """What has changed since an event, for a page that shows what was so then."""
        with self.database.reading() as connection:
            return changes_after(connection, after)

    def has_scores(self) -> bool:
        """Whether there is a model version whose scores can be read; else frequencies are shown."""
        with self.database.reading() as connection:
            return self._reader.scores(connection) is not None

    def status(self) -> Status:
        """The project in numbers, the newest model version and what the worker is doing."""
        pictures = self._known.now()  # has a connection of its own: before one is held here
        with self.database.reading() as connection:
            return project_status(connection, pictures, self._clock())

    def activity(self) -> Activity:
        """What was decided when, where and by whom; see `annotator.progress`."""
        with self.database.reading() as connection:
            return self._activity.now(connection)

    def thresholds(self) -> dict[int, float]:
        """Where the newest model version calls each category present; without a model empty."""
        with self.database.reading() as connection:
            scores = self._reader.scores(connection)
        return {} if scores is None else scores.thresholds()

    def labels(self) -> Labels:
        """All decisions as one matrix; a few seconds for ten million of them."""
        with self.database.reading() as connection:
            return label_matrix(connection)

    @contextmanager
    def export(self) -> Iterator[Export]:
        """One consistent view of everything, for writing files; decisions may go on meanwhile."""
        with self.database.reading() as connection:
            yield Export(connection)

    def answers(self) -> Answers:
        """People's answers to cells that had a probability, counted; see `annotator.precision`."""
        with self.database.reading() as connection:
            return self._answers.now(connection)

    def events(self, before: int | None = None, limit: int = 50) -> list[Event]:
        """The log, newest first, from before an event id on."""
        with self.database.reading() as connection:
            return store.events(connection, before, limit)

    # ------------------------------------------------------------------- jobs, model versions

    def model_versions(self, limit: int = 50) -> list[ModelVersion]:
        """The newest model versions whatever their status, newest first."""
        with self.database.reading() as connection:
            return model_work.model_versions(connection, limit)

    def jobs(
        self, *, kind: str | None = None, status: str | None = None, limit: int = 20
    ) -> list[Job]:
        """The newest jobs, newest first."""
        with self.database.reading() as connection:
            return model_work.jobs(connection, kind=kind, status=status, limit=limit)

    def request_job(self, kind: str, config: Mapping[str, Any] | None = None) -> Job:
        """Ask the worker for something; an equal request that still waits is not doubled."""
        with self.database.writing() as connection:
            return request_job(connection, kind, config or {}, self._clock())

    def worker_died(self, pid: int, reason: str) -> None:
        """Mark what a dead worker process was doing as failed."""
        with self.database.writing() as connection:
            model_work.fail_jobs_of(connection, pid, reason, self._clock())
