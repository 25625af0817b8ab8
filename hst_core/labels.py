"""Label states and the legend of axis names used in every tensor annotation.

Axis legend: ``batch`` images of one step, ``images`` images of a data set, ``categories``,
``channels`` of a feature, ``locations`` of a feature map (row by row), ``prototypes`` of a
category, ``pairs`` unordered category pairs in row-major upper-triangle order.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class LabelState(IntEnum):
    """What is known of one cell, one image x one category (reference §1)."""

    ABSENT = -1
    UNKNOWN = 0
    PRESENT = 1


def check_label_matrix(labels: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Return ``labels`` as an int8 matrix [images, categories] of -1, 0 and 1.

    Raises:
        ValueError: if it is not two-dimensional or holds another value.
    """
    matrix: npt.NDArray[Any] = np.asarray(labels)
    if matrix.ndim != 2:
        raise ValueError(
            f"labels must be [images, categories], got {matrix.ndim} dimensions "
            "(use labels[None] for a single image)"
        )
    valid = np.isin(matrix, (-1, 0, 1))
    if not valid.all():
        row, column = np.argwhere(~valid)[0]
        raise ValueError(
            f"labels must be -1 (absent), 0 (unknown) or 1 (present), got "
            f"{matrix[row, column]!r} at image {row}, category {column}"
        )
    return matrix.astype(np.int8)
