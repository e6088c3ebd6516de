"""The database's side of the jobs. Each part is one short transaction, and one replica at a time runs it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from infrawatch_common.database import Connection, Pool
from infrawatch_common.jobs import alone
from infrawatch_ingest.domain.hours import DAY, begin_of_day, days_of, hour_of

# A writer relies on marks that it made before its transaction began. So marks count as settled only when they are
# older than every transaction that is still open.
_SETTLED = """
SELECT least(now(), min(xact_start)) - $1::interval FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""
_DROPPED = "SELECT reached FROM maintenance WHERE task = 'metrics dropped'"
_DUE = """
SELECT hour, host_id FROM rollup_pending
WHERE hour <= $1::timestamptz - INTERVAL '1 hour' AND marked_at <= $1
ORDER BY hour, host_id LIMIT $2
"""
# First of all locks, as in every writer: a purge is waited for, and waits. The marks of a host that is gone have no
# samples and are cleared.
_HOLD_HOSTS = "LOCK TABLE hosts IN ROW SHARE MODE"
_TAKE = """
SELECT hour, host_id FROM rollup_pending JOIN unnest($1::timestamptz[], $2::text[]) AS due (hour, host_id)
    USING (hour, host_id)
WHERE marked_at <= $3
ORDER BY hour, host_id FOR UPDATE OF rollup_pending SKIP LOCKED
"""
# From the raw samples alone, so that repeating it gives the same. $3 and $4 let the planner leave out other chunks.
_ROLL_UP = """
INSERT INTO metrics_hourly
SELECT due.host_id, due.hour, hourly.*
FROM unnest($1::timestamptz[], $2::text[]) AS due (hour, host_id)
CROSS JOIN LATERAL (
    SELECT count(*), min(cpu), avg(cpu), max(cpu), min(memory), avg(memory), max(memory),
           min(disk), avg(disk), max(disk), last(uptime, timestamp)
    FROM metrics
    WHERE metrics.host_id = due.host_id AND timestamp >= due.hour AND timestamp < due.hour + INTERVAL '1 hour'
      AND timestamp >= $3 AND timestamp < $4
    HAVING count(*) > 0) AS hourly
ORDER BY due.host_id, due.hour
ON CONFLICT (host_id, hour) DO UPDATE SET
    count = excluded.count, uptime = excluded.uptime,
    cpu_min = excluded.cpu_min, cpu_avg = excluded.cpu_avg, cpu_max = excluded.cpu_max,
    memory_min = excluded.memory_min, memory_avg = excluded.memory_avg, memory_max = excluded.memory_max,
    disk_min = excluded.disk_min, disk_avg = excluded.disk_avg, disk_max = excluded.disk_max
"""
_UNMARK = """
DELETE FROM rollup_pending USING unnest($1::timestamptz[], $2::text[]) AS done (hour, host_id)
WHERE rollup_pending.hour = done.hour AND rollup_pending.host_id = done.host_id
"""
_COUNT_DUE = "SELECT count(*) FROM rollup_pending WHERE hour <= $1::timestamptz - INTERVAL '1 hour'"
_COUNT_CHUNKS = """
SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = 'public' AND hypertable_name = 'metrics'
"""


# Writers take streams in the same order; one that is being written is not old.
_DELETE_STREAMS = """
DELETE FROM host_streams USING (
    SELECT host_id, instance FROM host_streams
    WHERE (host_id, instance) IN (
        SELECT host_id, instance FROM (
            SELECT host_id, instance, last_appended_at,
                   row_number() OVER (PARTITION BY host_id ORDER BY last_appended_at DESC) AS place
            FROM host_streams) AS placed
        WHERE place > $2 OR last_appended_at < now() - $1::interval LIMIT $3)
    ORDER BY host_id, instance FOR UPDATE SKIP LOCKED) AS old
WHERE host_streams.host_id = old.host_id AND host_streams.instance = old.instance
"""

