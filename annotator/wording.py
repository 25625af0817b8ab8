"""Counts and shares in words."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo


def counted(number: int, one: str, more: str = "") -> str:
    """A number and what it counts: "1 cell", "1,420 cells", "2 categories".

    Args:
        number: not negative.
        one: the word for one of them.
        more: the word for any other number, if it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def per_cent(share: float, digits: int = 1) -> str:
    """A share of 0 to 1 in per cent: "24.6 %", "2 %".

    Never 0 or 100 for what is not all or nothing: "less than 0.1 %".

    Args:
        share: 0-1.
        digits: after the point at most.
    """
    value, least = 100 * share, 10**-digits
    if 0 < value < least:
        return f"less than {least:.{digits}f} %"
    if 100 - least < value < 100:
        return f"more than {100 - least:.{digits}f} %"
    return _plain(value, digits)


def moment(at: datetime, zone: tzinfo | None = None) -> str:
    """A point in time as all pages write it: "3 Nov 2026, 16:06".

    Args:
        at: aware of its zone.
        zone: to tell it in; None: the machine's.
    """
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def at_most(share: float, digits: int = 2) -> str:
    """An upper bound in per cent, rounded up: "2 %", never less than what is meant."""
    return _plain(math.ceil(100 * share * 10**digits - _SLACK) / 10**digits, digits)


def at_least(share: float, digits: int = 2) -> str:
    """A lower bound in per cent, rounded down."""
    return _plain(math.floor(100 * share * 10**digits + _SLACK) / 10**digits, digits)


_SLACK = 1e-6
"""Of the last digit: 0.07 is 7 %, though 100 * 0.07 is a little more."""


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} %"
