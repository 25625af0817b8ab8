"""Starts the worker process, watches it, restarts it when it dies, and stops it.

The worker keeps torch and its memory out of the web server; nothing here imports torch. The two
share the workspace folder and its database; the only pipe between them is the worker's standard
input, which closes with this process, however it ends: that is how the worker learns of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from annotator.training.log_lines import is_log_line

LOG_FILE = "worker.log"
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of a process that computes beside others. By default torch's threads burn their core
while they wait for one another; where another process wants that core, a fit of a second takes half
a minute. Read when torch is imported."""

NICENESS = 10
"""The server goes first whenever both want a core."""

EXIT_WORKSPACE_IN_USE = 75  # sysexits' "temporary failure": another process trains this workspace
_LOG_BYTES_KEPT = 1_000_000
_REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next start.

    Attributes:
        first: seconds after the first death; doubled after every further one in a row.
        longest: seconds, the most it grows to.
        healthy_after: a worker that lived this many seconds ends the row.
        in_use: seconds until another try while another process trains the workspace.
    """

    first: float = 1.0
    longest: float = 60.0
    healthy_after: float = 60.0
    in_use: float = 5.0

    def delay(self, deaths: int) -> float:
        """Seconds to wait after ``deaths`` deaths in a row, at least one."""
        return min(self.longest, self.first * 2.0 ** min(deaths - 1, 30))


@dataclass(frozen=True)
class WorkerState:
    """What the worker process is doing, as seen from outside.

    Attributes:
        status: ``stopped`` on purpose, ``running``, or ``restarting`` after a death.
        pid: of the running process, None without one.
        reason: why the last one died, in plain words; empty if none did.
        deaths: how many died in a row.
        retry_in: seconds until the next start while ``restarting``.
    """

    status: Literal["stopped", "running", "restarting"]
    pid: int | None = None
    reason: str = ""
    deaths: int = 0
    retry_in: float = 0.0

    def sentence(self) -> str:
        """Say it in one line."""
        if self.status == "running":
            return "the trainer runs"
        if self.status == "stopped":
            return "the trainer is stopped"
        times = "" if self.deaths < 2 else f", {self.deaths} times in a row"
        return f"the trainer stopped{times}: {self.reason} (next try in {self.retry_in:.0f} s)"


class Supervisor:
    """One worker process for one workspace. Thread-safe; also a context manager.

    Args:
        workspace: its folder.
        on_death: called with (pid, reason) from the watching thread when a worker died unasked,
            so that its jobs can be marked as failed.
        command: what to run instead of the worker.
        backoff: pauses between restarts.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        on_death: Callable[[int, str], None] | None = None,
        command: Sequence[str] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        worker = [sys.executable, "-m", "annotator.training.worker", str(workspace), "--supervised"]
        self._command = list(command or worker)
        self._log_path = workspace / LOG_FILE
        self._on_death = on_death
        self._backoff = backoff or Backoff()
        self._state = WorkerState("stopped")
        self._retry_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the worker and its watch; does nothing if they run already."""
        with self._guard:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopping.clear()
            self._thread = threading.Thread(target=self._watch, name="worker-watch", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the worker to end, and end it after ``timeout`` seconds; returns when it is gone."""
        self._stopping.set()
        self._wake.set()
        with self._guard:
            process, thread = self._process, self._thread
        if process is not None:
            _end(process, timeout)
        if thread is not None:
            thread.join()
        with self._guard:
            self._thread = None

    def retry_now(self) -> None:
        """Do not wait for the next start after a death."""
        self._wake.set()

    def state(self) -> WorkerState:
        """What the worker process is doing now."""
        with self._guard:
            if self._state.status != "restarting":
                return self._state
            return replace(self._state, retry_in=max(0.0, self._retry_at - time.monotonic()))

    def log_tail(self, lines: int = 50) -> list[str]:
        """Newest lines that the worker wrote to its log."""
        return log_tail(self._log_path.parent, lines)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code, pid, output = self._run_once()
            if self._stopping.is_set():
                break
            if code == 0:
                break  # it was told to end, through the database
            reason = _reason(code, output)
            if self._on_death is not None and pid:
                self._on_death(pid, reason)
            lived = time.monotonic() - started
            if code == EXIT_WORKSPACE_IN_USE:
                deaths, delay = 0, self._backoff.in_use
            else:
                deaths = 1 if lived >= self._backoff.healthy_after else deaths + 1
                delay = self._backoff.delay(deaths)
            with self._guard:
                self._retry_at = time.monotonic() + delay
                self._state = WorkerState("restarting", reason=reason, deaths=deaths)
            self._wake.wait(delay)
            self._wake.clear()
        with self._guard:
            self._state = WorkerState("stopped")

    def _run_once(self) -> tuple[int, int, list[str]]:
        """Run the worker until it ends; its exit code, process id, and the lines it wrote."""
        self._trim_log()
        with self._log_path.open("ab") as log:
            begin = log.tell()
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=PATIENT_THREADS | os.environ,
                )
            except OSError as error:
                return 1, 0, [f"the worker could not be started: {error}"]
        _let_others_first(process.pid)
        with self._guard:
            self._process = process
            self._state = replace(self._state, status="running", pid=process.pid, retry_in=0.0)
        if self._stopping.is_set():  # stop() may have looked before there was a process
            _end(process, 0.0)
        try:
            code = process.wait()
        finally:
            with self._guard:
                self._process = None
            if process.stdin is not None:
                process.stdin.close()
        return code, process.pid, _read_tail(self._log_path, begin)

    def _trim_log(self) -> None:
        """Keep the newest part of a log that has grown large."""
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_BYTES_KEPT:
            newest = self._log_path.read_bytes()[-_LOG_BYTES_KEPT // 2 :]
            self._log_path.write_bytes(newest)


def log_tail(workspace: Path, lines: int = 50) -> list[str]:
    """Newest lines of the log of a workspace's worker, whichever process started it."""
    return _read_tail(workspace / LOG_FILE)[-lines:]


def _let_others_first(pid: int) -> None:
    """Lower the priority of a new process, before it has threads; importing torch takes seconds."""
    if hasattr(os, "setpriority"):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, pid, min(own + NICENESS, 19))


def _end(process: subprocess.Popen[bytes], timeout: float) -> None:
    """Close its input, which asks it to end between two steps; then insist."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    for insist, patience in ((None, timeout), (process.terminate, 2.0), (process.kill, None)):
        if insist is not None:
            insist()
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def _reason(code: int, output: Sequence[str]) -> str:
    """Why a process ended, for a person."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"it was ended by {name}{hint}"
    said = [line for line in output if not is_log_line(line)]
    if said:
        # The last line of a traceback is the error itself.
        return said[-1][:_REASON_CHARACTERS]
    return f"it ended with exit code {code} and said nothing"


def _read_tail(path: Path, begin: int = 0, most: int = 64_000) -> list[str]:
    """Lines at the end of a file that are not blank, from byte ``begin`` on."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - most))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]
