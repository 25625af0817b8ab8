"""When a fit is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from annotator.training.schedule import Change, DeepRule, Fitted, RefitRule

RULE = RefitRule()
QUIET = Change(
    cells=0, images=0, categories=0, unread=0, seconds_since_cell=1e9, seconds_since_fit=1e9
)
BUSY = replace(QUIET, seconds_since_cell=0.5, seconds_since_fit=5.0)
SMALL = Fitted(known_cells=100, images=300, seconds=1.0)
LARGE = Fitted(known_cells=100_000, images=50_000, seconds=30.0)


def test_nothing_new_needs_no_fit() -> None:
    assert not RULE.due(SMALL, QUIET)
    assert not RULE.due(Fitted(), QUIET)


def test_asking_is_enough() -> None:
    assert RULE.due(SMALL, replace(BUSY, asked=True, seconds_since_fit=0))


@pytest.mark.parametrize(("cells", "due"), [(9, False), (10, True)])
def test_ten_new_cells_are_enough_in_a_small_project(cells: int, due: bool) -> None:
    assert RULE.due(SMALL, replace(BUSY, cells=cells)) is due


@pytest.mark.parametrize(("cells", "due"), [(49, False), (50, True)])
def test_five_percent_more_are_wanted_beyond(cells: int, due: bool) -> None:
    fitted = replace(SMALL, known_cells=1000)
    assert RULE.due(fitted, replace(BUSY, cells=cells)) is due


def test_one_new_cell_is_enough_after_a_pause() -> None:
    assert not RULE.due(SMALL, replace(BUSY, cells=1, seconds_since_cell=3.9))
    assert RULE.due(SMALL, replace(BUSY, cells=1, seconds_since_cell=4.0))


def test_a_long_fit_waits_for_a_long_pause() -> None:
    change = replace(QUIET, cells=1, seconds_since_cell=29, seconds_since_fit=100)
    assert not RULE.due(LARGE, change)
    assert RULE.due(LARGE, replace(change, seconds_since_cell=30))


def test_steady_labelling_in_a_large_project_takes_a_tenth_of_the_time() -> None:
    change = replace(BUSY, cells=10, seconds_since_fit=299)
    assert not RULE.due(LARGE, change)
    assert RULE.due(LARGE, replace(change, seconds_since_fit=300))


def test_fits_never_take_more_than_half_of_the_time() -> None:
    change = replace(QUIET, cells=100_000, seconds_since_fit=29)
    assert not RULE.due(LARGE, change)
    assert RULE.due(LARGE, replace(change, seconds_since_fit=30))


def test_a_new_category_counts_as_a_change() -> None:
    assert RULE.due(SMALL, replace(QUIET, categories=1))


def test_the_first_fit_does_not_wait_for_all_pictures() -> None:
    reading = replace(QUIET, unread=5000, cells=500)
    assert not RULE.due(Fitted(), replace(reading, images=63))
    assert RULE.due(Fitted(), replace(reading, images=64))
    assert RULE.due(Fitted(), replace(reading, images=3, unread=0))


def test_while_pictures_are_read_fits_come_at_growing_distance() -> None:
    reading = replace(QUIET, unread=5000, seconds_since_fit=10)
    assert not RULE.due(SMALL, replace(reading, images=149))
    assert RULE.due(SMALL, replace(reading, images=150))
    assert not RULE.due(SMALL, replace(reading, images=150, seconds_since_fit=9))


def test_the_last_pictures_are_taken_in_at_once() -> None:
    assert RULE.due(SMALL, replace(QUIET, images=1))


@pytest.mark.parametrize(
    ("known", "at_last", "quiet", "on", "due"),
    [
        (1_000, 0, 20.0, False, True),
        (999, 0, 20.0, False, False),  # too few for a network to add anything
        (999, 0, 20.0, True, True),  # unless it is asked for
        (0, 0, 20.0, True, False),
        (1_000, 0, 19.0, False, False),  # somebody labels
        (1_200, 1_000, 60.0, False, False),  # a fifth more is not enough
        (1_250, 1_000, 60.0, False, True),
        (3_001, 4_000, 60.0, False, False),
        (3_000, 4_000, 60.0, False, True),  # a quarter was taken back
    ],
)
def test_on_a_gpu_the_network_is_trained_on_much_that_is_new_while_it_is_quiet(
    known: int, at_last: int, quiet: float, on: bool, due: bool
) -> None:
    assert DeepRule().due(known, at_last, quiet, on=on, fast_device=True) is due


def test_on_a_cpu_the_network_is_trained_only_if_asked_for() -> None:
    assert not DeepRule().due(1_000_000, 0, 60.0, on=False)
    assert DeepRule().due(1_000_000, 0, 60.0, on=True)


def test_after_a_training_that_brought_nothing_the_next_one_waits_for_far_more_labels() -> None:
    assert not DeepRule().due(3_999, 1_000, 60.0, on=True, helped=False)
    assert DeepRule().due(4_000, 1_000, 60.0, on=True, helped=False)
    assert DeepRule().due(750, 1_000, 60.0, on=True, helped=False)  # a quarter was taken back
