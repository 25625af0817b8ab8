"""A request that arrives again is carried out once and answered the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import Connection

from annotator.db import store
from annotator.errors import Conflict
from annotator.types import Event


def digest_of(*parts: Any) -> str:
    """Hash of what a request asks for; parts must be JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def done_before(connection: Connection, key: str, digest: str) -> Event | None:
    """The event of a request with this key that was carried out already, None for a new one.

    Raises:
        Conflict: if the key was used for a request of another digest.
    """
    done = store.event_with_key(connection, key)
    if done is not None and done.request_digest != digest:
        raise Conflict(
            f"the key {key!r} was used for another request (make a new key for each request)"
        )
    return done
