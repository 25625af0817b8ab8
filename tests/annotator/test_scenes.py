"""The demo's pictures: repeatable, labelled by what can be seen, and drawn resumably."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from annotator.errors import InvalidInput
from annotator.scenery.habits import draw_counts
from annotator.scenery.look import PALETTES, WOODS, Look
from annotator.scenery.objects import DRAWINGS
from annotator.scenery.pen import Canvas, Footprints, Pen
from annotator.scenes import (
    CATEGORIES,
    KINDS,
    MIN_AREA,
    Scene,
    draw_folder,
    draw_scene,
    labels_of,
    picture_name,
    true_labels,
)

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
LOOK = Look(PALETTES[1], WOODS[0], 0.5)


def test_a_picture_does_not_depend_on_the_order_of_drawing() -> None:
    first, first_labels = draw_scene(5, seed=3, size=(96, 72))
    for other in (9, 2):
        draw_scene(other, seed=3, size=(96, 72))
    again, again_labels = draw_scene(5, seed=3, size=(96, 72))
    assert first.tobytes() == again.tobytes()
    np.testing.assert_array_equal(first_labels, again_labels)


def test_another_seed_gives_another_picture() -> None:
    assert draw_scene(0, 1, (96, 72))[0].tobytes() != draw_scene(0, 2, (96, 72))[0].tobytes()


def test_labels_without_painting_equal_labels_of_painted_pictures() -> None:
    painted = np.stack([draw_scene(index, 4, (96, 72))[1] for index in range(12)])
    np.testing.assert_array_equal(true_labels(12, seed=4), painted)


def test_labels_do_not_depend_on_the_resolution() -> None:
    small, large = draw_scene(8, 0, (96, 72))[1], draw_scene(8, 0, (384, 288))[1]
    np.testing.assert_array_equal(small, large)


def test_labels_of_more_pictures_begin_with_the_labels_of_fewer() -> None:
    np.testing.assert_array_equal(true_labels(30, seed=1)[:10], true_labels(10, seed=1))


def test_every_cell_is_present_or_absent() -> None:
    labels = true_labels(40)
    assert labels.dtype == np.int8
    assert labels.shape == (40, len(CATEGORIES))
    assert set(np.unique(labels)) == {-1, 1}


def test_three_to_five_categories_are_present_on_average() -> None:
    assert 3 <= (true_labels(150) == 1).sum(axis=1).mean() <= 5


def test_every_category_occurs_and_none_dominates() -> None:
    share = (true_labels(300) == 1).mean(axis=0)
    assert share.min() > 0.015
    assert share.max() < 0.6


def test_every_kind_of_place_occurs() -> None:
    assert {Scene.plan(index, 0).kind for index in range(120)} == set(KINDS)


def test_what_a_place_holds_depends_on_what_else_it_holds() -> None:
    rng = Random(0)
    farms = [draw_counts("farm", rng) for _ in range(2000)]
    with_cows = [("sheep" in farm) for farm in farms if "cow" in farm]
    without = [("sheep" in farm) for farm in farms if "cow" not in farm]
    assert np.mean(with_cows) < np.mean(without) - 0.3


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_object_is_painted_and_counted_where_it_stands(name: str) -> None:
    canvas, footprints = Canvas((200, 200), STRAIGHT, 0.5), Footprints(1.0, STRAIGHT)
    footprints.ident = 1
    scale = {"boat": 0.1, "car": 0.15, "tractor": 0.15}.get(name, 0.25)
    for surface in (canvas, footprints):
        DRAWINGS[name](Pen(surface, 0.5, 0.8, scale), Random(1), LOOK)
    assert footprints.visible()[1] > 0
    assert canvas.finish().getbbox() is not None


def test_a_hidden_object_is_not_visible() -> None:
    footprints = Footprints(1.0, STRAIGHT)
    footprints.ident = 1
    Pen(footprints, 0.5, 0.6, 1.0).box(-0.1, 0, 0.1, 0.1, (0, 0, 0))
    assert footprints.visible()[1] == pytest.approx(0.02, rel=0.2)
    footprints.ident = 0
    Pen(footprints, 0.5, 0.7, 1.0).box(-0.3, 0, 0.3, 0.3, (0, 0, 0))
    assert footprints.visible()[1] == 0


def test_what_lies_outside_the_frame_counts_towards_the_whole_only() -> None:
    footprints = Footprints(1.0, STRAIGHT)
    footprints.ident = 1
    Pen(footprints, 0.0, 0.5, 1.0).box(-0.1, 0, 0.1, 0.2, (0, 0, 0))
    assert footprints.visible()[1] == pytest.approx(footprints.whole(1) / 2, rel=0.15)
    assert footprints.visible()[1] > MIN_AREA


def test_a_folder_is_drawn_and_its_labels_are_returned(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    paths, labels = draw_folder(
        tmp_path,
        3,
        2,
        size=(96, 72),
        workers=1,
        progress=lambda done, all_: calls.append((done, all_)),
    )
    assert [path.name for path in paths] == [picture_name(i, 2) for i in range(3)]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (96, 72)
            picture.load()
    np.testing.assert_array_equal(labels, true_labels(3, seed=2))
    assert calls[-1] == (3, 3)


def test_pictures_that_exist_are_kept(tmp_path: Path) -> None:
    (tmp_path / picture_name(1)).write_bytes(b"kept")
    paths, _ = draw_folder(tmp_path, 2, size=(96, 72), workers=1)
    assert paths[1].read_bytes() == b"kept"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_worker_processes_write_the_same_bytes(tmp_path: Path) -> None:
    alone, _ = draw_folder(tmp_path / "a", 40, size=(48, 36), workers=1)
    together, _ = draw_folder(tmp_path / "b", 40, size=(48, 36), workers=2)
    assert [a.read_bytes() for a in alone] == [b.read_bytes() for b in together]


def test_a_file_name_tells_the_labels() -> None:
    found = labels_of(picture_name(6, seed=2))
    assert found is not None
    np.testing.assert_array_equal(found, draw_scene(6, seed=2)[1])
    assert labels_of("holiday.jpg") is None


def test_no_pictures_are_an_empty_folder(tmp_path: Path) -> None:
    paths, labels = draw_folder(tmp_path, 0)
    assert paths == []
    assert labels.shape == (0, len(CATEGORIES))


def test_a_negative_number_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="count must be 0 or more"):
        draw_folder(tmp_path, -1)
    with pytest.raises(InvalidInput, match="index and seed"):
        draw_scene(-1)
