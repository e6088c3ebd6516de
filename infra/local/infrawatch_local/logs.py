"""``logs``: the ends of the programs' logs, and what is added to them."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from infrawatch_local.errors import last_lines

_POLL = 0.3


class Follower:
    """What is appended to a log, across its truncation and re-creation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def new_lines(self) -> Iterator[str]:
        """The whole lines that came since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            if self._path.stat().st_size < self._position:
                self._position = 0
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                yield line.decode(errors="replace").rstrip("\n")


def show(logs: Sequence[Path], count: int, out: TextIO, *, follow: bool) -> None:
    """Print the last lines of each log with its name in front, then new ones until interrupted."""
    width = max(len(log.stem) for log in logs)
    followers = [(log.stem.ljust(width), Follower(log)) for log in logs]
    for log in logs:
        out.writelines(f"{log.stem.ljust(width)} | {line}\n" for line in last_lines(log, count))
    out.flush()
    while follow:
        for name, follower in followers:
            out.writelines(f"{name} | {line}\n" for line in follower.new_lines())
        out.flush()
        time.sleep(_POLL)
