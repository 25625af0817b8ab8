"""AnnotationService: every use case of the tool, shared by pages, command line and Python callers.

Synchronous and thread-safe; several processes may work on the same workspace. What a method has
returned is on disk. No torch: scores come from the folders that the worker writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator import flags
from annotator.activity_log import ActivityLog
from annotator.answer_counts import AnswerCounts
from annotator.attention import Attention
from annotator.attention_maps import AttentionMap, NoAttention
from annotator.browse import Browser
from annotator.category_changes import CategoryChanges, told_of
from annotator.changes import Changes, changes_after
from annotator.checks import check_cells, check_key, check_source, require
from annotator.completion.asking import QUEUE as AUDIT_QUEUE
from annotator.completion.asking import hand_out
from annotator.completion.contracts import AUDIT_SOURCE
from annotator.completion.use_cases import Completion
from annotator.contradictions import QUEUE as LOOK_AGAIN
from annotator.db import cells as packed
from annotator.db import contracts as contract_table
from annotator.db import flags as flag_table
from annotator.db import leases, offers, store
from annotator.db.cells import Cells
from annotator.db.engine import CONNECTIONS, Database
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.idempotency import digest_of, done_before
from annotator.images import ScannedImage, UnreadableImage
from annotator.importing import BulkChange
from annotator.key_settings import clean_keys
from annotator.known_counts import KnownCounts, Pictures
from annotator.looking_again import LookingAgain
from annotator.names import clean_name, name_key
from annotator.open_scores import OpenScores
from annotator.own_changes import OwnChanges
from annotator.precision import Answers
from annotator.progress import Activity
from annotator.queue_orders import QUEUES, Hand, QueueOrder, QueueOrders, check_queue
from annotator.scores import ScoreFolder
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
    ExportImage,
    Flag,
    Image,
    ImageState,
    ImportReport,
    Job,
    Labels,
    LeftCell,
    ModelVersion,
    Provenance,
    QueueInfo,
    QueuePage,
    Status,
    StoredSuggestion,
    UndoResult,
    User,
)
from annotator.undoing import undo_event, undoable_event
from annotator.views import View

__all__ = [
    "AddReport",
    "AnnotationService",
    "Category",
    "CellBatch",
    "CellChange",
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

SUGGESTIONS_SHOWN = 24
"""Suggestions in the state of a picture unless asked otherwise."""

LEASE = timedelta(minutes=10)
"""How long a picture that was handed out is nobody else's; renewed with each further one."""

WORKER_SILENCE = timedelta(seconds=15)
"""Without a sign of life for this long, the worker counts as gone."""

_FULL_STATES = 8  # pictures up to which an answer carries whole states
_LIVE_SCORES = 200  # pictures up to which scores follow the labels known now
_REVISIONS = 5_000  # pictures up to which an answer carries revisions
_ADD_AT_ONCE = 500
_EVENTS_AHEAD = 500

