"""Which tiles come on a page: by hand, and as properties of any scores and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from annotator.precision import Share
from annotator.scores import ScoreFolder
from annotator.suggestions import probability_of
from annotator.sweep_tiles import OpenCells, usefulness, verdict
from benchmarks.made_scores import MadeScores

CUP, TABLE = 11, 12
IMAGES = np.arange(101, 109)

Make = Callable[..., OpenCells]


def write(
    folder: Path,
    probability: NDArray[np.float32],
    labels: NDArray[np.int8] | None = None,
    *,
    together: float = 0.0,
    waiting: dict[int, str] | None = None,
    image_ids: NDArray[np.int64] = IMAGES,
) -> OpenCells:
    """Cells of a model version for the categories cup and table.

    Args:
        folder: for the scores.
        probability: [N, 2].
        labels: [N, 2] at the fit, nothing known if None.
        together: what a known label of one category adds to the other.
        waiting: categories without a model.
        image_ids: [N].
    """
    labels = np.zeros(probability.shape, np.int8) if labels is None else labels
    stored = MadeScores.random(*probability.shape)
    logit = np.log(probability / (1 - probability)).astype(np.float32)
    both = np.array([[0, together], [together, 0]], np.float32)
    stored = replace(
        stored, probability=probability, picture_logit=logit, cooccurrence=both, reference=0 * logit
    )
    scores = ScoreFolder.write(
        folder / "1",
        stored,
        labels=labels,
        image_ids=image_ids[: len(probability)],
        category_ids=np.array([CUP, TABLE]),
        event_id=5,
        feature_set="tiny",
        waiting=waiting or {},
    )
    return OpenCells(scores)


@pytest.fixture
def cells(tmp_path: Path) -> OpenCells:
    cup = [0.9, 0.2, 0.7, 0.55, 0.05, 0.4, 0.99, 0.6]
    return write(tmp_path, np.array([cup, [0.3] * 8], np.float32).T)


def test_suggested_present_comes_surest_first(cells: OpenCells) -> None:
    chosen = cells.choose(CUP, "present", 3, ())
    assert chosen.image_ids.tolist() == [107, 101, 103]
    assert chosen.probability == pytest.approx([0.99, 0.9, 0.7], abs=1e-3)
    assert chosen.suggested.tolist() == [1, 1, 1]


def test_suggested_absent_comes_least_probable_first(cells: OpenCells) -> None:
    chosen = cells.choose(CUP, "absent", 9, ())
    assert chosen.image_ids.tolist() == [105, 102, 106]
    assert chosen.suggested.tolist() == [-1, -1, -1]


def test_of_both_sides_each_gets_half_or_what_the_other_leaves(cells: OpenCells) -> None:
    assert cells.choose(CUP, "both", 4, ()).image_ids.tolist() == [107, 101, 105, 102]
    assert cells.choose(CUP, "both", 8, ()).suggested.tolist() == [1] * 5 + [-1] * 3
    assert cells.choose(TABLE, "both", 4, ()).suggested.tolist() == [-1] * 4


def test_pictures_named_and_decided_cells_are_left_out(cells: OpenCells) -> None:
    cells.apply(6, np.array([107]), np.array([CUP]), np.array([-1]))
    assert cells.choose(CUP, "present", 2, [101, 999]).image_ids.tolist() == [103, 108]


def test_what_waits_is_counted_as_events_come(cells: OpenCells) -> None:
    assert cells.waiting(CUP) == (5, 3)
    cells.apply(6, np.array([107, 105]), np.array([CUP, CUP]), np.array([1, 1]))
    assert cells.waiting(CUP) == (4, 2)
    cells.apply(7, np.array([107]), np.array([CUP]), np.array([-1]))  # known either way
    assert cells.waiting(CUP) == (4, 2)
    cells.apply(8, np.array([107, 105]), np.array([CUP, CUP]), np.array([0, 0]))
    assert cells.waiting(CUP) == (5, 3)
    assert cells.waiting(TABLE) == (0, 8)
    assert cells.waiting(99) == (0, 0)


def test_a_category_without_a_model_and_a_picture_that_is_gone_wait_for_nothing(
    tmp_path: Path,
) -> None:
    gone = np.array([101, -1, 103])
    cells = write(
        tmp_path, np.full((3, 2), 0.9, np.float32), waiting={TABLE: "needs"}, image_ids=gone
    )
    assert cells.waiting(TABLE) == (0, 0)
    assert cells.choose(CUP, "present", 9, ()).image_ids.tolist() == [101, 103]


def test_a_label_known_now_changes_the_order_and_the_side(tmp_path: Path) -> None:
    cup = np.array([[0.9, 0.5], [0.8, 0.5], [0.6, 0.5]], np.float32)
    cells = write(tmp_path, cup, together=3.0)
    cells.apply(6, np.array([103]), np.array([TABLE]), np.array([1]))
    chosen = cells.choose(CUP, "present", 3, ())
    assert chosen.image_ids.tolist() == [103, 101, 102]
    assert chosen.probability[0] == pytest.approx(1 / (1 + np.exp(-3) * 4 / 6), abs=1e-2)


def test_a_cell_whose_side_has_changed_is_not_asked_and_the_page_is_still_full(
    tmp_path: Path,
) -> None:
    cup = np.array([[0.9, 0.5], [0.8, 0.5], [0.6, 0.5]], np.float32)
    cells = write(tmp_path, cup, together=-9.0)
    cells.apply(6, np.array([101]), np.array([TABLE]), np.array([1]))
    assert cells.choose(CUP, "present", 2, ()).image_ids.tolist() == [102, 103]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["present", "absent"]), st.integers(1, 40))
def test_a_page_is_what_sorting_everything_would_give(
    tmp_path_factory: pytest.TempPathFactory, seed: int, side: str, count: int
) -> None:
    rng = np.random.default_rng(seed)
    # Coarse, so that there are ties.
    probability = rng.integers(1, 12, (30, 2)).astype(np.float32) / 12
    labels = rng.integers(-1, 2, (30, 2)).astype(np.int8)
    folder = tmp_path_factory.mktemp("scores")
    cells = write(folder, probability, labels, image_ids=np.arange(1, 31))
    stored = cells.scores.probability[:, 0].astype(np.float32)
    mine = (labels[:, 0] == 0) & ((stored >= 0.5) == (side == "present"))
    sign = -1 if side == "present" else 1
    expected = sorted(np.flatnonzero(mine).tolist(), key=lambda row: (sign * stored[row], row))
    chosen = cells.choose(CUP, side, count, ())
    assert (chosen.image_ids - 1).tolist() == expected[:count]
    assert len(expected) == cells.waiting(CUP)[0 if side == "present" else 1]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_every_tile_carries_the_probability_under_the_labels_known_now(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.05, 0.95, (20, 2)).astype(np.float32)
    cells = write(
        tmp_path_factory.mktemp("scores"), probability, together=0.7, image_ids=np.arange(1, 21)
    )
    known = rng.integers(-1, 2, 20)
    cells.apply(6, np.arange(1, 21), np.full(20, TABLE), known)
    chosen = cells.choose(CUP, "present", 20, ())
    for image_id, value in zip(chosen.image_ids.tolist(), chosen.probability, strict=True):
        now = np.array([0, known[image_id - 1]], np.int8)
        live = probability_of(cells.scores.image(image_id), now, 0)
        assert value == pytest.approx(live, abs=2e-3)  # scores are kept in half precision
    assert np.all(np.diff(chosen.probability) <= 0)
    assert np.all(chosen.probability >= 0.5)


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    [
        (0, 0, "unmeasured"),
        (0, 1, "open"),  # one answer says nothing at 95 %
        (15, 20, "below"),  # 51-91 %
        (18, 20, "open"),  # 68-99 %
        (19, 20, "good"),
        (900, 1000, "below"),
        (960, 1000, "good"),
    ],
)
def test_a_class_is_pointed_to_focus_only_when_it_is_surely_below(
    right: int, total: int, expected: str
) -> None:
    assert verdict(Share(right, total), 0.95) == expected


def test_many_cells_and_right_suggestions_make_a_class_useful() -> None:
    assert usefulness(0, Share(9, 9)) == 0
    assert usefulness(100, Share(90, 100)) > usefulness(100, Share(0, 0))
    assert usefulness(100, Share(0, 0)) > usefulness(100, Share(10, 100))
    assert usefulness(1000, Share(0, 0)) > usefulness(100, Share(100, 100))
