"""Dead letters, for those who look into them."""

import base64
import json
from datetime import datetime

import asyncpg

from infrawatch_api.contract.records import DeadLetter, DeadLetterWithBody
from infrawatch_common.database import Connection

_PAGE = """
SELECT service, topic, partition, "offset", appended_at, created_at, host_id, reason, detail, length(value) AS size
FROM dead_letters
WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR host_id = $3)
  AND ($4::timestamptz IS NULL
       OR (created_at, service, topic, partition, "offset") < ($4, $5::text, $6::text, $7::integer, $8::bigint))
ORDER BY created_at DESC, service DESC, topic DESC, partition DESC, "offset" DESC LIMIT $9
"""
_GET = """
SELECT service, topic, partition, "offset", appended_at, created_at, host_id, reason, detail, length(value) AS size,
       key, value, headers
FROM dead_letters
WHERE service = $1 AND topic = $2 AND partition = $3 AND "offset" = $4
"""

Position = tuple[datetime, str, str, int, int]


async def page(
    connection: Connection,
    *,
    service: str | None,
    reason: str | None,
    host_id: str | None,
    before: Position | None,
    limit: int,
) -> list[DeadLetter]:
    """Dead letters that fit all filters, newest first."""
    position = before or (None,) * 5
    rows = await connection.fetch(_PAGE, service, reason, host_id, *position, limit)
    return [_letter(row) for row in rows]


async def get(
    connection: Connection, service: str, topic: str, partition: int, offset: int
) -> DeadLetterWithBody | None:
    """One dead letter, whole."""
    row = await connection.fetchrow(_GET, service, topic, partition, offset)
    if row is None:
        return None
    return DeadLetterWithBody(_letter(row), _base64(row["key"]), _base64(row["value"]), json.loads(row["headers"]))


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter(**{name: row[name] for name in DeadLetter.__struct_fields__})


def _base64(value: bytes | None) -> str | None:
    return base64.b64encode(value).decode() if value is not None else None
