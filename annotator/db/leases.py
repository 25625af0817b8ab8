"""SQL of queues: who has which picture, and who is through with which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from annotator.db import schema as t
from annotator.db.statements import one_of


def release_expired(connection: Connection, now: datetime) -> None:
    """Forget leases that have run out."""
    connection.execute(_RELEASE_EXPIRED, {"now": now})


_RELEASE_EXPIRED = delete(t.lease).where(t.lease.c.expires_at <= bindparam("now"))


def own_leases(connection: Connection, user_id: int, queue: str, below: int) -> list[int]:
    """Pictures handed out to a person in a queue, in that order.

    Those with ``below`` known cells or more are closed and given back.
    """
    rows = connection.execute(_OWN_LEASES, {"user": user_id, "queue": queue}).all()
    release(connection, [ident for ident, known in rows if known >= below])
    return [ident for ident, known in rows if known < below]


_OWN_LEASES = (
    select(t.lease.c.image_id, t.image.c.known)
    .join(t.image, t.image.c.id == t.lease.c.image_id)
    .where(t.lease.c.user_id == bindparam("user"), t.lease.c.queue == bindparam("queue"))
    .order_by(t.lease.c.place)
)


def release(connection: Connection, image_ids: Sequence[int]) -> None:
    """Give pictures back to everybody."""
    if image_ids:
        connection.execute(_RELEASE, {"ids": image_ids})


_RELEASE = delete(t.lease).where(one_of(t.lease.c.image_id))


def release_own(connection: Connection, user_id: int, image_ids: Sequence[int]) -> None:
    """Give pictures back as far as they are this person's."""
    connection.execute(_RELEASE_OWN, {"ids": image_ids, "user": user_id})


_RELEASE_OWN = _RELEASE.where(t.lease.c.user_id == bindparam("user"))


def lease_images(
    connection: Connection, user_id: int, queue: str, image_ids: Sequence[int], until: datetime
) -> None:
    """Keep pictures for one person, also those that this person had already, in this order."""
    if not image_ids:
        return
    release(connection, image_ids)
    last = connection.scalar(_LAST_PLACE, {"user": user_id, "queue": queue})
    connection.execute(
        _ADD_LEASE,
        [
            {
                "image_id": ident,
                "user_id": user_id,
                "queue": queue,
                "place": int(last or 0) + i,
                "expires_at": until,
            }
            for i, ident in enumerate(image_ids, start=1)
        ],
    )


_LAST_PLACE = select(func.max(t.lease.c.place)).where(
    t.lease.c.user_id == bindparam("user"), t.lease.c.queue == bindparam("queue")
)
_ADD_LEASE = insert(t.lease)


def renew_leases(connection: Connection, user_id: int, queue: str, until: datetime) -> None:
    """Keep what a person has in a queue for longer."""
    connection.execute(_RENEW, {"user": user_id, "q": queue, "until": until})


_RENEW = (
    update(t.lease)
    .where(t.lease.c.user_id == bindparam("user"), t.lease.c.queue == bindparam("q"))
    .values(expires_at=bindparam("until"))
)


def add_visit(
    connection: Connection, user_id: int, queue: str, image_id: int, at: datetime
) -> None:
    """Note that a person is through with a picture in a queue."""
    visit = {"user_id": user_id, "queue": queue, "image_id": image_id, "at": at}
    again = connection.execute(_VISIT_AGAIN, {f"{name}_": visit[name] for name in visit})
    if not again.rowcount:
        connection.execute(_ADD_VISIT, visit)


_VISIT_AGAIN = (
    update(t.visit)
    .where(
        t.visit.c.user_id == bindparam("user_id_"),
        t.visit.c.queue == bindparam("queue_"),
        t.visit.c.image_id == bindparam("image_id_"),
    )
    .values(at=bindparam("at_"))
)
_ADD_VISIT = insert(t.visit)


def count_visits(connection: Connection, user_id: int, queue: str) -> int:
    """How many pictures of a queue a person has been through."""
    return int(connection.scalar(_COUNT_VISITS, {"user": user_id, "queue": queue}) or 0)


_COUNT_VISITS = (
    select(func.count())
    .select_from(t.visit)
    .where(t.visit.c.user_id == bindparam("user"), t.visit.c.queue == bindparam("queue"))
)
# Open pictures that are not leased by somebody else.
_FREE = (
    select(t.image.c.id)
    .outerjoin(t.lease, t.lease.c.image_id == t.image.c.id)
    .where(
        t.image.c.known < bindparam("below"),
        or_(t.lease.c.user_id.is_(None), t.lease.c.user_id == bindparam("user")),
    )
)


def eligible(
    connection: Connection, user_id: int, queue: str, image_ids: Sequence[int], below: int
) -> set[int]:
    """Those of the pictures that are open, nobody else's, and not yet seen in this queue."""
    values = {"user": user_id, "queue": queue, "ids": image_ids, "below": below}
    return set(connection.scalars(_ELIGIBLE, values))


def all_eligible(connection: Connection, user_id: int, queue: str, below: int) -> list[int]:
    """As `eligible`, of all pictures."""
    values = {"user": user_id, "queue": queue, "below": below}
    return list(connection.scalars(_ALL_ELIGIBLE, values))


_ALL_ELIGIBLE = _FREE.where(
    ~select(t.visit.c.image_id)
    .where(
        t.visit.c.user_id == bindparam("user"),
        t.visit.c.queue == bindparam("queue"),
        t.visit.c.image_id == t.image.c.id,
    )
    .exists()
)
_ELIGIBLE = _ALL_ELIGIBLE.where(one_of(t.image.c.id))


def seen_longest_ago(
    connection: Connection, user_id: int, queue: str, below: int, limit: int
) -> list[int]:
    """Open pictures that a person has been through in a queue, for the next round."""
    values = {"user": user_id, "queue": queue, "below": below, "limit": limit}
    return list(connection.scalars(_SEEN_LONGEST_AGO, values))


_SEEN_LONGEST_AGO = (
    _FREE.join(t.visit, t.visit.c.image_id == t.image.c.id)
    .where(t.visit.c.user_id == bindparam("user"), t.visit.c.queue == bindparam("queue"))
    .order_by(t.visit.c.at, t.visit.c.image_id)
    .limit(bindparam("limit"))
)
