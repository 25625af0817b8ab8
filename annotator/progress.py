"""How labelling went over time: pure functions of counts by minute, source and person.

A cell is counted where its label comes from now: at the source and by the person of the decision
that holds. A minute counts two things. *Net* is how many more cells a source and a person held
after it than before; summed from the beginning it is the number of known cells at any time.
*Decided* is how many cells are known by a decision made in that minute: what was taken back,
removed or decided again since then is not among them. Summed over all of time both are the same, so
whatever is counted from here agrees; of what was imported, carried over by a merge or decided under
a contract, `Activity.by_hand` says that no person decided it cell by cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 240
"""Points in time on a chart; more cannot be told apart."""

IMPORTED, MERGED, AUTOMATIC = "import", "categories", "contract"
"""Sources of what no person decided cell by cell; all other sources are a person's decisions."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Activity:
    """Counts by minute, source and person, in the order of time; n rows.

    Attributes:
        minutes: [n] minutes since 1970 in UTC, ascending.
        sources: [n] where it was done: ``focus``, ``sweep``, ``import``, …
        user_ids: [n] 0 where no person stands behind it.
        net: [n] cells held more than before.
        decided: [n] cells known now by a decision of that minute; rows of the same minute, source
            and person add up.
    """

    minutes: Ints
    sources: NDArray[np.str_]
    user_ids: Ints
    net: Ints
    decided: Ints

    @classmethod
    def of(cls, rows: Sequence[tuple[int, str, int, int, int]]) -> Activity:
        """From rows in the order of the attributes, sorted here."""
        columns = tuple(zip(*sorted(rows), strict=True)) or ((),) * 5
        kinds = (np.int64, np.str_, np.int64, np.int64, np.int64)
        return cls(*(np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)))

    @property
    def by_hand(self) -> NDArray[np.bool_]:
        """[n] whether a person decided these cells: one, a page or a selection at a time."""
        return ~np.isin(self.sources, [IMPORTED, MERGED, AUTOMATIC])

    def joined(self, later: Activity) -> Activity:
        """Both together; quick where ``later`` begins no earlier than this ends."""
        names = ("minutes", "sources", "user_ids", "net", "decided")
        columns = [np.concatenate([getattr(self, n), getattr(later, n)]) for n in names]
        if len(self) and len(later) and later.minutes[0] < self.minutes[-1]:
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
        return Activity(*columns)

    def __len__(self) -> int:
        return len(self.minutes)


@dataclass(frozen=True)
class Series:
    """Values over time, one line per key.

    Attributes:
        minutes: [t] minutes since 1970 in UTC.
        values: by source or user id, [t] each; the largest last value first.
    """

    minutes: Ints
    values: Mapping[str | int, Ints]


@dataclass(frozen=True)
class Person:
    """What one person did.

    Attributes:
        user_id: 0 for what no person stands behind.
        decided: known cells that this person decided by hand.
        known: known cells by this person's doing: with imports, merges and contracts.
        last: minutes since 1970 of the last doing.
    """

    user_id: int
    decided: int
    known: int
    last: int


By = Literal["source", "person"]


def known_over_time(activity: Activity, by: By, now: datetime | None = None) -> Series:
    """Known cells at points in time, by where or by whom they were decided.

    What is taken back or decided again is taken from where it had been counted, so that the sum is
    the number of known cells at each point. Who or what never changed that number is left out.

    Args:
        activity: all of it.
        by: what the lines are of.
        now: aware; the lines go on to the minute after it. None: they end with the last event.
    """
    if not len(activity):
        return Series(np.zeros(0, np.int64), {})
    last = int(activity.minutes[-1])
    ends = _points(int(activity.minutes[0]), last if now is None else max(last, _minute(now)) + 1)
    place = np.searchsorted(ends, activity.minutes)  # the first point not before it
    values: dict[str | int, Ints] = {}
    for key, mine in _groups(activity, by):
        steps = np.bincount(place[mine], weights=activity.net[mine], minlength=len(ends))
        if steps.any():
            values[key] = np.cumsum(steps).astype(np.int64)
    return Series(ends, _largest_first(values))


def decided_per_minute(activity: Activity, now: datetime, minutes: int, bins: int) -> Series:
    """Cells decided by hand per bin of the last while, by person.

    Args:
        activity: all of it.
        now: aware; the last bin ends with this minute.
        minutes: how far back.
        bins: how many; the minutes of a bin are ``minutes`` / ``bins``.

    Returns:
        Beginning of each bin, and cells decided in it by user id.
    """
    width = max(1, minutes // bins)
    last = _minute(now) + 1
    starts = last - width * np.arange(bins, 0, -1, dtype=np.int64)
    place = (activity.minutes - starts[0]) // width
    recent = (place >= 0) & (place < bins) & activity.by_hand & (activity.decided != 0)
    values: dict[str | int, Ints] = {}
    for key, mine in _groups(activity, "person"):
        chosen = mine & recent
        sums = np.bincount(place[chosen], weights=activity.decided[chosen], minlength=bins)
        if sums.any():
            values[key] = sums.astype(np.int64)
    return Series(starts, _largest_first(values))


def people(activity: Activity) -> dict[int, Person]:
    """What each person did, by user id."""
    found, by_hand = {}, activity.by_hand
    did = (activity.net >= 0) & (activity.decided >= 0)  # not what others took away
    for key, mine in _groups(activity, "person"):
        found[int(key)] = Person(
            int(key),
            int(activity.decided[mine & by_hand].sum()),
            int(activity.net[mine].sum()),
            int(activity.minutes[mine & did].max(initial=0)),
        )
    return found


def decided_since(activity: Activity, start: datetime) -> tuple[int, int]:
    """Known cells that people decided by hand since a time, and how many people did."""
    since = activity.by_hand & (activity.minutes >= _minute(start))
    sums = {
        key: int(activity.decided[mine & since].sum()) for key, mine in _groups(activity, "person")
    }
    some = [number for number in sums.values() if number > 0]
    return sum(some), len(some)


def day_start(now: datetime) -> datetime:
    """Midnight before ``now``, in its zone."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def as_time(minute: int, zone: datetime) -> datetime:
    """A minute of a series as a time in the zone of ``zone``."""
    return datetime.fromtimestamp(minute * 60, tz=zone.tzinfo)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _points(first: int, last: int) -> Ints:
    """Ends of equal steps that cover all minutes, the first before anything happened."""
    step = max(1, -(-(last - first + 1) // MOST_POINTS))
    return np.arange(first - 1, last + step, step, dtype=np.int64)


def _groups(activity: Activity, by: By) -> list[tuple[str | int, NDArray[np.bool_]]]:
    column = activity.sources if by == "source" else activity.user_ids
    return [(key, column == key) for key in np.unique(column).tolist()]


def _largest_first(values: Mapping[str | int, Ints]) -> dict[str | int, Ints]:
    order = sorted(values, key=lambda key: (-int(values[key].sum()), str(key)))
    return {key: values[key] for key in order}
