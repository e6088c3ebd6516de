"""Progress for people: one line per step, with the seconds since the start, and signs of life from long steps."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from infrawatch_local.errors import last_lines

SIGN_OF_LIFE_EVERY = 15.0
WIDTH = 100


class Progress:
    """Prints lines such as ``[ 12 s] starting kafka``."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line."""
        seconds = int(time.monotonic() - self._start)
        self._out.write(f"[{seconds:3d} s] {text}\n")
        self._out.flush()

    @contextmanager
    def step(self, text: str, log: Path | None = None) -> Iterator[None]:
        """Say what begins; while it lasts, tell now and then that it goes on, with the last line of its log."""
        self.say(f"{text} ...")
        over = threading.Event()
        thread = threading.Thread(target=self._show_life, args=(text, log, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _show_life(self, text: str, log: Path | None, over: threading.Event) -> None:
        while not over.wait(SIGN_OF_LIFE_EVERY):
            lines = last_lines(log, 1) if log else []
            self.say(f"  still {text}{': ' + lines[0].strip()[:WIDTH] if lines else ''}")
