"""The browser of pictures: lists by filter and order, deciding many cells at once, look-alikes.

A list that was asked for stays as it is under its name until it is asked for anew: nothing moves
while somebody looks at it or chooses from it. The cells shown are always those of now.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.browse_columns import LiveColumns
from annotator.browse_decisions import (
    BULK,
    BulkResult,
    Chosen,
    Preview,
    Selection,
    changes_of,
    choose,
    in_words,
    result_of,
    summary_of,
    write_changes,
)
from annotator.browsing import Columns, Condition, Order, find
from annotator.checks import STATES, check_key, check_source, require
from annotator.db import model_work, store
from annotator.db.engine import Database
from annotator.errors import Conflict, InvalidInput, NotFound
from annotator.idempotency import digest_of, done_before
from annotator.look_alikes import CUT, LOWEST_CUT, Groups, near_duplicates
from annotator.open_scores import OpenScores
from annotator.scores import ScoreFolder
from annotator.types import User

MAX_WINDOW = 500
_LISTS = 64
_GROUPS_AT_ONCE = 100

Ids = NDArray[np.int64]


# ---------------------------------------------------------------------------------- answers


@dataclass(frozen=True)
class Found:
    """A list of pictures.

    Attributes:
        name: under which windows of it can be had, until many newer lists were asked for.
        total: pictures in the list.
        of: pictures in the project.
        event_id: newest event that the list knows of.
        model_version_id: whose scores were used, None before the first.
    """

    name: str
    total: int
    of: int
    event_id: int
    model_version_id: int | None


@dataclass(frozen=True)
class Tile:
    """One picture of a list.

    Attributes:
        known: number of known cells.
        state: of the category that was asked for, None without one.
        probability: of that category, None where the model says nothing.
        similarity: to the picture that the list is sorted by, None in other lists.
        flagged: it has an open flag.
    """

    image_id: int
    file_name: str
    known: int
    state: int | None
    probability: float | None
    similarity: float | None
    flagged: bool


@dataclass(frozen=True)
class Window:
    """Neighbouring pictures of a list with what is known of them now."""

    tiles: tuple[Tile, ...]
    event_id: int
    model_version_id: int | None


@dataclass(frozen=True)
class Choices:
    """What filters can name besides categories.

    Attributes:
        users: all people.
        sources: where cells were decided so far.
        model_version_id: None: there are no probabilities to filter or sort by yet.
        with_model: categories that the model has probabilities for.
    """

    users: tuple[User, ...]
    sources: tuple[str, ...]
    model_version_id: int | None
    with_model: tuple[int, ...]


@dataclass(frozen=True)
class GroupLabels:
    """One category in a group of near-duplicates: states in the order of its pictures."""

    category_id: int
    states: tuple[int, ...]

    @property
    def differs(self) -> bool:
        """Some are decided present and some absent, though the pictures look alike."""
        return 1 in self.states and -1 in self.states


@dataclass(frozen=True)
class Group:
    """Near-duplicates.

    Attributes:
        images: by id.
        similarity: lowest cosine that holds the group together.
        labels: categories with a known cell in the group, those that differ first.
    """

    images: tuple[Tile, ...]
    similarity: float
    labels: tuple[GroupLabels, ...]


@dataclass(frozen=True)
class GroupPage:
    """Some of the groups, those with differing labels first, then large ones.

    Attributes:
        total: number of groups.
        images: pictures in all groups.
        differing: groups in which a label differs.
        model_version_id: whose features were compared, None before the first model version.
    """

    groups: tuple[Group, ...]
    total: int
    images: int
    differing: int
    cut: float
    model_version_id: int | None


@dataclass(frozen=True)
class _List:
    condition: Condition | None
    order: Order
    image_ids: Ids


# --------------------------------------------------------------------------------- use cases


class Browser:
    """Use cases of the browser on one label database. Thread-safe.

    Args:
        database: of the workspace.
        scores: open score folders.
        clock: gives the time, aware.
    """

    def __init__(
        self, database: Database, scores: OpenScores, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._scores = scores
        self._clock = clock
        # Held while the columns are used. It is taken before a reading transaction begins, so that
        # a later holder never sees an older state of the database.
        self._guard = threading.Lock()
        self._live = LiveColumns()
        self._lists: OrderedDict[str, _List] = OrderedDict()
        self._groups: tuple[tuple[int, float], Groups] | None = None

    @contextmanager
    def _reading(self) -> Iterator[tuple[Columns, ScoreFolder | None]]:
        with self._guard, self._database.reading() as connection:
            yield self._columns(connection)

    def _columns(self, connection: Connection) -> tuple[Columns, ScoreFolder | None]:
        scores = self._scores.newest(model_work.ready_versions(connection))
        return self._live.get(connection, scores), scores

    def choices(self) -> Choices:
        """People, sources and categories that filters can name."""
        with self._guard, self._database.reading() as connection:
            columns, scores = self._columns(connection)
            with_model: Sequence[int] = ()
            if scores is not None:
                with_model = scores.category_ids[scores.model.has_model].tolist()
            used = np.unique(columns.event_source[np.unique(columns.events)])
            return Choices(
                users=tuple(store.users(connection)),
                sources=tuple(sorted(columns.sources[code] for code in used if code >= 0)),
                model_version_id=None if scores is None else scores.version,
                with_model=tuple(with_model),
            )

    def prepare(self) -> None:
        """Do now what the first list would wait for."""
        with self._reading():
            pass

    def search(self, condition: Condition | None, order: Order) -> Found:
        """Make a list of the pictures that satisfy a condition, in order.

        Raises:
            InvalidInput: if the condition or order is malformed.
            NotFound: if a category or picture that it names does not exist.
        """
        with self._reading() as (columns, scores):
            image_ids = columns.image_ids[find(columns, condition, order)]
            name = secrets.token_urlsafe(9)
            self._lists[name] = _List(condition, order, image_ids)
            while len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
            return Found(
                name=name,
                total=len(image_ids),
                of=len(columns),
                event_id=self._live.event_id,
                model_version_id=None if scores is None else scores.version,
            )

    def _list(self, name: str) -> _List:
        if name not in self._lists:
            raise NotFound("this list is no longer kept (ask for it again)")
        self._lists.move_to_end(name)
        return self._lists[name]

    def window(self, name: str, start: int, count: int, category_id: int | None = None) -> Window:
        """Pictures of a list with what is known of them now.

        Args:
            name: of the list.
            start: first place, from 0.
            count: at most `MAX_WINDOW`.
            category_id: whose state and probability to tell.

        Raises:
            NotFound: if the list is no longer kept, or there is no such category.
        """
        if start < 0 or not 1 <= count <= MAX_WINDOW:
            raise InvalidInput(f"ask for 1 to {MAX_WINDOW} pictures, got {count} from {start}")
        with self._reading() as (columns, scores):
            listed = self._list(name)
            rows = columns.rows(listed.image_ids[start : start + count])
            near = listed.order.image if listed.order.by == "similarity" else None
            return Window(
                tiles=_tiles(columns, rows, category_id, near),
                event_id=self._live.event_id,
                model_version_id=None if scores is None else scores.version,
            )

    def now(self, name: str) -> tuple[int, bool]:
        """How many pictures the filter of a list finds now, and whether the list would be the same.

        Raises:
            NotFound: if the list is no longer kept, or a category that it names is gone.
        """
        with self._reading() as (columns, _):
            listed = self._list(name)
            found = columns.image_ids[find(columns, listed.condition, listed.order)]
            return len(found), np.array_equal(found, listed.image_ids)

    def place(self, name: str, image_id: int) -> int | None:
        """Where a picture stands in a list, None if it does not."""
        with self._guard:
            found = np.flatnonzero(self._list(name).image_ids == image_id)
        return int(found[0]) if len(found) else None

    # ------------------------------------------------------------------ deciding a selection

    def preview(self, selection: Selection, category_id: int) -> Preview:
        """Count what deciding a selection would meet.

        Raises:
            InvalidInput: if the selection is malformed or empty.
            NotFound: if the list is no longer kept, or there is no such category.
            Conflict: if all that the filter finds was chosen and it finds others now.
        """
        with self._reading() as (columns, _):
            return self._chosen(columns, selection, category_id).preview

    def decide(
        self,
        user_id: int,
        selection: Selection,
        category_id: int,
        state: int,
        *,
        check: str,
        overwrite: bool,
        key: str,
        source: str = "browse",
    ) -> BulkResult:
        """Decide one category in all pictures of a selection, as one event.

        Args:
            user_id: who decides.
            selection: of pictures.
            category_id: of the cells.
            state: 1 present, -1 absent, 0 make unknown.
            check: of the preview that was shown.
            overwrite: whether cells known with the other state are changed as well; making cells
                unknown always is.
            key: idempotency key.
            source: where it was decided.

        Raises:
            InvalidInput: if a value is malformed or the selection is empty.
            NotFound: if the user, category or list does not exist.
            Conflict: if the pictures or cells are others than in the preview, or the key was used
                for another request.
        """
        check_key(key)
        check_source(source)
        if state not in STATES:
            raise InvalidInput(
                f"state must be 1 (present), -1 (absent) or 0 (unknown), got {state!r}"
            )
        asked = (user_id, category_id, state, check, overwrite, source)
        digest = digest_of(BULK, *asked, selection.name, selection.ranges)
        with self._database.writing() as connection:
            done = done_before(connection, key, digest)
            if done is not None:
                return result_of(done, repeated=True)
            require(store.user(connection, user_id), "user", user_id)
            # Nobody else can write until this transaction ends, so what is checked here stays true.
            with self._guard:
                columns, scores = self._columns(connection)
                chosen = self._chosen(columns, selection, category_id)
                if chosen.preview.check != check:
                    raise Conflict(
                        "nothing was changed: these cells are others than when they were counted: "
                        f"{in_words(chosen.preview)} now (look at the numbers and confirm again)"
                    )
                version = None if scores is None else scores.version
                changes, kept = changes_of(columns, chosen, category_id, state, overwrite)
            summary = summary_of(changes, chosen, state, kept)
            event_id = store.add_event(
                connection,
                kind=BULK,
                user_id=user_id,
                source=source,
                model_version_id=version,
                at=self._clock(),
                idempotency_key=key,
                request_digest=digest,
                cell_count=len(changes),
                summary=summary,
            )
            write_changes(connection, event_id, changes, category_id)
            event = require(store.event(connection, event_id), "event", event_id)
        return result_of(event, repeated=False)

    def _chosen(self, columns: Columns, selection: Selection, category_id: int) -> Chosen:
        listed = self._list(selection.name)
        return choose(columns, listed.image_ids, listed.condition, selection, category_id)

    # ---------------------------------------------------------------------------- look-alikes

    def near_duplicates(self, *, cut: float = CUT, start: int = 0, count: int = 20) -> GroupPage:
        """Groups of pictures that look alike, and what is known of them now.

        Args:
            cut: similarity from which two pictures are linked.
            start: first group, from 0.
            count: at most 100.

        Raises:
            InvalidInput: if a value is out of range.
        """
        if not LOWEST_CUT <= cut <= 1:
            raise InvalidInput(f"cut must be from {LOWEST_CUT} to 1, got {cut}")
        if start < 0 or not 1 <= count <= _GROUPS_AT_ONCE:
            raise InvalidInput(f"ask for 1 to {_GROUPS_AT_ONCE} groups, got {count} from {start}")
        with self._reading() as (columns, scores):
            if scores is None:
                return GroupPage((), 0, 0, 0, cut, None)
            groups = self._near_duplicates(scores, cut)
            members = columns.rows(np.asarray(scores.image_ids)[groups.rows])
            differing = _differing(columns, groups, members)
            order = np.lexsort((-groups.sizes(), -differing))
            parts = np.split(members, groups.starts[1:])
            shown = [
                _group(columns, parts[i], float(groups.weakest[i]))
                for i in order[start : start + count].tolist()
            ]
            return GroupPage(
                groups=tuple(shown),
                total=len(groups),
                images=len(members),
                differing=int((differing > 0).sum()),
                cut=cut,
                model_version_id=scores.version,
            )

    def _near_duplicates(self, scores: ScoreFolder, cut: float) -> Groups:
        key = (scores.version, cut)
        if self._groups is None or self._groups[0] != key:
            found = near_duplicates(scores.neighbours, scores.neighbour_similarity, cut)
            self._groups = (key, found)
        return self._groups[1]


# ---------------------------------------------------------------------------------- helpers


def _tiles(
    columns: Columns,
    rows: NDArray[np.int64],
    category_id: int | None = None,
    near: int | None = None,
) -> tuple[Tile, ...]:
    """Pictures with state and probability of a category and similarity to a picture."""
    nothing: list[Any] = [None] * len(rows)
    states, likely, alike = nothing, nothing, nothing
    if category_id is not None:
        states = columns.states[columns.column(category_id), rows].tolist()
    if columns.scores is not None and category_id is not None:
        likely = _or_none(columns.scores.probability(category_id)[rows])
    if columns.scores is not None and near is not None:
        alike = _or_none(columns.scores.similarity(near)[rows])
    return tuple(
        Tile(
            image_id=int(columns.image_ids[row]),
            file_name=columns.names[row],
            known=int(columns.known[row]),
            state=state,
            probability=probability,
            similarity=similarity,
            flagged=bool(columns.flagged[row]),
        )
        for row, state, probability, similarity in zip(
            rows.tolist(), states, likely, alike, strict=True
        )
    )


def _or_none(values: NDArray[np.float32]) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _differing(columns: Columns, groups: Groups, members: NDArray[np.int64]) -> NDArray[np.int64]:
    """[G] categories that are present in one picture of a group and absent in another."""
    if not len(groups):
        return np.zeros(0, dtype=np.int64)
    states = columns.states[:, members]
    highest = np.maximum.reduceat(states, groups.starts, axis=1)
    lowest = np.minimum.reduceat(states, groups.starts, axis=1)
    return np.asarray(((highest == 1) & (lowest == -1)).sum(axis=0), dtype=np.int64)


def _group(columns: Columns, rows: NDArray[np.int64], similarity: float) -> Group:
    states = columns.states[:, rows]
    labels = [
        GroupLabels(int(columns.category_ids[place]), tuple(states[place].tolist()))
        for place in np.flatnonzero((states != 0).any(axis=1)).tolist()
    ]
    labels.sort(key=lambda label: not label.differs)
    return Group(_tiles(columns, rows), similarity, tuple(labels))
