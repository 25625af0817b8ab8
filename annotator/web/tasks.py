"""Work that takes longer than an answer may: one at a time, watched by every page that is open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from annotator.errors import AnnotatorError, Conflict
from annotator.web.downloads import Download

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Outcome:
    """What a task has done.

    Attributes:
        text: for the person; may repeat names of files and categories.
        download: a file to fetch.
    """

    text: str
    download: Download | None = None


@dataclass(frozen=True)
class Task:
    """The newest task.

    Attributes:
        number: of the task, from 1; 0 before the first.
        kind: what it is for: ``import``, ``export`` or ``backup``.
        doing: in a word of ours, like "Importing".
        share: done, 0-1.
        outcome: None while it runs.
        failed: it ended with an error; ``outcome`` says which.
    """

    number: int = 0
    kind: str = ""
    doing: str = ""
    share: float = 0.0
    outcome: Outcome | None = None
    failed: bool = False

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return self.number > 0 and self.outcome is None


class Tasks:
    """Starts tasks and tells how far they are. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._task = Task()
        self._thread: threading.Thread | None = None

    def start(self, kind: str, doing: str, work: Callable[[Progress], Outcome]) -> Task:
        """Begin a task in a thread of its own.

        Args:
            kind: as in `Task`.
            doing: as in `Task`.
            work: given what to tell progress to.

        Raises:
            Conflict: if another one is running.
        """
        with self._guard:
            if self._task.running:
                raise Conflict(
                    f"{self._task.doing.lower()} is still going on (wait until it is done)"
                )
            self._task = Task(self._task.number + 1, kind, doing)
            # A daemon: what it writes is whole or not there, so the server need not wait for it.
            self._thread = threading.Thread(
                target=self._run, args=(work,), name=f"task-{kind}", daemon=True
            )
            self._thread.start()
            return self._task

    def now(self) -> Task:
        """The newest task as it is now."""
        with self._guard:
            return self._task

    def wait(self, seconds: float) -> Task:
        """The newest task when it is done, or after some seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.now()

    def _run(self, work: Callable[[Progress], Outcome]) -> None:
        failed = False
        try:
            outcome = work(self._tell)
        except AnnotatorError as error:
            outcome, failed = Outcome(str(error)), True
        except Exception as error:  # noqa: BLE001 (nobody else would ever hear of it)
            outcome, failed = Outcome(f"{type(error).__name__}: {error}"), True
        with self._guard:
            self._task = replace(self._task, share=1.0, outcome=outcome, failed=failed)

    def _tell(self, done: int, total: int) -> None:
        with self._guard:
            share = min(1.0, done / max(1, total))
            self._task = replace(self._task, share=share)
