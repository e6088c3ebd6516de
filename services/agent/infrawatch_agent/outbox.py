"""What waits to be sent: the spool on disk, and memory while the disk takes nothing.

Two lanes: *live* is the newest record at the time the broker was reached and all that came since; *backlog* is
everything older. Each lane is in order of age.
"""

import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from infrawatch_agent.domain.drops import Drop
from infrawatch_agent.logs import fields
from infrawatch_agent.spool import END, Entry, Spool, is_damage, put_aside

# Bodies that are read at once, so that memory stays the same however large records are.
_BYTES_AT_ONCE = 256 * 1024
_SECONDS_BETWEEN_REPORTS = 60.0
# Errors after which the open file is as good as before.
_PASSING = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_LOCKED")
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Outbox:
    """Takes every record, whatever the disk does. What it loses, it counts by reason in ``drops``."""

    def __init__(self, path: Path, max_bytes: int, memory_max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._memory_max_bytes = memory_max_bytes
        self._memory: deque[Entry] = deque()  # their numbers are negative
        self._memory_bytes = 0
        self._next_in_memory = -END
        self._on_disk_now: dict[int, int] = {}  # a record's number in memory → its number on disk
        self._unforgotten: set[int] = set()  # sent, but the disk does not let go of them
        self._live_from = 0
        self._spool: Spool | None = None
        self._reported: tuple[float, int] | None = None
        self._broken: str | None = None
        self.drops = dict.fromkeys(Drop, 0)
        self._attempt(Spool.newest, 0)

    @property
    def problem(self) -> str | None:
        """What is wrong with the disk, in words; None when nothing is."""
        if self._broken is None:
            return None
        return (
            f"the spool {self._path} cannot be used ({self._broken}); new records are sent from memory, which keeps the"
            f" newest {self._memory_max_bytes} bytes"
        )

    @property
    def records(self) -> int:
        """Records that wait, on disk and in memory."""
        return (self._spool.records if self._spool else 0) + len(self._memory)

    @property
    def size(self) -> int:
        """Bytes that wait, on disk and in memory."""
        return (self._spool.bytes if self._spool else 0) + self._memory_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes of the spool's files."""
        return self._spool.file_bytes() if self._spool else 0

    def put(self, topic: str, body: bytes) -> None:
        """Keep a record: on disk, or in memory while that cannot be written."""
        self._next_in_memory += 1
        self._memory.append(Entry(self._next_in_memory, topic, body))
        self._memory_bytes += len(body)
        if not self._spool_memory():
            self._bound_memory()
        self._report_drops()

    def begin_live(self) -> None:
        """The broker is reached (again): the newest record and all that come are live. Nothing may be in flight."""
        self._on_disk_now.clear()
        self._live_from = self._attempt(Spool.newest, 0)

    def live(self, limit: int, without: Collection[str] = ()) -> list[Entry]:
        """The oldest live records; ``without`` are topics to leave out."""
        found = self._read(self._live_from, END, limit, without)
        return found or _fitting((entry for entry in self._memory if entry.topic not in without), limit)

    def backlog(self, limit: int, without: Collection[str] = ()) -> list[Entry]:
        """The oldest records of the backlog; none while the disk does not forget what was sent."""
        return [] if self._unforgotten else self._read(0, self._live_from, limit, without)

    def done(self, entries: Sequence[Entry]) -> None:
        """Forget records that were sent."""
        numbers = {self._on_disk_now.get(entry.number, entry.number) for entry in entries}
        self._forget_in_memory(numbers)
        self._unforgotten |= {number for number in numbers if number > 0}
        self._forget_on_disk()

    def refused(self, entries: Sequence[Entry]) -> None:
        """Give up records that the broker never takes."""
        self.drops[Drop.REFUSED_BY_BROKER] += len(entries)
        self.done(entries)
        self._report_drops()

    def close(self) -> None:
        """Close the file; what memory holds goes to disk if that can be written."""
        if self._memory and not self._spool_memory():
            self.drops[Drop.SPOOL_NOT_WRITABLE] += len(self._memory)
            _log.error("unsent records are lost: the spool cannot be used", extra=fields(records=len(self._memory)))
        if self._spool:
            self._spool.close()

    def _spool_memory(self) -> bool:
        self._forget_on_disk()
        records = [(entry.topic, entry.body) for entry in self._memory]
        numbers: list[int] | None = self._attempt(lambda spool: spool.append(records), None, writes=True)
        if numbers is None:
            return False
        # Some of them may be in flight, and are forgotten by their numbers in memory.
        self._on_disk_now |= {entry.number: number for entry, number in zip(self._memory, numbers, strict=True)}
        self._memory.clear()
        self._memory_bytes = 0
        return True

    def _bound_memory(self) -> None:
        while self._memory_bytes > self._memory_max_bytes and len(self._memory) > 1:
            self._memory_bytes -= len(self._memory.popleft().body)
            self.drops[Drop.SPOOL_NOT_WRITABLE] += 1

    def _forget_in_memory(self, numbers: set[int]) -> None:
        if any(number < 0 for number in numbers):
            self._memory = deque(entry for entry in self._memory if entry.number not in numbers)
            self._memory_bytes = sum(len(entry.body) for entry in self._memory)

    def _forget_on_disk(self) -> None:
        sent = frozenset(self._unforgotten)
        if sent:
            self._unforgotten -= self._attempt(lambda spool: spool.remove(sent), frozenset(), writes=True)

    def _read(self, start: int, end: int, limit: int, without: Collection[str]) -> list[Entry]:
        if self._spool is None or limit < 1:
            return []
        sent = self._unforgotten
        return self._attempt(
            lambda spool: spool.read(start, end, limit=limit, most_bytes=_BYTES_AT_ONCE, without=without, skip=sent), []
        )

    def _attempt(self, work: Callable[[Spool], _T], otherwise: _T, *, writes: bool = False) -> _T:
        """Do something with the spool; ``otherwise`` when the disk does not let us, which ``problem`` then tells."""
        try:
            opened = self._spool is None
            spool = self._spool = self._spool or Spool(self._path, self._max_bytes)
            result = work(spool)
        except (sqlite3.Error, OSError) as error:
            self._note_failure(error)
            return otherwise
        self.drops[Drop.SPOOL_FULL] = spool.dropped
        if (writes or opened) and self._broken is not None:
            _log.warning("the spool can be used again")
            self._broken = None
        return result

    def _note_failure(self, error: sqlite3.Error | OSError) -> None:
        if self._broken is None:
            _log.error("the spool cannot be used; records are kept in memory", extra=fields(error=str(error)))
        self._broken = str(error)
        if self._spool and not getattr(error, "sqlite_errorname", "").startswith(_PASSING):
            self._spool.close()
            self._spool = None
        elif self._spool:
            self._spool.make_log_reusable()
        if is_damage(error):
            with contextlib.suppress(OSError):  # opening it anew says the same again
                put_aside(self._path)

    def _report_drops(self) -> None:
        """Tell of losses when they begin, and then once a minute."""
        at, told = self._reported or (-_SECONDS_BETWEEN_REPORTS, 0)
        now, lost = time.monotonic(), sum(self.drops.values())
        if lost > told and now - at >= _SECONDS_BETWEEN_REPORTS:
            self._reported = (now, lost)
            _log.error("records were dropped", extra=fields(**self.drops))


def _fitting(entries: Iterable[Entry], limit: int) -> list[Entry]:
    found: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.body)
        if found and (size > _BYTES_AT_ONCE or len(found) == limit):
            break
        found.append(entry)
    return found
