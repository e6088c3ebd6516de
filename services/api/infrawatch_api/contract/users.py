"""Users and API tokens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field, StrictBool, model_validator

from infrawatch_api.contract.common import Body, Email, Name, Seconds
from infrawatch_api.domain.roles import Role

OptionalFlag = Annotated[StrictBool | None, Field()]


class User(msgspec.Struct, frozen=True):
    """A user; ``one_time_until`` is set while a one-time password waits to be changed."""

    id: UUID
    email: str
    role: Role
    created_at: datetime
    disabled: bool
    one_time_until: datetime | None


class NewUser(Body):
    """A user to create."""

    email: Email
    role: Role


class UserChange(Body):
    """What to change about a user; ``reset_password`` gives a new one-time password."""

    email: Email | None = None
    role: Role | None = None
    disabled: OptionalFlag = None
    reset_password: StrictBool = False

    @model_validator(mode="after")
    def _something(self) -> "UserChange":
        if self.email is None and self.role is None and self.disabled is None and not self.reset_password:
            msg = "should name at least one change"
            raise ValueError(msg)
        return self


class UserWithPassword(msgspec.Struct, frozen=True):
    """A user and, shown this once, the one-time password if there is a new one."""

    user: User
    one_time_password: str | None


class ApiToken(msgspec.Struct, frozen=True):
    """An API token without its value."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime


class NewApiToken(Body):
    """An API token to create, with at most one's own role."""

    name: Name
    role: Role
    expires_in: Seconds


class CreatedApiToken(msgspec.Struct, frozen=True):
    """A new API token with its value, which is shown this once."""

    id: UUID
    token: str
    name: str
    role: Role
    expires_at: datetime
