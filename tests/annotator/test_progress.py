"""How labelling went over time: sums by minute from the log, and what charts make of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from label_project import Project

from annotator.browse_decisions import Selection
from annotator.browsing import Order
from annotator.progress import (
    MOST_POINTS,
    Activity,
    day_start,
    decided_per_minute,
    decided_since,
    known_over_time,
    people,
)
from annotator.standing import Effort, effort
from annotator.types import CellBatch

NOON = datetime(2026, 1, 2, 12, 0, 30, tzinfo=UTC)
MINUTE = int(NOON.timestamp() // 60)


def activity(*rows: tuple[int, str, int, int, int]) -> Activity:
    return Activity.of([(MINUTE + minute, *rest) for minute, *rest in rows])


def test_the_log_is_summed_by_minute_source_and_person(any_project: Project) -> None:
    project = any_project
    project.decide(project.ana, (1, 1, 1), (1, 2, -1))
    project.clock.forward(seconds=20)
    project.decide(project.ana, (2, 1, 1))
    project.clock.forward(minutes=5)
    project.decide(project.bo, (2, 1, -1))  # decided again: known before and after
    batch = CellBatch.of([(3, 1, 1), (4, 1, 1)])
    project.service.import_decisions([batch], user_id=project.bo)
    found = project.service.activity()
    rows = list(
        zip(
            found.sources.tolist(),
            found.user_ids.tolist(),
            found.net.tolist(),
            found.decided.tolist(),
            strict=True,
        )
    )
    minutes = (
        found.minutes - int(datetime(2026, 1, 2, 3, 4, tzinfo=UTC).timestamp()) // 60
    ).tolist()
    assert [(minute, *row) for minute, row in zip(minutes, rows, strict=True) if any(row[2:])] == [
        (0, "focus", 1, 0, -1),  # what bo decided again holds by bo's decision
        (0, "focus", 1, 3, 3),
        (5, "focus", 1, -1, 0),
        (5, "focus", 2, 0, 1),
        (5, "focus", 2, 1, 0),
        (5, "import", 2, 2, 2),
    ]


def test_the_sum_is_the_number_of_known_cells_whatever_was_taken_back(
    any_project: Project,
) -> None:
    project = any_project
    service = project.service
    project.decide(project.ana, (1, 1, 1), (1, 2, -1), (2, 2, 1), (3, 1, 1))
    project.undo(project.ana)
    project.decide(project.ana, (1, 1, 1), (1, 2, -1), (2, 2, 1), (3, 1, 1))
    project.decide(project.ana, (3, 1, 0))
    merged = service.category_changes.merge(project.bo, 1, 2, on_conflict="absent", key="m")
    assert service.activity().net.sum() == service.status().known == len(project.table())
    service.undo(project.ana, key="back", event_id=merged.event_id)
    found = service.activity()
    assert found.net.sum() == service.status().known == 3
    # What ana took back was bo's doing.
    assert {p.user_id: (p.known, p.decided) for p in people(found).values()} == {
        project.ana: (3, 3),
        project.bo: (0, 0),
    }


def test_a_cell_counts_at_the_source_that_it_has_after_its_category_came_back(
    any_project: Project,
) -> None:
    service = any_project.service
    any_project.decide(any_project.ana, (1, 1, 1), (1, 2, -1))
    deleted = service.category_changes.remove(any_project.bo, 1, key="gone")
    assert effort(service.activity()) == Effort(single=1)
    service.undo(any_project.bo, key="back", event_id=deleted.event_id)
    assert effort(service.activity()) == Effort(single=2)


def test_what_a_person_corrects_is_that_persons_and_no_import_any_more(
    any_project: Project,
) -> None:
    service = any_project.service
    service.import_decisions([CellBatch.of([(1, 1, 1), (2, 1, 1), (3, 1, 1)])])
    any_project.decide(any_project.ana, (1, 1, -1), (2, 1, 1))
    assert effort(service.activity()) == Effort(single=2, brought=1)
    any_project.undo(any_project.ana)
    assert effort(service.activity()) == Effort(brought=3)


def test_an_import_taken_back_is_not_taken_from_who_takes_it_back(any_project: Project) -> None:
    service = any_project.service
    any_project.decide(any_project.ana, (2, 2, 1))
    report = service.import_decisions([CellBatch.of([(1, 1, 1)])])
    service.undo(any_project.ana, key="back", event_id=report.event_id)
    assert people(service.activity())[any_project.ana].known == 1


def test_a_decision_on_browse_is_a_persons_decision_in_every_count(any_project: Project) -> None:
    service, ana = any_project.service, any_project.ana
    any_project.decide(ana, (6, 1, 1))
    shown = service.browser.search(None, Order())
    for state, known in ((1, 4), (0, 1)):
        selection = Selection(shown.name, ((0, 3),))
        check = service.browser.preview(selection, 2).check
        service.browser.decide(
            ana, selection, 2, state, check=check, overwrite=False, key=f"bulk {state}"
        )
        found = service.activity()
        assert effort(found) == Effort(single=1, browse=known - 1)
        assert people(found)[ana].decided == people(found)[ana].known == known
        now = any_project.clock()
        assert decided_since(found, day_start(now)) == (known, 1)
        assert decided_per_minute(found, now, 60, 60).values[ana].sum() == known


def test_confirming_counts_when_it_was_done_and_once(any_project: Project) -> None:
    service, ana = any_project.service, any_project.ana
    any_project.decide(ana, (1, 1, 1), (2, 1, 1))
    any_project.clock.forward(days=1)
    any_project.decide(ana, (1, 1, 1))
    found, now = service.activity(), any_project.clock()
    assert decided_since(found, day_start(now)) == (1, 1)
    assert people(found)[ana].decided == effort(found).by_hand == 2


def test_who_is_corrected_was_not_active_then(any_project: Project) -> None:
    any_project.decide(any_project.ana, (1, 1, 1))
    any_project.clock.forward(minutes=30)
    any_project.decide(any_project.bo, (1, 1, -1))
    found = people(any_project.service.activity())
    assert found[any_project.bo].last - found[any_project.ana].last == 30
    assert found[any_project.ana].decided == 0


def test_new_events_are_added_to_what_was_summed(project: Project) -> None:
    service = project.service
    for image in range(1, 5):
        project.decide(project.ana, (image, 1, 1))
        project.clock.forward(minutes=1)
        assert service.activity().net.sum() == image
    assert len(service.activity()) == 4


def test_known_cells_grow_by_source_and_end_at_what_is_known() -> None:
    found = activity((0, "focus", 1, 2, 2), (3, "sweep", 1, 60, 60), (3, "focus", 2, -1, -1))
    series = known_over_time(found, "source")
    assert series.minutes[0] < MINUTE
    assert {key: values[[0, -1]].tolist() for key, values in series.values.items()} == {
        "sweep": [0, 60],
        "focus": [0, 1],
    }
    assert list(known_over_time(found, "person").values) == [1, 2]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000_000),
            st.sampled_from(["focus", "sweep"]),
            st.integers(0, 2),
            st.integers(-5, 50),
            st.integers(-5, 50),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[:3],
    )
)
def test_no_span_of_time_loses_a_cell_or_has_too_many_points(
    rows: list[tuple[int, str, int, int, int]],
) -> None:
    found = activity(*rows)
    for by in ("source", "person"):
        series = known_over_time(found, by)  # type: ignore[arg-type]
        assert len(series.minutes) <= MOST_POINTS + 2
        assert sum(values[-1] for values in series.values.values()) == sum(r[3] for r in rows)
        assert all(values[0] == 0 for values in series.values.values())


def test_later_rows_join_in_the_order_of_time() -> None:
    first, second = activity((0, "a", 1, 1, 1), (5, "a", 1, 1, 1)), activity((3, "bb", 2, 4, 4))
    both = first.joined(second)
    assert (both.minutes - MINUTE).tolist() == [0, 3, 5]
    assert both.sources.tolist() == ["a", "bb", "a"]
    assert both.net.tolist() == [1, 4, 1]
    assert len(Activity.of([]).joined(first)) == 2


def test_nothing_done_is_an_empty_chart() -> None:
    found = Activity.of([])
    assert len(known_over_time(found, "source").minutes) == 0
    assert decided_per_minute(found, NOON, 60, 60).values == {}
    assert decided_since(found, NOON) == (0, 0)
    assert people(found) == {}


def test_decisions_of_the_last_hour_fall_into_their_minutes() -> None:
    found = activity(
        (0, "focus", 1, 3, 3), (-1, "focus", 1, 2, 2), (-59, "focus", 2, 1, 1),
        (-60, "focus", 2, 9, 9), (-5, "import", 1, 500, 0),
    )  # fmt: skip
    series = decided_per_minute(found, NOON, 60, 60)
    assert len(series.minutes) == 60
    assert series.minutes[-1] == MINUTE
    assert np.flatnonzero(series.values[1]).tolist() == [58, 59]
    assert series.values[2].tolist() == [1] + 59 * [0]


def test_today_counts_since_midnight_and_only_who_decided() -> None:
    found = activity((0, "focus", 1, 3, 3), (-3, "sweep", 2, 2, 2), (-3, "import", 3, 50, 0))
    assert decided_since(found, day_start(NOON)) == (5, 2)
    assert decided_since(found, day_start(NOON + timedelta(days=1))) == (0, 0)


def test_the_lines_go_on_until_now() -> None:
    one = activity((0, "import", 1, 30, 0))
    assert known_over_time(one, "source", NOON).values["import"].tolist() == [0, 30, 30]
    later = known_over_time(one, "source", NOON + timedelta(hours=3))
    assert later.minutes[0] == MINUTE - 1
    assert later.minutes[-1] >= MINUTE + 180
    assert set(later.values["import"].tolist()[1:]) == {30}
    years = known_over_time(one, "source", NOON + timedelta(days=900))
    assert len(years.minutes) <= MOST_POINTS + 2


def test_who_changed_no_number_of_known_cells_has_no_line() -> None:
    found = activity((0, "focus", 1, 3, 3), (1, "flags", 2, 0, 0))
    assert set(known_over_time(found, "source").values) == {"focus"}
    assert set(known_over_time(found, "person").values) == {1}
    assert known_over_time(activity((1, "flags", 2, 0, 0)), "source").values == {}


def test_taking_a_merge_back_is_counted_where_the_merge_was(project: Project) -> None:
    service = project.service
    project.decide(project.ana, (1, 1, 1), (1, 2, 1), (2, 1, 1))
    merged = service.category_changes.merge(project.bo, 1, 2, on_conflict="keep", key="m")
    service.undo(project.ana, key="back", event_id=merged.event_id)
    known = known_over_time(service.activity(), "source").values
    assert set(known) <= {"focus", "categories"}
