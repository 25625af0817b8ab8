"""Windows of pictures in the space of whole pictures, and the most telling one of each.

The base is fitted on whole pictures. What is small in a picture hardly moves the mean over all its
locations, but fills a window; so the base is asked about every window too, and its largest logit
is evidence of its own. Nothing is fitted for it: the stack decides what it is worth.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16
from numpy.typing import NDArray
from torch import Tensor

from hst_core.files import replacing
from hst_core.linear import LinearBase
from hst_core.projection import FeatureSpace
from hst_core.stopping import ShouldStop, check_stop

#: Images taken from disk at a time; bounds the memory beside the results.
_BLOCK = 1024


class WindowCoordinates:
    """Coordinates of the windows of every image; in memory, or mapped from a file.

    Attributes:
        values: of each window in the space of the whole pictures.
    """

    def __init__(self, values: Float16[np.ndarray, "images windows coordinates"]) -> None:
        self.values = values

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.values)

    @classmethod
    def of(
        cls,
        space: FeatureSpace,
        vectors: Float[np.ndarray, "images windows channels"],
        should_stop: ShouldStop | None = None,
    ) -> WindowCoordinates:
        """Bring window vectors into a space.

        Args:
            space: of the whole pictures.
            vectors: pooled features; read a thousand images at a time, so a memory map will do.
            should_stop: asked between blocks of images.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        shape = (*vectors.shape[:2], space.axes.shape[1])
        values = np.empty(shape, dtype=np.float16)
        for start in range(0, len(vectors), _BLOCK):
            check_stop(should_stop)
            values[start : start + _BLOCK] = _project(space, vectors[start : start + _BLOCK])
        return cls(values)

    @classmethod
    def kept_in(
        cls,
        folder: Path,
        space: FeatureSpace,
        vectors: Float[np.ndarray, "images windows channels"],
        *,
        progress: Callable[[int, int], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> WindowCoordinates:
        """Do the same in a file, and only for images that an earlier call has not had.

        The file is beside the features that it is computed from and may be deleted any time. A
        call that is stopped or killed keeps what was there before it.

        Args:
            folder: where the file is, or is made.
            space: of the whole pictures; with another one all images are computed anew.
            vectors: pooled features, in an order that only grows.
            progress: told the images done and their number.
            should_stop: asked between blocks of images.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        tell = progress or (lambda done, total: None)
        shape = (*vectors.shape[:2], space.axes.shape[1])
        path, about = folder / "window-coordinates.f16", folder / "window-coordinates.json"
        done = _images_in(path, about, space, shape)
        if done is None:
            # Someone may still read the old file, which is why this is another one.
            with replacing(path):
                pass
            done = 0
        if done < len(vectors):
            with path.open("r+b") as file:
                file.truncate(done * 2 * shape[1] * shape[2])
                file.seek(0, os.SEEK_END)
                for start in range(done, len(vectors), _BLOCK):
                    check_stop(should_stop)
                    file.write(_project(space, vectors[start : start + _BLOCK]).tobytes())
                    tell(min(start + _BLOCK, len(vectors)) - done, len(vectors) - done)
                file.flush()
                os.fsync(file.fileno())
            facts = {"space": _digest(space), "shape": list(shape)}
            with replacing(about) as file:
                file.write(json.dumps(facts).encode())
        if 0 in shape:
            return cls(np.zeros(shape, np.float16))
        return cls(np.memmap(path, np.float16, mode="r", shape=shape))

    def best_logits(
        self,
        base: LinearBase,
        whole: Float[Tensor, "rows categories"],
        fit: int = 0,
        rows: NDArray[np.intp] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Float[Tensor, "rows categories"]:
        """Return the largest logit of an image and its windows.

        Args:
            base: fitted on whole pictures in the same space.
            whole: its logits of the images.
            fit: of the base: 0 is the model, 1 + f the one without fold f.
            rows: which images; all if None.
            should_stop: asked between blocks of images.
        """
        best = torch.empty_like(whole)
        for start in range(0, len(whole), _BLOCK):
            check_stop(should_stop)
            part = slice(start, start + _BLOCK)
            found = torch.from_numpy(np.array(self.values[part if rows is None else rows[part]]))
            images, windows, size = found.shape
            logits = base.logits(found.float().reshape(images * windows, size), fit)
            largest = logits.view(images, windows, -1).amax(dim=1) if windows else whole[part]
            torch.maximum(whole[part], largest, out=best[part])
        return best


def _project(
    space: FeatureSpace, vectors: Float[np.ndarray, "images windows channels"]
) -> Float16[np.ndarray, "images windows coordinates"]:
    images, windows, channels = vectors.shape
    flat = space.apply(np.asarray(vectors).reshape(images * windows, channels))
    limit = torch.finfo(torch.float16).max
    half: NDArray[np.float16] = flat.clamp(-limit, limit).half().numpy()
    return half.reshape(images, windows, -1)


def _digest(space: FeatureSpace) -> str:
    """Identify a space by everything that coordinates depend on."""
    found = hashlib.sha256()
    for part in (space.mean, space.scale, space.axes):
        found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()


def _images_in(
    path: Path, about: Path, space: FeatureSpace, shape: tuple[int, int, int]
) -> int | None:
    """Count the images whose coordinates in this space are in the file; None if it is another."""
    try:
        facts = json.loads(about.read_text(encoding="utf-8"))
        images, windows, size = facts["shape"]
        complete = path.stat().st_size >= 2 * images * windows * size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not complete or facts.get("space") != _digest(space):
        return None
    return int(images) if (windows, size) == shape[1:] and images <= shape[0] else None
