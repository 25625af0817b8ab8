"""All labels of a project at once: as one matrix, or picture by picture for writing files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection

from annotator.db import store
from annotator.types import ExportImage, Labels, Provenance

_EVENTS_AHEAD = 500


def label_matrix(connection: Connection) -> Labels:
    """All decisions as one matrix; a few seconds for ten million of them.

    Args:
        connection: of a transaction.
    """
    names = store.image_hashes(connection)
    image_ids = np.array([ident for ident, _ in names], dtype=np.int64)
    category_ids = np.array([c.id for c in store.categories(connection)], dtype=np.int64)
    states = np.zeros((len(image_ids), len(category_ids)), dtype=np.int8)
    column = np.zeros(int(category_ids.max(initial=0)) + 1, dtype=np.int64)
    column[category_ids] = np.arange(len(category_ids))
    for images, categories, values in store.decided(connection):
        states[np.searchsorted(image_ids, images), column[categories]] = values
    return Labels(
        image_ids=image_ids,
        sha256=tuple(sha for _, sha in names),
        category_ids=category_ids,
        states=states,
        event_id=store.newest_event_id(connection),
    )


class Export:
    """A consistent view of categories, pictures and known cells; see `AnnotationService.export`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._provenance: dict[int, Provenance] = {}
        self.categories = store.categories(connection)
        self.image_count = store.count_images(connection)

    def images(self) -> Iterator[ExportImage]:
        """All pictures by id with their known cells, a few thousand in memory at a time."""
        return store.iter_export(self._connection)

    def provenance(self, event_id: int) -> Provenance:
        """Who decided, when and how, from an event id of `ExportImage.event_ids`."""
        if event_id not in self._provenance:
            # Every click is an event: asking for each of them alone would take minutes.
            ahead = range(event_id, event_id + _EVENTS_AHEAD)
            self._provenance.update(store.provenance(self._connection, ahead))
        return self._provenance[event_id]
