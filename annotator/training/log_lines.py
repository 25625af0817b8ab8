"""What the worker writes to its log: one line per step, not one per picture."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime

SAME_STEP_SECONDS = 10.0
"""Between two lines of the same step, whose numbers alone differ."""

_NUMBER = re.compile(r"\d[\d,.]*")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


class LogLines:
    """Told what the worker does; writes it down with the time.

    Args:
        write: takes a line without its end.
        clock: seconds that only grow.
        now: local time of a line.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._write, self._clock, self._now = write, clock, now
        self._step, self._at = "", -float("inf")

    def __call__(self, message: str, share: float) -> None:
        """Write a line if the step is another one, or has taken a while."""
        step = _NUMBER.sub("#", message)
        if step == self._step and self._clock() - self._at < SAME_STEP_SECONDS:
            return
        if step == self._step and share in (0.0, 1.0):
            return  # waiting or idle, and said already
        self._step, self._at = step, self._clock()
        done = f" ({share:.0%})" if 0 < share < 1 else ""
        self._write(f"{self._now():%Y-%m-%d %H:%M:%S}  {message}{done}")


def is_log_line(line: str) -> bool:
    """Whether a line of the log was written by `LogLines`; others are warnings and errors."""
    return _STAMP.match(line) is not None
