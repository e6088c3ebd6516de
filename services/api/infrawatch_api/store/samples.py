"""Samples: raw, in buckets, and the latest of every host. Nothing here needs more than TimescaleDB's Apache build."""

from datetime import datetime
from uuid import UUID

import asyncpg

from infrawatch_api.contract.hosts import Bucket, LatestSample, Sample, Spread
from infrawatch_api.domain.buckets import Buckets, Range, Sources
from infrawatch_common.database import Connection

# What the pages of raw samples are sorted by.
KEYS = (datetime, UUID)

_RAW = """
SELECT id, timestamp, cpu, memory, disk, uptime FROM metrics
WHERE host_id = $1 AND timestamp >= $2 AND timestamp < $3
ORDER BY timestamp, id LIMIT $4
"""
_RAW_AFTER = """
SELECT id, timestamp, cpu, memory, disk, uptime FROM metrics
WHERE host_id = $1 AND timestamp >= $5 AND timestamp < $3 AND timestamp >= $2 AND (timestamp, id) > ($5, $6)
ORDER BY timestamp, id LIMIT $4
"""
# Every bucket has a row, those without samples too: gaps are to be seen.
_BUCKETS = """
WITH filled AS (
    SELECT time_bucket($4::interval, timestamp, $5::timestamptz) AS start, count(*) AS count,
           min(cpu) AS cpu_min, avg(cpu) AS cpu_avg, max(cpu) AS cpu_max,
           min(memory) AS memory_min, avg(memory) AS memory_avg, max(memory) AS memory_max,
           min(disk) AS disk_min, avg(disk) AS disk_avg, max(disk) AS disk_max,
           last(uptime, timestamp) AS uptime
    FROM metrics
    WHERE host_id = $1 AND timestamp >= $2 AND timestamp < $3
    GROUP BY 1)
SELECT every.start, coalesce(count, 0) AS count, cpu_min, cpu_avg, cpu_max, memory_min, memory_avg, memory_max,
       disk_min, disk_avg, disk_max, uptime
FROM generate_series($5::timestamptz, $3::timestamptz - INTERVAL '1 microsecond', $4::interval) AS every (start)
LEFT JOIN filled USING (start)
ORDER BY 1
"""
# Every hour is told truly by metrics_hourly unless it is marked; then its raw samples are read. $6 and $7 are
# where the whole hours begin and end, $8 is where raw samples begin.
_BUCKETS_BY_HOUR = """
WITH marked AS (
    SELECT hour FROM rollup_pending
    WHERE host_id = $1 AND hour >= $6 AND hour < $7 AND ($8::timestamptz IS NULL OR hour >= $8)),
raw AS (
    SELECT sample.* FROM marked CROSS JOIN LATERAL (
        SELECT timestamp, cpu, memory, disk, uptime FROM metrics
        WHERE host_id = $1 AND timestamp >= marked.hour AND timestamp < marked.hour + INTERVAL '1 hour') AS sample
    UNION ALL
    SELECT timestamp, cpu, memory, disk, uptime FROM metrics WHERE host_id = $1 AND timestamp >= $2 AND timestamp < $6
    UNION ALL
    SELECT timestamp, cpu, memory, disk, uptime FROM metrics WHERE host_id = $1 AND timestamp >= $7 AND timestamp < $3),
parts AS (
    SELECT timestamp, 1 AS count, cpu AS cpu_min, cpu AS cpu_avg, cpu AS cpu_max,
           memory AS memory_min, memory AS memory_avg, memory AS memory_max,
           disk AS disk_min, disk AS disk_avg, disk AS disk_max, uptime
    FROM raw
    UNION ALL
    SELECT hour, count, cpu_min, cpu_avg, cpu_max, memory_min, memory_avg, memory_max, disk_min, disk_avg, disk_max,
           uptime
    FROM metrics_hourly
    WHERE host_id = $1 AND hour >= $6 AND hour < $7 AND hour NOT IN (SELECT hour FROM marked)),
filled AS (
    SELECT time_bucket($4::interval, timestamp, $5::timestamptz) AS start, sum(count) AS count,
           min(cpu_min) AS cpu_min, sum(cpu_avg * count) / sum(count) AS cpu_avg, max(cpu_max) AS cpu_max,
           min(memory_min) AS memory_min, sum(memory_avg * count) / sum(count) AS memory_avg,
           max(memory_max) AS memory_max,
           min(disk_min) AS disk_min, sum(disk_avg * count) / sum(count) AS disk_avg, max(disk_max) AS disk_max,
           last(uptime, timestamp) AS uptime
    FROM parts GROUP BY 1)
SELECT every.start, coalesce(count, 0) AS count, cpu_min, cpu_avg, cpu_max, memory_min, memory_avg, memory_max,
       disk_min, disk_avg, disk_max, uptime
FROM generate_series($5::timestamptz, $3::timestamptz - INTERVAL '1 microsecond', $4::interval) AS every (start)
LEFT JOIN filled USING (start)
ORDER BY 1
"""
_RAW_FROM = "SELECT reached FROM maintenance WHERE task = 'metrics dropped'"
# A host's latest sample is at most half a minute newer than last_seen, so that older chunks need not be opened.
_LATEST = """
SELECT hosts.id AS host_id, name, last_seen,
       sample.timestamp, sample.cpu, sample.memory, sample.disk, sample.uptime
FROM (SELECT id, name, last_seen FROM hosts
      WHERE retired IS NULL AND ($1::text IS NULL OR id > $1) ORDER BY id LIMIT $2) AS hosts
LEFT JOIN LATERAL (
    SELECT timestamp, cpu, memory, disk, uptime FROM metrics
    WHERE host_id = hosts.id AND timestamp >= hosts.last_seen ORDER BY timestamp DESC LIMIT 1) AS sample ON TRUE
ORDER BY hosts.id
"""


