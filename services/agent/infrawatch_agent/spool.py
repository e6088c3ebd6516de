"""The spool on disk: every record is there before it is sent, and until the broker has acknowledged it."""

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from infrawatch_agent.logs import fields

# Most bytes that the write-ahead log takes: what is checkpointed at once, and the largest record.
WAL_ROOM = 3_000_000
_CHECKPOINT_PAGES = 128
_PAGE = 4096
# Free pages that are given back to the filesystem at a time.
_VACUUM_PAGES = 128

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- grows for ever, so that order is age
    topic  TEXT NOT NULL,
    body   BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dropped (records INTEGER NOT NULL);
INSERT INTO dropped SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM dropped);
"""
_SIZES = """
SELECT number, length(body) FROM records WHERE number >= ? AND number < ? AND topic NOT IN ({}) ORDER BY number LIMIT ?
"""
_BODIES = "SELECT number, topic, body FROM records WHERE number BETWEEN ? AND ? ORDER BY number"
_OLDEST = "SELECT number, length(body) FROM records ORDER BY number LIMIT 1"
# Beyond every number.
END = 2**63 - 1

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A record that waits to be sent."""

    number: int
    topic: str
    body: bytes


class Spool:
    """A bounded queue in one SQLite file. When it is full, the oldest records go, and are counted.

    ``max_bytes`` bounds what lies on the disk, the write-ahead log included. Everything raises ``sqlite3.Error`` or
    ``OSError`` when the disk is full, read-only or broken; nothing is half done then.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_pages = (max_bytes - WAL_ROOM) // _PAGE
        self._database = _open(path)
        row = self._database.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM records").fetchone()
        self.records: int = row[0]
        self.bytes: int = row[1]
        self.dropped: int = self._database.execute("SELECT records FROM dropped").fetchone()[0]

    def append(self, records: Sequence[tuple[str, bytes]]) -> list[int]:
        """Make room at the beginning and put records (topic, body) at the end, all or none; their numbers."""
        gone: list[int] = []
        numbers: list[int] = []
        with self._transaction():
            for topic, body in records:
                gone += self._make_room(_pages_of(len(topic) + len(body)))
                inserted = self._database.execute("INSERT INTO records (topic, body) VALUES (?, ?)", (topic, body))
                numbers.append(inserted.lastrowid or 0)
            if gone:
                self._database.execute("UPDATE dropped SET records = records + ?", (len(gone),))
        self.records += len(records) - len(gone)
        self.bytes += sum(len(body) for _, body in records) - sum(gone)
        self.dropped += len(gone)
        return numbers

    def newest(self) -> int:
        """The number of the latest record that waits, or 0."""
        return int(self._database.execute("SELECT coalesce(max(number), 0) FROM records").fetchone()[0])

    def read(
        self,
        start: int,
        end: int,
        *,
        limit: int,
        most_bytes: int,
        without: Collection[str] = (),
        skip: Collection[int] = (),
    ) -> list[Entry]:
        """The first records from ``start`` to before ``end``, in order, without some topics and numbers (``skip``).

        At most ``limit``, and no more than ``most_bytes`` of bodies unless the first alone is larger.
        """
        numbers = self._fitting(self._sizes(start, end, limit + len(skip), without), limit, most_bytes, skip)
        if not numbers:
            return []
        wanted = set(numbers)
        rows = self._database.execute(_BODIES, (numbers[0], numbers[-1]))
        return [Entry(*row) for row in rows if row[0] in wanted]

    def remove(self, numbers: frozenset[int]) -> frozenset[int]:
        """Forget records; those that were dropped meanwhile are gone already. The same numbers."""
        removed: list[int] = []
        with self._transaction():
            for number in numbers:
                row = self._database.execute("SELECT length(body) FROM records WHERE number = ?", (number,)).fetchone()
                if row is not None:
                    self._database.execute("DELETE FROM records WHERE number = ?", (number,))
                    removed.append(row[0])
        self.records -= len(removed)
        self.bytes -= sum(removed)
        self._shrink()
        return numbers

    def make_log_reusable(self) -> None:
        """Have the next change overwrite the write-ahead log, so that a full disk can at least forget what was sent."""
        with contextlib.suppress(sqlite3.Error):  # the disk is broken in another way, which the next change tells
            self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def file_bytes(self) -> int:
        """Bytes on the disk, the write-ahead log included."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _sizes(self, start: int, end: int, limit: int, without: Collection[str]) -> Iterable[tuple[int, int]]:
        statement = _SIZES.format(",".join("?" * len(without)))
        return self._database.execute(statement, (start, end, *without, limit))

    @staticmethod
    def _fitting(sizes: Iterable[tuple[int, int]], limit: int, most_bytes: int, skip: Collection[int]) -> list[int]:
        numbers: list[int] = []
        for number, size in sizes:
            if number in skip:
                continue
            most_bytes -= size
            if len(numbers) == limit or (numbers and most_bytes < 0):
                break
            numbers.append(number)
        return numbers

    def _make_room(self, pages: int) -> list[int]:
        """Delete the oldest records until so many pages are free; the bytes of each that went."""
        gone: list[int] = []
        while self._used_pages() + pages > self._max_pages:
            oldest = self._database.execute(_OLDEST).fetchone()
            if oldest is None:
                break
            self._database.execute("DELETE FROM records WHERE number = ?", (oldest[0],))
            gone.append(oldest[1])
        return gone

    def _used_pages(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _shrink(self) -> None:
        if self._pragma("freelist_count") > _VACUUM_PAGES:
            # The pragma gives back one page a step, and only a script is stepped to its end. A checkpoint shrinks the
            # file.
            self._database.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES}); PRAGMA wal_checkpoint(PASSIVE)")

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def _pages_of(size: int) -> int:
    """Most pages that a row of so many bytes adds: its own, and those that a split of the tree takes."""
    return 3 + size // (_PAGE - 4)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise  # locked, full or read-only: the file itself is sound
        _log.error("the spool is damaged and is put aside", extra=fields(kept_as=str(_aside(path)), error=str(error)))
        put_aside(path)
        return _connect(path)


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is no sound database."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def put_aside(path: Path) -> None:
    """Keep a damaged spool under another name, in the place of an earlier one, so that the disk does not fill up."""
    path.replace(_aside(path))
    for suffix in ("-wal", "-shm"):  # of the damaged file; a new one must not take them for its own
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.broken")


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    try:
        database.execute(f"PRAGMA page_size = {_PAGE}")
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # what was spooled survives a power cut
        database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        database.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        database.close()
        raise
    path.chmod(0o600)
    return database
