"""Score folders: what was written is read, rows are found by image, broken folders are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.errors import WorkspaceError
from annotator.scores import ScoreFolder, SourceWeight, prune, smoothed_prior
from hst_core.files import partial_of


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


@dataclass(frozen=True)
class Fitted:
    """3 pictures, 2 categories, 2 neighbours, 1 exemplar."""

    probability: NDArray[Any] = field(
        default_factory=lambda: np.array([[0.9, 0.1], [0.5, 0.25], [0.2, 0.75]], dtype=np.float32)
    )
    picture_logit: NDArray[Any] = field(default_factory=lambda: _zeros(3, 2))
    reference: NDArray[Any] = field(default_factory=lambda: _zeros(3, 2))
    sources: Mapping[str, NDArray[Any]] = field(
        default_factory=lambda: {"base": np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)}
    )
    cooccurrence: NDArray[Any] = field(default_factory=lambda: _zeros(2, 2))
    stack: tuple[SourceWeight, ...] = (SourceWeight("base", "classifier", 1.0, True, 0.2, 0.5),)
    calibration: NDArray[Any] = field(
        default_factory=lambda: np.array([[1, 1], [0, 0]], dtype=np.float32)
    )
    threshold: NDArray[Any] = field(default_factory=lambda: np.array([0.5, 0.4], dtype=np.float32))
    neighbours: NDArray[Any] = field(
        default_factory=lambda: np.array([[1, 2], [0, -1], [0, 1]], dtype=np.int32)
    )
    neighbour_similarity: NDArray[Any] = field(
        default_factory=lambda: np.array([[0.9, 0.5], [0.9, 0], [0.5, 0.25]], dtype=np.float32)
    )
    exemplars: NDArray[Any] = field(default_factory=lambda: np.array([[0], [-1]], dtype=np.int32))


LABELS = np.array([[1, -1], [1, 0], [0, 0]], dtype=np.int8)


def write(folder: Path, scores: Any = None, ids: tuple[int, ...] = (30, 10, 20)) -> ScoreFolder:
    return ScoreFolder.write(
        folder,
        scores or Fitted(),
        labels=LABELS,
        image_ids=np.array(ids),
        category_ids=np.array([7, 5]),
        event_id=12,
        feature_set="tiny",
        waiting={5: "needs at least one present label"},
    )


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "4")
    folder = ScoreFolder.open(tmp_path / "4")
    assert (folder.version, folder.event_id) == (4, 12)
    np.testing.assert_allclose(folder.probability, Fitted().probability, atol=1e-3)
    np.testing.assert_array_equal(folder.labels, LABELS)
    assert folder.model.stack == Fitted().stack
    assert folder.model.waiting == {5: "needs at least one present label"}
    np.testing.assert_array_equal(folder.model.has_model, [True, False])
    np.testing.assert_array_equal(folder.model.exemplars, [[30], [-1]])


def test_rows_are_found_by_image_id_in_any_order(tmp_path: Path) -> None:
    folder = write(tmp_path / "1")
    assert [folder.row(i) for i in (30, 10, 20, 11, -1)] == [0, 1, 2, -1, -1]
    np.testing.assert_array_equal(folder.rows([20, 99, 30]), [2, -1, 0])
    assert (folder.column(7), folder.column(5), folder.column(6)) == (0, 1, -1)


def test_an_image_has_its_values_and_its_neighbours_without_gaps(tmp_path: Path) -> None:
    image = write(tmp_path / "1").image(10)
    assert image.scored
    np.testing.assert_array_equal(image.values, [[3, 4]])
    np.testing.assert_array_equal(image.neighbours, [30])
    np.testing.assert_allclose(image.neighbour_similarity, [0.9], atol=1e-3)
    np.testing.assert_array_equal(image.fitted_labels, [1, 0])


def test_labelled_neighbours_are_counted_per_category(tmp_path: Path) -> None:
    folder = write(tmp_path / "1")
    # Category 7 is present in rows 0 and 1; row 0 has neighbours 1 and 2, row 2 has 0 and 1.
    assert [folder.image(i).neighbour_present[0] for i in (30, 10, 20)] == [1, 1, 2]
    assert [folder.image(i).neighbour_present[1] for i in (30, 10, 20)] == [0, 0, 0]


def test_an_unknown_image_is_not_scored(tmp_path: Path) -> None:
    image = write(tmp_path / "1").image(999)
    assert not image.scored
    assert image.probability.shape == (2,)
    assert len(image.neighbours) == 0


def test_a_picture_that_left_the_project_is_nobodys_neighbour(tmp_path: Path) -> None:
    folder = write(tmp_path / "1", ids=(-1, 10, 20))
    np.testing.assert_array_equal(folder.image(10).neighbours, [])
    np.testing.assert_array_equal(folder.image(20).neighbours, [10])
    assert folder.model.exemplars[0, 0] == -1
    assert folder.row(-1) == -1


def test_typical_values_are_means_over_pictures(tmp_path: Path) -> None:
    np.testing.assert_allclose(write(tmp_path / "1").model.typical_values, [[3, 4]])


def test_prior_is_smoothed_towards_the_overall_share() -> None:
    # 3 present of 4 known; overall = 3.2 / 6.
    np.testing.assert_allclose(
        smoothed_prior(np.array([3, 0]), np.array([1, 0])),
        [(3 + 2 * 3.2 / 6) / 6, 3.2 / 6],
        rtol=1e-6,
    )
    np.testing.assert_allclose(smoothed_prior(np.array([0]), np.array([0])), [0.1], rtol=1e-6)


def test_no_images_can_be_written(tmp_path: Path) -> None:
    empty = replace(
        Fitted(),
        probability=_zeros(0, 2),
        picture_logit=_zeros(0, 2),
        reference=_zeros(0, 2),
        sources={"base": _zeros(0, 2)},
        neighbours=np.zeros((0, 2), dtype=np.int32),
        neighbour_similarity=_zeros(0, 2),
        exemplars=np.full((2, 1), -1, dtype=np.int32),
    )
    folder = ScoreFolder.write(
        tmp_path / "1",
        empty,
        labels=np.zeros((0, 2), dtype=np.int8),
        image_ids=np.zeros(0, dtype=np.int64),
        category_ids=np.array([1, 2]),
        event_id=0,
        feature_set="tiny",
        waiting={},
    )
    assert not folder.image(1).scored


def test_values_beyond_half_precision_are_clipped(tmp_path: Path) -> None:
    huge = replace(Fitted(), picture_logit=np.full((3, 2), 1e9, dtype=np.float32))
    assert np.isfinite(write(tmp_path / "1", huge).image(10).picture_logit).all()


def test_a_label_that_speaks_for_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zero diagonal"):
        write(tmp_path / "1", replace(Fitted(), cooccurrence=np.eye(2, dtype=np.float32)))


def test_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"probability must be \[3 images, 2 categories\]"):
        write(tmp_path / "1", replace(Fitted(), probability=_zeros(3, 4)))


def test_a_damaged_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    write(tmp_path / "1")
    (tmp_path / "1" / "probability.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(WorkspaceError, match="train again"):
        ScoreFolder.open(tmp_path / "1")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        ScoreFolder.open(tmp_path / "2")


def test_what_a_killed_writer_left_does_not_hinder_the_next_write(tmp_path: Path) -> None:
    partial_of(tmp_path / "5").mkdir()
    (partial_of(tmp_path / "5") / "labels.npy").write_bytes(b"half")
    assert write(tmp_path / "5").version == 5
    assert [p.name for p in tmp_path.iterdir()] == ["5"]


def test_pruning_keeps_the_named_versions(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        write(tmp_path / str(version))
    assert [p.name for p in prune(tmp_path, keep=[2, 3])] == ["1"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "3"]
