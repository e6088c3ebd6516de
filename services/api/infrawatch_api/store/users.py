"""Users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from infrawatch_api.contract.users import User
from infrawatch_api.domain.access import Owner
from infrawatch_api.domain.roles import Role
from infrawatch_common.database import Connection

# Any number serves, as long as nothing else uses it.
_FIRST_ADMIN_LOCK = 0x1F7A_0002

_BY_EMAIL = """
SELECT id, email, role, created_at, disabled, one_time_until, password FROM users WHERE lower(email) = lower($1)
"""
_BY_ID = """
SELECT id, email, role, created_at, disabled, one_time_until, password FROM users WHERE id = $1
"""
_LOCK = """
SELECT id, email, role, created_at, disabled, one_time_until, password FROM users WHERE id = $1 FOR UPDATE
"""
_PAGE = """
SELECT id, email, role, created_at, disabled, one_time_until FROM users
WHERE $1::text IS NULL OR lower(email) > $1
ORDER BY lower(email) LIMIT $2
"""
_INSERT = """
INSERT INTO users (email, password, role, created_at, one_time_until) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id, email, role, created_at, disabled, one_time_until
"""
_UPDATE = """
UPDATE users SET email = $2, role = $3, disabled = $4 WHERE id = $1
RETURNING id, email, role, created_at, disabled, one_time_until
"""
_SET_HASH = "UPDATE users SET password = $2, one_time_until = $3 WHERE id = $1"
_CHANGE_HASH = "UPDATE users SET password = $3, one_time_until = NULL WHERE id = $1 AND password = $2"
_REHASH = "UPDATE users SET password = $2 WHERE id = $1"
_DELETE = "DELETE FROM users WHERE id = $1"
_ADMINS = """
SELECT id, email, role, created_at, disabled, one_time_until FROM users WHERE role = 'admin' ORDER BY id FOR UPDATE
"""


class EmailTakenError(Exception):
    """Another user has this email address."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the hash of the password."""

    user: User
    password: str

    @property
    def owner(self) -> Owner:
        """What decides about access."""
        return owner_of(self.user)


def owner_of(user: User) -> Owner:
    """What decides about access."""
    return Owner(user.role, user.disabled, user.one_time_until)


async def by_email(connection: Connection, email: str) -> Account | None:
    """The user with this address, in whatever case it is written."""
    return _account(await connection.fetchrow(_BY_EMAIL, email))


async def by_id(connection: Connection, user_id: UUID) -> Account | None:
    """The user with this id."""
    return _account(await connection.fetchrow(_BY_ID, user_id))


async def lock(connection: Connection, user_id: UUID) -> Account | None:
    """The user with this id, unchanged by others until the transaction ends."""
    return _account(await connection.fetchrow(_LOCK, user_id))


async def page(connection: Connection, after: str | None, limit: int) -> list[User]:
    """Users by address, from the one after ``after`` (in lower case)."""
    return [_user(row) for row in await connection.fetch(_PAGE, after, limit)]


async def insert(
    connection: Connection, email: str, role: Role, password: str, *, now: datetime, one_time_until: datetime | None
) -> User:
    """Create a user. Raises ``EmailTakenError``."""
    row = await connection.fetchrow(_INSERT, email, password, role.value, now, one_time_until)
    if row is None:
        raise EmailTakenError
    return _user(row)


async def update(connection: Connection, user_id: UUID, email: str, role: Role, *, disabled: bool) -> User:
    """Change a user that the transaction has locked. Raises ``EmailTakenError``."""
    try:
        row = await connection.fetchrow(_UPDATE, user_id, email, role.value, disabled)
    except asyncpg.UniqueViolationError as error:
        raise EmailTakenError from error
    assert row is not None, "the user is locked"
    return _user(row)


async def set_one_time_password(connection: Connection, user_id: UUID, password: str, until: datetime) -> None:
    """Store the hash of a one-time password."""
    await connection.execute(_SET_HASH, user_id, password, until)


async def change_password(connection: Connection, user_id: UUID, old: str, new: str) -> bool:
    """Store the hash of a password that its owner chose; False when ``old`` is no longer the stored one."""
    return bool(await connection.execute(_CHANGE_HASH, user_id, old, new) == "UPDATE 1")


async def replace_hash(connection: Connection, user_id: UUID, new: str) -> None:
    """Store the same password under today's parameters."""
    await connection.execute(_REHASH, user_id, new)


async def delete(connection: Connection, user_id: UUID) -> bool:
    """Delete a user with sessions and tokens; whether there was one."""
    return bool(await connection.execute(_DELETE, user_id) == "DELETE 1")


async def lock_admins(connection: Connection) -> list[User]:
    """All admins, unchanged by others until the transaction ends."""
    return [_user(row) for row in await connection.fetch(_ADMINS)]


async def lock_first_admin(connection: Connection) -> None:
    """Let one transaction at a time make the first admin."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_ADMIN_LOCK)


def enabled(admins: Sequence[User]) -> set[UUID]:
    """The ids of those that are not disabled."""
    return {admin.id for admin in admins if not admin.disabled}


def _account(row: asyncpg.Record | None) -> Account | None:
    return Account(_user(row), row["password"]) if row is not None else None


def _user(row: asyncpg.Record) -> User:
    return User(
        id=row["id"],
        email=row["email"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        disabled=row["disabled"],
        one_time_until=row["one_time_until"],
    )
