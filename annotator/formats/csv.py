"""CSV with one row per picture and one column per category.

A cell is 1 (present), 0 (absent) or empty (unknown). -1 means absent to some tools and unknown to
others, so a file with -1 needs an answer from the caller.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO

import numpy as np

from annotator.errors import FormatError, InvalidInput
from annotator.formats.table import (
    ABSENT,
    PRESENT,
    UNKNOWN,
    LabelledImage,
    LabelTable,
    Unlisted,
    some,
)

DELIMITERS = ",;\t|"
IMAGE_COLUMN = "image"
_STATES = {"absent": ABSENT, "unknown": UNKNOWN}
_NEEDS_QUOTES = re.compile('[,"\r\n;\t|]|^\\s|\\s$|^$')
_WRITTEN = {PRESENT: "1", ABSENT: "0", UNKNOWN: ""}


def labels_to_csv(
    images: Iterable[LabelledImage], categories: Sequence[tuple[int, str]], out: IO[str]
) -> str:
    """Write a CSV file; the same labels give the same bytes.

    Args:
        images: in the order in which to write them.
        categories: (id, name) in the order of the columns.
        out: text file opened for writing with ``newline=""``.

    Returns:
        The name of the column with the picture: ``image``, unless a category is called that.
    """
    column = IMAGE_COLUMN
    while any(name == column for _, name in categories):
        column += "_file"
    place = {ident: index for index, (ident, _) in enumerate(categories)}
    out.write(",".join(_quoted(name) for name in (column, *(n for _, n in categories))) + "\n")
    for image in images:
        row = [_WRITTEN[UNKNOWN]] * len(categories)
        for label in image.present:
            row[place[label.category_id]] = _WRITTEN[PRESENT]
        for ident in image.absent:
            row[place[ident]] = _WRITTEN[ABSENT]
        out.write(f"{_quoted(image.file_name)},{','.join(row)}\n")
    return column


def _quoted(text: str) -> str:
    # The csv module leaves a lone carriage return bare, which readers take for the end of a line.
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def csv_to_labels(
    stream: IO[str],
    *,
    image_column: str = IMAGE_COLUMN,
    ignore_columns: Collection[str] = (),
    minus_one: Unlisted | None = None,
    unlisted: Unlisted = "unknown",
) -> LabelTable:
    """Read a CSV file; every column but those named here is a category.

    Comma, semicolon, tab and bar are told apart by the header. Line ends may be of any kind.

    Args:
        stream: text opened with ``newline=""``.
        image_column: column with the name of the picture.
        ignore_columns: columns that are no categories, such as ``split``.
        minus_one: what -1 means; None: a file with -1 is refused.
        unlisted: what an empty cell means.

    Raises:
        InvalidInput: if a named column is not there.
        FormatError: naming line, column and value that cannot be read.
    """
    meaning = {"1": PRESENT, "0": ABSENT, "": _STATES[unlisted], "1.0": PRESENT, "0.0": ABSENT}
    if minus_one is not None:
        meaning |= {"-1": _STATES[minus_one], "-1.0": _STATES[minus_one]}
    rows = _rows(stream)
    _, header = next(rows, (0, []))
    places = _category_places(header, image_column, ignore_columns)
    image_place = header.index(image_column)
    # One lookup per cell; the state is kept as a byte.
    codes = {text: state % 256 for text, state in meaning.items()}
    lines: dict[str, int] = {}
    states = bytearray()
    for line, row in rows:
        if len(row) != len(header):
            raise FormatError(
                f"line {line} has {len(row)} values, the header has {len(header)} (is a name with "
                "the delimiter in it not quoted?)"
            )
        image = row[image_place]
        if image in lines or not image:
            raise _bad_image(image, line, lines)
        lines[image] = line
        try:
            states += bytes([codes[row[place]] for place in places])
        except KeyError:
            states += bytes(_stripped_codes(row, places, codes, line, header))
    matrix = np.frombuffer(bytes(states), np.int8).reshape(len(lines), len(places))
    return LabelTable(list(lines), [header[place] for place in places], matrix)


def _rows(stream: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each row that is not empty, the header first and stripped."""
    try:
        first = stream.readline().removeprefix("\ufeff")
        # A quoted name may hold a line break.
        while first.count('"') % 2 and (more := stream.readline()):
            first += more
        # What stands in quotes is a name, however many delimiters are in it.
        bare = re.sub(r'"(?:[^"]|"")*"', "", first)
        delimiter = max(DELIMITERS, key=bare.count)
        header = _split(first, delimiter)
        lines = len(first.splitlines())
        yield 1, [name.strip() for name in header]
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        for row in reader:
            if row:
                yield lines + reader.line_num, row
    except csv.Error as error:
        raise FormatError(f"the file is not valid CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(
            f"the file is not {error.encoding.upper()}: byte {error.object[error.start]:#04x} "
            "(save it as UTF-8, or name its encoding with --encoding, for example cp1252)"
        ) from None


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # quotes that make no sense with this delimiter
        return []


def _category_places(
    header: list[str], image_column: str, ignore_columns: Collection[str]
) -> list[int]:
    if not any(header):
        raise FormatError("the file is empty, expected a header and one line per picture")
    shown = some(header, 12)
    if image_column not in header:
        raise InvalidInput(
            f"there is no column {image_column!r} with the pictures' names, the columns are "
            f"{shown} (name it with --image-column)"
        )
    unknown = [name for name in ignore_columns if name not in header]
    if unknown:
        raise InvalidInput(
            f"there is no column {unknown[0]!r} to ignore, the columns are {shown} "
            "(check --ignore-columns)"
        )
    for place, name in enumerate(header):
        if not name:
            raise FormatError(f"column {place + 1} has no name (name it or remove it)")
        if name in header[:place]:
            raise FormatError(f"the column {name!r} is there twice (each may be there once)")
    places = [
        place
        for place, name in enumerate(header)
        if name != image_column and name not in ignore_columns
    ]
    if not places:
        raise FormatError(f"no column is left for categories, the columns are {shown}")
    return places


def _bad_image(image: str, line: int, lines: dict[str, int]) -> FormatError:
    if not image:
        return FormatError(f"line {line} names no picture")
    return FormatError(
        f"line {line} repeats the picture {image!r} of line {lines[image]} "
        "(keep one line per picture)"
    )


def _stripped_codes(
    row: list[str], places: list[int], codes: dict[str, int], line: int, header: list[str]
) -> list[int]:
    """Codes of a row with spaces around values, or the error that names the wrong one."""
    result = []
    for place in places:
        value, name = row[place].strip(), header[place]
        if value in ("-1", "-1.0") and value not in codes:
            raise FormatError(
                f"line {line}, column {name!r}: -1 means absent in some files and unknown in "
                "others (say which with --minus-one absent or --minus-one unknown)"
            )
        if value not in codes:
            raise FormatError(
                f"line {line}, column {name!r}: {value!r} is not a label, expected 1 (present), "
                "0 (absent) or empty (unknown); if the column is no category, name it in "
                "--ignore-columns"
            )
        result.append(codes[value])
    return result
