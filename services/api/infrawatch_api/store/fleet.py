"""What is counted of a fleet: facts over arrays of numbers, and never over JSON."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from infrawatch_api.domain.fleet import Accepted, Counted
from infrawatch_api.domain.fleet_hosts import Fleet, Seen
from infrawatch_api.store.database import Database
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.ignoring import Ignore

# For statements that go through millions of numbers in one piece: compiling them would take longer than running them,
# and a plan that is made for any list of hosts is a bad one for this list.
_SETTINGS = """
SELECT set_config('jit', 'off', TRUE), set_config('work_mem', '64MB', TRUE),
       set_config('plan_cache_mode', 'force_custom_plan', TRUE)
"""
_CHOOSE = """
SELECT hosts.id, CASE WHEN $3::text IS NOT NULL THEN tags->>$3 END, tags, seen.id
FROM hosts LEFT JOIN LATERAL (
    SELECT id FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1 ORDER BY timestamp DESC, id DESC LIMIT 1
) AS seen ON TRUE
WHERE (retired IS NULL OR retired > $1) AND tags @> ALL ($2::jsonb[])
ORDER BY hosts.id COLLATE "C" LIMIT $4
"""
_IGNORES = "SELECT id, category, sources, names, selector FROM drift_ignores ORDER BY created_at, id"
# Names are looked up when all is counted: there are hundreds of times fewer facts than numbers in the arrays.
_COUNT = """
SELECT facts.id, subject, category, source, name, value, cells, counts
FROM (
    SELECT fact, array_agg(cell) AS cells, array_agg(hosts) AS counts
    FROM (SELECT cell, fact, count(*)::int AS hosts
          FROM (SELECT cell, unnest(facts) AS fact
                FROM unnest($1::uuid[], $2::int[]) AS seen (id, cell) JOIN snapshots USING (id)) AS each
          GROUP BY 1, 2) AS of_cells
    GROUP BY 1 LIMIT $3) AS counted
JOIN facts ON facts.id = fact
"""
_REPORTERS = """
SELECT source, array_agg(host)
FROM (SELECT host, facts.source
      FROM (SELECT host, unnest(facts) AS fact
            FROM unnest($1::uuid[]) WITH ORDINALITY AS seen (id, host) JOIN snapshots USING (id)) AS each
      JOIN facts ON facts.id = fact AND category = 'package' AND facts.source = ANY ($2)
      GROUP BY 1, 2) AS reported
GROUP BY 1
"""
_ACCEPTED = """
SELECT DISTINCT seen.host, baseline.subject, fact.id
FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS seen (host_id, id, host)
JOIN drift_baselines AS baseline USING (host_id)
JOIN snapshots ON snapshots.id = seen.id
LEFT JOIN facts AS fact ON fact.subject = baseline.subject AND fact.value = baseline.value
WHERE accepted_at <= $3 AND (expires_at IS NULL OR expires_at > $3) AND (ended_at IS NULL OR ended_at > $3)
  AND CASE WHEN baseline.value IS NOT NULL THEN fact.id = ANY (snapshots.facts)
           ELSE NOT EXISTS (SELECT FROM facts AS other
                            WHERE other.subject = baseline.subject AND other.id = ANY (snapshots.facts)) END
"""


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[Connection]:
    """A connection that sees one state of the database, for questions about the whole fleet."""
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_SETTINGS)
        yield connection


async def choose(
    connection: Connection, at: datetime, tags: Sequence[Mapping[str, str]], group_by: str | None, limit: int
) -> list[Seen]:
    """Hosts that were in service ``at`` that time and have all the ``tags``, by id, each with its snapshot in force."""
    filters = [json.dumps(dict(tag)) for tag in tags]
    rows = await connection.fetch(_CHOOSE, at, filters, group_by, limit)
    return [Seen(host_id, label, json.loads(of_host), seen) for host_id, label, of_host, seen in rows]


async def ignores(connection: Connection) -> list[Ignore]:
    """The rules for what nobody wants to hear of."""
    return [
        Ignore(rule, Category(category) if category else None, tuple(sources), tuple(names), json.loads(selector))
        for rule, category, sources, names, selector in await connection.fetch(_IGNORES)
    ]


async def count(connection: Connection, fleet: Fleet, limit: int) -> list[Counted]:
    """Every fact of the fleet's snapshots, at most ``limit``, with the number of hosts that have it."""
    cells = [member.cell for member in fleet.members]
    rows = await connection.fetch(_COUNT, _snapshots(fleet), cells, limit)
    return [
        Counted(fact, subject, Key(Category(category), source, name), *counted)
        for fact, subject, category, source, name, *counted in rows
    ]


async def reporters(connection: Connection, fleet: Fleet, sources: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the hosts that have a package of a source, by source."""
    rows = await connection.fetch(_REPORTERS, _snapshots(fleet), sources)
    return {source: [host - 1 for host in hosts] for source, hosts in rows}


async def accepted(connection: Connection, fleet: Fleet, at: datetime) -> list[Accepted]:
    """What hosts may have, by what was accepted and in force ``at`` that time, and do have."""
    rows = await connection.fetch(_ACCEPTED, [member.host_id for member in fleet.members], _snapshots(fleet), at)
    return [Accepted(host - 1, subject, fact) for host, subject, fact in rows]


def _snapshots(fleet: Fleet) -> list[object]:
    return [member.snapshot_id for member in fleet.members]
