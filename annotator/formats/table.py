"""What all formats share: label tables, labelled pictures, matching them to a workspace."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annotator.types import Provenance

Unlisted = Literal["absent", "unknown"]
"""What a label that a file does not list means: asked for, never guessed."""

PRESENT, UNKNOWN, ABSENT = 1, 0, -1


@dataclass(frozen=True)
class LabelTable:
    """Labels as a file gives them.

    Attributes:
        images: names of pictures as the file writes them, each once.
        categories: names, each once.
        states: [images, categories] int8 of 1 (present), 0 (unknown), -1 (absent).
    """

    images: Sequence[str]
    categories: Sequence[str]
    states: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class PresentLabel:
    """One present cell of a picture.

    Attributes:
        score: probability that was shown when it was decided, 0-1.
    """

    category_id: int
    provenance: Provenance
    score: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture with its known labels; every other category is unknown.

    Attributes:
        width: pixels.
        height: pixels.
        present: by category id.
        absent: category ids.
    """

    id: int
    file_name: str
    width: int
    height: int
    present: Sequence[PresentLabel]
    absent: Sequence[int]


@dataclass(frozen=True)
class Match:
    """Which picture of the workspace each name of a file means.

    Attributes:
        ids: [names] image ids, -1 where there is none.
        missing: names without a picture.
        ambiguous: names that fit several pictures, with those pictures' names.
        repeated: pairs of names that fit the same picture.
    """

    ids: NDArray[np.int64]
    missing: list[str]
    ambiguous: list[tuple[str, list[str]]]
    repeated: list[tuple[str, str]]


def match_images(names: Sequence[str], images: Iterable[tuple[int, str, str]]) -> Match:
    """Match names of a file with pictures: by relative path, else by full path, else by name.

    Of several pictures with the same name, the one is meant whose path ends like the name in the
    file. Backslashes count as slashes and composed letters as equal to decomposed ones.

    Args:
        names: as the file writes them.
        images: (id, file name below the scanned folder, stored path) of each picture.
    """
    by_name: dict[str, list[int]] = defaultdict(list)
    by_last: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for ident, file_name, path in images:
        name = _key(file_name)
        by_name[name].append(ident)
        by_last[_last(name)].append((ident, name, _key(path)))
    ids = np.full(len(names), -1, np.int64)
    missing: list[str] = []
    ambiguous: list[tuple[str, list[str]]] = []
    repeated: list[tuple[str, str]] = []
    taken: dict[int, str] = {}
    for row, written in enumerate(names):
        name = _key(written)
        found = by_name.get(name, [])
        if len(found) != 1:
            fitting = _fitting(name, by_last.get(_last(name), []))
            found = [ident for ident, _, _ in fitting]
            if len(found) > 1:
                ambiguous.append((written, [path for _, _, path in fitting]))
        if not found:
            missing.append(written)
        if len(found) != 1:
            continue
        if found[0] in taken:
            repeated.append((taken[found[0]], written))
        taken[found[0]] = written
        ids[row] = found[0]
    return Match(ids, missing, ambiguous, repeated)


def unique_names(images: Iterable[tuple[int, str, str]]) -> dict[int, str]:
    """A name by which a file can mean each picture: its file name, its stored path if shared.

    Args:
        images: as for `match_images`.
    """
    images = list(images)
    shared = {
        name for name, times in Counter(_key(name) for _, name, _ in images).items() if times > 1
    }
    return {ident: path if _key(name) in shared else name for ident, name, path in images}


def _fitting(name: str, candidates: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Those of the pictures with the same last name that the whole name can mean."""
    ends_alike = [c for c in candidates if f"/{c[2]}".endswith(f"/{name}")]
    longer = [c for c in candidates if name.endswith(f"/{c[1]}")]
    whole = [c for c in candidates if c[2] == name]
    return whole or ends_alike or longer or candidates


def _key(name: str) -> str:
    name = name.replace("\\", "/").removeprefix("./")
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def some(values: Sequence[str], limit: int = 3) -> str:
    """Name the first few values for a message: ``a, b, c and 7 more``."""
    shown = ", ".join(values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"
