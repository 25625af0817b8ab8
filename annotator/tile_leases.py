"""Who has which tiles of Sweep on screen, so that two people are never asked the same at once.

Kept in the memory of the server, which is one process per workspace (`Workspace.lock`): a lease is
worth minutes, and each page of tiles would cost dozens of rows on disk. After a restart nobody has
anything; a page that is still open then can meet another one, and the later answer to a cell wins,
as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

LEASE = timedelta(minutes=10)
"""How long tiles that were handed out are nobody else's; renewed with each further page."""


class TileLeases:
    """Leases of cells, by category. Not thread-safe."""

    def __init__(self) -> None:
        self._held: dict[int, dict[int, tuple[int, datetime]]] = {}

    def of_others(self, category_id: int, user_id: int, now: datetime) -> set[int]:
        """Pictures whose cell of this category somebody else has now."""
        held = self._held.get(category_id, {})
        for image_id in [i for i, (_, until) in held.items() if until <= now]:
            del held[image_id]
        return {image_id for image_id, (user, _) in held.items() if user != user_id}

    def take(self, category_id: int, user_id: int, image_ids: Iterable[int], now: datetime) -> None:
        """Keep cells for a person, also those that this person had already."""
        held = self._held.setdefault(category_id, {})
        mine = [image_id for image_id, (user, _) in held.items() if user == user_id]
        held.update((image_id, (user_id, now + LEASE)) for image_id in [*mine, *image_ids])

    def release(self, category_id: int, user_id: int, image_ids: Iterable[int]) -> None:
        """Give cells back, as far as they are this person's."""
        held = self._held.get(category_id, {})
        for image_id in image_ids:
            if held.get(image_id, (None, None))[0] == user_id:
                del held[image_id]
