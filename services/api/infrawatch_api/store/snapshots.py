"""Snapshots of hosts' configurations."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from infrawatch_api.contract.snapshots import SnapshotBrief
from infrawatch_common.database import Connection
from infrawatch_common.drift.content import Content

_UNTIL = """
(SELECT later.timestamp FROM snapshots AS later
 WHERE later.host_id = s.host_id AND (later.timestamp, later.id) > (s.timestamp, s.id)
 ORDER BY later.timestamp, later.id LIMIT 1) AS until
"""
# Facts are the packages, the variables, the operating system and the kernel.
_BRIEF = f"""
SELECT s.id, s.host_id, s.timestamp, s.confirmed_at, {_UNTIL}, s.os_info, s.kernel,
       greatest(cardinality(s.facts) - 2 - variables.number, 0) AS packages, variables.number AS env_vars,
       (SELECT count(*) FROM drift_changes AS c WHERE c.snapshot_id = s.id AND NOT c.hidden) AS changes
FROM snapshots AS s
CROSS JOIN LATERAL (SELECT count(*) AS number FROM jsonb_object_keys(s.env_vars)) AS variables
"""  # noqa: S608 - of parts that are here
_WHOLE = f"""
SELECT s.id, s.host_id, s.timestamp, s.confirmed_at, {_UNTIL}, s.os_info, s.kernel, s.packages, s.env_vars
FROM snapshots AS s
"""  # noqa: S608 - of parts that are here
_COUNT = "SELECT count(*) FROM (SELECT FROM snapshots AS s"
_COUNTED = ") AS counted"
_BY_ID = "WHERE s.id = $1"
_LATEST = "ORDER BY s.timestamp DESC, s.id DESC LIMIT 1"
_IN_FORCE = f"WHERE s.host_id = $1 AND s.timestamp <= $2 {_LATEST}"
_BEFORE = f"WHERE s.host_id = $1 AND (s.timestamp, s.id) < ($2, $3) {_LATEST}"
_NEWEST = "ORDER BY s.timestamp DESC, s.id DESC LIMIT $1"
_RUN_OF_SIGHTING = """
SELECT run.id FROM snapshot_sightings AS seen CROSS JOIN LATERAL (
    SELECT s.id FROM snapshots AS s
    WHERE s.host_id = seen.host_id AND (s.timestamp, s.id) <= (seen.timestamp, seen.id)
    ORDER BY s.timestamp DESC, s.id DESC LIMIT 1
) AS run WHERE seen.id = $1
"""
_FIRST = "SELECT min(timestamp) FROM snapshots WHERE host_id = $1"
_EXISTS = "SELECT EXISTS (SELECT FROM hosts WHERE id = $1)"


class Stored(NamedTuple):
    """A snapshot with its whole content, secrets included."""

    id: UUID
    host_id: str
    timestamp: datetime
    confirmed_at: datetime
    until: datetime | None
    content: Content


@dataclass(frozen=True, slots=True)
class Filters:
    """Snapshots of a host that were in force at any time from ``start`` until before ``end``; None is no matter."""

    host_id: str
    start: datetime | None = None
    end: datetime | None = None


async def page(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, limit: int
) -> list[SnapshotBrief]:
    """Snapshots of a host, newest first."""
    conditions, arguments = await _where(connection, filters, before, limit)
    rows = await connection.fetch(f"{_BRIEF} WHERE {conditions} {_NEWEST}", *arguments)
    return [SnapshotBrief(**row) for row in rows]


async def number(connection: Connection, filters: Filters, before: tuple[Any, ...] | None, most: int) -> int:
    """How many snapshots there are, but at most ``most``."""
    conditions, arguments = await _where(connection, filters, before, most)
    return int(await connection.fetchval(f"{_COUNT} WHERE {conditions} {_NEWEST} {_COUNTED}", *arguments))


async def _where(
    connection: Connection, filters: Filters, before: tuple[Any, ...] | None, limit: int
) -> tuple[str, list[Any]]:
    conditions, arguments = ["s.host_id = $2"], [limit, filters.host_id]
    first = await brief_at(connection, filters.host_id, filters.start) if filters.start is not None else None
    for operator, keys in ((">=", (first.timestamp, first.id) if first else None), ("<", before)):
        if keys is not None:
            arguments += keys
            conditions.append(f"(s.timestamp, s.id) {operator} (${len(arguments) - 1}, ${len(arguments)})")
    if filters.end is not None:
        arguments.append(filters.end)
        conditions.append(f"s.timestamp < ${len(arguments)}")
    return " AND ".join(conditions), arguments


async def brief(connection: Connection, snapshot_id: UUID) -> SnapshotBrief | None:
    """The snapshot with this id."""
    return _read_brief(await connection.fetchrow(_BRIEF + _BY_ID, snapshot_id))


async def brief_at(connection: Connection, host_id: str, time: datetime) -> SnapshotBrief | None:
    """The snapshot that was in force on a host at a time."""
    return _read_brief(await connection.fetchrow(_BRIEF + _IN_FORCE, host_id, time))


async def brief_before(connection: Connection, of: SnapshotBrief) -> SnapshotBrief | None:
    """The host's snapshot before another one."""
    return _read_brief(await connection.fetchrow(_BRIEF + _BEFORE, of.host_id, of.timestamp, of.id))


def _read_brief(row: asyncpg.Record | None) -> SnapshotBrief | None:
    return SnapshotBrief(**row) if row is not None else None


async def get(connection: Connection, snapshot_id: UUID) -> Stored | None:
    """The snapshot with this id, or the one that the record with this id has confirmed."""
    row = await connection.fetchrow(_WHOLE + _BY_ID, snapshot_id)
    if row is None:
        run = await connection.fetchval(_RUN_OF_SIGHTING, snapshot_id)
        row = await connection.fetchrow(_WHOLE + _BY_ID, run) if run is not None else None
    return _read(row)


async def in_force(connection: Connection, host_id: str, time: datetime) -> Stored | None:
    """The snapshot that was in force on a host at a time."""
    return _read(await connection.fetchrow(_WHOLE + _IN_FORCE, host_id, time))


async def first_at(connection: Connection, host_id: str) -> datetime | None:
    """The time of the host's first snapshot."""
    first: datetime | None = await connection.fetchval(_FIRST, host_id)
    return first


async def host_exists(connection: Connection, host_id: str) -> bool:
    """Whether there is such a host."""
    return bool(await connection.fetchval(_EXISTS, host_id))


def _read(row: asyncpg.Record | None) -> Stored | None:
    if row is None:
        return None
    content = Content(row["os_info"], row["kernel"], json.loads(row["packages"]), json.loads(row["env_vars"]))
    return Stored(row["id"], row["host_id"], row["timestamp"], row["confirmed_at"], row["until"], content)
