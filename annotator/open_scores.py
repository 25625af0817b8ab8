"""Score folders that are open in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from annotator.errors import WorkspaceError
from annotator.scores import ScoreFolder

_KEPT_OPEN = 3


class OpenScores:
    """Opens score folders once and keeps the newest few. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, ScoreFolder] = {}
        self._guard = threading.Lock()

    def newest(self, versions: Iterable[int]) -> ScoreFolder | None:
        """The first of these model versions whose folder can be read, None if there is none."""
        for version in versions:
            found = self._get(version)
            if found is not None:
                return found
        return None

    def _get(self, version: int) -> ScoreFolder | None:
        with self._guard:
            if version not in self._open:
                try:
                    self._open[version] = ScoreFolder.open(self._folder / str(version))
                except WorkspaceError:
                    # An older version serves as well; the worker writes a new one in any case.
                    return None
                for old in sorted(self._open)[:-_KEPT_OPEN]:
                    del self._open[old]
            return self._open.get(version)
