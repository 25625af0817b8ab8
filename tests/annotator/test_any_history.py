"""Whatever two people do in whatever order, the log explains the table and undo is exact.

The expectation is computed from plain lists, in another way than the service does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)
from project_history import ProjectHistory, play

from annotator.errors import NotFound
from annotator.service import CellChange
from annotator.types import CellBatch, DecideResult, UndoResult

Cell = tuple[int, int]

# Few of everything, so that people get in each other's way.
cell = st.sampled_from([(1, 1), (1, 1), (1, 2), (2, 1)])
some_cells = st.dictionaries(cell, st.sampled_from([1, -1, 0]), min_size=1, max_size=2)
someone = st.sampled_from(["ana", "bo"])


@dataclass
class Told:
    """An event as the test remembers it: each cell it changed, with what was there before."""

    number: int
    person: str
    changes: dict[Cell, tuple[Told | None, Told | None]]
    after: dict[Cell, int]
    undone: bool = False


@dataclass
class Story:
    """The expected course of things: which event each known cell was decided by."""

    holds: dict[Cell, Told] = field(default_factory=dict)
    events: list[Told] = field(default_factory=list)

    def states(self) -> dict[Cell, int]:
        return {cell: told.after[cell] for cell, told in self.holds.items()}

    def decide(self, number: int, person: str, after: dict[Cell, int]) -> None:
        told = Told(number, person, {}, dict(after))
        for place, state in after.items():
            before = self.holds.get(place)
            if before is None and state == 0:
                continue
            told.changes[place] = (before, told if state else None)
            self._set(place, told if state else None)
        if told.changes:
            self.events.append(told)

    def undo(self, person: str) -> set[Cell] | None:
        """Take the newest own event back; returns the cells left alone, None without an event."""
        mine = [e for e in self.events if e.person == person and not e.undone]
        if not mine:
            return None
        return self.take_back(mine[-1])

    def take_back(self, told: Told) -> set[Cell]:
        """Take an event back; returns the cells left alone."""
        told.undone = True
        left = set()
        for place, (before, after) in told.changes.items():
            if self.holds.get(place) is not after or (after is None and self._taken(place, told)):
                left.add(place)
                continue
            if not self.exists(place):
                left.add(place)
                continue
            while before is not None and before.undone:
                before = before.changes[place][0]
            self._set(place, before)
        return left

    def exists(self, place: Cell) -> bool:
        """Whether the cell's category is there."""
        return True

    def _taken(self, place: Cell, told: Told) -> bool:
        later = [e for e in self.events if e.number > told.number and not e.undone]
        return any(place in e.changes for e in later)

    def _set(self, place: Cell, told: Told | None) -> None:
        if told is None:
            self.holds.pop(place, None)
        else:
            self.holds[place] = told


class AnyHistory(ProjectHistory):
    """Random steps of two people on two pictures and two categories."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.requests: list[tuple[str, dict[Cell, int], str, DecideResult]] = []
        self.undos: list[tuple[str, str, UndoResult]] = []

    def request(self, person: str, cells: dict[Cell, int], key: str) -> DecideResult:
        changes = [CellChange(*place, state) for place, state in cells.items()]
        return self.project.service.decide(self.ids[person], changes, key=key)

    @rule(person=someone, cells=some_cells)
    def decide(self, person: str, cells: dict[Cell, int]) -> None:
        key = f"decide-{next(self.keys)}"
        result = self.request(person, cells, key)
        self.story.decide(result.event_id, person, cells)
        self.requests.append((person, cells, key, result))
        for state in result.images:
            assert self.project.service.image_state(state.id) == state

    @rule(person=someone)
    def undo(self, person: str) -> None:
        key = f"undo-{next(self.keys)}"
        expected = self.story.undo(person)
        if expected is None:
            try:
                self.project.service.undo(self.ids[person], key=key)
            except NotFound:
                return
            raise AssertionError("there was nothing to undo")
        result = self.project.service.undo(self.ids[person], key=key)
        assert {(c.image_id, c.category_id) for c in result.left} == expected
        self.undos.append((person, key, result))
        for state in result.images:
            assert self.project.service.image_state(state.id) == state

    @rule(person=someone, cells=some_cells, overwrite=st.booleans())
    def bring_in(self, person: str, cells: dict[Cell, int], overwrite: bool) -> None:
        report = self.project.service.import_decisions(
            [CellBatch.of([(*place, state) for place, state in cells.items()])],
            user_id=self.ids[person],
            conflict="overwrite" if overwrite else "keep",
        )
        known = self.story.states()
        changed = {
            place: state
            for place, state in cells.items()
            if state and (place not in known or (overwrite and known[place] != state))
        }
        assert report.added + report.overwritten == len(changed)
        assert (report.event_id is None) == (not changed)
        if report.event_id is not None:
            self.story.decide(report.event_id, person, changed)

    @precondition(lambda self: self.requests and self.undos)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        person, cells, key, first = data.draw(st.sampled_from(self.requests))
        again = self.request(person, cells, key)
        assert (again.repeated, again.event_id) == (True, first.event_id)
        person, key, done = data.draw(st.sampled_from(self.undos))
        undone = self.project.service.undo(self.ids[person], key=key)
        assert (undone.repeated, undone.event_id, undone.left) == (True, done.event_id, done.left)

    @invariant()
    def the_table_is_as_told_and_the_log_explains_it(self) -> None:
        if not hasattr(self, "project"):
            return
        self.project.check()
        table = self.project.table()
        told = {c: (e.after[c], e.number) for c, e in self.story.holds.items()}
        assert {c: row[:2] for c, row in table.items()} == told


def test_any_history_is_explained_by_its_log(empty_labels: Path) -> None:
    play(AnyHistory, empty_labels, histories=30, steps=25)
