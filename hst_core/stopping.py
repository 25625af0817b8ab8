"""How long computations are told to end early."""

from __future__ import annotations

from collections.abc import Callable

#: Asked between steps; True ends the computation.
ShouldStop = Callable[[], bool]


class Stopped(Exception):
    """Raised by a computation that was asked to stop; nothing of it is kept."""


def check_stop(should_stop: ShouldStop | None) -> None:
    """Raise :class:`Stopped` if the caller wants the computation to end."""
    if should_stop is not None and should_stop():
        raise Stopped("stopped as asked; what was there before is unchanged")
