"""Import and export as whole acts: read, match, check, then change everything or nothing.

Above the service: command line and web pages share it. What a format means stands in
`annotator.formats`; here it meets the pictures and categories of a workspace.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from annotator.errors import AnnotatorError, Conflict, FormatError, InvalidInput
from annotator.formats.coco import coco_to_labels, labels_to_coco
from annotator.formats.csv import IMAGE_COLUMN, csv_to_labels, labels_to_csv
from annotator.formats.table import (
    ABSENT,
    LabelledImage,
    LabelTable,
    PresentLabel,
    Unlisted,
    match_images,
    some,
    unique_names,
)
from annotator.names import clean_name, name_key
from annotator.service import AnnotationService, ConflictPolicy, Export
from annotator.types import Category, CellBatch, ExportImage, ImportReport
from annotator.wording import counted
from hst_core.files import partial_of

_IMAGES_AT_ONCE = 2_000
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

SUGGESTION_COLUMNS = (
    "image",
    "category",
    "probability",
    "threshold",
    "at_or_above",
    "source",
    "reasons",
)

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        images: pictures of the file that are in the workspace.
        missing: names of pictures that are not, left out.
        new_categories: names that were added.
        present: cells that the file calls present.
        absent: cells that the file calls absent, or that are so because it does not list them.
        unknown: cells that it says nothing about.
        cells: what became of them in the database.
    """

    images: int
    missing: Sequence[str]
    new_categories: Sequence[str]
    present: int
    absent: int
    unknown: int
    cells: ImportReport


@dataclass(frozen=True)
class CategoryCounts:
    """Cells of one category, in the database and in the file read back; they are equal.

    Attributes:
        database: (present, absent, unknown).
        file: (present, absent, unknown).
    """

    name: str
    database: tuple[int, int, int]
    file: tuple[int, int, int]


@dataclass(frozen=True)
class Exported:
    """What an export wrote and read back.

    Attributes:
        path: of the file.
        images: pictures in it.
        categories: counts in list order.
        image_column: of a CSV file, the column with the pictures' names; else empty.
    """

    path: Path
    images: int
    categories: Sequence[CategoryCounts]
    image_column: str = ""


def read_categories(path: Path) -> list[str]:
    """Read a category list: one name per line; empty lines and those with ``#`` first are skipped.

    Raises:
        InvalidInput: if the file cannot be read, has no name, or a name is not allowed or there
            twice, naming the line.
    """
    with _opened(path) as stream:
        try:
            lines = stream.read().splitlines()
        except UnicodeDecodeError:
            raise FormatError("the file is not UTF-8 (save it as UTF-8)") from None
        lines_by_key: dict[str, int] = {}
        names = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                name = clean_name(line, "category")
            except InvalidInput as error:
                raise FormatError(f"line {number}: {error}") from None
            first = lines_by_key.setdefault(name_key(name), number)
            if first != number:
                raise FormatError(
                    f"line {number}: {name!r} is the category of line {first} (keep one of them)"
                )
            names.append(name)
        if not names:
            raise FormatError("the file names no category, expected one name per line")
        return names


def read_coco(path: Path, *, unlisted: Unlisted, progress: Progress | None = None) -> LabelTable:
    """Read a COCO file; see `coco_to_labels`.

    Raises:
        InvalidInput: if it cannot be read, naming the file and what is wrong with it.
    """
    with _opened(path, progress=progress) as stream:
        return coco_to_labels(stream, unlisted=unlisted)


def read_csv(
    path: Path,
    *,
    image_column: str = IMAGE_COLUMN,
    ignore_columns: Collection[str] = (),
    minus_one: Unlisted | None = None,
    unlisted: Unlisted = "unknown",
    encoding: str | None = None,
    progress: Progress | None = None,
) -> LabelTable:
    """Read a CSV file; see `csv_to_labels`.

    Args:
        path: of the file.
        image_column: as `csv_to_labels`.
        ignore_columns: as `csv_to_labels`.
        minus_one: as `csv_to_labels`.
        unlisted: as `csv_to_labels`.
        encoding: of the text; None: UTF-8, or UTF-16 if it begins with that mark.
        progress: called with (bytes read, bytes).

    Raises:
        InvalidInput: if it cannot be read, naming the file and what is wrong with it.
    """
    with _opened(path, encoding, progress) as stream:
        return csv_to_labels(
            stream,
            image_column=image_column,
            ignore_columns=ignore_columns,
            minus_one=minus_one,
            unlisted=unlisted,
        )


