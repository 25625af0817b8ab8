"""The filter engine against an implementation that looks at one picture after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from annotator.browsing import (
    MAX_DEPTH,
    MAX_PARTS,
    SORTS,
    Added,
    All,
    AnyOf,
    Columns,
    Condition,
    Decided,
    Flagged,
    KnownBetween,
    LabelIs,
    NameContains,
    Not,
    OneOf,
    Order,
    ScoreBetween,
    SimilarTo,
    find,
)
from annotator.errors import InvalidInput, NotFound

CATEGORIES = (3, 1, 8)
SOURCES = ("focus", "import", "sweep")
NAMES = ("a.jpg", "B.JPG", "ä b.png", "<img>", "straße.jpg", "b/a.jpg")


@dataclass
class FixedScores:
    """Scores that were drawn."""

    values: NDArray[np.float32]  # [C, N]
    bits: NDArray[np.float32]
    near: NDArray[np.float32]  # [N, N]
    image_ids: NDArray[np.int64]

    def probability(self, category_id: int) -> NDArray[np.float32]:
        return self.values[CATEGORIES.index(category_id)]

    def uncertainty(self) -> NDArray[np.float32]:
        return self.bits

    def similarity(self, image_id: int) -> NDArray[np.float32]:
        return self.near[int(np.flatnonzero(self.image_ids == image_id)[0])]


# ------------------------------------------------------------------------------ any project


@st.composite
def projects(draw: st.DrawFn) -> Columns:
    """Up to eight pictures with gaps in their ids, and up to five events."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, events = draw(st.integers(0, 8)), draw(st.integers(1, 5))
    states = rng.integers(-1, 2, (len(CATEGORIES), count)).astype(np.int8)
    names = [str(name) for name in rng.choice(NAMES, count)]
    ids = np.cumsum(rng.integers(1, 3, count))
    near = rng.choice([np.nan, 0.2, 0.5, 0.9], (count, count)).astype(np.float32)
    near[np.arange(count), np.arange(count)] = 1.0
    scores = FixedScores(
        values=rng.choice([np.nan, 0.0, 0.25, 0.5, 1.0], states.shape).astype(np.float32),
        bits=rng.choice([np.nan, 0.5, 1.5], count).astype(np.float32),
        near=near,
        image_ids=ids,
    )
    return Columns(
        image_ids=ids,
        names=names,
        folded=[name.casefold() for name in names],
        added=rng.integers(0, 6, count),
        category_ids=np.array(CATEGORIES),
        states=states,
        events=np.where(states != 0, rng.integers(1, events + 1, states.shape), 0).astype(np.int32),
        known=np.count_nonzero(states, axis=0).astype(np.int32),
        event_user=np.append(0, rng.integers(0, 3, events)),
        event_source=np.append(-1, rng.integers(0, 3, events)).astype(np.int32),
        event_at=np.append(0, rng.integers(0, 6, events)),
        sources=list(SOURCES),
        flagged=rng.random(count) < 0.4,
        scores=scores if draw(st.booleans()) else None,
    )


category = st.sampled_from(CATEGORIES)
moment = st.none() | st.integers(-1, 7)
simple = st.one_of(
    st.builds(LabelIs, category, st.frozensets(st.sampled_from([-1, 0, 1]))),
    st.builds(KnownBetween, st.none() | st.integers(0, 4), st.none() | st.integers(0, 4)),
    st.builds(
        Decided,
        st.none() | category,
        st.none() | st.frozensets(st.integers(0, 3)),
        st.none() | st.frozensets(st.sampled_from([*SOURCES, "elsewhere"])),
        moment,
        moment,
    ),
    st.builds(
        ScoreBetween, category, st.sampled_from([0.0, 0.25, 0.4]), st.sampled_from([0.25, 0.5, 1.0])
    ),
    st.builds(Added, moment, moment),
    st.builds(NameContains, st.sampled_from(["", "A", "jpg", "SS", "<", "b/"])),
    st.builds(Flagged),
    st.builds(OneOf, st.lists(st.integers(0, 12), max_size=4).map(tuple)),
)


