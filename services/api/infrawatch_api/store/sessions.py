"""Sessions and API tokens: what a bearer token is worth."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from infrawatch_api.contract.users import ApiToken
from infrawatch_api.domain.access import Owner
from infrawatch_api.domain.roles import Role
from infrawatch_common.database import Connection

_OPEN = """
INSERT INTO sessions (user_id, token_hash, created_at, used_at, expires_at) VALUES ($1, $2, $3, $3, $4)
"""
_FORGET_EXPIRED = "DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2"
_CLOSE = "DELETE FROM sessions WHERE id = $1"
_CLOSE_ALL = "DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2"
_RESOLVE_SESSION = """
SELECT sessions.id, used_at, expires_at, users.id AS user_id, email, users.role, disabled, one_time_until
FROM sessions JOIN users ON users.id = user_id WHERE token_hash = $1
"""
_RESOLVE_API = """
SELECT api_tokens.id, used_at, expires_at, users.id AS user_id, email, users.role, disabled, one_time_until,
       api_tokens.role AS token_role
FROM api_tokens JOIN users ON users.id = user_id WHERE token_hash = $1
"""
_USE_SESSION = "UPDATE sessions SET used_at = $2 WHERE id = $1 AND used_at < $2"
_USE_API = "UPDATE api_tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)"
_API_PAGE = """
SELECT id, name, role, created_at, used_at, expires_at FROM api_tokens
WHERE user_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC LIMIT $4
"""
_INSERT_API = """
INSERT INTO api_tokens (user_id, name, role, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id
"""
_DELETE_API = "DELETE FROM api_tokens WHERE id = $1 AND user_id = $2 RETURNING name"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A session or an API token (``token_role`` is None for sessions) with its owner."""

    id: UUID
    user_id: UUID
    email: str
    owner: Owner
    used_at: datetime | None
    expires_at: datetime
    token_role: Role | None


async def resolve_session(connection: Connection, token_hash: bytes) -> Bearer | None:
    """The session with this token."""
    row = await connection.fetchrow(_RESOLVE_SESSION, token_hash)
    return _bearer(row, None) if row is not None else None


async def resolve_token(connection: Connection, token_hash: bytes) -> Bearer | None:
    """The API token with this value."""
    row = await connection.fetchrow(_RESOLVE_API, token_hash)
    return _bearer(row, Role(row["token_role"])) if row is not None else None


async def note_use(connection: Connection, bearer: Bearer, now: datetime) -> None:
    """Write down that a session or token was used."""
    await connection.execute(_USE_SESSION if bearer.token_role is None else _USE_API, bearer.id, now)


async def open_session(
    connection: Connection, user_id: UUID, token_hash: bytes, *, now: datetime, expires_at: datetime
) -> None:
    """Open a session, and forget those of the user that are over."""
    await connection.execute(_FORGET_EXPIRED, user_id, now)
    await connection.execute(_OPEN, user_id, token_hash, now, expires_at)


async def close_session(connection: Connection, session_id: UUID) -> None:
    """End a session."""
    await connection.execute(_CLOSE, session_id)


async def close_sessions(connection: Connection, user_id: UUID, *, keep: UUID | None = None) -> None:
    """End the sessions of a user, but for ``keep``."""
    await connection.execute(_CLOSE_ALL, user_id, keep)


async def tokens(
    connection: Connection, user_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> list[ApiToken]:
    """API tokens of a user, newest first."""
    created_at, token_id = before or (None, None)
    rows = await connection.fetch(_API_PAGE, user_id, created_at, token_id, limit)
    return [ApiToken(**{**row, "role": Role(row["role"])}) for row in rows]


async def create_token(
    connection: Connection,
    user_id: UUID,
    name: str,
    role: Role,
    token_hash: bytes,
    *,
    now: datetime,
    expires_at: datetime,
) -> UUID:
    """Create an API token; its id."""
    token_id: UUID = await connection.fetchval(_INSERT_API, user_id, name, role.value, token_hash, now, expires_at)
    return token_id


async def delete_token(connection: Connection, token_id: UUID, user_id: UUID) -> str | None:
    """Delete an API token of a user; its name, or None when the user has no such token."""
    name: str | None = await connection.fetchval(_DELETE_API, token_id, user_id)
    return name


def _bearer(row: asyncpg.Record, token_role: Role | None) -> Bearer:
    return Bearer(
        id=row["id"],
        user_id=row["user_id"],
        email=row["email"],
        owner=Owner(Role(row["role"]), row["disabled"], row["one_time_until"]),
        used_at=row["used_at"],
        expires_at=row["expires_at"],
        token_role=token_role,
    )
