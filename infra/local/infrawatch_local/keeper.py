"""The keeper of one program: starts it, starts it again when it dies, stops it when asked, and goes only with it.

Run as ``python3 -m infrawatch_local.keeper`` with a JSON object on standard input, by ``supervisor.py`` alone.
Signals are blocked and fetched one by one, so that none interrupts anything and none is missed.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infrawatch_local import processes
from infrawatch_local.keeper_state import KeeperState
from infrawatch_local.processes import Process
from infrawatch_local.program import MARK, Program

STOP_GRACE = 25.0
HEALTHY_AFTER = 60.0
LONGEST_BACK_OFF = 30.0
LARGEST_LOG = 20_000_000

_TICK = 1.0
_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = {*_STOP, signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1


def back_off(failures_in_a_row: int) -> float:
    """Seconds to wait before the next start: 1, 2, 4, … 30."""
    return min(LONGEST_BACK_OFF, 2.0 ** min(failures_in_a_row - 1, 10))


def order(program: Program, log: Path, state: Path) -> str:
    """What a keeper reads from its standard input."""
    return json.dumps({"program": asdict(program), "log": str(log), "state": str(state)})


class Keeper:
    """Keeps one program running until it is told to stop."""

    def __init__(self, program: Program, log: Path, state: Path) -> None:
        self._program = program
        self._log = log
        self._state = state
        self._restarts = 0
        self._stopping = False

    def run(self) -> None:
        """Work until told to stop."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        failures = 0
        while not self._told_to_stop():
            began = time.monotonic()
            exit_code = self._run_once()
            if self._told_to_stop():
                break
            failures = 1 if time.monotonic() - began >= HEALTHY_AFTER else failures + 1
            delay = back_off(failures)
            self._note(f"ended with exit code {exit_code}; starting it again in {delay:.0f} s")
            self._restarts += 1
            self._watch(lambda: False, delay)
        self._note("stopped")
        self._state.unlink(missing_ok=True)

    def _run_once(self) -> int:
        child = self._program.launch(self._log, die_with_parent())
        launched = Process.of(child.pid)
        self._save(launched)
        while not self._told_to_stop() and child.poll() is None:
            self._watch(lambda: child.poll() is not None, _TICK)
            self._truncate_log()
        if self._told_to_stop():
            self._stop(child, launched)
        # workers that a dead parent left behind would still hold its port
        processes.end(processes.marked(MARK, str(self._log)), STOP_GRACE)
        self._save(None)
        return child.wait()

    def _stop(self, child: "subprocess.Popen[bytes]", launched: Process | None) -> None:
        main = self._program.main_process(launched) if launched else None
        self._note(f"stopping it with {signal.Signals(self._program.stop_signal).name}")
        if main:
            main.signal(self._program.stop_signal)
            main.signal(signal.SIGCONT)  # a suspended program could not act on it
        else:
            child.terminate()  # bubblewrap, which has not started the program yet
        if not self._watch(lambda: child.poll() is not None, STOP_GRACE):
            self._note(f"still running after {STOP_GRACE:.0f} s; killing it")
            child.kill()

    def _watch(self, over: Callable[[], bool], timeout: float) -> bool:
        """Handle signals until ``over``, the time is up, or a stop is asked for the first time."""
        deadline = time.monotonic() + timeout
        while not over():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            received = signal.sigtimedwait(_WATCHED, min(remaining, _TICK))
            if received and received.si_signo in _STOP and not self._stopping:
                self._stopping = True
                return over()
        return True

    def _told_to_stop(self) -> bool:
        return self._stopping

    def _save(self, child: Process | None) -> None:
        me = Process.of(os.getpid())
        assert me is not None
        KeeperState(me, child, time.time(), self._restarts, self._program.fingerprint).save(self._state)

    def _note(self, text: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} keeper: {self._program.name} {text}\n")

    def _truncate_log(self) -> None:
        """Keep one old log. Truncated in place, since the program appends to the open file."""
        if self._log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(self._log, self._log.with_name(f"{self._log.name}.1"))
            os.truncate(self._log, 0)


def die_with_parent() -> Callable[[], None]:
    """What a child does before it becomes the program: have the kernel kill it when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    return prepare


def main() -> None:
    """Read the order and keep the program."""
    given: dict[str, Any] = json.load(sys.stdin)
    fields = {**given["program"], "command": tuple(given["program"]["command"])}
    Keeper(Program(**fields), Path(given["log"]), Path(given["state"])).run()


if __name__ == "__main__":
    main()
