"""Samples: raw, in buckets, and the latest of every host. Nothing here needs more than TimescaleDB's Apache build."""

from datetime import datetime
from uuid import UUID

import asyncpg

from infrawatch_api.contract.hosts import Bucket, LatestSample, Sample, Spread
from infrawatch_api.domain.buckets import Buckets, Range
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
_LATEST = """
SELECT hosts.id AS host_id, name, last_seen,
       sample.timestamp, sample.cpu, sample.memory, sample.disk, sample.uptime
FROM (SELECT id, name, last_seen FROM hosts
      WHERE retired IS NULL AND ($1::text IS NULL OR id > $1) ORDER BY id LIMIT $2) AS hosts
LEFT JOIN LATERAL (
    SELECT timestamp, cpu, memory, disk, uptime FROM metrics
    WHERE host_id = hosts.id ORDER BY timestamp DESC LIMIT 1) AS sample ON TRUE
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


async def bucketed(connection: Connection, host_id: str, covered: Range, buckets: Buckets) -> list[Bucket]:
    """All buckets of a range, in the order of time."""
    rows = await connection.fetch(_BUCKETS, host_id, covered.start, covered.end, buckets.width, buckets.first)
    return [_bucket(row) for row in rows]


async def latest(connection: Connection, after: str | None, limit: int) -> list[LatestSample]:
    """Hosts in service by id, from the one after ``after``, each with its latest sample."""
    return [LatestSample(*row) for row in await connection.fetch(_LATEST, after, limit)]


def _bucket(row: asyncpg.Record) -> Bucket:
    start, count, *values, uptime = row
    if count == 0:
        return Bucket(start, 0, None, None, None, None)
    return Bucket(start, count, Spread(*values[0:3]), Spread(*values[3:6]), Spread(*values[6:9]), uptime)
