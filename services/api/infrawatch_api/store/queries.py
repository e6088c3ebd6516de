"""Samples of many hosts at once."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from infrawatch_api.contract.hosts import Spread
from infrawatch_api.contract.queries import HostSample, Point, Series
from infrawatch_api.domain.buckets import Buckets, Range, Sources
from infrawatch_api.domain.queries import Chosen, Ranked, hosts_by_label, starts
from infrawatch_common.database import Connection

# What the pages of raw samples are sorted by.
KEYS = (str, datetime, UUID)

_CHOOSE = """
SELECT id, CASE WHEN $4::text IS NULL THEN id ELSE tags->>$4 END FROM hosts
WHERE retired IS NULL AND ($1::text[] IS NULL OR id = ANY ($1)) AND tags @> ALL ($2::jsonb[])
ORDER BY id LIMIT $3
"""
_RAW = """
SELECT host_id, id, timestamp, cpu, memory, disk, uptime FROM metrics
WHERE host_id = ANY ($1) AND timestamp >= $2 AND timestamp < $3
ORDER BY host_id, timestamp, id LIMIT $4
"""
# What the first host still has comes from the position in it on; the others come whole.
_RAW_AFTER = """
SELECT * FROM (
    (SELECT host_id, id, timestamp, cpu, memory, disk, uptime FROM metrics
     WHERE host_id = $5 AND timestamp >= $6 AND timestamp < $3 AND (timestamp, id) > ($6, $7)
     ORDER BY timestamp, id LIMIT $4)
    UNION ALL
    (SELECT host_id, id, timestamp, cpu, memory, disk, uptime FROM metrics
     WHERE host_id = ANY ($1) AND timestamp >= $2 AND timestamp < $3
     ORDER BY host_id, timestamp, id LIMIT $4)) AS rest
ORDER BY host_id, timestamp, id LIMIT $4
"""
# In both: $1 and $2 are hosts and their groups, $3 is the number that is asked for, $8 how many groups.
_SERIES = """
WITH chosen AS (SELECT * FROM unnest($1::text[], $2::text[]) AS c (host_id, label)),
filled AS (
    SELECT label, time_bucket($6::interval, timestamp, $7::timestamptz) AS start, count(*) AS count,
           min(value) AS least, sum(value) AS total, max(value) AS greatest
    FROM (SELECT host_id, timestamp, CASE $3 WHEN 'cpu' THEN cpu WHEN 'memory' THEN memory ELSE disk END AS value
          FROM metrics WHERE host_id = ANY ($1) AND timestamp >= $4 AND timestamp < $5) AS sample
    JOIN chosen USING (host_id)
    GROUP BY 1, 2),
"""
_SERIES_BY_HOUR = """
WITH chosen AS (SELECT * FROM unnest($1::text[], $2::text[]) AS c (host_id, label)),
marked AS (
    SELECT host_id, hour FROM rollup_pending
    WHERE host_id = ANY ($1) AND hour >= $9 AND hour < $10 AND ($11::timestamptz IS NULL OR hour >= $11)),
raw AS (
    SELECT sample.* FROM marked CROSS JOIN LATERAL (
        SELECT host_id, timestamp, cpu, memory, disk FROM metrics
        WHERE host_id = marked.host_id AND timestamp >= marked.hour
          AND timestamp < marked.hour + INTERVAL '1 hour') AS sample
    UNION ALL
    SELECT host_id, timestamp, cpu, memory, disk FROM metrics
    WHERE host_id = ANY ($1) AND timestamp >= $4 AND timestamp < $9
    UNION ALL
    SELECT host_id, timestamp, cpu, memory, disk FROM metrics
    WHERE host_id = ANY ($1) AND timestamp >= $10 AND timestamp < $5),
