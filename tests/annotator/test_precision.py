"""How right past suggestions were: worked by hand, against scipy, and read from a database."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_project import Project
from scipy.stats import binom

from annotator.precision import FEWEST, Answers, Pooled, Share, interval, pool_versions, precision
from annotator.types import CellBatch, CellChange

CUP, TABLE = 1, 2


def answers(*rows: tuple[int, int, str, int, int, int]) -> Answers:
    return Answers.of(rows)


def test_each_side_counts_what_it_suggested() -> None:
    (cup,) = precision(
        answers(
            (CUP, 7, "focus", 90, 1, 8),  # suggested present, rightly
            (CUP, 7, "focus", 60, -1, 2),  # suggested present, wrongly
            (CUP, 7, "sweep", 10, -1, 30),  # suggested absent, rightly
            (CUP, 7, "sweep", 49, 1, 1),  # suggested absent, wrongly
        )
    )
    assert (cup.category_id, cup.version_id) == (CUP, None)
    assert cup.present == Share(8, 10)
    assert cup.absent == Share(30, 31)


def test_the_threshold_is_the_category_s_own() -> None:
    asked = answers((CUP, 1, "focus", 60, 1, 5), (TABLE, 1, "focus", 60, 1, 5))
    cup, table = precision(asked, thresholds={CUP: 0.8})
    assert (cup.present.total, cup.absent.total) == (0, 5)
    assert (table.present.total, table.absent.total) == (5, 0)


def test_by_version_and_over_all() -> None:
    asked = answers((CUP, 1, "focus", 90, -1, 3), (CUP, 2, "focus", 90, 1, 3))
    versions = precision(asked, by_category=False, by_version=True)
    assert [(p.version_id, p.present) for p in versions] == [(1, Share(0, 3)), (2, Share(3, 3))]
    (everything,) = precision(asked, by_category=False)
    assert everything.present == Share(3, 6)


def test_without_answers_there_is_nothing_and_the_interval_is_everything() -> None:
    assert precision(answers()) == []
    assert Share(0, 0).value is None
    assert Share(0, 0).interval() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Clopper & Pearson (1934), tables for 95 %
    [
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (19, 20, 0.7513, 0.9987),
        (5, 10, 0.1871, 0.8129),
    ],
)
def test_the_interval_is_that_of_clopper_and_pearson(
    right: int, total: int, low: float, high: float
) -> None:
    assert Share(right, total).interval() == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_beyond_an_end_the_count_would_be_less_likely_than_the_tail(case: tuple[int, int]) -> None:
    right, total = case
    low, high = (float(end) for end in interval(right, total, 0.9))
    assert low <= right / total <= high
    if right > 0:
        assert binom.sf(right - 1, total, low) == pytest.approx(0.05, abs=1e-9)
    if right < total:
        assert binom.cdf(right, total, high) == pytest.approx(0.05, abs=1e-9)


def test_only_people_s_answers_to_a_probability_count(project: Project) -> None:
    project.decide(project.ana, (1, CUP, 1))  # no model yet, so no probability
    project.add_version()
    project.decide(project.bo, (2, CUP, 1), (3, CUP, -1))
    project.service.import_decisions(
        [CellBatch(np.array([4]), np.array([CUP]), np.array([1]), np.array([0.9]))],
        user_id=project.ana,
    )
    found = project.service.answers()
    assert found.counts.sum() == 2
    assert set(found.sources.tolist()) == {"focus"}
    kept = [project.table()[image, CUP][2] or 0 for image in (2, 3)]
    assert sorted(found.percent.tolist()) == sorted(round(score * 100) for score in kept)


def test_the_version_is_the_one_whose_suggestions_were_shown(project: Project) -> None:
    old, _ = project.add_version(), project.add_version()
    service, key = project.service, "key-of-the-page"
    service.decide(project.ana, [CellChange(1, CUP, 1)], key=key, model_version_id=old)
    assert service.answers().version_ids.tolist() == [old]


def test_an_answer_taken_back_does_not_count(any_project: Project) -> None:
    any_project.add_version()
    any_project.decide(any_project.ana, (1, CUP, 1), (2, CUP, -1))
    assert any_project.service.answers().counts.sum() == 2
    any_project.undo(any_project.ana)
    assert any_project.service.answers().counts.sum() == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1)), max_size=30))
def test_versions_are_put_together_until_they_tell_something(
    made: list[tuple[int, float]],
) -> None:
    shares = [(7 + n, Share(int(total * part), total)) for n, (total, part) in enumerate(made)]
    groups = pool_versions(shares)
    assert all(group.tells for group in groups[:-1])
    assert sum(group.share.total for group in groups) == sum(one.total for _, one in shares)
    assert sum(group.share.right for group in groups) == sum(one.right for _, one in shares)
    ends = [version for group in groups for version in {group.first: 0, group.last: 0}]
    assert ends == sorted(set(ends))


def test_a_version_with_enough_answers_stands_alone() -> None:
    many, one = Share(30, FEWEST + 20), Share(1, 1)
    assert pool_versions([(1, many), (2, one), (3, Share(0, 0)), (4, one)]) == [
        Pooled(1, 1, many),
        Pooled(2, 4, Share(2, 2)),
    ]