ConflictPolicy = Literal["keep", "overwrite"]
Progress = Callable[[int], None]
Ids = NDArray[np.int64]


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
        self._scores = OpenScores(workspace.scores)
        self._orders = QueueOrders(workspace.settings.seed)
        self.browser = Browser(database, self._scores, clock)
        self.completion = Completion(
            workspace, database, clock, self._newest, self._labels, self._undo
        )
        self.looking_again = LookingAgain(database, self._newest)
        self.own_changes = OwnChanges(database)
        self._answers = AnswerCounts()
        self.sweeping = Sweeping(database, self._newest, self._answers, clock)
        self.category_changes = CategoryChanges(database, clock)
        self._activity = ActivityLog()
        self._known = KnownCounts(database)

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
        name = clean_name(name, "user")
        with self.database.reading() as connection:
            found = store.user_named(connection, name)
        if found is not None:
            return found
        with self.database.writing() as connection:
            found = store.user_named(connection, name)
            if found is None:
                found = store.user(connection, store.add_user(connection, name, self._clock()))
            return require(found, "user", name)

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
            require(store.user(connection, user_id), "user", user_id)
            store.set_user_settings(connection, user_id, settings)
            return require(store.user(connection, user_id), "user", user_id)

    def set_user_keys(self, user_id: int, keys: Mapping[str, Sequence[str]]) -> User:
        """Change the keys of a person on the labelling page; see `key_settings.clean_keys`."""
        cleaned = clean_keys(keys)
        with self.database.writing() as connection:
            user = require(store.user(connection, user_id), "user", user_id)
            store.set_user_settings(connection, user_id, {**user.settings, "keys": cleaned})
            return require(store.user(connection, user_id), "user", user_id)

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
        wanted = list(dict.fromkeys(clean_name(name, "category") for name in names))
        with self.database.writing() as connection:
            if user_id is not None:
                require(store.user(connection, user_id), "user", user_id)
            by_key = store.category_names_by_key(connection)
            new = []
            for name in wanted:
                alike = by_key.setdefault(name_key(name), name)
                if alike != name:
                    raise Conflict(
                        f"category {name!r} differs from {alike!r} in case or typography only "
                        "(use the same spelling, or another name)"
                    )
                new.append((name, name_key(name)))
            existing = {category.name for category in store.categories(connection)}
            new = [(name, key) for name, key in new if name not in existing]
            if new:
                at = self._clock()
                store.add_categories(connection, new, at)
                names_added = [name for name, _ in new]
                added = {c.name: c.id for c in store.categories(connection)}
                ids = [added[name] for name in names_added]
                _log(connection, "categories", user_id, at, {"names": names_added, "ids": ids})
            by_name = {category.name: category for category in store.categories(connection)}
            return [by_name[name] for name in wanted]

    def add_images(
        self, scanned: Iterable[ScannedImage | UnreadableImage], user_id: int | None = None
    ) -> AddReport:
        """Add pictures by content; those that are there already are not added again.

        Committed every few hundred pictures, so work can begin before all are added.
        """
        report = _Adding()
        remaining = iter(scanned)
        while some := list(islice(remaining, _ADD_AT_ONCE)):
            readable = [one for one in some if isinstance(one, ScannedImage)]
            report.unreadable += [
                (one.file_name, one.reason) for one in some if isinstance(one, UnreadableImage)
            ]
            if readable:
                with self.database.writing() as connection:
                    self._add_images(connection, readable, report)
        if report.added:
            with self.database.writing() as connection:
                _log(connection, "images", user_id, self._clock(), {"added": report.added})
        return report.done()

    def _add_images(
        self, connection: Connection, scanned: Sequence[ScannedImage], report: _Adding
    ) -> None:
        stored = store.images_by_hash(connection, {one.sha256 for one in scanned})
        places = {sha: (image.path, image.file_name) for sha, image in stored.items()}
        new: dict[str, dict[str, Any]] = {}
        moved: list[dict[str, Any]] = []
        for one in scanned:
            path = self.workspace.stored_path(one.path)
            if one.sha256 not in places:
                places[one.sha256] = (path, one.file_name)
                new[one.sha256] = _image_row(one, path, self._clock())
            elif places[one.sha256][0] == path:
                report.known += 1
            elif one.sha256 in new or self.workspace.image_path(places[one.sha256][0]).exists():
                report.duplicates.append((one.file_name, places[one.sha256][1]))
            else:
                places[one.sha256] = (path, one.file_name)
                key = stored[one.sha256].id
                moved.append({"key": key, "path": path, "file_name": one.file_name})
        if new:
            store.add_images(connection, list(new.values()))
        if moved:
            store.move_images(connection, moved)
        report.added += len(new)
        report.moved += len(moved)

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
        request = _Request.of(user_id, cells, key, source, model_version_id)
        few = len(request.image_ids) <= _FULL_STATES
        with self.database.writing() as connection:
            done = done_before(connection, key, request.digest)
            view = self._view(connection, request.image_ids, model_version_id, cells=few)
            event_id = self._decide(connection, view, request) if done is None else done.id
            states = view.states(request.image_ids, SUGGESTIONS_SHOWN) if few else ()
            if source == AUDIT_SOURCE:
                states = self.completion.blind(connection, states, view.categories)
            elif done is None and source != LOOK_AGAIN:
                _offer(connection, states)
        return DecideResult(
            event_id=event_id,
            repeated=done is not None,
            revisions={image.id: image.revision for image in view.images.values()},
            images=states,
        )

    def _decide(self, connection: Connection, view: View, request: _Request) -> int:
        """Write a checked request and bring the view up to date; returns the event."""
        user = require(store.user(connection, request.user_id), "user", request.user_id)
        _check_version(connection, request.model_version_id)
        for image_id, category_id, _ in request.cells:
            require(view.images.get(image_id), "image", image_id)
            require(view.column.get(category_id), "category", category_id)
        changes = _changes(connection, view, request)
        at = self._clock()
        event_id = store.add_event(
            connection,
            kind="decide",
            user_id=user.id,
            source=request.source,
            model_version_id=request.model_version_id,
            at=at,
            idempotency_key=request.key,
            request_digest=request.digest,
            cell_count=len(changes),
            summary=_summary(changes),
        )
        if len(changes):
            changes["after_event"] = np.where(changes["after"] != 0, event_id, 0)
            store.write_cells(connection, changes)
            store.add_event_cells(connection, event_id, changes)
            offers.answer_suggestions(connection, changes, event_id)
            view.apply(changes, source=request.source, user=user.name, at=at)
            self.completion.after_decision(connection, request.source, changes, event_id, at)
        return event_id

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
        check_key(key)
        digest = digest_of("undo", user_id, *([] if event_id is None else [event_id]))
        with self.database.writing() as connection:
            done = done_before(connection, key, digest)
            if done is None:
                require(store.user(connection, user_id), "user", user_id)
                if event_id is None:
                    target = store.newest_undoable(connection, user_id)
                else:
                    target = undoable_event(connection, event_id)
                if target is None:
                    raise NotFound("there is nothing left to undo")
                done = self._undo(connection, target, user_id, key, digest)
                return self._undo_result(connection, done, repeated=False)
            return self._undo_result(connection, done, repeated=True)

    def _undo(
        self,
        connection: Connection,
        target: Event,
        user_id: int | None,
        key: str | None,
        digest: str | None,
    ) -> Event:
        undo_id = store.add_event(
            connection,
            kind=store.UNDO,
            user_id=user_id,
            source=target.source,
            at=self._clock(),
            idempotency_key=key,
            request_digest=digest,
            undoes_event_id=target.id,
            cell_count=0,
            summary={},
        )
        undone = undo_event(connection, target, undo_id)
        self.completion.after_undo(connection, target.id)
        summary = {
            "undone": {
                "kind": target.kind,
                "source": target.source,
                "at": target.at.isoformat(),
                **told_of(target.summary),
            },
            **undone.counts,
            "left": [[c.image_id, c.category_id, c.state, c.user] for c in undone.left],
            "left_count": undone.left_count,
        }
        store.set_event_result(connection, undo_id, undone.cells, summary)
        return require(store.event(connection, undo_id), "event", undo_id)

    def _undo_result(self, connection: Connection, done: Event, *, repeated: bool) -> UndoResult:
        undone = done.summary["undone"]
        image_ids: list[int] = []
        if 0 < undone.get("images", 0) <= _REVISIONS:
            target = done.undoes_event_id or 0
            parts = [np.unique(cells["image"]) for cells in store.event_cells(connection, target)]
            image_ids = np.unique(np.concatenate(parts)).tolist()
        states: tuple[ImageState, ...] = ()
        # Taken back, a blind answer is asked again: nothing may be told of its picture.
        if len(image_ids) <= _FULL_STATES and undone["source"] != AUDIT_SOURCE:
            view = self._view(connection, image_ids, None)
            states = view.states(image_ids, SUGGESTIONS_SHOWN)
            if not repeated:
                _offer(connection, states)
        return UndoResult(
            event_id=done.id,
            undone_event_id=done.undoes_event_id or 0,
            repeated=repeated,
            summary=undone,
            cells=done.cell_count,
            left=tuple(LeftCell(*cell) for cell in done.summary["left"]),
            left_count=done.summary["left_count"],
            revisions=store.revisions(connection, image_ids),
            images=states,
        )

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
        if conflict not in ("keep", "overwrite"):
            raise InvalidInput(f"conflict must be 'keep' or 'overwrite', got {conflict!r}")
        check_source(source)
        digest = digest_of("import", user_id, source, conflict, model_version_id)
        if key is not None:
            check_key(key)
        with self.database.writing() as connection:
            done = None if key is None else done_before(connection, key, digest)
            if done is not None:
                return _import_report(done, repeated=True)
            if user_id is not None:
                require(store.user(connection, user_id), "user", user_id)
            _check_version(connection, model_version_id)
            event_id = store.add_event(
                connection,
                kind="import",
                user_id=user_id,
                source=source,
                model_version_id=model_version_id,
                at=self._clock(),
                idempotency_key=key,
                request_digest=digest,
                cell_count=0,
                summary={},
            )
            importing = BulkChange(connection, event_id, overwrite=conflict == "overwrite")
            for batch in batches:
                for piece in batch.pieces(packed.PART):
                    importing.add(piece)
                    if progress is not None:
                        progress(importing.seen)
            told = importing.summary() | ({"file": file_name} if file_name else {})
            store.set_event_result(connection, event_id, importing.changed, told)
            offers.withdraw_decided_suggestions(connection, event_id)
            event = require(store.event(connection, event_id), "event", event_id)
        if importing.changed > packed.PART:
            self.database.checkpoint()
        return _import_report(event, repeated=False)

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
            view = self._view(connection, [image_id], model_version_id)
        require(view.images.get(image_id), "image", image_id)
        return view.states([image_id], limit)[0]

    def _view(
        self,
        connection: Connection,
        image_ids: Sequence[int],
        version: int | None,
        *,
        cells: bool = True,
    ) -> View:
        """Read what a request on these pictures needs; without ``cells`` no decisions."""
        categories = store.categories(connection)
        return View(
            categories=categories,
            images=store.images(connection, image_ids),
            known=store.known_cells(connection, image_ids, categories) if cells else None,
            scores=self._newest(connection, version),
        )

    def evidence(
        self, image_id: int, category_id: int, *, model_version_id: int | None = None
    ) -> CellEvidence:
        """All that speaks for and against one cell, decided or not.

        Raises:
            NotFound: if there is no such picture or category.
        """
        with self.database.reading() as connection:
            view = self._view(connection, [image_id], model_version_id)
            require(view.images.get(image_id), "image", image_id)
            require(view.column.get(category_id), "category", category_id)
            near = []
            if view.scores is not None:
                near = view.scores.image(image_id).neighbours.tolist()
            known_there = store.states_in_category(connection, category_id, near)
        return view.evidence(image_id, category_id, known_there)

    def attention(self, image_id: int, category_id: int) -> AttentionMap | NoAttention:
        """Where in a picture the model looks for a category; see `annotator.attention`."""
        asking = Attention(self.workspace, self.database, self._newest, self._clock, WORKER_SILENCE)
        return asking.find(image_id, category_id)

    def suggestion_history(self, image_id: int) -> list[StoredSuggestion]:
        """Every suggestion that was handed out for a picture, and what became of it."""
        with self.database.reading() as connection:
            return offers.suggestion_rows(connection, image_id)

    def _newest(self, connection: Connection, version: int | None = None) -> ScoreFolder | None:
        newest = store.ready_versions(connection)
        return self._scores.newest(newest if version is None else [version, *newest])

    # --------------------------------------------------------------------------------- queues

    def queues(self) -> list[QueueInfo]:
        """The queues there are, with how many pictures wait in each."""
        pictures = self._known.now()  # has a connection of its own: before one is held here
        with self.database.reading() as connection:
            categories = store.count_categories(connection)
            return [
                QueueInfo(name, kind.words, waiting, kind.blind)
                for name, kind in QUEUES.items()
                for waiting in [self._waiting(connection, name, categories, pictures)]
            ]

    def _waiting(
        self, connection: Connection, queue: str, categories: int, pictures: Pictures
    ) -> int:
        """Pictures with something to decide in a queue."""
        if queue == AUDIT_QUEUE:
            return contract_table.count_open_audits(connection)[1]
        if queue == LOOK_AGAIN:
            return self.looking_again.count(connection)
        return pictures.below(_closed_from(queue, categories))

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
        check_queue(queue)
        if not 1 <= count <= 100:
            raise InvalidInput(f"count must be from 1 to 100, got {count}")
        order = self._prepared(queue)
        pictures = self._known.now()
        with self.database.writing() as connection:
            require(store.user(connection, user_id), "user", user_id)
            now = self._clock()
            leases.release_expired(connection, now)
            if after is not None:
                require(store.image(connection, after), "image", after)
                leases.add_visit(connection, user_id, queue, after, now)
                leases.release_own(connection, user_id, [after])
            if queue == AUDIT_QUEUE:
                return self._blind_page(connection, user_id, count, now)
            if queue == LOOK_AGAIN:
                return self._page_again(connection, user_id, count, now)
            below = _closed_from(queue, store.count_categories(connection))
            mine = leases.own_leases(connection, user_id, queue, below)
            total = pictures.below(below)
            hand = Hand(connection, user_id, queue, below)
            new = hand.pick(order, count - len(mine), set(mine), total)
            leases.renew_leases(connection, user_id, queue, now + LEASE)
            leases.lease_images(connection, user_id, queue, new, now + LEASE)
            _offer(connection, self._view(connection, new, None).states(new, SUGGESTIONS_SHOWN))
            position = leases.count_visits(connection, user_id, queue)
        # What they show takes longer than all of this, and others can decide meanwhile.
        with self.database.reading() as connection:
            shown = [*mine, *new][:count]
            states = self._view(connection, shown, None).states(shown, SUGGESTIONS_SHOWN)
        return QueuePage(states, position, total, QUEUES[queue].blind)

    def _prepared(self, queue: str) -> QueueOrder:
        """Order of a queue, and what else takes long, before anybody has to wait for it."""
        if queue == LOOK_AGAIN:
            self.looking_again.prepare()
        with self.database.reading() as connection:
            newest = store.newest_image_id(connection)
            scores = self._newest(connection)
            return self._orders.get(queue, scores, newest, lambda: store.image_ids(connection))

    def _page_again(
        self, connection: Connection, user_id: int, count: int, now: datetime
    ) -> QueuePage:
        shown = self.looking_again.hand_out(connection, user_id, count, now, LEASE)
        view = self._view(connection, shown, None)
        return QueuePage(
            images=self.looking_again.states(connection, view, shown, SUGGESTIONS_SHOWN),
            position=leases.count_visits(connection, user_id, LOOK_AGAIN),
            total=self.looking_again.count(connection),
        )

    def _blind_page(
        self, connection: Connection, user_id: int, count: int, now: datetime
    ) -> QueuePage:
        shown, total = hand_out(connection, user_id, count, now, LEASE)
        view = self._view(connection, shown, None)
        return QueuePage(
            images=self.completion.blind(connection, view.states(shown, 0), view.categories),
            position=leases.count_visits(connection, user_id, AUDIT_QUEUE),
            total=total,
            blind=True,
        )

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

    def status(self) -> Status:
        """The project in numbers, the newest model version and what the worker is doing."""
        with self.database.reading() as connection:
            categories = store.categories(connection)
            people = store.count_users(connection)
            versions = store.ready_versions(connection, 1)
            version = store.model_version(connection, versions[0]) if versions else None
            jobs = store.jobs(connection, kind="worker", limit=1)
            running = store.jobs(connection, status="running")
            event_id = store.newest_event_id(connection)
        present = sum(category.present for category in categories)
        absent = sum(category.absent for category in categories)
        pictures = self._known.now()
        recently = self._clock() - WORKER_SILENCE
        return Status(
            images=pictures.total,
            images_open=pictures.below(len(categories)),
            images_untouched=pictures.below(1),
            users=people,
            categories=len(categories),
            cells=pictures.total * len(categories),
            known=present + absent,
            present=present,
            absent=absent,
            event_id=event_id,
            model_version=version,
            job=jobs[0] if jobs else None,
            worker_alive=any(j.heartbeat is not None and j.heartbeat > recently for j in running),
        )

    def activity(self) -> Activity:
        """What was decided when, where and by whom; see `annotator.progress`."""
        with self.database.reading() as connection:
            return self._activity.now(connection)

    def thresholds(self) -> dict[int, float]:
        """Where the newest model version calls each category present; without a model empty."""
        with self.database.reading() as connection:
            scores = self._newest(connection)
        if scores is None:
            return {}
        modelled = scores.model.has_model
        pairs = zip(scores.category_ids.tolist(), scores.model.threshold.tolist(), strict=True)
        return {ident: value for (ident, value), yes in zip(pairs, modelled, strict=True) if yes}

    def labels(self) -> Labels:
        """All decisions as one matrix; a few seconds for ten million of them."""
        with self.database.reading() as connection:
            return self._labels(connection)

    def _labels(self, connection: Connection) -> Labels:
        names = store.image_hashes(connection)
        image_ids = np.array([ident for ident, _ in names], dtype=np.int64)
        category_ids = np.array([c.id for c in store.categories(connection)], dtype=np.int64)
        states = np.zeros((len(image_ids), len(category_ids)), dtype=np.int8)
        column = np.zeros(int(category_ids.max(initial=0)) + 1, dtype=np.int64)
        column[category_ids] = np.arange(len(category_ids))
        for images, categories, values in store.decided(connection):
            states[np.searchsorted(image_ids, images), column[categories]] = values
        return Labels(
            image_ids=image_ids,
            sha256=tuple(sha for _, sha in names),
            category_ids=category_ids,
            states=states,
            event_id=store.newest_event_id(connection),
        )

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
            return store.model_versions(connection, limit)

    def jobs(
        self, *, kind: str | None = None, status: str | None = None, limit: int = 20
    ) -> list[Job]:
        """The newest jobs, newest first."""
        with self.database.reading() as connection:
            return store.jobs(connection, kind=kind, status=status, limit=limit)

    def request_job(self, kind: str, config: Mapping[str, Any] | None = None) -> Job:
        """Ask the worker for something; an equal request that still waits is not doubled."""
        config = dict(config or {})
        with self.database.writing() as connection:
            for job in store.jobs(connection, kind=kind, status="waiting"):
                if dict(job.config) == config:
                    return job
            at = self._clock()
            values = {"kind": kind, "status": "waiting", "config": config, "created_at": at}
            store.add_job(connection, **values)
            return store.jobs(connection, kind=kind, limit=1)[0]

    def worker_died(self, pid: int, reason: str) -> None:
        """Mark what a dead worker process was doing as failed."""
        with self.database.writing() as connection:
            store.fail_jobs_of(connection, pid, reason, self._clock())


