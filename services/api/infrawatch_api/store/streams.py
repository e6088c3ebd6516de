"""What is known about the runs of a host's agents."""

import json
from datetime import datetime, timedelta
from typing import Any

from infrawatch_api.domain.host_status import NumberGap, Refused, Stream
from infrawatch_common.database import Connection

# Numbers that are missing are the holes of what was received, and those that were only counted.
_STREAMS = """
SELECT instance, counted.received, counted.missing, first_at, last_at, newest_at, newest_appended_at,
       earlier_at, earlier_appended_at, last_appended_at,
       (SELECT jsonb_agg(gap || jsonb_build_object('missing', (
            SELECT coalesce(sum(upper(part) - lower(part)), 0)
            FROM unnest(int8multirange(int8range((gap->>'first')::bigint, (gap->>'last')::bigint, '[]'))
                        - s.numbers) AS part)))
        FROM jsonb_array_elements(s.gaps) AS gap) AS gaps
FROM (SELECT host_streams.*, host_streams.received AS numbers FROM host_streams WHERE host_id = $1) AS s
CROSS JOIN LATERAL (
    SELECT sum(upper(part) - lower(part))::bigint - settled_missing AS received,
           (upper(numbers) - lower(numbers) - sum(upper(part) - lower(part)))::bigint + settled_missing AS missing
    FROM unnest(numbers) AS part) AS counted
ORDER BY first_at
"""
# The first record that is new enough answers it; only when there is none is every stream looked at.
_PIPELINE = """
SELECT coalesce((SELECT last_appended_at FROM host_streams WHERE last_appended_at >= $1 LIMIT 1),
                (SELECT max(last_appended_at) FROM host_streams))
"""
_REFUSED = """
SELECT reason, count(*) AS count, max(created_at) AS latest
FROM (SELECT reason, created_at FROM dead_letters WHERE host_id = $1 AND created_at >= $2
      ORDER BY created_at DESC LIMIT 10000) AS latest
GROUP BY reason ORDER BY reason
"""
_LOOK_BACK = timedelta(days=1)


async def of_host(connection: Connection, host_id: str) -> list[Stream]:
    """The runs of a host's agents, in the order in which they began."""
    return [_stream(dict(row)) for row in await connection.fetch(_STREAMS, host_id)]


async def pipeline(connection: Connection, since: datetime) -> datetime | None:
    """When the broker got some record that is stored and at least as new, or else the newest that is stored."""
    found: datetime | None = await connection.fetchval(_PIPELINE, since)
    return found


async def refused(connection: Connection, host_id: str, now: datetime) -> list[Refused]:
    """What was refused of a host in the last day, at most 10,000 records."""
    return [Refused(**row) for row in await connection.fetch(_REFUSED, host_id, now - _LOOK_BACK)]


def _stream(row: dict[str, Any]) -> Stream:
    gaps = [
        NumberGap(
            gap["first"],
            gap["last"],
            datetime.fromisoformat(gap["after"]),
            datetime.fromisoformat(gap["before"]),
            gap["missing"],
        )
        for gap in json.loads(row.pop("gaps") or "[]")
    ]
    return Stream(**row, gaps=gaps)
