"""Processes, named so that a pid which the kernel gave to somebody else is never taken for ours."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL = 0.05


@dataclass(frozen=True)
class Process:
    """A process by pid and start (in clock ticks since boot); both together never come again."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that has this pid now, if it lives."""
        facts = _facts(pid)
        return cls(pid, facts.started) if facts else None

    def alive(self) -> bool:
        """Whether this very process lives; one that only waits to be reaped does not."""
        return Process.of(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def children(self) -> list["Process"]:
        """The processes that this one started and that live."""
        return [process for process, parent in _everybody() if parent == self.pid]

    def descendants(self) -> list["Process"]:
        """Children, their children, and so on."""
        found: list[Process] = []
        family = {self.pid}
        everybody = list(_everybody())
        while new := [process for process, parent in everybody if parent in family and process.pid not in family]:
            found += new
            family |= {process.pid for process in new}
        return found


def marked(variable: str, value: str) -> list[Process]:
    """The living processes that were started with this environment variable."""
    entry = f"{variable}={value}".encode()
    return [process for process, _ in _everybody() if entry in _environment(process.pid)]


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait for a condition; whether it came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True


def wait_gone(processes: Iterable[Process], timeout: float) -> bool:
    """Wait until none of the processes lives; whether that came true in time."""
    remaining = list(processes)
    return wait_until(lambda: not any(process.alive() for process in remaining), timeout)


def end(processes: Iterable[Process], grace: float) -> None:
    """Ask processes to end, and force those that have not after ``grace`` seconds."""
    remaining = list(processes)
    for process in remaining:
        process.signal(signal.SIGTERM)
    if not wait_gone(remaining, grace):
        for process in remaining:
            process.signal(signal.SIGKILL)
        wait_gone(remaining, grace)


@dataclass(frozen=True)
class _Facts:
    parent: int
    started: int


def parse_stat(text: str) -> tuple[str, int, int]:
    """State, parent and start of a ``/proc/PID/stat``; the name in it may hold blanks and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[1]), int(fields[19])


def _facts(pid: int) -> _Facts | None:
    try:
        state, parent, started = parse_stat((_PROC / str(pid) / "stat").read_text(errors="replace"))
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else _Facts(parent, started)


def _everybody() -> Iterator[tuple[Process, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (facts := _facts(int(entry.name))):
            yield Process(int(entry.name), facts.started), facts.parent


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
