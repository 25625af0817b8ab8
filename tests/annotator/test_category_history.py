"""Whatever people do to labels and to the list of categories, taking it back is exact.

The expectation is computed from plain lists, in another way than the service does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    rule,
)
from label_project import NAMES
from project_history import ProjectHistory, play
from test_any_history import Cell, Story, Told

from annotator.category_changes import OnConflict
from annotator.errors import Conflict, NotFound
from annotator.service import CellChange
from annotator.types import UndoResult

IMAGES = 2

some_cells = st.dictionaries(
    st.tuples(st.integers(1, IMAGES), st.integers(1, 3)),
    st.sampled_from([1, -1, 0]),
    min_size=1,
    max_size=3,
)
someone = st.sampled_from(["ana", "bo"])
category = st.integers(1, 3)
policy = st.sampled_from(["present", "absent", "keep", "unknown"])


@dataclass
class Shelf(Story):
    """Labels as in `Story`, and the categories: names by id, and what each event did to them."""

    names: dict[int, str] = field(default_factory=lambda: dict(enumerate(NAMES, start=1)))
    changes: list[tuple[Told, str, int, str]] = field(default_factory=list)

    def exists(self, place: Cell) -> bool:
        return place[1] in self.names

    def _keep(self, told: Told, what: str, category: int, name: str) -> None:
        for place, (_, after) in told.changes.items():
            self._set(place, after)
        # Without a person, so that the undo key passes it over.
        self.events.append(told)
        self.changes.append((told, what, category, name))

    def remove(self, number: int, category: int) -> None:
        gone = {place: told for place, told in self.holds.items() if place[1] == category}
        told = Told(number, "", {place: (before, None) for place, before in gone.items()}, {})
        self._keep(told, "removed", category, self.names.pop(category))

    def merge(self, number: int, category: int, into: int, on_conflict: str) -> None:
        told = Told(number, "", {}, {})
        for (image, place), before in self.holds.items():
            if place != category:
                continue
            told.changes[image, category] = (before, None)
            state, there = before.after[image, category], self.holds.get((image, into))
            now = 0 if there is None else there.after[image, into]
            wanted = now or state
            if now == -state and on_conflict != "keep":
                wanted = {"present": 1, "absent": -1, "unknown": 0}[on_conflict]
            if wanted != now:
                told.after[image, into] = wanted
                told.changes[image, into] = (there, told if wanted else None)
        self._keep(told, "removed", category, self.names.pop(category))

    def rename(self, number: int, category: int, name: str) -> None:
        told = Told(number, "", {}, {})
        self._keep(told, "renamed", category, self.names[category])
        told.after = {}
        self.changes[-1] = (told, f"renamed {name}", category, self.names[category])
        self.names[category] = name

    def take_change_back(self, change: tuple[Told, str, int, str]) -> set[Cell] | None:
        """Returns the cells left alone, None if the name is taken."""
        told, what, category, name = change
        others = {other for ident, other in self.names.items() if ident != category}
        former = what.removeprefix("renamed ")
        if what == "removed" or self.names.get(category) == former != name:
            if name in others:
                return None
            self.names[category] = name
        self.changes.remove(change)
        return self.take_back(told)


class CategoryHistory(ProjectHistory):
    """Random steps of two people on two pictures and three categories that come and go."""

    images = IMAGES

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()

    @rule(person=someone, cells=some_cells)
    def decide(self, person: str, cells: dict[Cell, int]) -> None:
        changes = [CellChange(*place, state) for place, state in cells.items()]
        try:
            result = self.service.decide(self.ids[person], changes, key=self.key())
        except NotFound:
            assert not all(self.shelf.exists(place) for place in cells)
            return
        assert all(self.shelf.exists(place) for place in cells)
        self.shelf.decide(result.event_id, person, cells)

    @rule(person=someone)
    def undo(self, person: str) -> None:
        expected = self.shelf.undo(person)
        try:
            result = self.service.undo(self.ids[person], key=self.key())
        except NotFound:
            assert expected is None
            return
        self.check_left(result, expected)

    @rule(person=someone, category=category)
    def remove(self, person: str, category: int) -> None:
        assume(category in self.shelf.names)
        done = self.service.category_changes.remove(self.ids[person], category, key=self.key())
        self.shelf.remove(done.event_id, category)

    @rule(person=someone, category=category, into=category, on_conflict=policy)
    def merge(self, person: str, category: int, into: int, on_conflict: OnConflict) -> None:
        assume(category != into and {category, into} <= set(self.shelf.names))
        done = self.service.category_changes.merge(
            self.ids[person], category, into, on_conflict=on_conflict, key=self.key()
        )
        self.shelf.merge(done.event_id, category, into, on_conflict)

    @rule(person=someone, category=category, name=st.sampled_from([*NAMES[:3], "mug"]))
    def rename(self, person: str, category: int, name: str) -> None:
        assume(category in self.shelf.names)
        taken = {other for ident, other in self.shelf.names.items() if ident != category}
        try:
            done = self.service.category_changes.rename(
                self.ids[person], category, name, key=self.key()
            )
        except Conflict:
            assert name in taken
            return
        assert name not in taken
        self.shelf.rename(done.event_id, category, name)

    @rule(person=someone, data=st.data())
    def take_change_back(self, person: str, data: st.DataObject) -> None:
        assume(self.shelf.changes)
        change = data.draw(st.sampled_from(self.shelf.changes))
        number = change[0].number
        expected = self.shelf.take_change_back(change)
        try:
            result = self.service.undo(self.ids[person], key=self.key(), event_id=number)
        except Conflict:
            assert expected is None
            return
        self.check_left(result, expected)

    def check_left(self, result: UndoResult, expected: set[Cell] | None) -> None:
        assert {(c.image_id, c.category_id) for c in result.left} == expected

    @invariant()
    def the_table_is_as_told_and_the_log_explains_it(self) -> None:
        if not hasattr(self, "project"):
            return
        self.project.check()
        table = self.project.table()
        told = {c: (e.after[c], e.number) for c, e in self.shelf.holds.items()}
        assert {c: row[:2] for c, row in table.items()} == told
        assert {c.id: c.name for c in self.service.categories()} == self.shelf.names
        for state in (self.service.image_state(image) for image in range(1, IMAGES + 1)):
            assert state.cells_known == sum(image == state.id for image, _ in told)


def test_any_history_with_category_changes_is_explained_by_its_log(empty_labels: Path) -> None:
    play(CategoryHistory, empty_labels, histories=15, steps=20)
