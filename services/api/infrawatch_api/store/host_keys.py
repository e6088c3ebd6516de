"""Keys of hosts."""

from datetime import datetime

from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.host_keys import HostKey
from infrawatch_common.database import Connection

_GET = "SELECT id, host_id, created_at, revoked_at FROM host_keys WHERE id = $1"
_LATEST = "SELECT created_at FROM host_keys WHERE host_id = $1 AND created_at > $2 ORDER BY created_at DESC LIMIT $3"
_REVOKE_OLDER = """
UPDATE host_keys SET revoked_at = $3
WHERE host_id = $1 AND created_at < $2 AND (revoked_at IS NULL OR revoked_at > $3)
RETURNING id
"""
_NONCE_USED = """
SELECT EXISTS (SELECT FROM audit_log WHERE at > $1 AND action = $2 AND target = $3 AND detail->>'nonce' = $4)
"""


async def get(connection: Connection, key_id: str) -> HostKey | None:
    """The key with this id."""
    row = await connection.fetchrow(_GET, key_id)
    return HostKey(**row) if row is not None else None


async def latest(connection: Connection, host_id: str, since: datetime, limit: int) -> list[datetime]:
    """When the latest ``limit`` keys of a host were made."""
    return [row["created_at"] for row in await connection.fetch(_LATEST, host_id, since, limit)]


async def revoke_older(connection: Connection, key: HostKey, at: datetime) -> list[str]:
    """End all keys of the host that are older than ``key``, no later than ``at``; their ids."""
    return [row["id"] for row in await connection.fetch(_REVOKE_OLDER, key.host_id, key.created_at, at)]


async def nonce_used(connection: Connection, host_id: str, nonce: str, since: datetime) -> bool:
    """Whether a rotation with this nonce happened."""
    return bool(await connection.fetchval(_NONCE_USED, since, Action.HOST_KEY_ROTATED.value, host_id, nonce))
