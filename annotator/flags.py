"""Flagging a picture with a note for somebody else, and closing the flag when it is dealt with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from annotator.checks import require
from annotator.db import flags as table
from annotator.db import store
from annotator.errors import InvalidInput
from annotator.types import Flag

NOTE_LENGTH = 1_000
"""Most characters of a note."""

KIND = "flags"
"""Kind of the events that say that a flag was set or closed."""


def clean_note(note: str) -> str:
    """A note as it is kept: line breaks stay, other control characters go.

    Raises:
        InvalidInput: if it is too long.
    """
    kept = "".join(letter for letter in note if letter.isprintable() or letter in "\n\t").strip()
    if len(kept) > NOTE_LENGTH:
        raise InvalidInput(
            f"a note may have {NOTE_LENGTH:,} characters, got {len(kept):,} (shorten it)"
        )
    return kept


def set_flag(connection: Connection, user_id: int, image_id: int, note: str, at: datetime) -> Flag:
    """Flag a picture. The same note by the same person, still open, is the same flag.

    Raises:
        InvalidInput: if the note is too long.
        NotFound: if there is no such user or picture.
    """
    note = clean_note(note)
    require(store.user(connection, user_id), "user", user_id)
    require(store.image(connection, image_id), "image", image_id)
    found = table.same_open_flag(connection, image_id, user_id, note)
    if found is not None:
        return found
    flag_id = table.add_flag(connection, image_id, user_id, note, at)
    store.log_event(connection, KIND, user_id, at, {"set": flag_id, "image": image_id})
    return require(table.flag(connection, flag_id), "flag", flag_id)


def close_flag(connection: Connection, user_id: int, flag_id: int, at: datetime) -> Flag:
    """Close a flag; one that is closed already stays as it is.

    Raises:
        NotFound: if there is no such user or flag.
    """
    require(store.user(connection, user_id), "user", user_id)
    found = require(table.flag(connection, flag_id), "flag", flag_id)
    if found.closed_at is not None:
        return found
    table.close_flag(connection, flag_id, user_id, at)
    store.log_event(connection, KIND, user_id, at, {"closed": flag_id, "image": found.image_id})
    return require(table.flag(connection, flag_id), "flag", flag_id)
