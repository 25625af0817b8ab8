"""Renaming, merging, removing and moving categories: each one event that can be taken back.

An event holds what it needs to be taken back: the cells that changed, as every event does, and in
its summary the rows of the category as they were. Ids are never given twice, so a category that
comes back comes back under its old id, and every event that names it is right again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator.checks import check_key, require
from annotator.completion import contract_questions, leaving
from annotator.db import category_rows, offers, store
from annotator.db import cells as packed
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import Conflict, InvalidInput
from annotator.idempotency import digest_of, done_before
from annotator.names import clean_name, name_key
from annotator.types import Category, Event
from annotator.wording import counted

KIND = "category"
"""Of the events made here."""

ADDED = "categories"
"""Kind of the events of added categories."""

OnConflict = Literal["present", "absent", "keep", "unknown"]
"""What a cell becomes that is present in one category and absent in the other: present, absent,
what it is in the category that stays, or unknown."""

Kept = Mapping[str, Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class MergePreview:
    """What a merge would do, in cells.

    Attributes:
        carried: known in the category that goes, unknown in the one that stays.
        equal: known in both, with the same state.
        present_absent: present in the one that goes, absent in the one that stays.
        absent_present: the other way round.
        proposals: proposed contracts that would end.
    """

    carried: int
    equal: int
    present_absent: int
    absent_present: int
    proposals: int = 0

    @property
    def different(self) -> int:
        """Known in both, with different states."""
        return self.present_absent + self.absent_present


@dataclass(frozen=True)
class RemovalPreview:
    """What removing a category would make unknown, in cells, and what would go with it.

    Attributes:
        suggestions: open ones.
        proposals: proposed contracts that would end.
    """

    present: int
    absent: int
    suggestions: int
    proposals: int = 0


@dataclass(frozen=True)
class CategoryChange:
    """What a change did.

    Attributes:
        event_id: the event that holds it, which can be taken back.
        repeated: the same request had been carried out before; nothing was changed now.
        cells: cells that are different now.
        categories: all of them now, in list order.
    """

    event_id: int
    repeated: bool
    cells: int
    categories: tuple[Category, ...]


class CategoryChanges:
    """Changes of the list of categories. Thread-safe, as the service.

    Args:
        database: open.
        clock: gives the time, aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def history(self, limit: int = 20) -> list[Event]:
        """The newest changes of categories, imports and contracts: what `undo` takes by id."""
        with self._database.reading() as connection:
            return category_rows.events_of(connection, (KIND, ADDED, "import", "contract"), limit)

    def preview_merge(self, category_id: int, into_id: int) -> MergePreview:
        """Count what merging a category into another would do.

        Raises:
            NotFound: if one of them does not exist.
            InvalidInput: if both are the same.
        """
        with self._database.reading() as connection:
            row, _ = _two(connection, category_id, into_id)
            proposals = leaving.proposals(connection, category_id, row["added_at"])
            going = category_rows.decisions(connection, category_id)
            staying = category_rows.decisions(connection, into_id)
        there = _states_there(going, staying)
        state = going["state"]
        return MergePreview(
            carried=int((there == 0).sum()),
            equal=int((there == state).sum()),
            present_absent=int(((state == 1) & (there == -1)).sum()),
            absent_present=int(((state == -1) & (there == 1)).sum()),
            proposals=len(proposals),
        )

    def preview_removal(self, category_id: int) -> RemovalPreview:
        """Count what removing a category would make unknown.

        Raises:
            NotFound: if it does not exist.
        """
        with self._database.reading() as connection:
            categories = {c.id: c for c in store.categories(connection)}
            found = require(categories.get(category_id), "category", category_id)
            waiting = category_rows.count_suggestions(connection, category_id)
            added_at = _row(connection, category_id)["added_at"]
            proposals = leaving.proposals(connection, category_id, added_at)
        return RemovalPreview(found.present, found.absent, waiting, len(proposals))

    def rename(
        self, user_id: int | None, category_id: int, name: str, *, key: str
    ) -> CategoryChange:
        """Give a category another name; its cells stay as they are.

        Raises:
            InvalidInput: if the name is not allowed.
            NotFound: if the category does not exist.
            Conflict: if another category is called so, or alike.
        """
        name = clean_name(name, "category")

        def change(connection: Connection, event_id: int) -> _Done:
            row = _row(connection, category_id)
            if row["name"] != name:
                _check_free(connection, name, name_key(name), besides=category_id)
                category_rows.rename(connection, category_id, name, name_key(name))
            told = {"category_id": category_id, "name": row["name"], "new_name": name}
            return _Done(told)

        return self._carry_out("rename", user_id, key, (category_id, name), change)

    def merge(
        self,
        user_id: int | None,
        category_id: int,
        into_id: int,
        *,
        on_conflict: OnConflict,
        key: str,
    ) -> CategoryChange:
        """Carry the known cells of a category over into another one, and remove it.

        Args:
            user_id: who merges; carried cells are this person's decision from then on.
            category_id: the category that goes.
            into_id: the category that stays.
            on_conflict: for cells that are known in both with different states.
            key: idempotency key, as in `AnnotationService.decide`.

        Raises:
            InvalidInput: if both are the same, or there is no such answer to conflicts.
            NotFound: if one of them does not exist.
        """
        if on_conflict not in get_args(OnConflict):
            raise InvalidInput(
                f"on_conflict must be one of {', '.join(get_args(OnConflict))}, got {on_conflict!r}"
            )

        def change(connection: Connection, event_id: int) -> _Done:
            going, staying = _two(connection, category_id, into_id)
            left = leaving.leave(connection, category_id, going["added_at"])
            cells = _merged(connection, category_id, into_id, on_conflict, event_id)
            _write(connection, cells, event_id)
            offers.withdraw_decided_suggestions(connection, event_id)
            told = {
                "category_id": category_id,
                "name": going["name"],
                "into_id": into_id,
                "into": staying["name"],
                "on_conflict": on_conflict,
                **self._go(connection, going, left),
            }
            return _Done(told, cells)

        return self._carry_out("merge", user_id, key, (category_id, into_id, on_conflict), change)

    def remove(self, user_id: int | None, category_id: int, *, key: str) -> CategoryChange:
        """Remove a category with all its known cells.

        Raises:
            NotFound: if it does not exist.
        """

        def change(connection: Connection, event_id: int) -> _Done:
            row = _row(connection, category_id)
            left = leaving.leave(connection, category_id, row["added_at"])
            cells = _unknown(category_rows.decisions(connection, category_id))
            _write(connection, cells, event_id)
            told = {
                "category_id": category_id,
                "name": row["name"],
                **self._go(connection, row, left),
            }
            return _Done(told, cells)

        return self._carry_out("delete", user_id, key, (category_id,), change)

    def _go(
        self, connection: Connection, row: category_rows.Row, left: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Remove a category whose cells are unknown; what brings it back, as JSON."""
        kept = category_rows.remove(connection, row["id"])
        contract_questions.after_category_went(connection, self._clock())
        return {"row": category_rows.to_json(row), "kept": kept, "contracts": left}

    def move(
        self, user_id: int | None, category_id: int, place: int, *, key: str
    ) -> CategoryChange:
        """Move a category to another place of the list.

        Args:
            user_id: who moves it.
            category_id: of the category.
            place: from 1; beyond the end is the end.
            key: idempotency key, as in `AnnotationService.decide`.

        Raises:
            InvalidInput: if the place is below 1.
            NotFound: if the category does not exist.
        """
        if place < 1:
            raise InvalidInput(f"place must be 1 or more, got {place} (1 is the top of the list)")

        def change(connection: Connection, event_id: int) -> _Done:
            row = _row(connection, category_id)
            before = category_rows.positions(connection)
            order = [ident for ident in before if ident != category_id]
            order.insert(min(place - 1, len(order)), category_id)
            after = {ident: number for number, ident in enumerate(order, start=1)}
            moved = {ident: number for ident, number in after.items() if before[ident] != number}
            category_rows.set_positions(connection, moved)
            told = {
                "category_id": category_id,
                "name": row["name"],
                "place": order.index(category_id) + 1,
                "moved": [[ident, before[ident], number] for ident, number in moved.items()],
            }
            return _Done(told)

        return self._carry_out("move", user_id, key, (category_id, place), change)

    def _carry_out(
        self,
        action: str,
        user_id: int | None,
        key: str,
        request: tuple[Any, ...],
        change: Callable[[Connection, int], _Done],
    ) -> CategoryChange:
        """One transaction and one event around a change; nothing if the key was used for it."""
        check_key(key)
        asked = digest_of(KIND, action, user_id, *request)
        with self._database.writing() as connection:
            event = done_before(connection, key, asked)
            if event is not None:
                now = tuple(store.categories(connection))
                return CategoryChange(event.id, True, event.cell_count, now)
            if user_id is not None:
                require(store.user(connection, user_id), "user", user_id)
            event_id = store.add_event(
                connection,
                kind=KIND,
                user_id=user_id,
                source=action,
                at=self._clock(),
                idempotency_key=key,
                request_digest=asked,
                cell_count=0,
                summary={},
            )
            done = change(connection, event_id)
            store.set_event_result(connection, event_id, len(done.cells), done.summary())
            now = tuple(store.categories(connection))
        return CategoryChange(event_id, False, len(done.cells), now)


class _Done:
    """What a change tells of itself, and the cells it changed."""

    def __init__(self, told: Mapping[str, Any], cells: Cells | None = None) -> None:
        self._told = told
        self.cells = np.empty(0, dtype=packed.CELL) if cells is None else cells

    def summary(self) -> dict[str, Any]:
        return {**packed.counts(self.cells), **self._told}


def _row(connection: Connection, category_id: int) -> category_rows.Row:
    return require(category_rows.row(connection, category_id), "category", category_id)


def _two(
    connection: Connection, going: int, staying: int
) -> tuple[category_rows.Row, category_rows.Row]:
    if going == staying:
        raise InvalidInput("a category cannot be merged into itself (choose another one)")
    return _row(connection, going), _row(connection, staying)


def _check_free(connection: Connection, name: str, key: str, besides: int | None = None) -> None:
    """Refuse a name that another category has, or one that looks the same."""
    taken = category_rows.id_of_key(connection, key)
    if taken is None or taken == besides:
        return
    found = _row(connection, taken)["name"]
    alike = "" if found == name else f", which looks the same as {name!r}"
    raise Conflict(
        f"there is a category {found!r} already{alike} (rename that one first, or merge the two)"
    )


def _states_there(going: NDArray[np.void], staying: NDArray[np.void]) -> NDArray[np.int8]:
    """State in the category that stays of each cell known in the one that goes [n]."""
    return np.asarray(_match(going, staying)["state"])


def _match(going: NDArray[np.void], staying: NDArray[np.void]) -> NDArray[np.void]:
    """The row of ``staying`` for the image of each row of ``going``; zeros where there is none."""
    found = np.zeros(len(going), dtype=packed.ROW)
    found["score"] = np.nan
    if len(staying):
        place = np.searchsorted(staying["image"], going["image"]).clip(max=len(staying) - 1)
        there = staying["image"][place] == going["image"]
        found[there] = staying[place[there]]
    return found


def _merged(
    connection: Connection, going_id: int, staying_id: int, on_conflict: OnConflict, event_id: int
) -> Cells:
    """All cells that a merge changes: those that go, and those they change where they arrive."""
    going = category_rows.decisions(connection, going_id)
    there = _match(going, category_rows.decisions(connection, staying_id))
    different = (there["state"] != 0) & (there["state"] != going["state"])
    after = np.where(there["state"] == 0, going["state"], there["state"])
    if on_conflict != "keep":
        after[different] = {"present": 1, "absent": -1, "unknown": 0}[on_conflict]
    changed = after != there["state"]
    arriving = packed.changes(
        going["image"][changed],
        np.full(int(changed.sum()), staying_id),
        after[changed],
        event_id=event_id,
    )
    _set_before(arriving, there[changed])
    cells = np.concatenate([_unknown(going), arriving])
    ordered: Cells = cells[np.argsort(packed.keys(cells), kind="stable")]
    return ordered


def _unknown(rows: NDArray[np.void]) -> Cells:
    """Changes that make decided cells unknown."""
    zeros = np.zeros(len(rows), dtype=np.int8)
    cells = packed.changes(rows["image"], rows["category"], zeros, event_id=0)
    _set_before(cells, rows)
    return cells


def _set_before(cells: Cells, rows: NDArray[np.void]) -> None:
    cells["before"], cells["before_event"] = rows["state"], rows["event"]
    cells["before_score"] = rows["score"]


def _write(connection: Connection, cells: Cells, event_id: int) -> None:
    if len(cells):
        store.write_cells(connection, cells)
        store.add_event_cells(connection, event_id, cells)


# ------------------------------------------------------------------------------ taking back


def take_back_rows(connection: Connection, event: Event) -> None:
    """Bring the list of categories back to before an event; its cells are `undoing`'s part.

    What somebody changed since then stays as it is: a name that was changed again, a place.

    Args:
        connection: of a writing transaction.
        event: of kind `KIND` or `ADDED`, not undone.

    Raises:
        Conflict: if a name that would come back was given to another category since, or if cells
            of an added category were decided since.
    """
    told = event.summary
    if event.kind == ADDED:
        _take_added_back(connection, told)
    elif event.source in ("delete", "merge"):
        _check_free(connection, told["row"]["name"], told["row"]["name_key"])
        category_rows.put_back(connection, dict(told["row"]), told["kept"])
        leaving.come_back(connection, told["row"]["id"], told.get("contracts", {}))
    elif event.source == "rename":
        now = category_rows.row(connection, told["category_id"])
        if now is not None and now["name"] == told["new_name"] != told["name"]:
            key = name_key(told["name"])
            _check_free(connection, told["name"], key, besides=told["category_id"])
            category_rows.rename(connection, told["category_id"], told["name"], key)
    elif event.source == "move":
        now_at = category_rows.positions(connection)
        back = {ident: old for ident, old, new in told["moved"] if now_at.get(ident) == new}
        category_rows.set_positions(connection, back)


def _take_added_back(connection: Connection, told: Mapping[str, Any]) -> None:
    categories = {category.id: category for category in store.categories(connection)}
    mine = [categories[ident] for ident in told.get("ids", ()) if ident in categories]
    for category in mine:
        if category.present or category.absent:
            raise Conflict(
                f"{category.present + category.absent:,} cells of {category.name!r} were decided "
                "since it was added (delete the category instead)"
            )
    for category in mine:
        category_rows.remove(connection, category.id)


def told_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a summary that is worth telling: without the rows that undo needs."""
    return {k: v for k, v in summary.items() if k not in ("row", "kept", "moved", "contracts")}


def ends_words(proposals: int, *, done: bool = False) -> str:
    """That proposals end with a category, as a sentence with a space before it; or nothing.

    Args:
        proposals: how many.
        done: the category is gone already.
    """
    if not proposals:
        return ""
    ends = "ended" if done else "will end"
    return f" {counted(proposals, 'proposed contract')} over several categories {ends}."
