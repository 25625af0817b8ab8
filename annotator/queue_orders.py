"""Orders of whole queues, computed once per model version, and what to hand out of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from annotator import queues
from annotator.answer_values import answer_values, coverage, most_valuable
from annotator.contradictions import QUEUE as LOOK_AGAIN
from annotator.db import leases
from annotator.errors import InvalidInput
from annotator.scores import ScoreFolder


@dataclass(frozen=True)
class QueueKind:
    """What a page needs to offer a queue.

    Attributes:
        words: for the person who chooses it.
        blind: suggestions and their probabilities are not shown, nor is what is known.
        chosen: it holds pictures that something else chose, not every open one.
    """

    words: str
    blind: bool = False
    chosen: bool = False


QUEUES: Mapping[str, QueueKind] = {
    "uncertain": QueueKind("least certain first"),
    "valuable": QueueKind("most useful answers first"),
    "unlabelled": QueueKind("least labelled first"),
    "random": QueueKind("random order"),
    "audit": QueueKind("blind questions", blind=True, chosen=True),
    LOOK_AGAIN: QueueKind("look again", chosen=True),
}
"""All queues by name, in the order in which they are offered."""

_BY_SCORE = ("uncertain", "valuable")
_FEW_OPEN = 1_000

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
            Undo may open something there again; it is found when the rest is through.
    """

    stamp: tuple[int, int]
    image_ids: Ids
    start: dict[int, int] = field(default_factory=dict)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """Place in the order by image id."""
        place = np.zeros(int(self.image_ids.max(initial=0)) + 1, dtype=np.int64)
        place[self.image_ids] = np.arange(len(self.image_ids))
        return place


class QueueOrders:
    """Computes the order of a queue when it is first asked for or out of date. Thread-safe."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._orders: dict[str, QueueOrder] = {}
        # One each: an order that takes seconds must not hold up the other queues.
        self._guards = {queue: threading.Lock() for queue in QUEUES}

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
        version = scores.version if scores is not None and queue in _BY_SCORE else 0
        stamp = (version, newest_image)
        with self._guards[queue]:
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
        first = (_valuable if queue == "valuable" else _uncertain)(scores, self._seed)
        # Pictures that the model has not seen, or that were complete when it looked, come last.
        return np.concatenate([first, shuffled[~np.isin(shuffled, first)]])


def _uncertain(scores: ScoreFolder, seed: int) -> Ids:
    image_ids = np.asarray(scores.image_ids)
    return queues.uncertain(image_ids, scores.probability, scores.labels, seed=seed)


def _valuable(scores: ScoreFolder, seed: int) -> Ids:
    """By value; while every category still waits for labels, spread over all pictures."""
    image_ids = np.asarray(scores.image_ids)
    near = scores.neighbours, scores.neighbour_similarity
    if not scores.model.has_model.any():
        return coverage(image_ids, *near, seed=seed)
    value = answer_values(
        scores.probability,
        scores.labels,
        *near,
        scores.model.ist_weight * scores.model.cooccurrence,
        scores.model.prior,
    )
    return most_valuable(image_ids, value, *near, seed=seed)


@dataclass(frozen=True)
class Hand:
    """Picks pictures of a queue for a person, inside a writing transaction.

    Attributes:
        below: pictures with this many known cells or more are closed.
    """

    connection: Connection
    user_id: int
    queue: str
    below: int

    def pick(self, order: QueueOrder, wanted: int, taken: set[int], total: int) -> list[int]:
        """Up to ``wanted`` further pictures: unseen ones in order, then those seen longest ago.

        Args:
            order: of the queue.
            wanted: how many.
            taken: pictures that this person has already.
            total: number of open pictures.
        """
        if wanted <= 0:
            return []
        # Where few are open, asking which costs less than walking past all the closed ones.
        picked = self._walk(order, wanted, taken) if total > _FEW_OPEN else []
        if len(picked) < wanted:
            free = leases.all_eligible(self.connection, self.user_id, self.queue, self.below)
            # A picture that was added a moment ago is not in the order yet.
            known = [i for i in free if i < len(order.place) and i not in taken]
            picked = sorted(known, key=lambda image_id: int(order.place[image_id]))[:wanted]
        if len(picked) < wanted:
            limit = wanted + len(taken) + len(picked)
            passed = leases.seen_longest_ago(
                self.connection, self.user_id, self.queue, self.below, limit
            )
            picked += [i for i in passed if i not in taken and i not in set(picked)]
        return picked[:wanted]

    def _walk(self, order: QueueOrder, wanted: int, taken: set[int]) -> list[int]:
        picked: list[int] = []
        place, size = order.start.get(self.user_id, 0), 64
        nothing_before = True
        while len(picked) < wanted and place < len(order.image_ids):
            some = order.image_ids[place : place + size].tolist()
            free = leases.eligible(self.connection, self.user_id, self.queue, some, self.below)
            place, size = place + len(some), min(size * 4, 4096)
            nothing_before = nothing_before and not free
            if nothing_before:
                order.start[self.user_id] = place
            picked += [image_id for image_id in some if image_id in free and image_id not in taken]
        return picked[:wanted]
