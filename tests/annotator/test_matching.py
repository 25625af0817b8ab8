"""Names in a file find their pictures: by relative path, by full path, by name, or are reported."""

from __future__ import annotations

import unicodedata

import pytest

from annotator.formats.table import match_images, some

IMAGES = [
    (1, "train/1.jpg", "/photos/train/1.jpg"),
    (2, "val/1.jpg", "/photos/val/1.jpg"),
    (3, "train/2.jpg", "/photos/train/2.jpg"),
    (4, "same.jpg", "/here/same.jpg"),
    (5, "same.jpg", "/there/same.jpg"),
    (6, "Åland.jpg", "/photos/Åland.jpg"),
]


@pytest.mark.parametrize(
    ("name", "ident"),
    [
        ("train/1.jpg", 1),  # relative path
        ("./train/1.jpg", 1),
        ("train\\1.jpg", 1),  # as Windows writes it
        ("/photos/val/1.jpg", 2),  # full path
        ("coco/images/val/1.jpg", 2),  # more folders than ours
        ("2.jpg", 3),  # name alone
        ("other/2.jpg", 3),
        ("/there/same.jpg", 5),
        ("there/same.jpg", 5),
        (unicodedata.normalize("NFD", "Åland.jpg"), 6),  # as macOS writes it
    ],
)
def test_a_name_finds_its_picture(name: str, ident: int) -> None:
    match = match_images([name], IMAGES)
    assert match.ids.tolist() == [ident]
    assert (match.missing, match.ambiguous, match.repeated) == ([], [], [])


def test_a_name_without_a_picture_is_missing() -> None:
    match = match_images(["3.jpg", "2.jpg", "1.JPG"], IMAGES)
    assert match.ids.tolist() == [-1, 3, -1]
    assert match.missing == ["3.jpg", "1.JPG"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("1.jpg", ["/photos/train/1.jpg", "/photos/val/1.jpg"]),
        ("other/1.jpg", ["/photos/train/1.jpg", "/photos/val/1.jpg"]),
        ("same.jpg", ["/here/same.jpg", "/there/same.jpg"]),
    ],
)
def test_a_name_that_fits_two_pictures_is_ambiguous(name: str, paths: list[str]) -> None:
    match = match_images([name], IMAGES)
    assert match.ids.tolist() == [-1]
    assert match.ambiguous == [(name, paths)]


def test_two_names_of_one_picture_are_reported() -> None:
    assert match_images(["2.jpg", "train/2.jpg"], IMAGES).repeated == [("2.jpg", "train/2.jpg")]


def test_a_long_list_is_shortened() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some([str(n) for n in range(1003)]) == "0, 1, 2 and 1,000 more"