def import_labels(
    service: AnnotationService,
    table: LabelTable,
    *,
    user_id: int | None = None,
    add_categories: bool = False,
    skip_missing: bool = False,
    conflict: ConflictPolicy = "keep",
    progress: Progress | None = None,
    file_name: str = "",
) -> Imported:
    """Decide what a file says, as one event that its user can undo; on an error, nothing.

    Args:
        service: of the workspace.
        table: as read from the file.
        user_id: who imports.
        add_categories: add those that the workspace does not have; without it they are an error,
            unless the workspace has no categories yet.
        skip_missing: leave out pictures that the workspace does not have; without it an error.
        conflict: of cells that are decided otherwise already: ``keep`` them or ``overwrite``.
        progress: called with (cells done, cells).
        file_name: without its folder, kept with the event.

    Raises:
        InvalidInput: if a picture is missing or its name fits several.
        Conflict: if a category is new or spelt differently.
    """
    match = match_images(table.images, service.image_names())
    if match.ambiguous:
        name, fitting = match.ambiguous[0]
        raise InvalidInput(
            f"{len(match.ambiguous):,} names in the file fit several pictures: {name!r} may be "
            f"{some(fitting)} (write their folders into the file too)"
        )
    if match.repeated:
        first, second = match.repeated[0]
        raise InvalidInput(
            f"{first!r} and {second!r} in the file are the same picture in the workspace "
            "(keep one of them, or write their folders into the file)"
        )
    if match.missing and (not skip_missing or len(match.missing) == len(table.images)):
        raise InvalidInput(
            f"{counted(len(match.missing), 'picture')} of the file missing in the workspace: "
            f"{some(match.missing)} (add their folder with `annotator add images`, or leave them "
            "out with --skip-missing)"
        )
    new = new_categories(table.categories, service.categories(), add_categories)
    categories = service.add_categories(table.categories, user_id)
    rows = np.flatnonzero(match.ids >= 0)
    rows = rows[np.argsort(match.ids[rows])]
    present, absent = (int((table.states[rows] == state).sum()) for state in (1, -1))
    unknown = len(rows) * len(table.categories) - present - absent
    report = service.import_decisions(
        _cells(table, rows, match.ids, np.array([c.id for c in categories], np.int64)),
        user_id=user_id,
        conflict=conflict,
        progress=(lambda done: progress(done, present + absent)) if progress else None,
        file_name=file_name,
    )
    return Imported(len(rows), match.missing, new, present, absent, unknown, report)


def new_categories(
    names: Sequence[str], categories: Sequence[Category], allowed: bool
) -> list[str]:
    """Those that the workspace does not have; checked before anything is added."""
    there = {category.name: category.name for category in categories}
    alike = {name_key(category.name): category.name for category in categories}
    new: list[str] = []
    cleaned = [clean_name(name, "category") for name in names]
    for place, name in enumerate(cleaned):
        if name in cleaned[:place]:
            raise FormatError(f"the category {name!r} is there twice in the file (keep one)")
        if name in there:
            continue
        other = alike.setdefault(name_key(name), name)
        if other != name:
            raise Conflict(
                f"the category {name!r} in the file differs from {other!r} in case or typography "
                "only (use the same spelling)"
            )
        new.append(name)
    if new and categories and not allowed:
        raise Conflict(
            f"{counted(len(new), 'category', 'categories')} of the file missing in the workspace: "
            f"{some(new)} (add them "
            "with --add-categories; columns of a CSV file that are no categories are left out with "
            "--ignore-columns)"
        )
    return new


