"""The supervisor starts, restarts and stops a process, and says why one died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.training.supervisor import (
    EXIT_WORKSPACE_IN_USE,
    LOG_FILE,
    NICENESS,
    Backoff,
    Supervisor,
    WorkerState,
)

QUICK = Backoff(first=0.01, longest=0.05, healthy_after=60, in_use=0.01)
PATIENT = Backoff(first=3600, longest=3600)
OBEDIENT = "import sys; print('ready', flush=True); sys.stdin.read(); print('asked to end')"


@contextmanager
def supervising(folder: Path, code: str, backoff: Backoff = QUICK) -> Iterator[Supervisor]:
    supervisor = Supervisor(folder, command=[sys.executable, "-c", code], backoff=backoff)
    with supervisor:
        yield supervisor


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_worker_does_not_burn_a_core_while_it_waits(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['OMP_WAIT_POLICY'], flush=True); sys.stdin.read()"
    with supervising(tmp_path, code) as supervisor:
        until(lambda: supervisor.log_tail() == [os.environ.get("OMP_WAIT_POLICY", "PASSIVE")])


@pytest.mark.skipif(not hasattr(os, "nice"), reason="needs priorities")
def test_the_worker_lets_others_go_first(tmp_path: Path) -> None:
    own = os.nice(0)
    code = f"import os, sys, time\nwhile os.nice(0) == {own} < 19: time.sleep(0.01)\n"
    code += "print(os.nice(0), flush=True); sys.stdin.read()"
    with supervising(tmp_path, code) as supervisor:
        until(lambda: supervisor.log_tail() == [str(min(own + NICENESS, 19))])


def test_stopping_asks_first(tmp_path: Path) -> None:
    with supervising(tmp_path, OBEDIENT) as supervisor:
        until(lambda: "ready" in supervisor.log_tail())
        pid = supervisor.state().pid
        assert supervisor.state().status == "running"
    assert pid is not None
    assert not alive(pid)
    assert supervisor.log_tail()[-1] == "asked to end"
    assert supervisor.state() == WorkerState("stopped")


def test_a_process_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    deaf = "import time; print('ready', flush=True); time.sleep(600)"
    supervisor = Supervisor(tmp_path, command=[sys.executable, "-c", deaf])
    supervisor.start()
    until(lambda: "ready" in supervisor.log_tail())
    pid = supervisor.state().pid
    supervisor.stop(timeout=0.05)
    assert pid is not None
    assert not alive(pid)


def test_a_killed_process_is_replaced_and_its_death_reported(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    supervisor = Supervisor(
        tmp_path,
        on_death=lambda pid, reason: told.append((pid, reason)),
        command=[sys.executable, "-c", OBEDIENT],
        backoff=QUICK,
    )
    with supervisor:
        until(lambda: supervisor.log_tail() == ["ready"])
        first = supervisor.state().pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: supervisor.log_tail() == ["ready", "ready"])
        assert supervisor.state().pid != first
    assert told == [(first, "it was ended by SIGKILL, perhaps because memory ran out")]


def test_a_crash_loop_backs_off_and_shows_the_reason(tmp_path: Path) -> None:
    with supervising(tmp_path, "raise ValueError('no such features')", PATIENT) as supervisor:
        until(lambda: supervisor.state().status == "restarting")
        state = supervisor.state()
        assert state.reason == "ValueError: no such features"
        assert 3500 < state.retry_in <= 3600
        assert "no such features" in state.sentence()
        supervisor.retry_now()
        until(lambda: supervisor.state().deaths == 2)
        assert "2 times in a row" in supervisor.state().sentence()


def test_pauses_double_up_to_the_longest() -> None:
    assert [Backoff().delay(n) for n in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


def test_a_worker_that_ended_in_order_is_not_replaced(tmp_path: Path) -> None:
    with supervising(tmp_path, "print('told to stop')") as supervisor:
        until(lambda: supervisor.state().status == "stopped" and bool(supervisor.log_tail()))
        assert supervisor.log_tail() == ["told to stop"]


def test_a_workspace_in_use_is_no_crash(tmp_path: Path) -> None:
    code = f"import sys; print('in use by process 7'); sys.exit({EXIT_WORKSPACE_IN_USE})"
    with supervising(tmp_path, code, Backoff(in_use=3600)) as supervisor:
        until(lambda: supervisor.state().status == "restarting")
        assert supervisor.state().deaths == 0
        assert supervisor.state().reason == "in use by process 7"


def test_a_command_that_cannot_start_is_reported(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, command=[str(tmp_path / "none")], backoff=PATIENT)
    with supervisor:
        until(lambda: supervisor.state().status == "restarting")
        assert "could not be started" in supervisor.state().reason


def test_it_can_be_started_again_after_a_stop(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, command=[sys.executable, "-c", OBEDIENT])
    for _ in range(2):
        supervisor.start()
        supervisor.start()
        until(lambda: supervisor.state().status == "running")
        supervisor.stop()
    assert supervisor.state().status == "stopped"


def test_a_large_log_keeps_its_newest_part(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text("old line\n" * 200_000)
    with supervising(tmp_path, OBEDIENT) as supervisor:
        until(lambda: supervisor.log_tail(1) == ["ready"])
    assert (tmp_path / LOG_FILE).stat().st_size < 600_000


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_the_worker_ends_with_a_killed_supervisor(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from annotator.training.supervisor import Supervisor;"
        f"s = Supervisor(Path({str(tmp_path)!r}), command=[sys.executable, '-c', {OBEDIENT!r}]);"
        "s.start(); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", program])
    log = tmp_path / LOG_FILE
    until(lambda: log.exists() and "ready" in log.read_text())
    server.kill()
    server.wait()
    until(lambda: "asked to end" in log.read_text())


def test_supervising_needs_no_torch() -> None:
    program = "import sys, annotator.training.supervisor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
