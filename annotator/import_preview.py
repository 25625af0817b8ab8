"""What importing a file would do, before it is done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.errors import InvalidInput
from annotator.exchange import new_categories
from annotator.formats.table import LabelTable, match_images, some
from annotator.service import AnnotationService
from annotator.wording import counted

_MINUS_ONE = re.compile(rb"(?:^|[,;\t\"])\s*-1(?:\.0+)?\s*(?=[,;\t\"\r\n]|$)", re.MULTILINE)
_READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class ImportPreview:
    """What importing a table would do.

    Attributes:
        images: pictures of the file that are in the workspace.
        missing: names of pictures that are not.
        new_categories: names that the workspace does not have.
        present: cells that the file calls present.
        absent: cells that it calls absent.
        unknown: cells that it says nothing about.
        added: cells that are unknown now.
        confirmed: known with the same state.
        different: known with the other state.
    """

    images: int
    missing: Sequence[str]
    new_categories: Sequence[str]
    present: int
    absent: int
    unknown: int
    added: int
    confirmed: int
    different: int

    @property
    def changes(self) -> bool:
        """Whether importing it could change anything."""
        return bool(self.added or self.different or self.new_categories)

    def text(self) -> str:
        """Say it in a few lines; repeats names of the file."""
        lines = [
            f"{counted(self.images, 'picture')}; {counted(self.present, 'cell')} present, "
            f"{self.absent:,} absent, {self.unknown:,} unknown.",
            f"New in the workspace: {counted(self.added, 'cell')}. Known with the same state: "
            f"{self.confirmed:,}. Decided otherwise: {self.different:,}.",
        ]
        if self.new_categories:
            names = some(self.new_categories, 10)
            count = counted(len(self.new_categories), "new category", "new categories")
            lines.append(f"{count}: {names}.")
        if self.missing:
            count = counted(len(self.missing), "picture")
            lines.append(f"{count} not in the workspace: {some(self.missing)}.")
        if not self.changes:
            lines.append("Importing it would change nothing.")
        return "\n".join(lines)


def preview_import(service: AnnotationService, table: LabelTable) -> ImportPreview:
    """Compare a table with the workspace; nothing is changed.

    Args:
        service: of the workspace.
        table: as read from the file.

    Raises:
        InvalidInput: if a name fits several pictures, or none at all is in the workspace.
        Conflict: if a category is spelt differently.
    """
    match = match_images(table.images, service.image_names())
    if match.ambiguous or match.repeated:
        names = match.ambiguous[0][0] if match.ambiguous else match.repeated[0][1]
        raise InvalidInput(
            f"the name {names!r} in the file fits several pictures (write folders into the file)"
        )
    if len(match.missing) == len(table.images):
        raise InvalidInput(
            f"none of {counted(len(table.images), 'picture')} in the file is in the workspace: "
            f"{some(match.missing)} (add their folder with `annotator add images`)"
        )
    rows = np.flatnonzero(match.ids >= 0)
    said = table.states[rows]
    labels = service.labels()
    now = np.zeros_like(said)
    columns = {category.name: category.id for category in service.categories()}
    place = {int(ident): column for column, ident in enumerate(labels.category_ids)}
    image_rows = np.searchsorted(labels.image_ids, match.ids[rows])
    for column, name in enumerate(table.categories):
        if name.strip() in columns:
            now[:, column] = labels.states[image_rows, place[columns[name.strip()]]]
    new = new_categories(table.categories, service.categories(), True)
    return ImportPreview(
        images=len(rows),
        missing=match.missing,
        new_categories=new,
        present=int((said == 1).sum()),
        absent=int((said == -1).sum()),
        unknown=int((said == 0).sum()),
        added=int(((said != 0) & (now == 0)).sum()),
        confirmed=int(((said != 0) & (now == said)).sum()),
        different=int(((said != 0) & (now == -said)).sum()),
    )


def has_minus_one(path: Path) -> bool:
    """Whether a CSV file has a -1, whose meaning must be asked; both meanings are in use."""
    rest = b""
    with path.open("rb") as file:
        while part := file.read(_READ_AT_ONCE):
            text = (rest + part).replace(b"\0", b"")  # UTF-16 of plain figures
            if _MINUS_ONE.search(text):
                return True
            rest = text[-16:]
    return False
