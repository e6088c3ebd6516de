"""Which hosts had a package, and since when."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from infrawatch_api.store.fleet_deviations import SINCE
from infrawatch_common.database import Connection, columns

_VERSIONS = """
SELECT id, subject, source, value FROM facts
WHERE name = $1 AND category = 'package' AND ($2::text IS NULL OR source = $2)
LIMIT $3
"""
_COUNTED, _OF = "SELECT count(*) FROM (", "LIMIT $7) AS counted"
# $3 and $4: facts, and a text by which a host's facts are sorted.
_HELD = """
SELECT hosts.id AS host_id, wanted.fact, wanted.place
FROM hosts CROSS JOIN LATERAL (
    SELECT facts FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1 ORDER BY timestamp DESC, id DESC LIMIT 1
) AS seen
CROSS JOIN LATERAL (SELECT fact FROM (SELECT unnest(facts) AS fact) AS each WHERE fact = ANY ($3::int[])) AS has
JOIN unnest($3::int[], $4::text[]) AS wanted (fact, place) USING (fact)
WHERE (retired IS NULL OR retired > $1) AND tags @> ALL ($2::jsonb[])
  AND hosts.id >= $5 AND (hosts.id > $5 OR wanted.place COLLATE "C" > $6)
"""
_FROM = "FROM (SELECT * FROM ("
_IN_PLACE = """) AS held
    JOIN unnest($3::int[], $7::bytea[], $8::bytea[]) AS about (fact, subject, source) USING (fact)
    ORDER BY host_id, place COLLATE "C" LIMIT $9) AS asked
ORDER BY host_id, place COLLATE "C"
"""
_PAGE = SINCE + _FROM + _HELD + _IN_PLACE
_COUNT = _COUNTED + _HELD + _OF


class Version(NamedTuple):
    """A version of a package in a source, and the fact and the subject that it is."""

    fact: int
    subject: bytes
    source: str
    version: str


class Sought(NamedTuple):
    """A fact that is looked for, the text that sorts it, its subject, and the subject of its whole source."""

    fact: int
    place: str
    subject: bytes
    source: bytes


async def versions(connection: Connection, name: str, source: str | None, limit: int) -> list[Version]:
    """Every version of a package that was ever seen, at most ``limit``, in no particular order."""
    return [Version(*row) for row in await connection.fetch(_VERSIONS, name, source, limit)]


async def page(
    connection: Connection,
    at: datetime,
    tags: Sequence[Mapping[str, str]],
    sought: Sequence[Sought],
    after: tuple[str, str],
    limit: int,
) -> list[tuple[str, int, datetime]]:
    """Which host has which fact ``at`` that time, since when: by host and place, from the one after ``after``."""
    if not sought:
        return []
    facts, places, *about = columns(sought)
    filters = [json.dumps(dict(tag)) for tag in tags]
    rows = await connection.fetch(_PAGE, at, filters, facts, places, *after, *about, limit)
    return [(row["host_id"], row["fact"], row["since"]) for row in rows]


async def count(
    connection: Connection,
    at: datetime,
    tags: Sequence[Mapping[str, str]],
    sought: Sequence[Sought],
    after: tuple[str, str],
    limit: int,
) -> int:
    """How many of them there are, or ``limit`` if there are more."""
    if not sought:
        return 0
    facts, places, *_ = columns(sought)
    filters = [json.dumps(dict(tag)) for tag in tags]
    return int(await connection.fetchval(_COUNT, at, filters, facts, places, *after, limit))
