"""Hosts and what they reported, put straight into the database; ``world`` has it as ``admin``."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import Fact, fact_key, subject

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


async def add_change(
    world: Any, host_id: str, name: str = "openssl", before: Any = "1", after: Any = "2", **columns: Any
) -> str:
    """A change, by default of a package of dpkg, which is open, shown, and of this moment; the id."""
    category = Category(columns.get("category", "package"))
    source = columns.get("source", "dpkg" if category is Category.PACKAGE else "")
    action = "added" if before is None else "removed" if after is None else "changed"
    at = columns.get("at", world.clock.now)
    made = await world.admin.fetchval(
        "INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, subject, action,"
        " before, after, severity, reason, found_at, late)"
        " VALUES ($1, $2, gen_random_uuid(), $3, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'x', $3, FALSE) RETURNING id",
        columns.get("id", uuid.uuid4()),
        host_id,
        at,
        category,
        source,
        name,
        subject(Key(category, source, name)),
        action,
        json.dumps(before),
        json.dumps(after),
        columns.get("severity", "info"),
    )
    return str(made)


async def add_snapshot(world: Any, host_id: str, at: datetime, *facts: Fact) -> None:
    """A snapshot of which only the facts are filled in."""
    ids = [
        await world.admin.fetchval(
            "INSERT INTO facts (key, subject, category, source, name, value) VALUES ($1, $2, $3, $4, $5, $6)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING id",
            fact_key(fact),
            subject(fact.about),
            *fact,
        )
        for fact in facts
    ]
    await world.admin.execute(
        "INSERT INTO snapshots"
        " (id, host_id, timestamp, os_info, kernel, packages, env_vars, digest, confirmed_at, facts)"
        " VALUES (gen_random_uuid(), $1, $2, '', '', '{}', '{}', '', $2, $3)",
        host_id,
        at,
        sorted(ids),
    )
