"""Order of the queues, and that it hangs on nothing but the arrays and the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator import queues

IDS = np.array([10, 11, 12, 13])


def test_uncertainty_is_the_entropy_of_open_cells_in_bits() -> None:
    probability = np.array([[0.5, 0.5], [0.5, 1.0], [0.25, 0.0]])
    labels = np.array([[0, 0], [1, 0], [0, 0]], dtype=np.int8)
    expected = [2.0, 0.0, -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))]
    np.testing.assert_allclose(queues.uncertainty(probability, labels), expected, atol=1e-5)


def test_a_cell_without_probability_counts_one_bit() -> None:
    assert queues.uncertainty(np.array([[np.nan]]), np.zeros((1, 1), np.int8))[0] == 1


def test_the_most_uncertain_picture_comes_first() -> None:
    probability = np.array([[0.9], [0.5], [0.01], [0.6]])
    labels = np.zeros((4, 1), dtype=np.int8)
    np.testing.assert_array_equal(queues.uncertain(IDS, probability, labels), [11, 13, 10, 12])


def test_complete_pictures_are_left_out() -> None:
    labels = np.array([[1, -1], [0, 1], [0, 0], [1, 1]], dtype=np.int8)
    probability = np.full((4, 2), 0.5)
    assert queues.uncertain(IDS, probability, labels).tolist() == [12, 11]
    known = (labels != 0).sum(axis=1)
    assert sorted(queues.random(IDS, known, 2).tolist()) == [11, 12]


def test_pictures_that_left_the_project_are_left_out() -> None:
    ids = np.array([-1, 11])
    labels = np.zeros((2, 1), dtype=np.int8)
    assert queues.uncertain(ids, np.full((2, 1), 0.5), labels).tolist() == [11]
    assert queues.unlabelled(ids, np.zeros(2, dtype=int)).tolist() == [11]
    assert queues.random(ids, np.zeros(2, dtype=int), 1).tolist() == [11]


def test_unlabelled_pictures_come_in_order_of_adding() -> None:
    ids = np.array([13, 11, 12, 10])
    assert queues.unlabelled(ids, np.array([0, 0, 3, 0])).tolist() == [10, 11, 13]


@given(st.integers(0, 2**63), st.sets(st.integers(1, 10**6), min_size=2, max_size=50))
def test_random_order_is_the_same_for_a_seed_and_stable_under_additions(
    seed: int, chosen: set[int]
) -> None:
    ids = np.array(sorted(chosen))
    whole = queues.random(ids, np.zeros(len(ids), dtype=int), 1, seed=seed)
    part = queues.random(ids[::2], np.zeros(len(ids[::2]), dtype=int), 1, seed=seed)
    assert sorted(whole.tolist()) == ids.tolist()
    assert [i for i in whole.tolist() if i in set(ids[::2].tolist())] == part.tolist()


def test_another_seed_gives_another_order() -> None:
    ids = np.arange(1, 101)
    known = np.zeros(100, dtype=int)
    one, other = (queues.random(ids, known, 1, seed=s).tolist() for s in (1, 2))
    assert one != other
    assert one != ids.tolist()


def test_ties_are_broken_by_the_seed() -> None:
    ids = np.arange(1, 101)
    even = np.full((100, 3), 0.5), np.zeros((100, 3), dtype=np.int8)
    orders = [queues.uncertain(ids, *even, seed=s).tolist() for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("categories", [0, 3])
def test_empty_projects_give_empty_queues(categories: int) -> None:
    none = np.zeros(0, dtype=np.int64)
    labels = np.zeros((0, categories), dtype=np.int8)
    assert len(queues.uncertain(none, np.zeros((0, categories)), labels)) == 0
    assert len(queues.unlabelled(none, none)) == 0
    assert len(queues.random(none, none, categories)) == 0
