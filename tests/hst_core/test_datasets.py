"""Label files and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hst_core.datasets import (
    known_mask,
    load_mask,
    mask_hash,
    mask_labels,
    read_label_csv,
    read_label_npz,
    save_mask,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_gives_names_labels_and_splits(tmp_path: Path) -> None:
    path = write(tmp_path, "image,split,width,cat,tv monitor\na.jpg,train,5,1,0\nb.jpg,val,6,,1\n")
    table = read_label_csv(path)
    assert table.images == ("a.jpg", "b.jpg")
    assert table.categories == ("cat", "tv monitor")
    assert table.labels.tolist() == [[1, -1], [0, 1]]
    assert table.splits == ("train", "val")
    assert table.rows("val").tolist() == [1]


def test_csv_without_splits_says_so_when_one_is_asked_for(tmp_path: Path) -> None:
    table = read_label_csv(write(tmp_path, "image,cat\na.jpg,1\n"))
    with pytest.raises(ValueError, match="no image of split 'train', the table has no splits"):
        table.rows("train")


@pytest.mark.parametrize(("meaning", "expected"), [("absent", -1), ("unknown", 0)])
def test_minus_one_means_what_the_caller_says(tmp_path: Path, meaning: str, expected: int) -> None:
    path = write(tmp_path, "image,cat\na.jpg,-1\n")
    assert read_label_csv(path, meaning).labels.tolist() == [[expected]]  # type: ignore[arg-type]


def test_minus_one_without_a_meaning_is_refused_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "image,cat\na.jpg,1\nb.jpg,-1\n")
    with pytest.raises(ValueError, match=r"csv:3 holds '-1'.*minus_one='absent' or 'unknown'"):
        read_label_csv(path)


def test_an_unknown_value_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="csv:2 holds 'yes'"):
        read_label_csv(write(tmp_path, "image,cat\na.jpg,yes\n"))


def test_a_short_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="csv:2 has 2 values, expected 3"):
        read_label_csv(write(tmp_path, "image,cat,dog\na.jpg,1\n"))


def test_a_file_without_categories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no category"):
        read_label_csv(write(tmp_path, "image,width\na.jpg,1\n"))


def test_npz_matrices_are_stacked_with_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    np.savez(
        path,
        Y_train=np.array([[1, -1]], dtype=np.int8),
        train_ids=np.array([17]),
        Y_val=np.array([[-1, 1]], dtype=np.int8),
        names=np.array(["cat", "dog"]),
    )
    table = read_label_npz(path)
    assert table.images == ("train/17", "val/0")
    assert table.splits == ("train", "val")
    assert table.labels.tolist() == [[1, -1], [-1, 1]]


def test_npz_without_label_matrices_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", other=np.zeros(1))
    with pytest.raises(ValueError, match="must hold Y_<split> and names, got other"):
        read_label_npz(tmp_path / "x.npz")


def test_the_reference_data_reads(shared_data: Path) -> None:
    voc = read_label_csv(shared_data / "voc2007" / "labels.csv", minus_one="unknown")
    assert voc.labels.shape == (5008, 20)
    assert len(voc.rows("train")) == 2500
    coco = read_label_csv(shared_data / "coco_mini" / "labels.csv")
    assert coco.labels.shape == (543, 80)
    matrix = read_label_npz(shared_data / "coco14_labels.npz")
    assert matrix.labels.shape == (82081 + 40137, 80)


def test_masks_follow_the_protocol() -> None:
    expected = np.random.RandomState(3).random((4, 5)) < 0.3
    np.testing.assert_array_equal(known_mask((4, 5), 0.3, seed=3), expected)


@given(st.integers(0, 50), st.floats(0, 1), st.floats(0, 1))
def test_masks_are_nested_in_the_proportion(seed: int, a: float, b: float) -> None:
    few, many = (known_mask((6, 7), p, seed) for p in sorted((a, b)))
    assert not (few & ~many).any()


def test_masking_hides_labels_and_invents_none() -> None:
    labels = np.array([[1, -1, 0], [0, 1, -1]], dtype=np.int8)
    masked = mask_labels(labels, 0.5, seed=0)
    shown = known_mask(labels.shape, 0.5, seed=0)
    np.testing.assert_array_equal(masked.labels, np.where(shown, labels, 0))
    np.testing.assert_array_equal(masked.known, shown & (labels != 0))
    assert masked.hash == mask_hash(shown)


def test_the_hash_tells_masks_apart() -> None:
    one = known_mask((8, 3), 0.5, seed=0)
    assert mask_hash(one) == mask_hash(one.copy())
    assert mask_hash(one) != mask_hash(known_mask((8, 3), 0.5, seed=1))
    assert mask_hash(one) != mask_hash(one.reshape(3, 8))


@pytest.mark.parametrize("proportion", [-0.1, 1.4])
def test_a_proportion_outside_0_to_1_is_refused(proportion: float) -> None:
    with pytest.raises(ValueError, match=r"proportion must be in \[0, 1\]"):
        known_mask((2, 2), proportion, seed=0)


def test_a_saved_mask_comes_back(tmp_path: Path) -> None:
    mask = known_mask((9, 5), 0.4, seed=2)
    save_mask(tmp_path / "mask.npz", mask)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.npz"), mask)


def test_a_damaged_mask_is_refused(tmp_path: Path) -> None:
    mask = known_mask((9, 5), 0.4, seed=2)
    np.savez(tmp_path / "mask.npz", bits=np.packbits(~mask), shape=mask.shape, hash=mask_hash(mask))
    with pytest.raises(ValueError, match="is damaged"):
        load_mask(tmp_path / "mask.npz")