parts AS (
    SELECT host_id, timestamp, 1 AS count, value AS least, value AS total, value AS greatest
    FROM (SELECT host_id, timestamp, CASE $3 WHEN 'cpu' THEN cpu WHEN 'memory' THEN memory ELSE disk END AS value
          FROM raw) AS sample
    UNION ALL
    SELECT host_id, hour, count, CASE $3 WHEN 'cpu' THEN cpu_min WHEN 'memory' THEN memory_min ELSE disk_min END,
           count * CASE $3 WHEN 'cpu' THEN cpu_avg WHEN 'memory' THEN memory_avg ELSE disk_avg END,
           CASE $3 WHEN 'cpu' THEN cpu_max WHEN 'memory' THEN memory_max ELSE disk_max END
    FROM metrics_hourly
    WHERE host_id = ANY ($1) AND hour >= $9 AND hour < $10
      AND NOT EXISTS (SELECT FROM marked WHERE marked.host_id = metrics_hourly.host_id
                                           AND marked.hour = metrics_hourly.hour)),
filled AS (
    SELECT label, time_bucket($6::interval, timestamp, $7::timestamptz) AS start, sum(count) AS count,
           min(least) AS least, sum(total) AS total, max(greatest) AS greatest
    FROM parts JOIN chosen USING (host_id)
    GROUP BY 1, 2),
"""
_RANKED = """
ranked AS (
    SELECT label, sum(total) / sum(count) AS mean FROM filled GROUP BY 1 ORDER BY 2 DESC, 1 NULLS LAST LIMIT $8)
SELECT filled.label, mean, start, count::bigint, least, total / count, greatest
FROM ranked JOIN filled ON filled.label IS NOT DISTINCT FROM ranked.label
ORDER BY mean DESC, filled.label NULLS LAST, start
"""


async def choose(
    connection: Connection,
    hosts: Sequence[str] | None,
    tags: Sequence[Mapping[str, str]],
    group_by: str | None,
    limit: int,
) -> list[Chosen]:
    """Hosts in service by id: those named, or all, that have all the ``tags``; each with its group."""
    filters = [json.dumps(dict(tag)) for tag in tags]
    return [Chosen(*row) for row in await connection.fetch(_CHOOSE, hosts, filters, limit, group_by)]


async def raw(
    connection: Connection,
    hosts: Sequence[str],
    covered: Range,
    after: tuple[str, datetime, UUID] | None,
    limit: int,
) -> list[HostSample]:
    """Samples by host and time, from the one after ``after``."""
    if after is None:
        rows = await connection.fetch(_RAW, hosts, covered.start, covered.end, limit)
    else:
        later = [host for host in hosts if host > after[0]]
        begun = after[0] if after[0] in hosts else None
        position = (begun, max(after[1], covered.start), after[2])
        rows = await connection.fetch(_RAW_AFTER, later, covered.start, covered.end, limit, *position)
    return [HostSample(*row) for row in rows]


async def series(
    connection: Connection,
    chosen: Sequence[Chosen],
    metric: Ranked,
    top: int,
    buckets: Buckets,
    source: Range | Sources,
    kept_from: datetime | None,
) -> list[Series]:
    """The groups with the greatest means, the greatest first, from raw samples or, given ``Sources``, by the hour."""
    who = ([one.host_id for one in chosen], [one.label for one in chosen], metric)
    shape = (buckets.width, buckets.first, top)
    if isinstance(source, Range):
        rows = await connection.fetch(_SERIES + _RANKED, *who, source.start, source.end, *shape)
    else:
        ends = (source.before.start, source.after.end)
        hours = (source.hours.start, source.hours.end, kept_from)
        rows = await connection.fetch(_SERIES_BY_HOUR + _RANKED, *who, *ends, *shape, *hours)
    means: dict[str | None, float] = {}
    values: dict[str | None, dict[datetime, Point]] = {}
    for label, mean, start, count, *spread in rows:
        means[label] = mean
        values.setdefault(label, {})[start] = Point(start, count, Spread(*spread))
    hosts = hosts_by_label(chosen)
    return [
        Series(label, hosts[label], mean, [values[label].get(at) or Point(at, 0, None) for at in starts(buckets)])
        for label, mean in means.items()
    ]