def _cells(
    table: LabelTable, rows: NDArray[np.int64], ids: NDArray[np.int64], columns: NDArray[np.int64]
) -> Iterator[CellBatch]:
    """Cells of the given rows of a table, known ones only, a few thousand pictures at a time."""
    for start in range(0, len(rows), _IMAGES_AT_ONCE):
        some_rows = rows[start : start + _IMAGES_AT_ONCE]
        states = table.states[some_rows]
        row, column = np.nonzero(states)
        yield CellBatch(ids[some_rows[row]], columns[column], states[row, column])


def export_coco(
    service: AnnotationService,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write COCO, profile ``labels``; the file appears only after pycocotools has read it back.

    Args:
        service: of the workspace.
        out: file to write.
        overwrite: replace a file that is there.
        progress: called with (pictures done, pictures).

    Raises:
        InvalidInput: if the file is there already or cannot be written.
        AnnotatorError: if what was read back is not what the database says.
    """
    with service.export() as view, written(out, overwrite) as partial:
        categories = [(category.id, category.name) for category in view.categories]
        with partial.open("w", encoding="ascii") as stream:
            labels_to_coco(
                _labelled(service, view, progress),
                categories,
                stream,
                description=service.workspace.settings.name,
            )
            _flush(stream)
        images, counts = _coco_counts(partial)
        return Exported(out, images, _compared(view, images, counts, out))


def export_csv(
    service: AnnotationService,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write CSV, one column per category; the file appears only after it was read back.

    Arguments and errors as `export_coco`.
    """
    with service.export() as view, written(out, overwrite) as partial:
        categories = [(category.id, category.name) for category in view.categories]
        if not categories:
            raise InvalidInput("there are no categories to export (add some first)")
        with partial.open("w", encoding="utf-8", newline="") as stream:
            column = labels_to_csv(_labelled(service, view, progress), categories, stream)
            _flush(stream)
        table = read_csv(partial, image_column=column)
        counts = {
            ident: (int((states == 1).sum()), int((states == -1).sum()), int((states == 0).sum()))
            for (ident, _), states in zip(categories, table.states.T, strict=True)
        }
        compared = _compared(view, len(table.images), counts, out)
        return Exported(out, len(table.images), compared, column)


def export_suggestions(
    service: AnnotationService,
    out: Path | IO[str],
    *,
    limit: int = 10,
    min_probability: float = 0.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write what is suggested for undecided cells as CSV, picture by picture, most probable first.

    Args:
        service: of the workspace.
        out: file to write, or an open text file.
        limit: at most this many for each picture.
        min_probability: leave out what is less probable.
        overwrite: replace a file that is there.
        progress: called with (pictures done, pictures).

    Returns:
        The number of suggestions.

    Raises:
        InvalidInput: if the file is there already or cannot be written.
    """
    if not isinstance(out, Path):
        return _write_suggestions(service, out, limit, min_probability, progress)
    with (
        written(out, overwrite) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        count = _write_suggestions(service, file, limit, min_probability, progress)
        _flush(file)
        return count


def _write_suggestions(
    service: AnnotationService,
    out: IO[str],
    limit: int,
    min_probability: float,
    progress: Progress | None,
) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SUGGESTION_COLUMNS)
    images = service.image_names()
    names = unique_names(images)
    count = 0
    for done, (ident, _, _) in enumerate(images, start=1):
        for one in service.image_state(ident, limit=limit).suggestions:
            if one.probability < min_probability:
                break  # they come in order
            reasons = "; ".join(reason.text for reason in one.reasons)
            p, threshold = f"{one.probability:.4f}", f"{one.threshold:.4f}"
            writer.writerow(
                [names[ident], one.name, p, threshold, int(one.above), one.source, reasons]
            )
            count += 1
        if progress:
            progress(done, len(images))
    return count


def _labelled(
    service: AnnotationService, view: Export, progress: Progress | None
) -> Iterator[LabelledImage]:
    """Pictures as the formats want them, one at a time."""
    names = unique_names(service.image_names())
    for done, one in enumerate(view.images(), start=1):
        yield _labelled_image(one, names.get(one.image.id, one.image.file_name), view)
        if progress and (done % _IMAGES_AT_ONCE == 0 or done == view.image_count):
            progress(done, view.image_count)


def _labelled_image(one: ExportImage, name: str, view: Export) -> LabelledImage:
    present: list[PresentLabel] = []
    absent: list[int] = []
    # Lists: for the few cells of one picture, numpy's calls would cost more than the work.
    columns = (one.category_ids, one.states, one.event_ids, one.scores)
    for ident, state, event, score in zip(*(c.tolist() for c in columns), strict=True):
        if state == ABSENT:
            absent.append(ident)
        else:
            shown = None if math.isnan(score) else score
            present.append(PresentLabel(ident, view.provenance(event), shown))
    image = one.image
    return LabelledImage(image.id, name, image.width, image.height, present, absent)


def _coco_counts(path: Path) -> tuple[int, dict[int, tuple[int, int, int]]]:
    """Number of pictures, and (present, absent, unknown) by category id, as pycocotools reads."""
    from pycocotools.coco import COCO  # slow to import, and needed here alone

    with contextlib.redirect_stdout(io.StringIO()):  # it prints how long everything takes
        found = COCO(str(path))
    absent, unknown = (
        Counter(chain.from_iterable(image[name] for image in found.imgs.values()))
        for name in ("neg_category_ids", "unknown_category_ids")
    )
    counts = {
        ident: (len(found.getImgIds(catIds=[ident])), absent[ident], unknown[ident])
        for ident in found.getCatIds()
    }
    return len(found.getImgIds()), counts


def _compared(
    view: Export, images: int, counts: dict[int, tuple[int, int, int]], out: Path
) -> list[CategoryCounts]:
    """Counts of every category in database and file.

    Raises:
        AnnotatorError: if they differ.
    """
    compared = []
    for category in view.categories:
        unknown = view.image_count - category.present - category.absent
        database = (category.present, category.absent, unknown)
        compared.append(CategoryCounts(category.name, database, counts.get(category.id, (0, 0, 0))))
    wrong = [one for one in compared if one.database != one.file]
    if wrong or images != view.image_count:
        first = f"; {wrong[0].name!r}: {wrong[0].database} and {wrong[0].file}" if wrong else ""
        raise AnnotatorError(
            f"{out} was not written: read back, it holds {images:,} of {view.image_count:,} "
            f"pictures and {len(wrong)} categories differ from the database (present, absent, "
            f"unknown{first}); please report this"
        )
    return compared


@contextmanager
def written(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary path beside ``out`` that takes its name at the end, or is removed.

    Raises:
        InvalidInput: if ``out`` is a folder, is there already, or cannot be written.
    """
    if out.is_dir():
        raise InvalidInput(f"{out} is a folder, expected the name of a file to write")
    if out.exists() and not overwrite:
        raise InvalidInput(f"{out} is there already (name another file, or pass --overwrite)")
    partial = partial_of(out)
    try:
        yield partial
        partial.replace(out)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(
            f"cannot write {out}: {reason} (choose a place that can be written)"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _flush(stream: IO[str]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def _opened(
    path: Path, encoding: str | None = None, progress: Progress | None = None
) -> Iterator[IO[str]]:
    """Text of a file that tells how far it is read; errors of its content name the file."""
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise InvalidInput(
            f"there is no encoding {encoding!r} (use for example utf-8 or cp1252)"
        ) from None
    try:
        raw = io.FileIO(path)
        with raw, _Telling(raw, path.stat().st_size, progress) as content:
            mark = _BYTE_ORDER_MARKS.get(content.peek(2)[:2], "utf-8-sig")
            with io.TextIOWrapper(content, encoding=encoding or mark, newline="") as stream:
                try:
                    yield stream
                except InvalidInput as error:
                    raise type(error)(f"{path}: {error}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f"cannot read {path}: {reason} (check the name of the file)") from None


class _Telling(io.BufferedReader):
    """Tells how much was read, in steps of a hundredth."""

    def __init__(self, raw: io.FileIO, size: int, progress: Progress | None) -> None:
        super().__init__(raw)
        self._size, self._progress, self._next = size, progress, 0

    def read1(self, size: int = -1, /) -> bytes:
        content = super().read1(size)
        if self._progress is not None and (place := self.raw.tell()) >= self._next:
            self._progress(place, self._size)
            self._next = min(place + self._size // 100 + 1, self._size)
        return content
