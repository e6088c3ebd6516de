"""Logging in and out."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from pydantic import Field

from infrawatch_api.contract.common import Body, Email, Password
from infrawatch_api.domain.roles import Role


class Login(Body):
    """Who logs in."""

    email: Email
    password: Password


class Session(msgspec.Struct, frozen=True):
    """The session that a login opens; ``expires_in`` seconds at most, fewer when it is not used."""

    access_token: str
    expires_in: int
    token_type: Literal["bearer"] = "bearer"  # noqa: S105


class PasswordChange(Body):
    """The password as it is and as it shall be."""

    current_password: Password
    new_password: str = Field(description="At least 12 characters by default, and hard to guess.")


class Me(msgspec.Struct, frozen=True):
    """Who is asking; ``role`` is what the session or token allows now."""

    id: UUID
    email: str
    role: Role
    password_change_required: bool
    token_id: UUID | None
    expires_at: datetime
