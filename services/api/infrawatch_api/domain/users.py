"""What may be changed about a user."""

from collections.abc import Set
from datetime import datetime
from uuid import UUID

from infrawatch_api.domain.access import Owner, may_log_in
from infrawatch_api.domain.roles import Role


def loses_last_admin(user_id: UUID, enabled_admins: Set[UUID], *, role: Role | None, disabled: bool | None) -> bool:
    """Whether nobody could administrate after the change; ``role`` None for a deleted user, ``disabled`` None as is."""
    stays = role is Role.ADMIN and not disabled
    return enabled_admins == {user_id} and not stays


def ends_sessions(before: Owner, after: Owner, *, password_reset: bool) -> bool:
    """Whether a change by an admin ends the sessions of the user."""
    return password_reset or after.role is not before.role or after.disabled


def needs_first_admin(admins: list[Owner], now: datetime) -> bool:
    """Whether no admin is left who could log in: none was made yet, or none used the one-time password in time."""
    return not any(admin.role is Role.ADMIN and may_log_in(admin, now) for admin in admins)
