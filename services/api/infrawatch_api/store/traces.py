"""What is stored of a host from a time in which it was silent."""

from datetime import datetime

from infrawatch_common.database import Connection

# More say no more.
_SAMPLES = """
SELECT count(*), min(timestamp), max(timestamp)
FROM (SELECT timestamp FROM metrics WHERE host_id = $1 AND timestamp > $2 AND timestamp < $3
      ORDER BY timestamp LIMIT 10000) AS inside
"""
_REFUSED = """
SELECT reason, count(*) AS count
FROM (SELECT reason FROM dead_letters WHERE host_id = $1 AND created_at > $2 AND created_at < $3
      ORDER BY created_at LIMIT 10000) AS meanwhile
GROUP BY reason ORDER BY reason
"""


async def samples(
    connection: Connection, host_id: str, start: datetime, end: datetime
) -> tuple[int, datetime | None, datetime | None]:
    """How many samples are stamped between two times, at most 10,000, and the times of the first and the last."""
    [(count, first, last)] = await connection.fetch(_SAMPLES, host_id, start, end)
    return count, first, last


async def refused(connection: Connection, host_id: str, start: datetime, end: datetime) -> dict[str, int]:
    """How many records were refused between two times, by reason; at most 10,000."""
    return {row["reason"]: row["count"] for row in await connection.fetch(_REFUSED, host_id, start, end)}