@dataclass(frozen=True)
class _Request:
    """A checked request to decide cells, each once, sorted."""

    user_id: int
    cells: Sequence[tuple[int, int, int]]
    key: str
    source: str
    model_version_id: int | None
    digest: str

    @classmethod
    def of(
        cls,
        user_id: int,
        cells: Sequence[CellChange],
        key: str,
        source: str,
        model_version_id: int | None,
    ) -> Self:
        check_key(key)
        check_source(source)
        wanted = check_cells(cells)
        digest = digest_of("decide", user_id, source, model_version_id, wanted)
        return cls(user_id, wanted, key, source, model_version_id, digest)

    @cached_property
    def image_ids(self) -> list[int]:
        return sorted({image_id for image_id, _, _ in self.cells})


class Export:
    """A consistent view of categories, pictures and known cells; see `AnnotationService.export`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._provenance: dict[int, Provenance] = {}
        self.categories = store.categories(connection)
        self.image_count = store.count_images(connection)

    def images(self) -> Iterator[ExportImage]:
        """All pictures by id with their known cells, a few thousand in memory at a time."""
        return store.iter_export(self._connection)

    def provenance(self, event_id: int) -> Provenance:
        """Who decided, when and how, from an event id of `ExportImage.event_ids`."""
        if event_id not in self._provenance:
            # Every click is an event: asking for each of them alone would take minutes.
            ahead = range(event_id, event_id + _EVENTS_AHEAD)
            self._provenance.update(store.provenance(self._connection, ahead))
        return self._provenance[event_id]


class _Adding:
    """Counts while pictures are added."""

    def __init__(self) -> None:
        self.added = self.known = self.moved = 0
        self.duplicates: list[tuple[str, str]] = []
        self.unreadable: list[tuple[str, str]] = []

    def done(self) -> AddReport:
        return AddReport(
            self.added, self.known, self.moved, tuple(self.duplicates), tuple(self.unreadable)
        )


def _offer(connection: Connection, states: Iterable[ImageState]) -> None:
    for state in states:
        if state.model_version_id is not None:
            offers.offer(connection, state.id, state.model_version_id, state.suggestions)


def _changes(connection: Connection, view: View, request: _Request) -> Cells:
    """Cells that change or are confirmed, with the score that the model gives them just before."""
    image, category, state = (list(column) for column in zip(*request.cells, strict=True))
    changes = packed.changes(image, category, state, event_id=0)
    few = len(request.image_ids) <= _FULL_STATES
    if few:
        packed.set_before(changes, _rows(view))
    else:
        store.fill_before(connection, changes)
    changes = np.compress((changes["before"] != 0) | (changes["after"] != 0), changes)
    if few:
        scores = view.scores_of(changes)
    elif len(request.image_ids) <= _LIVE_SCORES:
        scores = view.live_scores_of(changes, store.decision_rows(connection, request.image_ids))
    else:
        scores = view.stored_scores_of(changes)
    changes["after_score"] = np.where(changes["after"] != 0, scores, np.nan)
    return changes


def _rows(view: View) -> NDArray[np.void]:
    """Decisions of a view as rows of the table."""
    return np.array(
        [
            (image_id, cell.category_id, cell.state, cell.score, cell.event_id)
            for image_id, known in (view.known or {}).items()
            for cell in known
        ],
        dtype=packed.ROW,
    )


def _closed_from(queue: str, categories: int) -> int:
    """Known cells from which a picture has nothing to decide in a queue."""
    return 1 if queue == "unlabelled" else categories


def _check_version(connection: Connection, version_id: int | None) -> None:
    if version_id is not None:
        require(store.model_version(connection, version_id), "model version", version_id)


def _summary(cells: Cells) -> dict[str, Any]:
    """Counts and the first few ids, for telling what an event was about."""
    return {
        "present": int((cells["after"] == 1).sum()),
        "absent": int((cells["after"] == -1).sum()),
        "unknown": int((cells["after"] == 0).sum()),
        "added": int(((cells["before"] == 0) & (cells["after"] != 0)).sum()),
        "removed": int(((cells["before"] != 0) & (cells["after"] == 0)).sum()),
        "images": len(np.unique(cells["image"])),
        "image_ids": np.unique(cells["image"])[:3].tolist(),
        "category_ids": np.unique(cells["category"])[:3].tolist(),
    }


def _import_report(event: Event, *, repeated: bool) -> ImportReport:
    names = ("added", "confirmed", "overwritten", "kept", "images")
    facts = {name: int(event.summary[name]) for name in names}
    return ImportReport(event_id=event.id, repeated=repeated, **facts)


def _log(
    connection: Connection, kind: str, user_id: int | None, at: datetime, summary: dict[str, Any]
) -> None:
    """Append an event that changes no cell."""
    store.add_event(
        connection, kind=kind, user_id=user_id, source=kind, at=at, cell_count=0, summary=summary
    )


def _image_row(one: ScannedImage, path: str, at: datetime) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "path": path,
        "file_name": one.file_name,
        "width": one.width,
        "height": one.height,
        "bytes": one.bytes,
        "format": one.format,
        "added_at": at,
    }
