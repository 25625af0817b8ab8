"""CSV: dialects, what each value means, and errors that name line, column and value."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import AnnotatorError, InvalidInput
from annotator.formats.csv import csv_to_labels, labels_to_csv
from annotator.formats.table import LabelledImage, LabelTable, PresentLabel
from annotator.types import Provenance


def read(text: str, **options: Any) -> LabelTable:
    return csv_to_labels(io.StringIO(text, newline=""), **options)


@pytest.mark.parametrize(
    ("text", "options", "states"),
    [
        # 1 present, 0 absent, empty unknown
        ("image,cat,dog\na,1,0\nb,,1\n", {}, [[1, -1], [0, 1]]),
        # an answer for empty cells
        ("image,cat,dog\na,1,\n", {"unlisted": "absent"}, [[1, -1]]),
        # -1 by either convention, and both answers at once
        ("image,cat,dog\na,1,-1\n", {"minus_one": "absent"}, [[1, -1]]),
        ("image,cat,dog\na,1,-1\n", {"minus_one": "unknown"}, [[1, 0]]),
        ("image,cat,dog\na,-1,\n", {"minus_one": "unknown", "unlisted": "absent"}, [[0, -1]]),
        # numbers as pandas writes them when a column has gaps
        ("image,cat,dog\na,1.0,0.0\nb,,-1.0\n", {"minus_one": "absent"}, [[1, -1], [0, -1]]),
        # spaces around values and names
        ("image, cat , dog\na, 1 ,0 \n", {}, [[1, -1]]),
        # other delimiters
        ("image;cat;dog\na;1;0\n", {}, [[1, -1]]),
        ("image\tcat\tdog\na\t1\t\n", {}, [[1, 0]]),
        ("image|cat|dog\na|1|0\n", {}, [[1, -1]]),
        # line ends of Windows and old Macintosh, none at the end, blank lines
        ("image,cat,dog\r\na,1,0\r\nb,,1\r\n", {}, [[1, -1], [0, 1]]),
        ("image,cat,dog\na,1,0\n\n\nb,,1", {}, [[1, -1], [0, 1]]),
        # byte order mark
        ("\ufeffimage,cat,dog\na,1,0\n", {}, [[1, -1]]),
        # the image column anywhere and by another name, other columns left out
        ("cat,file,split,dog\n1,a,train,0\n",
         {"image_column": "file", "ignore_columns": ["split"]}, [[1, -1]]),
        # no pictures
        ("image,cat,dog\n", {}, []),
    ],
)  # fmt: skip
def test_what_a_file_means(text: str, options: dict[str, Any], states: list[list[int]]) -> None:
    table = read(text, **options)
    assert list(table.categories) == ["cat", "dog"]
    assert list(table.images) == ["a", "b"][: len(states)]
    assert table.states.tolist() == states


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        # values
        ("image,cat\na,1\nb,yes\n", {}, r"line 3, column 'cat': 'yes' is not a label, expected 1"),
        ("image,cat\na,nan\n", {}, "'nan' is not a label"),
        ("image,split,cat\na,train,1\n", {}, "column 'split': 'train' .* --ignore-columns"),
        ("image,cat\na,-1\n", {}, r"line 2, column 'cat': -1 means absent in some .* --minus-one"),
        # rows
        ("image,cat\na,1\nb,0\na,0\n", {}, "line 4 repeats the picture 'a' of line 2"),
        ("image,cat\n,1\n", {}, "line 2 names no picture"),
        ("image,cat\na,1,0\n", {}, "line 2 has 3 values, the header has 2"),
        ("image,cat\na\n", {}, "line 2 has 1 values, the header has 2"),
        ('image,cat\n"a\n', {}, "not valid CSV"),
        # a quoted line break counts as a line
        ('image,"c\nat"\na,1\n"b\n",7\n', {}, r"line 5, column 'c\\nat': '7'"),
        # columns
        ("picture,cat\na,1\n", {}, "no column 'image' .* the columns are picture, cat"),
        ("image,cat\na,1\n", {"ignore_columns": ["split"]}, "no column 'split' to ignore"),
        ("image,cat,cat\na,1,0\n", {}, "the column 'cat' is there twice"),
        ("image,,cat\na,1,0\n", {}, "column 2 has no name"),
        ("image\na\n", {}, "no column is left for categories"),
        # nothing
        ("", {}, "the file is empty"),
        ("\n\n", {}, "the file is empty"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(text, **options)


def test_a_file_in_another_encoding_names_the_byte_and_the_option() -> None:
    raw = io.BytesIO("image,é\na,1\n".encode("cp1252"))
    with pytest.raises(AnnotatorError, match=r"not UTF-8: byte 0xe9 .*--encoding"):
        csv_to_labels(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def write(images: list[LabelledImage], categories: list[tuple[int, str]]) -> tuple[str, str]:
    out = io.StringIO(newline="")
    column = labels_to_csv(images, categories, out)
    return column, out.getvalue()


PRESENT = Provenance("import", None, None, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_written_file_reads_as_it_looks() -> None:
    images = [
        LabelledImage(1, "a, b.jpg", 1, 1, [PresentLabel(8, PRESENT)], [3]),
        LabelledImage(2, "c.jpg", 1, 1, [], []),
    ]
    assert write(images, [(3, "cat"), (8, 'the "dog"')]) == (
        "image",
        'image,cat,"the ""dog"""\n"a, b.jpg",0,1\nc.jpg,,\n',
    )


def test_a_category_called_image_does_not_collide_with_the_column() -> None:
    images = [LabelledImage(1, "a", 1, 1, [PresentLabel(1, PRESENT)], [])]
    column, text = write(images, [(1, "image"), (2, "image_file")])
    assert column == "image_file_file"
    table = read(text, image_column=column)
    assert list(table.categories) == ["image", "image_file"]
    assert table.states.tolist() == [[1, 0]]


@pytest.mark.parametrize("name", ["a;b;c", "a\t\tb", "x;;;;y, z"])
def test_delimiters_inside_a_quoted_name_do_not_count(name: str) -> None:
    column, text = write([LabelledImage(1, "a", 1, 1, [PresentLabel(1, PRESENT)], [])], [(1, name)])
    assert list(read(text, image_column=column).categories) == [name]


# Names have no spaces around them in a workspace; a header is stripped because people type spaces.
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
    lambda name: name == name.strip() and not name.startswith("\ufeff")
)
tables = st.lists(names, unique=True, min_size=1, max_size=5).flatmap(
    lambda categories: st.tuples(
        st.just(categories),
        st.dictionaries(
            names,
            st.lists(
                st.sampled_from([-1, 0, 1]), min_size=len(categories), max_size=len(categories)
            ),
            max_size=5,
        ),
    )
)


@given(tables)
def test_reading_gives_what_was_written(data: tuple[list[str], dict[str, list[int]]]) -> None:
    categories, rows = data
    images = [
        LabelledImage(
            ident, name, 1, 1,
            [PresentLabel(place, PRESENT) for place, state in enumerate(states) if state == 1],
            [place for place, state in enumerate(states) if state == -1],
        )
        for ident, (name, states) in enumerate(rows.items())
    ]  # fmt: skip
    column, text = write(images, list(enumerate(categories)))
    table = read(text, image_column=column)
    assert list(table.images) == list(rows)
    assert list(table.categories) == categories
    assert table.states.tolist() == list(rows.values())
