"""The worker as a process: ``python -m annotator.training.worker``, or one run in the foreground.

It reads pictures, fits the model and writes scores (docs/adr/0002). Modules of this package import
`hst_core` and torch; the rest of the tool talks to them through the label database and files.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from annotator.db.engine import Database
from annotator.errors import AnnotatorError, WorkspaceError
from annotator.settings import Workspace
from annotator.training.log_lines import LogLines
from annotator.training.loop import TrainReport, Worker
from annotator.training.picture_features import Tell
from annotator.training.supervisor import EXIT_WORKSPACE_IN_USE
from hst_core.features import FeatureStoreError

_HARD_EXIT_SECONDS = 15.0


def run_once(
    workspace: Workspace,
    progress: Tell | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Train in the foreground: read all pictures, fit once, put the version in force.

    Args:
        workspace: to train.
        progress: told what is being done and the share done, 0-1.
        should_stop: asked often; what is finished by then stays.

    Raises:
        WorkspaceError: if another worker, such as that of a running server, trains the workspace.
    """
    with (
        _in_plain_words(),
        workspace.lock("worker"),
        Database.open(workspace.database_url) as database,
    ):
        return Worker(workspace, database, tell=progress, should_stop=should_stop).run_once()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a process: ``python -m annotator.training.worker WORKSPACE [--supervised]``."""
    parser = argparse.ArgumentParser(prog="python -m annotator.training.worker")
    parser.add_argument("workspace", type=Path)
    parser.add_argument(
        "--supervised", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if options.supervised:
        _obey_supervisor(stopping)
    try:
        workspace = Workspace.open(options.workspace)
        lock = workspace.lock("worker")
    except WorkspaceError as error:
        print(error, file=sys.stderr)
        return EXIT_WORKSPACE_IN_USE
    try:
        with _in_plain_words(), lock, Database.open(workspace.database_url) as database:
            log = LogLines(lambda line: print(line, flush=True))
            Worker(workspace, database, should_stop=stopping.is_set, tell=log).run()
    except AnnotatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _obey_supervisor(stopping: threading.Event) -> None:
    """End when the supervisor closes our input or dies."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held here, would abort Python's own shutdown.
        while os.read(0, 4096):
            pass
        stopping.set()
        # A long step in native code may not ask; nothing that is written can be half done.
        time.sleep(_HARD_EXIT_SECONDS)
        os._exit(1)

    # Ctrl-C in the terminal reaches both processes; the server decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Errors of the method that a person can mend become errors of the tool."""
    try:
        yield
    except FeatureStoreError as error:
        raise WorkspaceError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
