"""Where samples are written: one transaction a batch, safe to repeat."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asyncpg import exceptions as pg

from infrawatch_common.database import Pool
from infrawatch_common.dead_letters import DeadLetter, store_dead_letters
from infrawatch_common.events import Reason, Rejection
from infrawatch_common.hosts import NewHost, register_hosts
from infrawatch_common.kafka import Record
from infrawatch_ingest import copying
from infrawatch_ingest.domain.batch import Batch
from infrawatch_ingest.domain.hours import Extent
from infrawatch_ingest.domain.judgement import appended
from infrawatch_ingest.metrics import IngestMetrics
from infrawatch_ingest.rows import Rows
from infrawatch_ingest.store_marks import HourMarks, Marked
from infrawatch_ingest.store_streams import Streams

SERVICE = "ingest"

# The foreign key, checked for the batch as a set; row triggers would check it once more for each row, which halves the
# speed. False when a host is missing.
_BEGIN_INSERT = "SELECT begin_insert_of_samples($1)"

_CREATE_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS metrics_stage (LIKE metrics) ON COMMIT DELETE ROWS"
_MERGE = "INSERT INTO metrics SELECT * FROM metrics_stage ON CONFLICT DO NOTHING"

# Locked in the order of ids, as every writer of hosts does: unordered ones deadlock.
_ADVANCE_LAST_SEEN = """
UPDATE hosts SET last_seen = newer.seen
FROM (SELECT hosts.id, batch.seen
      FROM unnest($1::text[], $2::timestamptz[]) AS batch (id, seen) JOIN hosts USING (id)
      WHERE hosts.last_seen IS NULL OR hosts.last_seen + $3 <= batch.seen
      ORDER BY hosts.id FOR NO KEY UPDATE OF hosts) AS newer
WHERE hosts.id = newer.id
"""

# The database's word against one row, whatever the others are. A duplicate is none: it is already stored.
_ROW_REFUSED = (pg.DataError, pg.IntegrityConstraintViolationError)


class HostsMissingError(Exception):
    """A host was purged between its registration and the insert."""


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

    def __init__(
        self,
        pool: Pool,
        metrics: IngestMetrics,
        last_seen_interval: timedelta,
        streams: Streams,
        marks: HourMarks | None = None,
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._last_seen_interval = last_seen_interval
        # What this process knows to be in table hosts: id → last_seen as it wrote it, None before it did.
        self._hosts: dict[str, datetime | None] = {}
        # Whether the latest merge met rows stored before: then the next batch likely does, and its COPY would fail.
        self._repeats = False
        self._streams = streams
        self._marks = marks or HourMarks()

    async def write(self, batch: Batch[Record], rows: Rows | None = None) -> Written:
        """Store every row and keep every dead letter; a row that the database refuses becomes one too.

        ``rows`` are the batch's samples, where they were packed before.
        """
        rows = rows or Rows(batch.samples)
        async with self._pool.acquire() as connection:
            if batch.refused:
                await self._bury(connection, batch.refused)
            written = await self._insert(connection, rows) if rows else Written()
        return written + Written(refused=tuple(rejection for rejection, _ in batch.refused))

    async def _insert(self, connection: Any, rows: Rows) -> Written:
        try:
            return await self._insert_registered(connection, rows)
        except HostsMissingError:
            for host_id in rows.extent.latest:
                self._hosts.pop(host_id, None)
            return await self._insert_registered(connection, rows)

    async def _insert_registered(self, connection: Any, rows: Rows) -> Written:
        self._streams.add(rows.extent.streams)
        await self._register(connection, rows.extent.latest)
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
            self._hosts.update(dict.fromkeys(new))

    async def _copy(self, connection: Any, rows: Rows) -> Written | None:
        """The fast way; None when a row is there already."""
        try:
            async with connection.transaction():
                await self._begin_insert(connection, rows.extent)
                await _copy(connection, "metrics", rows)
                marked = await self._end_insert(connection, rows.extent)
        except pg.UniqueViolationError:
            return None
        self._remember(rows.extent, marked)
        return Written(stored=len(rows))

    async def _merge(self, connection: Any, rows: Rows) -> Written:
        """The way for batches that hold rows stored before, as after a crash; they change nothing."""
        async with connection.transaction():
            await connection.execute(_CREATE_STAGE)
            await _copy(connection, "metrics_stage", rows)
            await self._begin_insert(connection, rows.extent)
            status = await connection.execute(_MERGE)
            marked = await self._end_insert(connection, rows.extent)
        self._remember(rows.extent, marked)
        stored = int(status.rpartition(" ")[2])
        self._metrics.merged_batches.inc()
        self._repeats = stored < len(rows)
        return Written(stored=stored, duplicates=len(rows) - stored)

    async def _begin_insert(self, connection: Any, extent: Extent) -> None:
        if not await connection.fetchval(_BEGIN_INSERT, list(extent.latest)):
            raise HostsMissingError

    async def _end_insert(self, connection: Any, extent: Extent) -> Marked | None:
        newer = {host_id: seen for host_id, seen in extent.latest.items() if self._advances(host_id, seen)}
        if newer:
            await connection.execute(_ADVANCE_LAST_SEEN, list(newer), list(newer.values()), self._last_seen_interval)
        return await self._marks.mark(connection, extent.hours)

    def _advances(self, host_id: str, seen: datetime) -> bool:
        written = self._hosts.get(host_id)
        return written is None or written + self._last_seen_interval <= seen

    def _remember(self, extent: Extent, marked: Marked | None) -> None:
        self._hosts.update({host_id: seen for host_id, seen in extent.latest.items() if self._advances(host_id, seen)})
        self._marks.remember(marked)

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
        await store_dead_letters(connection, SERVICE, [_letter(rejection, record) for rejection, record in refused])


async def _copy(connection: Any, table: str, rows: Rows) -> None:
    await connection.copy_to_table(table, source=memoryview(rows.packed), columns=copying.COLUMNS, format="binary")


def _letter(rejection: Rejection, record: Record) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=appended(record),
        key=record.key,
        value=record.value,
        headers=json.dumps({name: value.hex() for name, value in record.headers}),
        rejection=rejection,
    )
