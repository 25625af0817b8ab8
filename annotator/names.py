"""Names that people give: what is allowed, and which look alike."""

from __future__ import annotations

import unicodedata

from annotator.errors import InvalidInput

NAME_LENGTH = 200
"""Most characters a category or user name may have."""

# They would reorder or break the text around a name, in lists and in files alike.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORBIDDEN_KINDS = ("Cc", "Cs", "Zl", "Zp")


def clean_name(name: str, what: str) -> str:
    """Strip spaces and invisible letters around a name and check it.

    Any script and emoji are fine, markup is just text.

    Args:
        name: as typed or read from a file.
        what: ``category`` or ``user``, for the message.

    Raises:
        InvalidInput: if it is empty, too long, or has control characters or line breaks.
    """
    if not isinstance(name, str):
        raise InvalidInput(f"a {what} name must be text, got {name!r}")
    name = _visible(name)
    if not name:
        raise InvalidInput(f"a {what} name must not be empty (type at least one letter)")
    if len(name) > NAME_LENGTH:
        raise InvalidInput(
            f"a {what} name may have {NAME_LENGTH} characters, got {len(name):,} "
            f"beginning with {name[:30]!r} (shorten it)"
        )
    for letter in name:
        if unicodedata.category(letter) in _FORBIDDEN_KINDS or letter in _DIRECTION_MARKS:
            raise InvalidInput(
                f"the {what} name {name!r} contains the control character U+{ord(letter):04X} "
                "(remove it)"
            )
    return name


def _visible(name: str) -> str:
    """Without spaces and format letters (such as U+200B) at its ends, where nobody sees them.

    Inside a name they stay: they join emoji and the letters of some scripts.
    """
    shown = [
        place
        for place, letter in enumerate(name)
        if not letter.isspace()
        and (unicodedata.category(letter) != "Cf" or letter in _DIRECTION_MARKS)
    ]
    return name[shown[0] : shown[-1] + 1] if shown else ""


def name_key(name: str) -> str:
    """Names with equal keys differ in case or typography only."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
