"""What the Data page lists: categories, people, and the changes that can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from annotator.category_changes import ADDED, KIND, MergePreview, RemovalPreview, ends_words
from annotator.progress import Person, as_time
from annotator.types import Category, Event, User
from annotator.wording import counted, moment

Rows = list[list[str]]

COUNT_COLUMNS = ["Category", "Present", "Absent", "Unknown"]
PEOPLE_COLUMNS = ["Name", "Decided by hand", "With imports and contracts", "Last active"]
CHANGE_COLUMNS = ["When", "Who", "What", "Cells", "State"]

_SOME = 5
_LONGEST = 60
"""Letters of a file name that are shown."""


def counts_table(categories: Sequence[Category], images: int) -> Rows:
    """Present, absent and unknown cells of every category."""
    return [
        [c.name, f"{c.present:,}", f"{c.absent:,}", f"{images - c.present - c.absent:,}"]
        for c in categories
    ]


def people_table(users: Sequence[User], done: Mapping[int, Person], now: datetime) -> Rows:
    """Everybody, with what they did."""
    rows = []
    for user in users:
        person = done.get(user.id, Person(user.id, 0, 0, 0))
        last = moment(as_time(person.last, now), now.tzinfo) if person.last else "not yet"
        rows.append([user.name, f"{person.decided:,}", f"{person.known:,}", last])
    return rows


def changes_table(events: Sequence[Event], people: Mapping[int, str], now: datetime) -> Rows:
    """Changes of categories and imports, newest first."""
    return [
        [
            moment(event.at, now.tzinfo),
            people.get(event.user_id or 0, "no name"),
            describe(event),
            f"{event.cell_count:,}" if event.cell_count else "",
            "taken back" if event.undone_by_event_id else "holds",
        ]
        for event in events
    ]


def undoable(events: Sequence[Event]) -> list[Event]:
    """Those that can be taken back."""
    return [
        event
        for event in events
        if event.undone_by_event_id is None
        and (event.cell_count or event.kind == KIND or event.summary.get("ids"))
    ]


def describe(event: Event) -> str:
    """An event in a few words; repeats names."""
    told = event.summary
    if event.kind == "contract":
        decided = counted(event.cell_count, "cell")
        return f"Contract {told.get('contract', '')} decided {decided}"
    if event.kind == ADDED:
        return f"Added {listed([str(name) for name in told.get('names', ())])}"
    if event.kind != KIND:
        cells = f"{told.get('present', 0):,} present, {told.get('absent', 0):,} absent"
        if not event.cell_count:  # kept under an idempotency key, or by an earlier version
            cells = "nothing new"
        return (
            f"Imported {_cut(str(told['file']))}: {cells}"
            if told.get("file")
            else f"Imported {cells}"
        )
    name = f"\u201c{told.get('name', '')}\u201d"
    if event.source == "rename":
        return f"Renamed {name} to \u201c{told['new_name']}\u201d"
    if event.source == "merge":
        return f"Merged {name} into \u201c{told['into']}\u201d"
    if event.source == "move":
        return f"Moved {name} to place {told['place']:,}"
    return f"Deleted {name}"


def merge_text(preview: MergePreview) -> str:
    """What a merge would do, in words."""
    text = (
        f"{counted(preview.carried, 'cell')} to carry over; {preview.equal:,} known in both and "
        "agreeing"
    )
    if not preview.different:
        return f"{text}; none contradicting.{ends_words(preview.proposals)}"
    return (
        f"{text}; {preview.different:,} contradicting: {preview.present_absent:,} present here and "
        f"absent there, {preview.absent_present:,} the other way round."
        f"{ends_words(preview.proposals)}"
    )


def removal_text(preview: RemovalPreview) -> str:
    """What deleting would do, in words."""
    known = preview.present + preview.absent
    ends = ends_words(preview.proposals)
    if not known:
        return f"None of its cells is known.{ends} It can be taken back below."
    return (
        f"{counted(known, 'known cell')} will be unknown: {preview.present:,} present, "
        f"{preview.absent:,} absent.{ends} It can be taken back below."
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def listed(names: Sequence[str]) -> str:
    """The first few names."""
    shown = ", ".join(names[:_SOME])
    return shown if len(names) <= _SOME else f"{shown} and {len(names) - _SOME:,} more"