HostHour = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What one part of the rollup did: hours done, and hours that wait although they are over."""

    done: int
    waiting: int


class JobStore:
    """Runs parts of jobs as role ``infrawatch_ingest``. Errors of the moment are the caller's to repeat.

    A statement is given up after ``timeout`` seconds. Every method raises ``TakenError`` while another replica runs the
    same job.
    """

    def __init__(self, pool: Pool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout

    async def roll_up(self, delay: timedelta, most: int) -> RolledUp:
        """Compute up to ``most`` host-hours whose marks have not changed for ``delay``, all of one day."""
        async with self._alone("rollup") as connection:
            settled: datetime = await connection.fetchval(_SETTLED, delay)
            due = [tuple(row) for row in await connection.fetch(_DUE, settled, most, timeout=self._timeout)]
            if due:
                taken = await self._take(connection, _of_one_day(due), settled)
                await self._compute(connection, taken)
            else:
                taken = []
            return RolledUp(len(taken), await connection.fetchval(_COUNT_DUE, settled))

    async def _take(self, connection: Connection, due: Sequence[HostHour], settled: datetime) -> list[HostHour]:
        await connection.execute(_HOLD_HOSTS)
        hours, hosts = [hour for hour, _ in due], [host for _, host in due]
        return [tuple(row) for row in await connection.fetch(_TAKE, hours, hosts, settled, timeout=self._timeout)]

    async def _compute(self, connection: Connection, taken: Sequence[HostHour]) -> None:
        dropped = await connection.fetchval(_DROPPED)
        kept = [(hour, host) for hour, host in taken if dropped is None or hour >= dropped]
        if kept:
            day = _first_day(kept)
            kept_hours, kept_hosts = [hour for hour, _ in kept], [host for _, host in kept]
            await connection.execute(_ROLL_UP, kept_hours, kept_hosts, day, day + DAY, timeout=self._timeout)
        await connection.execute(_UNMARK, [hour for hour, _ in taken], [host for _, host in taken])

    async def create_chunks(self, days: Sequence[datetime]) -> int:
        """Make the chunks of these days; how many chunks ``metrics`` has now."""
        async with self._alone("chunks") as connection:
            await connection.execute("SELECT create_metrics_chunks($1)", days, timeout=self._timeout)
            return int(await connection.fetchval(_COUNT_CHUNKS))

    async def drop_metrics(self, older_than: timedelta) -> datetime | None:
        """Drop the oldest chunk, if all in it is old enough and rolled up; the end of what it held."""
        async with self._alone("retention") as connection:
            dropped: datetime | None = await connection.fetchval(
                "SELECT drop_metrics_chunk($1)", older_than, timeout=self._timeout
            )
            return dropped

    async def drop_hourly(self, older_than: timedelta) -> int:
        """Drop the chunks of ``metrics_hourly`` in which all is old enough; how many."""
        async with self._alone("retention") as connection:
            return int(await connection.fetchval("SELECT drop_hourly_chunks($1)", older_than, timeout=self._timeout))

    async def delete_dead_letters(self, older_than: timedelta, most: int) -> int:
        """Delete up to ``most`` dead letters that are old enough; how many."""
        async with self._alone("retention") as connection:
            query = "SELECT delete_dead_letters($1, $2)"
            return int(await connection.fetchval(query, older_than, most, timeout=self._timeout))

    async def delete_streams(self, older_than: timedelta, per_host: int, most: int) -> int:
        """Delete up to ``most`` streams that ended long ago, or of which a host has too many; how many."""
        async with self._alone("streams") as connection:
            status = await connection.execute(_DELETE_STREAMS, older_than, per_host, most, timeout=self._timeout)
            return int(status.rpartition(" ")[2])

    def _alone(self, job: str) -> AbstractAsyncContextManager[Connection]:
        return alone(self._pool, "ingest", job)


def _of_one_day(due: Sequence[HostHour]) -> list[HostHour]:
    end = _first_day(due) + DAY
    return [key for key in due if key[0] < end]


def _first_day(hours: Sequence[HostHour]) -> datetime:
    return begin_of_day(min(days_of(hour_of(hour) for hour, _ in hours)))
