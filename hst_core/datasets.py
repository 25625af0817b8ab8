"""Label matrices and photographs to measure with, and the masks that hide labels (reference §8)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int8
from numpy.typing import NDArray

from hst_core.labels import check_label_matrix

#: Columns of a label file that describe the image instead of naming a category.
IMAGE_COLUMNS = frozenset({"image", "file_name", "split", "source", "width", "height"})


@dataclass(frozen=True)
class LabelTable:
    """A label matrix with its names.

    Attributes:
        images: file names, one per row.
        categories: names, one per column.
        labels: -1 absent, 0 unknown, 1 present.
        splits: "train", "val", … per image; None if the file does not say.
    """

    images: tuple[str, ...]
    categories: tuple[str, ...]
    labels: Int8[np.ndarray, "images categories"]
    splits: tuple[str, ...] | None = None

    def rows(self, split: str) -> NDArray[np.intp]:
        """Return the rows of one split.

        Raises:
            ValueError: if no image belongs to it.
        """
        rows = np.flatnonzero(np.asarray(self.splits or (), dtype=object) == split)
        if not len(rows):
            present = ", ".join(sorted(set(self.splits or ()))) or "no splits"
            raise ValueError(f"no image of split {split!r}, the table has {present}")
        return rows


def read_label_csv(path: Path, minus_one: Literal["absent", "unknown"] | None = None) -> LabelTable:
    """Read one row per image and one column per category.

    The first column names the image; columns of :data:`IMAGE_COLUMNS` are not categories.
    1 is present, 0 absent, empty unknown. What -1 means differs between files (COCO-style tables
    use it for absent, VOC's for a difficult object), so a file that holds it needs ``minus_one``.

    Raises:
        ValueError: naming the line and column of a value that is none of these.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        columns = [i for i, name in enumerate(header) if i and name not in IMAGE_COLUMNS]
        if not columns:
            raise ValueError(f"{path} names no category in its first line (got {header[:6]})")
        meaning = {"1": 1, "0": -1, "": 0}
        if minus_one is not None:
            meaning["-1"] = -1 if minus_one == "absent" else 0
        rows = list(reader)
    labels = np.zeros((len(rows), len(columns)), dtype=np.int8)
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{path}:{line} has {len(row)} values, expected {len(header)}")
        try:
            labels[line - 2] = [meaning[row[i].strip()] for i in columns]
        except KeyError as error:
            hint = " (pass minus_one='absent' or 'unknown')" if error.args[0] == "-1" else ""
            raise ValueError(
                f"{path}:{line} holds {error.args[0]!r}, expected 1, 0 or nothing{hint}"
            ) from None
    split = header.index("split") if "split" in header else None
    return LabelTable(
        images=tuple(row[0] for row in rows),
        categories=tuple(header[i] for i in columns),
        labels=labels,
        splits=None if split is None else tuple(row[split] for row in rows),
    )


def read_label_npz(path: Path) -> LabelTable:
    """Read matrices ``Y_<split>`` and ``names`` of an .npz file, stacked in the file's order.

    Images are named by the file's ids of that split where it has them, else ``<split>/<row>``.

    Raises:
        ValueError: if the file holds no such matrix.
    """
    with np.load(path, allow_pickle=False) as file:
        splits = [key[2:] for key in file.files if key.startswith("Y_")]
        if not splits or "names" not in file.files:
            raise ValueError(f"{path} must hold Y_<split> and names, got {', '.join(file.files)}")
        matrices = [check_label_matrix(file[f"Y_{split}"]) for split in splits]
        images: list[str] = []
        for split, matrix in zip(splits, matrices, strict=True):
            ids = file[f"{split}_ids"] if f"{split}_ids" in file.files else range(len(matrix))
            images += [f"{split}/{i}" for i in ids]
        names = tuple(str(name) for name in file["names"])
    return LabelTable(
        images=tuple(images),
        categories=names,
        labels=np.concatenate(matrices),
        splits=tuple(split for split, matrix in zip(splits, matrices, strict=True) for _ in matrix),
    )


def known_mask(
    shape: tuple[int, int], proportion: float, seed: int
) -> Bool[np.ndarray, "images categories"]:
    """Draw which cells are known: independent, nested in ``proportion`` for one seed.

    Raises:
        ValueError: if ``proportion`` is not in [0, 1].
    """
    if not 0.0 <= proportion <= 1.0:
        raise ValueError(
            f"proportion must be in [0, 1], got {proportion} (use 0.1 for 10 % known labels)"
        )
    # The legacy generator on purpose: the protocol fixes it, so that masks can be compared.
    return np.random.RandomState(seed).random(shape) < proportion


def mask_hash(known: Bool[np.ndarray, "images categories"]) -> str:
    """Name a mask by its shape and content: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr(known.shape).encode())
    digest.update(np.packbits(known).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class MaskedLabels:
    """Labels of which a part is hidden.

    Attributes:
        labels: what the model may see; 0 where hidden.
        known: cells that are not hidden and were known to begin with.
        hash: of the drawn mask, to state with every result.
    """

    labels: Int8[np.ndarray, "images categories"]
    known: Bool[np.ndarray, "images categories"]
    hash: str


def mask_labels(
    labels: Int8[np.ndarray, "images categories"], proportion: float, seed: int
) -> MaskedLabels:
    """Keep each label with probability ``proportion`` (reference §8)."""
    mask = known_mask(labels.shape, proportion, seed)
    masked = np.where(mask, labels, 0).astype(np.int8)
    return MaskedLabels(masked, masked != 0, mask_hash(mask))


def save_mask(path: Path, known: Bool[np.ndarray, "images categories"]) -> None:
    """Write a mask and its hash to an .npz file."""
    np.savez_compressed(
        path, bits=np.packbits(known), shape=np.asarray(known.shape), hash=mask_hash(known)
    )


def load_mask(path: Path) -> Bool[np.ndarray, "images categories"]:
    """Read a mask of :func:`save_mask`.

    Raises:
        ValueError: if its content does not have the hash written beside it.
    """
    with np.load(path, allow_pickle=False) as file:
        shape: Sequence[int] = file["shape"].tolist()
        count = int(np.prod(shape))
        known = np.unpackbits(file["bits"], count=count).astype(bool).reshape(shape)
        stated = str(file["hash"])
    if mask_hash(known) != stated:
        raise ValueError(f"{path} is damaged: its content does not have the hash {stated}")
    return known
