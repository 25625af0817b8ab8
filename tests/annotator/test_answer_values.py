"""Value of answers: what raises it, and that near-duplicates stay apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotator.answer_values import answer_values, apart, coverage, most_valuable, rarity

NOBODY = np.full((3, 1), -1)
ALONE = NOBODY, np.zeros((3, 1))
OPEN = np.zeros((3, 2), dtype=np.int8)
HALF = np.full((3, 2), 0.5)
UNLINKED = np.zeros((2, 2))
EVEN = np.array([0.5, 0.5])


def test_alone_the_value_is_entropy_times_rarity() -> None:
    labels = np.array([[0, 0], [1, 0], [1, -1]], dtype=np.int8)
    value = answer_values(HALF, labels, *ALONE, UNLINKED, np.array([0.25, 0.125]))
    np.testing.assert_allclose(value, [5.0, 3.0, 0.0])


def test_a_picture_that_others_count_among_their_nearest_is_worth_more() -> None:
    near = np.array([[1], [-1], [1]])
    value = answer_values(HALF, OPEN, near, np.full((3, 1), 0.5), UNLINKED, EVEN)
    np.testing.assert_allclose(value, [2.0, 4.0, 2.0])  # two listeners x .5 in both categories


def test_an_answer_settles_nothing_where_the_listener_is_certain() -> None:
    labels = np.array([[1, 1], [0, 0], [1, 1]], dtype=np.int8)
    near = np.array([[1], [-1], [1]])
    value = answer_values(HALF, labels, near, np.full((3, 1), 0.5), UNLINKED, EVEN)
    np.testing.assert_allclose(value, [0.0, 2.0, 0.0])


def test_cooccurrence_counts_only_towards_open_cells() -> None:
    labels = np.array([[0, 0], [0, 1], [1, 1]], dtype=np.int8)
    linked = np.array([[0.0, -2.0], [-2.0, 0.0]])
    value = answer_values(HALF, labels, *ALONE, linked, EVEN)
    np.testing.assert_allclose(value, [4.0, 1.0, 0.0])


def test_common_categories_are_never_worth_less_than_their_entropy() -> None:
    np.testing.assert_allclose(rarity(np.array([0.9, 0.5, 0.25, 0.0])), [1, 1, 2, 19.93], atol=0.01)


@given(st.permutations(range(6)), st.integers(0, 100))
def test_the_order_of_categories_changes_no_value(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random((5, 6)).astype(np.float16)
    labels = rng.integers(-1, 2, (5, 6)).astype(np.int8)
    near, similarity = rng.integers(-1, 5, (5, 3)), rng.random((5, 3))
    links, prior = rng.normal(size=(6, 6)), rng.random(6)
    links += links.T
    one = answer_values(probability, labels, near, similarity, links, prior)
    other = answer_values(
        probability[:, order], labels[:, order], near, similarity,
        links[np.ix_(order, order)], prior[order],
    )  # fmt: skip
    np.testing.assert_allclose(one, other, rtol=1e-4)


@given(st.lists(st.integers(0, 4), max_size=40))
def test_a_group_comes_twice_in_a_row_only_where_it_outnumbers_all_others(
    numbers: list[int],
) -> None:
    group = np.array(numbers, dtype=np.int64)
    places = apart(group)
    assert sorted(places.tolist()) == list(range(len(group)))
    together = int((np.diff(group[places]) == 0).sum()) if len(group) else 0
    most = max(Counter(numbers).values(), default=0)
    assert together == max(0, most - (len(numbers) - most) - 1)


def test_near_duplicates_do_not_follow_each_other() -> None:
    near = np.array([[1], [0], [-1], [-1]])
    similarity = np.array([[0.95], [0.95], [0.0], [0.0]])
    value = np.array([9.0, 8.9, 3.0, 2.0], dtype=np.float32)
    order = most_valuable(np.array([10, 11, 12, 13]), value, near, similarity)
    assert order.tolist() == [10, 12, 11, 13]


def test_a_long_chain_of_near_duplicates_keeps_to_the_order_of_values() -> None:
    count = 400
    near = np.minimum(np.arange(count) + 1, count - 1)[:, None]
    value = np.arange(1, count + 1, dtype=np.float32)
    order = most_valuable(np.arange(count), value, near, np.full((count, 1), 0.95))
    assert order.tolist() == list(range(count))[::-1]


def test_complete_and_removed_pictures_are_left_out() -> None:
    value = np.array([1.0, 2.0, 0.0], dtype=np.float32)
    assert most_valuable(np.array([10, -1, 12]), value, *ALONE).tolist() == [10]


@given(st.integers(0, 50))
def test_coverage_reaches_every_cluster_before_a_second_of_any(seed: int) -> None:
    cluster = np.repeat(np.arange(5), 4)
    near = np.array(
        [[j for j in range(20) if cluster[j] == cluster[i] and j != i] for i in range(20)]
    )
    order = coverage(np.arange(20), near, np.full((20, 3), 0.6), seed=seed)
    assert sorted(order.tolist()) == list(range(20))
    assert sorted(cluster[order[:5]].tolist()) == [0, 1, 2, 3, 4]


def test_an_empty_project_has_no_values() -> None:
    none, nobody = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
    open_cells = np.zeros((0, 2), np.int8)
    value = answer_values(open_cells * 0.5, open_cells, nobody, nobody * 0.5, UNLINKED, EVEN)
    assert len(most_valuable(none, value, nobody, nobody * 0.5)) == 0
    assert len(coverage(none, nobody, nobody * 0.5)) == 0
