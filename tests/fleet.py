"""Hosts and what they reported, put straight into the database; ``world`` has it as ``admin``."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


# As ingest does, so that hours without figures are read raw.
_MARK = """
INSERT INTO rollup_pending SELECT DISTINCT host_id, date_trunc('hour', timestamp, 'UTC'), now()
FROM metrics WHERE host_id = $1 ON CONFLICT DO NOTHING
"""


async def add_host(world: Any, host_id: str, **columns: Any) -> None:
    await world.admin.execute(
        "INSERT INTO hosts (id, name, tags, last_seen, retired) VALUES ($1, $2, $3, $4, $5)",
        host_id,
        columns.get("name", host_id),
        json.dumps(columns.get("tags", {})),
        columns.get("last_seen"),
        columns.get("retired"),
    )


async def add_samples(world: Any, host_id: str, *offsets: float, start: datetime = START) -> None:
    rows = [
        (uuid.uuid4(), host_id, start + timedelta(seconds=at), float(number), 50.0, 60.0, 1000 + number)
        for number, at in enumerate(offsets)
    ]
    await world.admin.copy_records_to_table("metrics", records=rows)
    await world.admin.execute(_MARK, host_id)


async def add_hour(world: Any, host_id: str, hour: datetime, count: int = 1, value: float = 50.0) -> None:
    await world.admin.execute(
        "INSERT INTO metrics_hourly VALUES ($1, $2, $3, $4,$4,$4, $4,$4,$4, $4,$4,$4, 1)", host_id, hour, count, value
    )


async def add_stream(world: Any, host_id: str, received: str = "{[1,10]}", gaps: str = "[]", **at: datetime) -> None:
    begin, end = at.get("begin", START), at.get("end", START + timedelta(minutes=10))
    await world.admin.execute(
        "INSERT INTO host_streams VALUES ($1, gen_random_uuid(), $2::text::int8multirange, 0, $3,"
        " $4, $5, $5, $5, $4, $4, $4, $5)",
        host_id,
        received,
        gaps,
        begin,
        end,
    )
