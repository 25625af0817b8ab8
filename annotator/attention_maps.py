"""Maps of where the model looks in a picture, kept as small files; numpy and torch are not needed.

The worker writes them, the service reads them. A map belongs to a model version; the folder keeps
the few hundred that were looked at last and can be removed at any time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hst_core.files import write_atomically

ATTENTION = "attention"
"""Kind of the job that asks for a map; its row is removed when the map is there."""

FOLDER = "attention"
MOST_KEPT = 500


@dataclass(frozen=True)
class AttentionMap:
    """Where the model looks for one category in one picture.

    Attributes:
        rows: of the grid that covers the whole upright picture.
        columns: of the grid.
        values: 0-1, row by row from the top left; 1 is what speaks most for the category.
        model_version: that looked.
        kind: ``activation``: what each place adds to the classifier's logit; ``attention``: where
            a network on feature maps looked.
    """

    rows: int
    columns: int
    values: tuple[float, ...]
    model_version: int
    kind: Literal["activation", "attention"] = "activation"


@dataclass(frozen=True)
class NoAttention:
    """Why there is no map now.

    Attributes:
        message: for the person.
        again: whether asking again in a moment can lead to a map.
    """

    message: str
    again: bool


class AttentionFolder:
    """The maps of a workspace. Several processes may use it; a file is there whole or not at all.

    Args:
        folder: made when the first map is kept.
        most: maps kept.
    """

    def __init__(self, folder: Path, most: int = MOST_KEPT) -> None:
        self.folder = folder
        self._most = most

    def get(
        self, version: int, image_id: int, category_id: int
    ) -> tuple[AttentionMap | NoAttention, float] | None:
        """What the worker answered and how many seconds ago, None if it did not yet."""
        path = self._path(version, image_id, category_id)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            age = time.time() - path.stat().st_mtime
            if "message" in found:
                return NoAttention(**found), age
            os.utime(path)  # what is looked at is kept longest
            return AttentionMap(**found | {"values": tuple(found["values"])}), age
        except (OSError, ValueError, TypeError, KeyError):
            return None  # not there, just removed, or damaged: it can be computed again

    def put(
        self, version: int, image_id: int, category_id: int, found: AttentionMap | NoAttention
    ) -> None:
        """Keep an answer, and forget those that were not looked at for longest."""
        text = json.dumps(asdict(found), separators=(",", ":"))
        write_atomically(self._path(version, image_id, category_id), text.encode())
        files = sorted(self._files(), key=_modified)
        for path in files[: max(0, len(files) - self._most)]:
            path.unlink(missing_ok=True)

    def keep_versions(self, versions: Collection[int]) -> None:
        """Remove the maps of all other model versions."""
        for path in self._files():
            if path.name.partition("-")[0] not in {str(version) for version in versions}:
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return list(self.folder.glob("[0-9]*.json"))

    def _path(self, version: int, image_id: int, category_id: int) -> Path:
        return self.folder / f"{version}-{image_id}-{category_id}.json"


def _modified(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
