"""Features of the pictures of one workspace, and what is computed from them alone."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from annotator.settings import Workspace
from annotator.training.records import Picture
from hst_core.backbone import Backbone
from hst_core.features import FeatureStore, extract, feature_maps, load_backbones
from hst_core.neighbours import NeighbourGraph
from hst_core.windows import WindowCoordinates

Tell = Callable[[str, float], None]
"""Called with what is being done and the share done, 0-1."""


class PictureFeatures:
    """The features that are stored, and who is near whom.

    Args:
        workspace: of the pictures.
        device: to compute on, as torch names it.
    """

    def __init__(self, workspace: Workspace, device: str) -> None:
        self._workspace = workspace
        self._device = device
        self.set_name = workspace.settings.feature_set
        self._folder = workspace.features / self.set_name
        self.store = FeatureStore.open(self._folder, self.set_name)
        self._backbones: dict[str, Backbone] | None = None
        self._graph: NeighbourGraph | None = None

    def __len__(self) -> int:
        """Number of pictures that have features."""
        return len(self.store)

    def read(
        self,
        pictures: Sequence[Picture],
        tell: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> list[tuple[str, str]]:
        """Compute features of pictures that have none; returns (hash, reason) of the unreadable."""
        report = extract(
            self.store,
            [(p.sha256, self._workspace.image_path(p.path)) for p in pictures],
            device=self._device,
            backbones=self._networks(),
            progress=tell,
            should_stop=should_stop,
        )
        return [(image_hash, reason) for image_hash, _, reason in report.unreadable]

    def maps(
        self, picture: Picture
    ) -> dict[tuple[str, int], Float[Tensor, "channels rows columns"]]:
        """Compute the feature maps of one picture; errors as of `hst_core.features`."""
        path = self._workspace.image_path(picture.path)
        return feature_maps(self.store.feature_set, self._networks(), path, device=self._device)

    def _networks(self) -> dict[str, Backbone]:
        """The backbones, loaded when they are first needed."""
        if self._backbones is None:
            self._backbones = load_backbones(self.store.feature_set, self._device)
        return self._backbones

    def neighbours(
        self, tell: Tell, should_stop: Callable[[], bool]
    ) -> tuple[NeighbourGraph, bool]:
        """The neighbour graph of all features; kept, extended, and saved beside them.

        Returns:
            The graph, and whether its coordinates are other ones than those before.

        Raises:
            Stopped: if ``should_stop`` says so.
        """
        tell("comparing pictures", 0.0)
        vectors = self.store.matrix()  # stays on disk
        if self._graph is None:
            self._graph = _load_graph(self._folder, vectors)
        graph = self._graph
        if graph is not None and len(graph) == len(vectors):
            return graph, False

        def share(done: int, total: int) -> None:
            tell("comparing pictures", done / max(1, total))

        anew = graph is None or graph.outgrown()
        if graph is None or anew:
            graph = NeighbourGraph.build(vectors, progress=share, should_stop=should_stop)
        if len(graph) < len(vectors):
            graph.extend(vectors[len(graph) :], progress=share, should_stop=should_stop)
        graph.save(self._folder)
        self._graph = graph
        return graph, anew

    def windows(
        self, graph: NeighbourGraph, tell: Tell, should_stop: Callable[[], bool]
    ) -> WindowCoordinates | None:
        """The windows of all pictures in the graph's space; kept beside the features."""
        vectors = self.store.window_matrix()
        if vectors is None:
            return None

        def share(done: int, total: int) -> None:
            tell("comparing parts of pictures", done / max(1, total))

        return WindowCoordinates.kept_in(
            self._folder, graph.space, vectors[: len(graph)],
            progress=share, should_stop=should_stop,
        )  # fmt: skip

    def image_ids(self, images: Sequence[tuple[int, str]]) -> NDArray[np.int64]:
        """Image id of each row of the features [N]; -1 where the picture left the project.

        Args:
            images: (id, hash) of all pictures.
        """
        rows = self.store.rows([sha256 for _, sha256 in images])
        ids = np.array([image_id for image_id, _ in images], dtype=np.int64)
        image_ids = np.full(len(self.store), -1, dtype=np.int64)
        image_ids[rows[rows >= 0]] = ids[rows >= 0]
        return image_ids

    def row_digest(self, count: int) -> str:
        """Identifies what the first rows are and their order: a state is about rows, not hashes."""
        if not 0 <= count <= len(self.store):
            return ""
        described = json.dumps(self.store.feature_set.described(), sort_keys=True)
        return hashlib.sha256("".join([described, *self.store.hashes[:count]]).encode()).hexdigest()

    @property
    def note(self) -> str:
        """Something worth knowing about the features; empty if there is nothing."""
        if not self.store.outdated:
            return ""
        return (
            f"the features were read by an older version, as {self.set_name} was then (to read "
            f"all pictures anew, stop the server and remove the folder {self._folder})"
        )


def _load_graph(folder: Path, vectors: NDArray[np.float16]) -> NeighbourGraph | None:
    """The saved neighbour graph, extended to all features; None if there is none that fits."""
    try:
        return NeighbourGraph.load(folder, vectors)
    except FileNotFoundError:
        return None
    except (ValueError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
        # It can be computed anew from the features, so a damaged one is not worth stopping for.
        print(f"neighbours in {folder} are computed anew: {error}", file=sys.stderr)
        return None
