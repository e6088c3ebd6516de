"""The keeper with dummy programs: real processes, no stack."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrawatch_local import keeper
from infrawatch_local.keeper_state import KeeperState
from infrawatch_local.processes import Process, wait_gone, wait_until
from infrawatch_local.program import Program

Start = Callable[[str], "subprocess.Popen[bytes]"]
ENVIRONMENT = {"PYTHONPATH": str(Path(keeper.__file__).parents[1])}
SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    return tmp_path / "dummy.json"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "dummy.log"


@pytest.fixture
def start(log: Path, state_file: Path) -> Iterator[Start]:
    """Starts a keeper of a Python program; those that still run at the end are killed."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(text: str) -> "subprocess.Popen[bytes]":
        program = Program("dummy", (sys.executable, "-c", text), signal.SIGTERM, sandboxed=False)
        command = [sys.executable, "-m", "infrawatch_local.keeper"]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=ENVIRONMENT))
        pipe = made[-1].stdin
        assert pipe is not None
        with pipe:
            pipe.write(keeper.order(program, log, state_file).encode())
        return made[-1]

    yield begin
    for child in made:
        child.kill()
        child.wait()


def launched(state_file: Path, *, other_than: Process | None = None) -> Process:
    """The program, once the keeper has started it."""

    def current() -> Process | None:
        state = KeeperState.load(state_file)
        return state.launched if state else None

    assert wait_until(lambda: current() not in {None, other_than}, 15)
    found = current()
    assert found is not None
    return found


def test_a_program_that_is_killed_runs_again_and_the_log_says_so(start: Start, state_file: Path, log: Path) -> None:
    start(SLEEP)
    first = launched(state_file)
    first.signal(signal.SIGKILL)
    second = launched(state_file, other_than=first)
    assert second.alive()
    assert "ended with exit code -9; starting it again in 1 s" in log.read_text()
    state = KeeperState.load(state_file)
    assert state is not None
    assert state.restarts == 1


def test_a_stop_reaches_the_program_and_leaves_no_state(start: Start, state_file: Path, log: Path) -> None:
    child = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('in good order', flush=True), sys.exit(0)))\n"
        "print('set', flush=True)\ntime.sleep(60)"
    )
    program = launched(state_file)
    assert wait_until(lambda: "set" in log.read_text(), 15)
    child.terminate()
    assert child.wait(15) == 0
    assert not program.alive()
    assert "in good order" in log.read_text()
    assert not state_file.exists()


def test_a_program_goes_with_its_keeper(start: Start, state_file: Path) -> None:
    child = start(SLEEP)
    program = launched(state_file)
    child.kill()
    assert wait_gone([program], 10)


def test_workers_that_a_dead_program_left_are_ended_before_it_starts_again(
    start: Start, state_file: Path, log: Path
) -> None:
    start(
        "import subprocess, sys, time\n"
        f"print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True)\ntime.sleep(60)"
    )
    first = launched(state_file)
    assert wait_until(lambda: log.read_text().count("\n") == 1, 15)
    worker = Process.of(int(log.read_text()))
    assert worker is not None
    first.signal(signal.SIGKILL)
    launched(state_file, other_than=first)
    assert not worker.alive()


def test_a_stop_during_the_back_off_ends_at_once(start: Start, log: Path) -> None:
    child = start("import sys; sys.exit(3)")
    assert wait_until(lambda: log.exists() and "exit code 3; starting it again in 2 s" in log.read_text(), 15)
    child.terminate()
    assert child.wait(2) == 0
