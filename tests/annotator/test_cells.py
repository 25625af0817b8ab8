"""Packed cells: nothing is lost, damage is noticed, and they are small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.db.cells import (
    CELL,
    ROW,
    Cells,
    changes,
    clear_before,
    inverted,
    keys,
    pack,
    parts,
    replay,
    set_before,
    step_back,
    unpack,
)

ids = st.integers(0, 2**32 - 1)
states = st.sampled_from([-1, 0, 1])
events = st.integers(0, 2**62)
scores = st.one_of(st.just(float("nan")), st.floats(0, 1, width=32))
cell = st.tuples(ids, ids, states, states, events, events, scores, scores)


@st.composite
def some_cells(draw: st.DrawFn) -> Cells:
    return np.array(draw(st.lists(cell, max_size=30)), dtype=CELL)


def same(one: Cells, other: Cells) -> bool:
    return one.tobytes() == other.tobytes()


@given(some_cells())
def test_unpacking_gives_what_was_packed(cells: Cells) -> None:
    assert same(unpack(pack(cells)), cells)


@given(some_cells())
def test_inverting_twice_changes_nothing(cells: Cells) -> None:
    assert same(inverted(inverted(cells)), cells)


@pytest.mark.parametrize("harm", ["cut", "other format", "flipped", "empty"])
def test_damaged_bytes_are_noticed(harm: str) -> None:
    good = pack(changes([1, 2], [3, 4], [1, -1], event_id=5))
    bad = {
        "cut": good[:-3],
        "other format": b"\x09" + good[1:],
        "flipped": good[:8] + bytes([good[8] ^ 0xFF]) + good[9:],
        "empty": b"",
    }[harm]
    with pytest.raises(ValueError, match="packed cells"):
        unpack(bad)


def test_an_imported_cell_takes_less_than_a_byte() -> None:
    rng = np.random.default_rng(0)
    image, category = np.repeat(np.arange(1, 1001), 80), np.tile(np.arange(1, 81), 1000)
    state = np.where(rng.random(80_000) < 0.03, 1, -1)
    assert len(pack(changes(image, category, state, event_id=7))) < 80_000


def test_parts_are_bounded_and_complete() -> None:
    cells = changes(np.arange(300_000), np.ones(300_000, int), np.ones(300_000, int), event_id=1)
    sizes = [len(part) for part in parts(cells)]
    assert sum(sizes) == 300_000
    assert max(sizes) <= 1 << 17


def test_a_cell_made_unknown_names_no_event_and_no_score() -> None:
    made = changes([1], [2], [0], event_id=9, score=0.5)[0]
    assert made["after_event"] == 0
    assert np.isnan(made["after_score"])


def test_what_was_there_before_is_filled_in_where_it_was_known() -> None:
    cells = changes([1, 1, 2], [1, 2, 1], [1, 1, 1], event_id=9)
    rows: list[tuple[Any, ...]] = [(2, 1, -1, 0.25, 4), (1, 2, 1, None, 3), (7, 7, 1, None, 1)]
    set_before(cells, np.array(rows, dtype=ROW))
    assert cells["before"].tolist() == [0, 1, -1]
    assert cells["before_event"].tolist() == [0, 3, 4]
    assert cells["before_score"].tolist()[2] == 0.25
    clear_before(cells)
    assert cells["before"].tolist() == [0, 0, 0]


def test_stepping_back_leads_to_the_row_before_an_event() -> None:
    event = changes([2, 1], [1, 1], [1, 1], event_id=8)
    set_before(event, np.array([(1, 1, -1, 0.5, 3)], dtype=ROW))
    back = changes([1, 2, 3], [1, 1, 1], [1, 1, 1], event_id=8)
    step_back(back, event)
    assert back["after"].tolist() == [-1, 0, 1]
    assert back["after_event"].tolist() == [3, 0, 8]


def test_keys_order_by_image_then_category() -> None:
    cells = changes([1, 1, 2], [1, 2**31, 1], [1, 1, 1], event_id=1)
    assert keys(cells).tolist() == sorted(keys(cells).tolist())


def test_replaying_a_log_gives_the_last_word_on_each_cell() -> None:
    first = changes([1, 1], [1, 2], [1, -1], event_id=1, score=np.array([0.5, np.nan]))
    second = changes([1, 2], [2, 1], [0, 1], event_id=2)
    assert replay([first, second]) == {(1, 1): (1, 1, 0.5), (2, 1): (1, 2, None)}
