"""Enrolments."""

from datetime import datetime
from uuid import UUID

from infrawatch_api.contract.enrolments import Enrolment
from infrawatch_common.database import Connection

_CREATE = """
INSERT INTO enrolments (token_hash, host_id, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
RETURNING id
"""
_PAGE = """
SELECT id, host_id, created_by, created_at, expires_at, used_at, used_by FROM enrolments
WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2::uuid)
ORDER BY created_at DESC, id DESC LIMIT $3
"""
_DELETE = "DELETE FROM enrolments WHERE id = $1"
# The second of two claims waits here for the first, and then sees that the token is used.
_LOCK = """
SELECT id, host_id, created_by, created_at, expires_at, used_at, used_by FROM enrolments
WHERE token_hash = $1 FOR UPDATE
"""
_USE = "UPDATE enrolments SET used_at = $2, used_by = $3 WHERE id = $1 AND used_at IS NULL"


async def create(
    connection: Connection,
    token_hash: bytes,
    host_id: str | None,
    created_by: str,
    *,
    now: datetime,
    expires_at: datetime,
) -> UUID:
    """Create an enrolment; its id."""
    enrolment_id: UUID = await connection.fetchval(_CREATE, token_hash, host_id, created_by, now, expires_at)
    return enrolment_id


async def page(connection: Connection, before: tuple[datetime, UUID] | None, limit: int) -> list[Enrolment]:
    """Enrolments, newest first."""
    created_at, enrolment_id = before or (None, None)
    return [Enrolment(**row) for row in await connection.fetch(_PAGE, created_at, enrolment_id, limit)]


async def delete(connection: Connection, enrolment_id: UUID) -> bool:
    """Delete an enrolment; whether there was one."""
    return bool(await connection.execute(_DELETE, enrolment_id) == "DELETE 1")


async def lock(connection: Connection, token_hash: bytes) -> Enrolment | None:
    """The enrolment with this token, unchanged by others until the transaction ends."""
    row = await connection.fetchrow(_LOCK, token_hash)
    return Enrolment(**row) if row is not None else None


async def use(connection: Connection, enrolment_id: UUID, now: datetime, host_id: str) -> bool:
    """Use up an enrolment; whether it was unused."""
    return bool(await connection.execute(_USE, enrolment_id, now, host_id) == "UPDATE 1")
