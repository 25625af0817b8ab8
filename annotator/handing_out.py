"""Handing pictures of the queues out to people, and what waits in each queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from annotator.checks import require
from annotator.completion import asking
from annotator.completion.asking import QUEUE as AUDIT_QUEUE
from annotator.contradictions import QUEUE as LOOK_AGAIN
from annotator.db import contracts as contract_table
from annotator.db import leases, store
from annotator.db.engine import Database
from annotator.errors import InvalidInput
from annotator.known_counts import KnownCounts, Pictures
from annotator.looking_again import LookingAgain
from annotator.queue_orders import QUEUES, Hand, QueueOrder, QueueOrders, check_queue
from annotator.types import QueueInfo, QueuePage
from annotator.view_reader import SUGGESTIONS_SHOWN, ViewReader, offer_shown

LEASE = timedelta(minutes=10)
"""How long a picture that was handed out is nobody else's; renewed with each further one."""

_MOST = 100


@dataclass(frozen=True)
class HandingOut:
    """Every queue of a project. Thread-safe.

    Attributes:
        reader: of what a picture shows.
        known: how many cells are known in how many pictures.
        orders: of the queues that hold every open picture.
        looking_again: chooses the pictures of its own queue.
        clock: gives the time, aware.
    """

    database: Database
    reader: ViewReader
    known: KnownCounts
    orders: QueueOrders
    looking_again: LookingAgain
    clock: Callable[[], datetime]

    def queues(self) -> list[QueueInfo]:
        """The queues there are, with how many pictures wait in each."""
        pictures = self.known.now()  # has a connection of its own: before one is held here
        with self.database.reading() as connection:
            categories = store.count_categories(connection)
            return [
                QueueInfo(name, kind.words, waiting, kind.blind)
                for name, kind in QUEUES.items()
                for waiting in [self._waiting(connection, name, categories, pictures)]
            ]

    def _waiting(
        self, connection: Connection, queue: str, categories: int, pictures: Pictures
    ) -> int:
        """Pictures with something to decide in a queue."""
        if queue == AUDIT_QUEUE:
            return contract_table.count_open_audits(connection)[1]
        if queue == LOOK_AGAIN:
            return self.looking_again.count(connection)
        return pictures.below(_closed_from(queue, categories))

    def next_images(self, user_id: int, queue: str, count: int, after: int | None) -> QueuePage:
        """Hand out pictures to a person; see `AnnotationService.next_images`."""
        check_queue(queue)
        if not 1 <= count <= _MOST:
            raise InvalidInput(f"count must be from 1 to {_MOST}, got {count}")
        order = self._prepared(queue)
        pictures = self.known.now()
        with self.database.writing() as connection:
            now = self.clock()
            self._passed(connection, user_id, queue, after, now)
            if queue == AUDIT_QUEUE:
                return self._blind_page(connection, user_id, count, now)
            if queue == LOOK_AGAIN:
                return self._page_again(connection, user_id, count, now)
            below = _closed_from(queue, store.count_categories(connection))
            mine = leases.own_leases(connection, user_id, queue, below)
            total = pictures.below(below)
            hand = Hand(connection, user_id, queue, below)
            new = hand.pick(order, count - len(mine), set(mine), total)
            leases.renew_leases(connection, user_id, queue, now + LEASE)
            leases.lease_images(connection, user_id, queue, new, now + LEASE)
            offer_shown(connection, self.reader.states(connection, new))
            position = leases.count_visits(connection, user_id, queue)
        # What they show takes longer than all of this, and others can decide meanwhile.
        with self.database.reading() as connection:
            states = self.reader.states(connection, [*mine, *new][:count])
        return QueuePage(states, position, total, QUEUES[queue].blind)

    def _passed(
        self, connection: Connection, user_id: int, queue: str, after: int | None, now: datetime
    ) -> None:
        """Note which picture a person is through with, and free what nobody holds any more."""
        require(store.user(connection, user_id), "user", user_id)
        leases.release_expired(connection, now)
        if after is not None:
            require(store.image(connection, after), "image", after)
            leases.add_visit(connection, user_id, queue, after, now)
            leases.release_own(connection, user_id, [after])

    def _prepared(self, queue: str) -> QueueOrder:
        """Order of a queue, and what else takes long, before anybody has to wait for it."""
        if queue == LOOK_AGAIN:
            self.looking_again.prepare()
        with self.database.reading() as connection:
            newest = store.newest_image_id(connection)
            scores = self.reader.scores(connection)
            return self.orders.get(queue, scores, newest, lambda: store.image_ids(connection))

    def _page_again(
        self, connection: Connection, user_id: int, count: int, now: datetime
    ) -> QueuePage:
        shown = self.looking_again.hand_out(connection, user_id, count, now, LEASE)
        view = self.reader.view(connection, shown)
        return QueuePage(
            images=self.looking_again.states(connection, view, shown, SUGGESTIONS_SHOWN),
            position=leases.count_visits(connection, user_id, LOOK_AGAIN),
            total=self.looking_again.count(connection),
        )

    def _blind_page(
        self, connection: Connection, user_id: int, count: int, now: datetime
    ) -> QueuePage:
        shown, total = asking.hand_out(connection, user_id, count, now, LEASE)
        view = self.reader.view(connection, shown)
        return QueuePage(
            images=asking.blind(connection, view.states(shown, 0), view.categories),
            position=leases.count_visits(connection, user_id, AUDIT_QUEUE),
            total=total,
            blind=True,
        )


def _closed_from(queue: str, categories: int) -> int:
    """Known cells from which a picture has nothing to decide in a queue."""
    return 1 if queue == "unlabelled" else categories
