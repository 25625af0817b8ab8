"""Which keys a person uses on the labelling page: the defaults, and what may be changed.

A person's settings hold only what differs from the defaults, so an action that is added later
comes with its own key. Where that key was given to something else in the meantime, the person's
choice stays and the new action has none.

The page has the same defaults (`static/js/focus/keys.js`), a test compares them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.errors import InvalidInput

DEFAULT_KEYS: Mapping[str, tuple[str, ...]] = {
    **{f"slot{slot}": (str(slot),) for slot in range(1, 10)},
    "restAbsent": ("Enter",),
    "next": ("Space", "ArrowRight"),
    "previous": ("ArrowLeft",),
    "undo": ("Backspace",),
    "why": ("e",),
    "attention": ("a",),
    "zoom": ("z",),
    "zoomIn": (".",),
    "zoomOut": (",",),
    "flag": ("f",),
    "type": ("/",),
    "help": ("?",),
    "up": ("ArrowUp",),
    "down": ("ArrowDown",),
    "more": ("PageDown",),
    "selectedPresent": ("=", "+"),
    "selectedAbsent": ("-",),
}
"""Keys by action, named as `KeyboardEvent.key` has them; letters small, the space bar "Space"."""

MOST_KEYS = 3
"""Keys that one action may have."""

_NAMED = frozenset(
    {"Enter", "Space", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown"}
    | {"ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"}
)


def effective_keys(settings: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Keys of every action under a person's settings."""
    own = {
        action: tuple(names)
        for action, names in dict(settings.get("keys", {})).items()
        if action in DEFAULT_KEYS
    }
    chosen = {name for names in own.values() for name in names}
    return {
        action: own.get(action, tuple(name for name in names if name not in chosen))
        for action, names in DEFAULT_KEYS.items()
    }


def clean_keys(wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Check a person's keys and keep what differs from the defaults.

    Args:
        wanted: keys by action; actions that are left out have the default ones.

    Raises:
        InvalidInput: if an action is not known, a key belongs to the browser, an action has too
            many keys or the help has none, or a key has two actions.
    """
    unknown = sorted(set(wanted) - set(DEFAULT_KEYS))
    if unknown:
        raise InvalidInput(f"there is no action {unknown[0]!r:.60} (reload the page)")
    cleaned = {
        action: list(dict.fromkeys(_clean_key(name) for name in names))
        for action, names in wanted.items()
    }
    for action, names in cleaned.items():
        if len(names) > MOST_KEYS:
            raise InvalidInput(f"{action} may have {MOST_KEYS} keys, got {len(names)}")
    keys = {**{action: list(names) for action, names in DEFAULT_KEYS.items()}, **cleaned}
    if not keys["help"]:
        raise InvalidInput("the list of keys needs a key itself (choose one)")
    used: dict[str, str] = {}
    for action, names in keys.items():
        for name in names:
            other = used.setdefault(name, action)
            if other != action:
                raise InvalidInput(
                    f"the key {name} would mean both {other} and {action} (give one another key)"
                )
    return {
        action: names for action, names in cleaned.items() if tuple(names) != DEFAULT_KEYS[action]
    }


def _clean_key(name: str) -> str:
    if name in _NAMED:
        return name
    if len(name) == 1 and name != " " and unicodedata.category(name)[0] in "LNPS":
        return name.lower() if len(name.lower()) == 1 else name
    raise InvalidInput(
        f"the key {name!r:.40} belongs to the browser or the system (choose a letter, a sign, an "
        "arrow, Enter, Space, Backspace, Delete, Home, End, Page up or Page down)"
    )
