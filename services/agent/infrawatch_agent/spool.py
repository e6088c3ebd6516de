"""The spool: every record is on disk before it is sent, and until the broker has acknowledged it."""

import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from infrawatch_agent.logs import fields

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- grows for ever, so that order is age
    topic  TEXT NOT NULL,
    body   BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dropped (records INTEGER NOT NULL);
INSERT INTO dropped SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM dropped);
"""

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A record that waits to be sent."""

    number: int
    topic: str
    body: bytes


class Spool:
    """A bounded queue in one SQLite file. When it is full, the oldest records go, and are counted.

    Writes raise ``sqlite3.Error`` when the disk is full or broken.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._database = _open(path)
        row = self._database.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM records").fetchone()
        self.records: int = row[0]
        self.bytes: int = row[1]
        self.dropped: int = self._database.execute("SELECT records FROM dropped").fetchone()[0]

    def append(self, topic: str, body: bytes) -> None:
        """Put a record at the end, and make room for it at the beginning."""
        with self._database:
            self._database.execute("INSERT INTO records (topic, body) VALUES (?, ?)", (topic, body))
            gone = self._oldest_beyond_bound(len(body))
            if gone:
                self._delete(number for number, _ in gone)
                self._database.execute("UPDATE dropped SET records = records + ?", (len(gone),))
        self.records += 1 - len(gone)
        self.bytes += len(body) - sum(size for _, size in gone)
        self.dropped += len(gone)

    def oldest(self, limit: int) -> list[Entry]:
        """The records that have waited longest, in order."""
        rows = self._database.execute("SELECT number, topic, body FROM records ORDER BY number LIMIT ?", (limit,))
        return [Entry(*row) for row in rows]

    def remove(self, entries: Sequence[Entry]) -> None:
        """Forget records; those that were dropped meanwhile are gone already."""
        with self._database:
            removed = self._delete(entry.number for entry in entries)
        gone = [entry for entry in entries if entry.number in removed]
        self.records -= len(gone)
        self.bytes -= sum(len(entry.body) for entry in gone)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _oldest_beyond_bound(self, added: int) -> list[tuple[int, int]]:
        excess = self.bytes + added - self._max_bytes
        gone: list[tuple[int, int]] = []
        if excess > 0:
            for number, size in self._database.execute("SELECT number, length(body) FROM records ORDER BY number"):
                gone.append((number, size))
                excess -= size
                if excess <= 0:
                    break
        return gone

    def _delete(self, numbers: Iterable[int]) -> set[int]:
        statement = "DELETE FROM records WHERE number = ?"
        return {number for number in numbers if self._database.execute(statement, (number,)).rowcount}


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # locked, full or read-only: the file itself is sound
        aside = path.with_name(f"{path.name}.broken-{int(time.time())}")
        path.replace(aside)
        _log.error("the spool is damaged and was put aside", extra=fields(kept_as=str(aside), error=str(error)))
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5.0)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # what was spooled survives a power cut
        database.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
