"""Orders of whole queues, computed once per model version and set of pictures, kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from annotator import queues
from annotator.errors import InvalidInput
from annotator.scores import ScoreFolder

Queue = Literal["uncertain", "unlabelled", "random"]
QUEUES: tuple[str, ...] = get_args(Queue)

Ids = NDArray[np.int64]


def check_queue(name: str) -> None:
    """Refuse what is no queue.

    Raises:
        InvalidInput: naming those there are.
    """
    if name not in QUEUES:
        raise InvalidInput(f"there is no queue {name!r} (choose one of {', '.join(QUEUES)})")


@dataclass
class QueueOrder:
    """All pictures in the order of one queue, closed ones included.

    Attributes:
        stamp: what the order was computed from.
        start: user id -> place before which nothing was left for this user when last looked at.
    """

    stamp: tuple[int, int]
    image_ids: Ids
    start: dict[int, int] = field(default_factory=dict)


class QueueOrders:
    """Computes the order of a queue when it is first asked for or out of date. Thread-safe."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._orders: dict[str, QueueOrder] = {}
        self._guard = threading.Lock()

    def get(
        self,
        queue: str,
        scores: ScoreFolder | None,
        newest_image: int,
        image_ids: Callable[[], Ids],
    ) -> QueueOrder:
        """Order of a queue.

        Args:
            queue: one of `QUEUES`.
            scores: of the newest model version.
            newest_image: largest image id; another one means that there are new pictures.
            image_ids: all ids, read only when the order has to be computed.
        """
        version = scores.version if scores is not None and queue == "uncertain" else 0
        stamp = (version, newest_image)
        with self._guard:
            order = self._orders.get(queue)
            if order is None or order.stamp != stamp:
                order = QueueOrder(stamp, self._compute(queue, scores, image_ids()))
                self._orders[queue] = order
            return order

    def _compute(self, queue: str, scores: ScoreFolder | None, image_ids: Ids) -> Ids:
        # Which pictures are open changes with every click, so that is left to the database.
        nothing_known = np.zeros(len(image_ids), dtype=np.int64)
        if queue == "unlabelled":
            return queues.unlabelled(image_ids, nothing_known)
        shuffled = queues.random(image_ids, nothing_known, 1, seed=self._seed)
        if queue == "random" or scores is None:
            return shuffled
        first = queues.uncertain(
            np.asarray(scores.image_ids), scores.probability, scores.labels, seed=self._seed
        )
        # Pictures that the model has not seen, or that were complete when it looked, come last.
        return np.concatenate([first, shuffled[~np.isin(shuffled, first)]])
