"""COCO with image-level labels: profile ``labels``, and everything similar on the way in.

Written (docs/adr/0005): one annotation without box per present cell; each picture lists what is
present, absent (as LVIS does) and unknown. Read: an annotation of any kind, with or without box,
makes its category present in its picture; lists on the picture say what is absent or unknown; what
the rest means is the caller's answer.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from operator import attrgetter
from typing import IO, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FormatError
from annotator.formats.json_stream import JsonStream
from annotator.formats.table import (
    ABSENT,
    PRESENT,
    LabelledImage,
    LabelTable,
    Unlisted,
)
from annotator.types import Provenance

_PRESENT, _ABSENT, _UNKNOWN = 1, 2, 4  # bits of what a file says about a cell
_LISTS = {
    "pos_category_ids": _PRESENT,
    "neg_category_ids": _ABSENT,
    "unknown_category_ids": _UNKNOWN,
}
_COPY_CHARACTERS = 1 << 20
_BLOCK = 1 << 20  # ids looked up at a time

Ids = NDArray[np.int64]


def labels_to_coco(
    images: Iterable[LabelledImage],
    categories: Sequence[tuple[int, str]],
    out: IO[str],
    *,
    description: str = "",
) -> None:
    """Write a COCO file, profile ``labels``.

    The same labels give the same bytes: pictures in the order given, annotations numbered from 1
    by picture and category, no date of export. Pictures are taken one at a time; annotations wait
    in a temporary file, since COCO puts them behind all pictures.

    Args:
        images: in the order in which to write them, ids unique.
        categories: (id, name) in the order of display, ids from 1.
        out: text file opened for writing.
        description: of the data set.
    """
    texts = {ident: str(ident) for ident in sorted(ident for ident, _ in categories)}
    info = {"description": description, "version": "1.0", "profile": "labels"}
    listed = [{"id": ident, "name": name} for ident, name in categories]
    out.write(f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": [')
    out.write(",".join(f"\n{json.dumps(entry)}" for entry in listed))
    out.write('],\n"images": [')
    attributes: dict[Provenance, str] = {}
    count, between = 0, ""
    with tempfile.TemporaryFile("w+", encoding="ascii") as waiting:
        for image in images:
            out.write(between + _image_line(image, texts))
            if lines := _annotation_lines(image, count, attributes):
                waiting.write(("," if count else "") + ",".join(lines))
                count += len(lines)
            between = ","
        out.write('],\n"annotations": [')
        waiting.seek(0)
        while part := waiting.read(_COPY_CHARACTERS):
            out.write(part)
    out.write("]}\n")


def _image_line(image: LabelledImage, texts: Mapping[int, str]) -> str:
    """One picture; ``texts`` are the category ids as written, ascending."""
    present = sorted([label.category_id for label in image.present])
    known = {*present, *image.absent}
    absent = ", ".join([texts[ident] for ident in sorted(image.absent)])
    unknown = ", ".join([text for ident, text in texts.items() if ident not in known])
    return (
        f'\n{{"id": {image.id}, "file_name": {json.dumps(image.file_name)}, '
        f'"width": {image.width}, "height": {image.height}, "pos_category_ids": {present}, '
        f'"neg_category_ids": [{absent}], "unknown_category_ids": [{unknown}]}}'
    )


def _annotation_lines(
    image: LabelledImage, before: int, attributes: dict[Provenance, str]
) -> list[str]:
    lines = []
    area = image.width * image.height
    labels = sorted(image.present, key=attrgetter("category_id"))
    for number, label in enumerate(labels, start=before + 1):
        origin = attributes.get(label.provenance)
        if origin is None:
            origin = attributes[label.provenance] = _attributes(label.provenance)
        score = "" if label.score is None else f'"score": {round(label.score, 6)}, '
        lines.append(
            f'\n{{"id": {number}, "image_id": {image.id}, "category_id": {label.category_id}, '
            f'"iscrowd": 0, "area": {area}, {score}"attributes": {origin}}}'
        )
    return lines


def _attributes(origin: Provenance) -> str:
    return json.dumps(
        {
            "source": origin.source,
            "user": origin.user,
            "model_version": origin.model_version_id,
            "decided_at": origin.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }
    )


def coco_to_labels(stream: IO[str], *, unlisted: Unlisted) -> LabelTable:
    """Read a COCO file.

    Args:
        stream: text of the file; read once, in pieces.
        unlisted: what a category means that a picture neither is annotated with nor lists.

    Raises:
        FormatError: if the file is no COCO, an id is repeated, dangling or no integer, or a cell is
            said to be two things.
    """
    content = _Content()
    for key, value in JsonStream(stream).members():
        if key in ("images", "annotations", "categories"):
            content.sections.add(key)
            if not isinstance(value, Iterator):
                raise FormatError(f'"{key}" must be a list, got {type(value).__name__}')
            getattr(content, f"add_{key}")(value)
    missing = sorted({"images", "annotations", "categories"} - content.sections)
    if missing:
        raise FormatError(
            f"the file has no {' and no '.join(missing)}, expected images, annotations and "
            "categories (is it a COCO annotation file?)"
        )
    marks = content.marks()
    meaning = np.zeros(8, np.int8)
    meaning[_PRESENT], meaning[_ABSENT] = PRESENT, ABSENT
    if unlisted == "absent":
        meaning[0] = ABSENT
    return LabelTable(content.file_names, content.category_names, meaning[marks])


@dataclass
class _Content:
    """What was read so far: ids in compact arrays, since sections come in any order."""

    sections: set[str] = field(default_factory=set)
    image_ids: array[int] = field(default_factory=lambda: array("q"))
    file_names: list[str] = field(default_factory=list)
    category_ids: array[int] = field(default_factory=lambda: array("q"))
    category_names: list[str] = field(default_factory=list)
    annotation_ids: array[int] = field(default_factory=lambda: array("q"))
    annotated_images: array[int] = field(default_factory=lambda: array("q"))
    annotated_categories: array[int] = field(default_factory=lambda: array("q"))
    # Per kind of list: the rows that have one, how long it is, and all lists behind one another.
    listed_rows: dict[str, array[int]] = field(default_factory=lambda: _per_list())
    listed_counts: dict[str, array[int]] = field(default_factory=lambda: _per_list())
    listed_categories: dict[str, array[int]] = field(default_factory=lambda: _per_list())

    def add_images(self, images: Iterator[Any]) -> None:
        for row, image in enumerate(images):
            try:
                self.image_ids.append(image["id"])
                self.file_names.append(_file_name(image))
                for name in _LISTS:
                    if listed := image.get(name):
                        self.listed_categories[name].fromlist(listed)
                        self.listed_rows[name].append(row)
                        self.listed_counts[name].append(len(listed))
            except (KeyError, TypeError, AttributeError, OverflowError):
                raise _unusable("image", row, image, "id (integer) and file_name (text)") from None

    def add_categories(self, categories: Iterator[Any]) -> None:
        for row, category in enumerate(categories):
            try:
                self.category_ids.append(category["id"])
                self.category_names.append(_text(category["name"]))
            except (KeyError, TypeError, OverflowError):
                raise _unusable("category", row, category, "id (integer) and name (text)") from None

    def add_annotations(self, annotations: Iterator[Any]) -> None:
        for row, annotation in enumerate(annotations):
            try:
                self.annotated_images.append(annotation["image_id"])
                self.annotated_categories.append(annotation["category_id"])
                if "id" in annotation:  # not needed to read labels, but if there, then unique
                    self.annotation_ids.append(annotation["id"])
            except (KeyError, TypeError, OverflowError):
                fields = "image_id and category_id (integers)"
                raise _unusable("annotation", row, annotation, fields) from None

    def marks(self) -> NDArray[np.uint8]:
        """Bits of what the file says, [images, categories]."""
        image_ids = _unique("image", self.image_ids)
        category_ids = _unique("category", self.category_ids)
        _unique("annotation", self.annotation_ids)
        _check_names("file_name", self.file_names)
        _check_names("category name", self.category_names)
        marks = np.zeros((len(image_ids), len(category_ids)), np.uint8)
        rows = _places("image", "annotation", self.annotated_images, image_ids)
        columns = _places("category", "annotation", self.annotated_categories, category_ids)
        marks[rows, columns] |= _PRESENT
        for name, bit in _LISTS.items():
            rows = np.repeat(_ids(self.listed_rows[name]), _ids(self.listed_counts[name]))
            columns = _places("category", name, self.listed_categories[name], category_ids)
            marks[rows, columns] |= bit
        self._refuse_contradictions(marks)
        return marks

    def _refuse_contradictions(self, marks: NDArray[np.uint8]) -> None:
        contradictory = (marks & (marks - np.uint8(1))).astype(bool) & (marks > 0)
        if not contradictory.any():
            return
        row, column = np.argwhere(contradictory)[0]
        said = [
            word
            for bit, word in ((_PRESENT, "present"), (_ABSENT, "absent"), (_UNKNOWN, "unknown"))
            if marks[row, column] & bit
        ]
        raise FormatError(
            f"{contradictory.sum():,} labels contradict themselves: the first is "
            f"{self.category_names[column]!r} in {self.file_names[row]!r}, which the file calls "
            f"{' and '.join(said)} (see its annotations and {', '.join(_LISTS)})"
        )


def _per_list() -> dict[str, array[int]]:
    return {name: array("q") for name in _LISTS}


def _ids(values: array[int]) -> Ids:
    """View of an array, no copy."""
    return np.frombuffer(values, np.int64)


def _file_name(image: dict[str, Any]) -> str:
    # LVIS names pictures by their COCO address alone.
    if "file_name" not in image and "coco_url" in image:
        return urlsplit(_text(image["coco_url"])).path.lstrip("/")
    return _text(image["file_name"])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _unusable(what: str, row: int, value: Any, expected: str) -> FormatError:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 120 else f"{shown[:120]}…"
    return FormatError(f"{what} number {row + 1} needs {expected}, got {shown}")


def _unique(what: str, ids: array[int]) -> Ids:
    values = _ids(ids)
    found, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        first = found[counts > 1][0]
        raise FormatError(
            f"{(counts > 1).sum():,} {what} ids are there more than once: the first is {first} "
            "(give each its own id)"
        )
    return values


def _check_names(what: str, names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FormatError(f"the {what} {name!r} is there twice (each may be there once)")
        seen.add(name)


def _places(what: str, by: str, wanted: array[int], ids: Ids) -> NDArray[np.int32]:
    """Position of each wanted id in ``ids``, int32 to keep millions of them small."""
    values = _ids(wanted)
    order = np.argsort(ids)
    ordered = ids[order]
    places = np.empty(len(values), np.int32)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        place = np.searchsorted(ordered, block)
        found = place < len(ids)
        found[found] = ordered[place[found]] == block[found]
        if not found.all():
            row = int(np.argmin(found))
            raise FormatError(
                f"{by} number {start + row + 1} names {what} id {block[row]}, which is not among "
                f"the {len(ids):,} {what} ids of the file (is a part of the file missing?)"
            )
        places[start : start + _BLOCK] = order[place]
    return places