async def raw(
    connection: Connection, host_id: str, covered: Range, after: tuple[datetime, UUID] | None, limit: int
) -> list[Sample]:
    """Samples of a host in the order of time, from the one after ``after``."""
    if after is None:
        rows = await connection.fetch(_RAW, host_id, covered.start, covered.end, limit)
    else:
        rows = await connection.fetch(_RAW_AFTER, host_id, covered.start, covered.end, limit, *after)
    return [Sample(*row) for row in rows]


async def raw_from(connection: Connection) -> datetime | None:
    """Before this time raw samples are dropped; None when none ever were."""
    reached: datetime | None = await connection.fetchval(_RAW_FROM)
    return reached


async def bucketed(connection: Connection, host_id: str, covered: Range, buckets: Buckets) -> list[Bucket]:
    """All buckets of a range from raw samples, in the order of time."""
    rows = await connection.fetch(_BUCKETS, host_id, covered.start, covered.end, buckets.width, buckets.first)
    return [_bucket(row) for row in rows]


async def bucketed_by_hour(
    connection: Connection, host_id: str, sources: Sources, buckets: Buckets, kept_from: datetime | None
) -> list[Bucket]:
    """All buckets of a range, from the rollup where it has whole hours, in the order of time."""
    rows = await connection.fetch(
        _BUCKETS_BY_HOUR,
        *(host_id, sources.before.start, sources.after.end, buckets.width, buckets.first),
        *(sources.hours.start, sources.hours.end, kept_from),
    )
    return [_bucket(row) for row in rows]


async def latest(connection: Connection, after: str | None, limit: int) -> list[LatestSample]:
    """Hosts in service by id, from the one after ``after``, each with its latest sample."""
    return [LatestSample(*row) for row in await connection.fetch(_LATEST, after, limit)]


def _bucket(row: asyncpg.Record) -> Bucket:
    start, count, *values, uptime = row
    if count == 0:
        return Bucket(start, 0, None, None, None, None)
    return Bucket(start, count, Spread(*values[0:3]), Spread(*values[3:6]), Spread(*values[6:9]), uptime)
