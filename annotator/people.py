"""People of a project and their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from annotator.checks import require
from annotator.db import store
from annotator.db.engine import Database
from annotator.key_settings import clean_keys
from annotator.names import clean_name
from annotator.types import User


def ensure_user(database: Database, name: str, clock: Callable[[], datetime]) -> User:
    """The person of this name, added if there is none.

    Raises:
        InvalidInput: if the name is empty, too long or has control characters.
    """
    name = clean_name(name, "user")
    with database.reading() as connection:
        found = store.user_named(connection, name)
    if found is not None:
        return found
    with database.writing() as connection:
        found = store.user_named(connection, name)
        if found is None:
            found = store.user(connection, store.add_user(connection, name, clock()))
        return require(found, "user", name)


def set_settings(connection: Connection, user_id: int, settings: Mapping[str, Any]) -> User:
    """Replace the settings of a person; values must be JSON."""
    require(store.user(connection, user_id), "user", user_id)
    store.set_user_settings(connection, user_id, settings)
    return require(store.user(connection, user_id), "user", user_id)


def set_keys(connection: Connection, user_id: int, keys: Mapping[str, Sequence[str]]) -> User:
    """Change the keys of a person on the labelling page; see `key_settings.clean_keys`."""
    cleaned = clean_keys(keys)
    user = require(store.user(connection, user_id), "user", user_id)
    return set_settings(connection, user_id, {**user.settings, "keys": cleaned})
