"""Every host's snapshot as of a time."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from infrawatch_api.contract.fleet import FleetHost
from infrawatch_common.database import Connection

# Every snapshot has one fact for the operating system, one for the kernel and one for each variable; the rest of its
# facts are packages.
_PAGE = """
SELECT hosts.id, name, seen.id, seen.timestamp, confirmed_at, os_info, kernel,
       cardinality(facts) - 2 - (SELECT count(*)::int FROM jsonb_object_keys(env_vars))
FROM hosts LEFT JOIN LATERAL (
    SELECT * FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1 ORDER BY timestamp DESC, id DESC LIMIT 1
) AS seen ON TRUE
WHERE (retired IS NULL OR retired > $1) AND tags @> ALL ($2::jsonb[]) AND hosts.id > $3
  AND ($4::bool IS NULL OR (seen.id IS NOT NULL) = $4)
ORDER BY hosts.id LIMIT $5
"""
_COUNT = """
SELECT count(*) FROM (
    SELECT FROM hosts
    WHERE (retired IS NULL OR retired > $1) AND tags @> ALL ($2::jsonb[]) AND id > $3
      AND ($4::bool IS NULL
           OR EXISTS (SELECT FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1) = $4)
    LIMIT $5) AS counted
"""


async def page(
    connection: Connection,
    at: datetime,
    tags: Sequence[Mapping[str, str]],
    known: bool | None,
    after: str,
    limit: int,
) -> list[FleetHost]:
    """Hosts that were in service ``at`` that time and have all the ``tags``, by id, from the one after ``after``."""
    rows = await connection.fetch(_PAGE, *_arguments(at, tags, known, after, limit))
    return [FleetHost(*row) for row in rows]


async def count(
    connection: Connection,
    at: datetime,
    tags: Sequence[Mapping[str, str]],
    known: bool | None,
    after: str,
    limit: int,
) -> int:
    """How many of them there are, or ``limit`` if there are more."""
    return int(await connection.fetchval(_COUNT, *_arguments(at, tags, known, after, limit)))


def _arguments(
    at: datetime,
    tags: Sequence[Mapping[str, str]],
    known: bool | None,
    after: str,
    limit: int,
) -> tuple[object, ...]:
    return at, [json.dumps(dict(tag)) for tag in tags], after, known, limit
