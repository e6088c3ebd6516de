"""Where samples are written: one transaction a batch, safe to repeat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import exceptions as pg

from infrawatch_common.database import Pool
from infrawatch_common.dead_letters import letter_of, store_dead_letters
from infrawatch_common.events import Reason, Rejection, Sample
from infrawatch_common.events.batch import Batch
from infrawatch_common.hosts import NewHost, register_hosts
from infrawatch_common.kafka import Record
from infrawatch_ingest import copying
from infrawatch_ingest.metrics import IngestMetrics
from infrawatch_ingest.rows import Rows
from infrawatch_ingest.store_marks import HourMarks
from infrawatch_ingest.store_streams import Streams

SERVICE = "ingest"

# Takes the version of table hosts that this process knows, and gives the one that there is.
_BEGIN_INSERT = "SELECT begin_insert_for_known_hosts($1)"

_CREATE_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS metrics_stage (LIKE metrics) ON COMMIT DELETE ROWS"
_MERGE = "INSERT INTO metrics SELECT * FROM metrics_stage ON CONFLICT DO NOTHING"

# The database's word against one row, whatever the others are. A duplicate is none: it is already stored.
_ROW_REFUSED = (pg.DataError, pg.IntegrityConstraintViolationError)


class HostsChangedError(Exception):
    """A host may have been deleted since this process registered its hosts."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch."""

    stored: int = 0
    duplicates: int = 0
    refused: tuple[Rejection, ...] = ()

    def __add__(self, other: "Written") -> "Written":
        return Written(self.stored + other.stored, self.duplicates + other.duplicates, self.refused + other.refused)


class Store:
    """Writes batches as role ``infrawatch_ingest``. Errors of the moment are the caller's to repeat."""

    def __init__(self, pool: Pool, metrics: IngestMetrics, streams: Streams, marks: HourMarks | None = None) -> None:
        self._pool = pool
        self._metrics = metrics
        # Hosts that are surely there, for as long as the version of their table is this one.
        self._hosts: set[str] = set()
        self._hosts_version = ""
        # Whether the latest merge met rows stored before: then the next batch likely does, and its COPY would fail.
        self._repeats = False
        self._streams = streams
        self._marks = marks or HourMarks()

    async def write(self, batch: Batch[Sample, Record], rows: Rows | None = None) -> Written:
        """Store every row and keep every dead letter; a row that the database refuses becomes one too.

        ``rows`` are what it accepted, where they were packed before.
        """
        rows = rows or Rows(batch.accepted)
        async with self._pool.acquire() as connection:
            if batch.refused:
                await self._bury(connection, batch.refused)
            written = await self._insert(connection, rows) if rows else Written()
        return written + Written(refused=tuple(rejection for rejection, _ in batch.refused))

    async def _insert(self, connection: Any, rows: Rows) -> Written:
        while True:
            try:
                return await self._insert_registered(connection, rows)
            except HostsChangedError:
                continue  # as often as hosts are deleted between their registration and the insert

    async def _insert_registered(self, connection: Any, rows: Rows) -> Written:
        self._streams.add(rows.extent.streams)
        await self._register(connection, rows.extent.hosts)
        await self._marks.make_chunks(connection, rows.extent.hours)
        try:
            written = None if self._repeats else await self._copy(connection, rows)
            return written or await self._merge(connection, rows)
        except _ROW_REFUSED as error:
            return await self._split(connection, rows, error)

    async def _register(self, connection: Any, ids: Iterable[str]) -> None:
        new = sorted(host_id for host_id in ids if host_id not in self._hosts)
        if new:
            await register_hosts(connection, [NewHost(host_id) for host_id in new])
            self._hosts.update(new)

    async def _copy(self, connection: Any, rows: Rows) -> Written | None:
        """The fast way; None when a row is there already."""
        try:
            async with connection.transaction():
                await self._begin_insert(connection)
                await _copy(connection, "metrics", rows)
                marked = await self._marks.mark(connection, rows.extent.hours)
        except pg.UniqueViolationError:
            return None
        self._marks.remember(marked)
        return Written(stored=len(rows))

    async def _merge(self, connection: Any, rows: Rows) -> Written:
        """The way for batches that hold rows stored before, as after a crash; they change nothing."""
        async with connection.transaction():
            await connection.execute(_CREATE_STAGE)
            await _copy(connection, "metrics_stage", rows)
            await self._begin_insert(connection)
            status = await connection.execute(_MERGE)
            marked = await self._marks.mark(connection, rows.extent.hours)
        self._marks.remember(marked)
        stored = int(status.rpartition(" ")[2])
        self._metrics.merged_batches.inc()
        self._repeats = stored < len(rows)
        return Written(stored=stored, duplicates=len(rows) - stored)

    async def _begin_insert(self, connection: Any) -> None:
        version = await connection.fetchval(_BEGIN_INSERT, self._hosts_version)
        if version != self._hosts_version:
            self._hosts.clear()
            self._hosts_version = version
            raise HostsChangedError

    async def _split(self, connection: Any, rows: Rows, error: Exception) -> Written:
        """Halve until the refused row is alone; the others are stored."""
        if len(rows) > 1:
            self._metrics.split_batches.inc()
            first, second = rows.halves()
            return await self._insert(connection, first) + await self._insert(connection, second)
        sample, record = rows.judged[0]
        detail = f"{type(error).__name__} ({getattr(error, 'sqlstate', 'not sent')})"
        rejection = Rejection(Reason.REFUSED_BY_DATABASE, detail, sample.host_id)
        await self._bury(connection, [(rejection, record)])
        return Written(refused=(rejection,))

    async def _bury(self, connection: Any, refused: Sequence[tuple[Rejection, Record]]) -> None:
        await store_dead_letters(connection, SERVICE, [letter_of(rejection, record) for rejection, record in refused])


async def _copy(connection: Any, table: str, rows: Rows) -> None:
    await connection.copy_to_table(table, source=memoryview(rows.packed), columns=copying.COLUMNS, format="binary")