def larger(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.builds(All, several) | st.builds(AnyOf, several) | st.builds(Not, inner)


conditions = st.recursive(simple, larger, max_leaves=8)


# ------------------------------------------------------------- one picture after the other


def holds(project: Columns, row: int, condition: Condition) -> bool:
    """What the words of a condition mean, for one picture."""
    match condition:
        case All(of):
            return all(holds(project, row, part) for part in of)
        case AnyOf(of):
            return any(holds(project, row, part) for part in of)
        case Not(inner):
            return not holds(project, row, inner)
        case LabelIs(wanted, states):
            return int(project.states[CATEGORIES.index(wanted), row]) in states
        case KnownBetween(least, most):
            known = sum(int(state) != 0 for state in project.states[:, row])
            return (least is None or known >= least) and (most is None or known <= most)
        case Decided(wanted):
            columns = range(3) if wanted is None else [CATEGORIES.index(wanted)]
            return any(decided_like(project, column, row, condition) for column in columns)
        case ScoreBetween(wanted, low, high):
            if project.scores is None:
                return False
            return low <= float(project.scores.probability(wanted)[row]) <= high
        case Added(since, until):
            return within(int(project.added[row]), since, until)
        case NameContains(text):
            return text.casefold() in project.names[row].casefold()
        case Flagged():
            return bool(project.flagged[row])
        case SimilarTo(image, lowest):
            itself = int(project.image_ids[row]) == image
            if project.scores is None or itself:
                return itself
            return float(project.scores.similarity(image)[row]) >= lowest
        case OneOf(images):
            return int(project.image_ids[row]) in images


def decided_like(project: Columns, column: int, row: int, wanted: Decided) -> bool:
    if project.states[column, row] == 0:
        return False
    event = int(project.events[column, row])
    source = project.sources[int(project.event_source[event])]
    return (
        (wanted.users is None or int(project.event_user[event]) in wanted.users)
        and (wanted.sources is None or source in wanted.sources)
        and within(int(project.event_at[event]), wanted.since, wanted.until)
    )


def within(time: int, since: int | None, until: int | None) -> bool:
    return (since is None or time >= since) and (until is None or time < until)


def value(project: Columns, row: int, order: Order) -> float | str | None:
    """What a picture is sorted by; None if it has no such value."""
    scores = project.scores
    number = math.nan
    match order.by:
        case "added":
            number = int(project.image_ids[row])
        case "name":
            return project.names[row].casefold()
        case "known":
            number = int(np.count_nonzero(project.states[:, row]))
        case "changed":
            decided = [int(e) for e in project.events[:, row] if e]
            number = int(project.event_at[max(decided)]) if decided else math.nan
        case "probability":
            number = math.nan if scores is None else float(scores.probability(order.category)[row])
        case "uncertainty":
            number = math.nan if scores is None else float(scores.uncertainty()[row])
        case "similarity":
            if scores is not None:
                number = float(scores.similarity(order.image)[row])
            elif int(project.image_ids[row]) == order.image:
                number = 1.0
    return None if math.isnan(number) else number


def sorted_one_by_one(project: Columns, rows: list[int], order: Order) -> list[int]:
    values = {row: value(project, row, order) for row in rows}
    has = [row for row in rows if values[row] is not None]
    # Equal values stay in the order of ids, also when the largest comes first.
    ordered = sorted(has, key=lambda row: values[row], reverse=False)
    if order.descending:
        by_value: dict[object, list[int]] = {}
        for row in has:
            by_value.setdefault(values[row], []).append(row)
        ordered = [row for key in sorted(by_value, reverse=True) for row in by_value[key]]
    return ordered + [row for row in rows if values[row] is None]


@settings(max_examples=150)
@given(projects(), conditions, st.sampled_from(SORTS), st.booleans(), category, st.data())
def test_any_filter_and_order_give_what_looking_at_each_picture_gives(
    project: Columns,
    condition: Condition,
    by: str,
    descending: bool,
    sorted_category: int,
    data: st.DataObject,
) -> None:
    image = None
    if len(project):
        image = data.draw(st.sampled_from(project.image_ids.tolist()))
        if data.draw(st.booleans()):
            condition = AnyOf((SimilarTo(image, data.draw(st.sampled_from([0.0, 0.5]))), condition))
    elif by == "similarity":
        by = "added"
    order = Order(by, descending, sorted_category, image)  # type: ignore[arg-type]
    wanted = [row for row in range(len(project)) if holds(project, row, condition)]
    assert find(project, condition, order).tolist() == sorted_one_by_one(project, wanted, order)


@settings(max_examples=50)
@given(projects(), conditions)
def test_a_condition_and_its_opposite_share_the_pictures_out(
    project: Columns, condition: Condition
) -> None:
    found = find(project, condition, Order()).tolist()
    others = find(project, Not(condition), Order()).tolist()
    assert sorted(found + others) == list(range(len(project)))


@settings(max_examples=30)
@given(projects())
def test_no_condition_finds_all(project: Columns) -> None:
    assert find(project, None, Order(descending=True)).tolist() == [*range(len(project))][::-1]


# ------------------------------------------------------------------------------- refusals


def nothing() -> Columns:
    empty = np.zeros(0, dtype=np.int64)
    shape = (len(CATEGORIES), 0)
    return Columns(
        image_ids=empty,
        names=[],
        folded=[],
        added=empty,
        category_ids=np.array(CATEGORIES),
        states=np.zeros(shape, np.int8),
        events=np.zeros(shape, np.int32),
        known=np.zeros(0, np.int32),
        event_user=np.zeros(1, np.int64),
        event_source=np.full(1, -1, np.int32),
        event_at=np.zeros(1, np.int64),
        sources=[],
        flagged=np.zeros(0, bool),
    )


def test_a_filter_that_is_too_deep_is_refused() -> None:
    condition: Condition = Flagged()
    for _ in range(MAX_DEPTH + 1):
        condition = Not(condition)
    with pytest.raises(InvalidInput, match="levels deep"):
        find(nothing(), condition, Order())


def test_a_filter_with_too_many_parts_is_refused() -> None:
    with pytest.raises(InvalidInput, match="parts"):
        find(nothing(), All((Flagged(),) * MAX_PARTS), Order())


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="states must be"):
        find(nothing(), LabelIs(1, frozenset({2})), Order())


@pytest.mark.parametrize(
    "condition", [LabelIs(99, frozenset({1})), Decided(99), ScoreBetween(99), SimilarTo(5)]
)
def test_what_a_filter_names_must_exist(condition: Condition) -> None:
    with pytest.raises(NotFound):
        find(nothing(), condition, Order())


@pytest.mark.parametrize("order", [Order("probability"), Order("similarity")])
def test_an_order_that_lacks_what_it_sorts_by_is_refused(order: Order) -> None:
    with pytest.raises(InvalidInput, match="name the"):
        find(nothing(), None, order)
