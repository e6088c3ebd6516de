"""Hosts, and the keys that they sign with."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from infrawatch_api.contract.hosts import Host
from infrawatch_api.store.drift_locks import share_ignores
from infrawatch_common.database import Connection

# A host with a year of samples takes longer than an ordinary statement may.
_PURGE_TIMEOUT = 300.0

_PAGE = """
SELECT id, name, registered, tags, last_seen, retired FROM hosts
WHERE ($1::text IS NULL OR id > $1)
  AND ($2::text IS NULL OR position(lower($2) IN lower(name)) > 0)
  AND tags @> ALL ($3::jsonb[])
  AND (retired IS NOT NULL) = $4
ORDER BY id LIMIT $5
"""
_GET = "SELECT id, name, registered, tags, last_seen, retired FROM hosts WHERE id = $1"
_UPDATE = """
UPDATE hosts SET name = coalesce($2, name), tags = coalesce($3::jsonb, tags) WHERE id = $1
RETURNING id, name, registered, tags, last_seen, retired
"""
_RETIRE = "UPDATE hosts SET retired = coalesce(retired, $2) WHERE id = $1"
_UNRETIRE = "UPDATE hosts SET retired = NULL WHERE id = $1 AND retired IS NOT NULL"
_REVOKE_KEYS = "UPDATE host_keys SET revoked_at = $2 WHERE host_id = $1 AND (revoked_at IS NULL OR revoked_at > $2)"
_ADD_KEY = "INSERT INTO host_keys (id, host_id, created_at) VALUES ($1, $2, $3)"
# Taken first, as every writer of hosts' data does: they wait until the host is gone.
_KEEP_WRITERS_AWAY = "LOCK TABLE hosts IN EXCLUSIVE MODE"
_KEEP = "SELECT id FROM hosts WHERE id = $1 FOR KEY SHARE"
_EXISTS = "SELECT EXISTS (SELECT FROM hosts WHERE id = $1)"
_PURGE = (
    "DELETE FROM alert_events WHERE host_id = $1",  # before their rules, which is alerting's order too
    "DELETE FROM alerts WHERE host_id = $1",
    "DELETE FROM drift_changes WHERE host_id = $1",  # before what is said of them, as whoever says it locks them first
    "DELETE FROM drift_verdicts WHERE host_id = $1",
    "DELETE FROM drift_baselines WHERE host_id = $1",
    "DELETE FROM snapshot_sightings WHERE host_id = $1",
    "DELETE FROM snapshots WHERE host_id = $1",
    "DELETE FROM drift_hosts WHERE host_id = $1",
    "DELETE FROM metrics WHERE host_id = $1",
    "DELETE FROM metrics_hourly WHERE host_id = $1",
    "DELETE FROM host_streams WHERE host_id = $1",
    "DELETE FROM hosts WHERE id = $1",
)
# The one number of this lock, which claims share and the deletion of left over users has alone.
_AGENT_USERS = 4_947_001
_SHARE_AGENT_USERS = f"SELECT pg_advisory_xact_lock_shared({_AGENT_USERS})"
_LOCK_AGENT_USERS = f"SELECT pg_advisory_xact_lock({_AGENT_USERS})"
_KEYS_IN_USE = "SELECT id FROM host_keys WHERE id = ANY($1) AND (revoked_at IS NULL OR revoked_at > now())"
_ONE_CLAIM_A_HOST = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_HAS_KEYS = "SELECT EXISTS (SELECT FROM host_keys WHERE host_id = $1 AND revoked_at IS NULL)"
_HAS_DATA = """
SELECT EXISTS (SELECT FROM hosts WHERE id = $1 AND last_seen IS NOT NULL)
    OR EXISTS (SELECT FROM metrics WHERE host_id = $1)
    OR EXISTS (SELECT FROM snapshots WHERE host_id = $1)
"""


async def page(
    connection: Connection,
    *,
    after: str | None,
    name: str | None,
    tags: Sequence[Mapping[str, str]],
    retired: bool,
    limit: int,
) -> list[Host]:
    """Hosts by id, from the one after ``after``, whose name contains ``name`` and that have all the ``tags``."""
    filters = [json.dumps(dict(tag)) for tag in tags]
    return [_host(row) for row in await connection.fetch(_PAGE, after, name, filters, retired, limit)]


async def get(connection: Connection, host_id: str) -> Host | None:
    """The host with this id."""
    row = await connection.fetchrow(_GET, host_id)
    return _host(row) if row is not None else None


async def update(connection: Connection, host_id: str, name: str | None, tags: Mapping[str, str] | None) -> Host | None:
    """Change what is not None."""
    new_tags = json.dumps(dict(tags)) if tags is not None else None
    row = await connection.fetchrow(_UPDATE, host_id, name, new_tags)
    return _host(row) if row is not None else None


async def retire(connection: Connection, host_id: str, now: datetime) -> bool:
    """Retire a host and revoke its keys; whether there is such a host."""
    status = await connection.execute(_RETIRE, host_id, now)
    await connection.execute(_REVOKE_KEYS, host_id, now)
    return bool(status == "UPDATE 1")


async def purge(connection: Connection, host_id: str, now: datetime) -> bool:
    """Delete a host with all that it reported, and revoke its keys; whether there was such a host."""
    await connection.execute("SELECT set_config('statement_timeout', $1, TRUE)", f"{int(_PURGE_TIMEOUT)}s")
    await connection.execute(_KEEP_WRITERS_AWAY, timeout=_PURGE_TIMEOUT)
    await share_ignores(connection, _PURGE_TIMEOUT)
    found = await connection.fetchval(_EXISTS, host_id)
    await connection.execute(_REVOKE_KEYS, host_id, now)
    for statement in _PURGE if found else ():
        await connection.execute(statement, host_id, timeout=_PURGE_TIMEOUT)
    return bool(found)


async def keep(connection: Connection, host_id: str) -> bool:
    """Let nobody delete a host before the transaction ends; whether there is such a host."""
    return await connection.fetchval(_KEEP, host_id) is not None


async def lock_claim(connection: Connection, host_id: str) -> None:
    """Let one transaction at a time claim this host."""
    await connection.execute(_ONE_CLAIM_A_HOST, host_id)


async def share_agent_users(connection: Connection) -> None:
    """Keep users of Kafka from being deleted until the transaction ends; many may."""
    await connection.execute(_SHARE_AGENT_USERS)


async def lock_agent_users(connection: Connection) -> None:
    """Wait until no transaction makes users of Kafka, and let none begin until this one ends."""
    await connection.execute(_LOCK_AGENT_USERS)


async def keys_in_use(connection: Connection, key_ids: Sequence[str]) -> set[str]:
    """Those of the keys that are known and not revoked."""
    return {row["id"] for row in await connection.fetch(_KEYS_IN_USE, list(key_ids))}


async def has_keys(connection: Connection, host_id: str) -> bool:
    """Whether a key of the host is in use."""
    return bool(await connection.fetchval(_HAS_KEYS, host_id))


async def has_data(connection: Connection, host_id: str) -> bool:
    """Whether the host has reported anything."""
    return bool(await connection.fetchval(_HAS_DATA, host_id))


async def add_key(connection: Connection, host_id: str, key_id: str, now: datetime) -> None:
    """Give a host a further key; a retired host is in service again."""
    await connection.execute(_ADD_KEY, key_id, host_id, now)
    await connection.execute(_UNRETIRE, host_id)


def _host(row: asyncpg.Record) -> Host:
    return Host(**{**row, "tags": json.loads(row["tags"])})
