"""Locks between runs of this program; the kernel releases them with the process, so none is ever stale."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infrawatch_local.progress import Progress


@contextmanager
def exclusive(path: Path, progress: Progress, waiting_for: str) -> Iterator[None]:
    """Hold a lock file; when another run holds it, say so and wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another run that {waiting_for}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
