"""What can go wrong in a way that people should read as one sentence, without a traceback."""

from collections import deque
from pathlib import Path

LAST_LINES = 20


class LocalError(Exception):
    """Something failed; the message says what, and what to do."""

    exit_code = 1


class SettingsError(LocalError):
    """A setting is wrong; the message names it."""

    exit_code = 2


class StepFailedError(LocalError):
    """A part failed; the message ends with the last lines of its log."""

    def __init__(self, what: str, log: Path, remedy: str) -> None:
        lines = "".join(f"    {line}\n" for line in last_lines(log, LAST_LINES))
        super().__init__(f"{what}. The end of {log}:\n{lines}{remedy}")


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log, none when there is no such file."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except OSError:
        return []
