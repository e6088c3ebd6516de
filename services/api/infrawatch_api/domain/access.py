"""Whether a session or an API token still opens the door."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from infrawatch_api.domain.roles import Role, weaker


class Refusal(StrEnum):
    """Why a bearer token is refused; the caller only learns that it is."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    IDLE = "idle"
    DISABLED = "disabled"
    ONE_TIME_EXPIRED = "one_time_expired"


@dataclass(frozen=True, slots=True)
class Owner:
    """The user behind a session or token, as the database has it now."""

    role: Role
    disabled: bool
    one_time_until: datetime | None


def judge_session(
    owner: Owner, *, used_at: datetime, expires_at: datetime, idle: timedelta, now: datetime
) -> Role | Refusal:
    """The role that a session gives, or why it gives none."""
    if owner.disabled:
        return Refusal.DISABLED
    if now >= expires_at:
        return Refusal.EXPIRED
    if now - used_at >= idle:
        return Refusal.IDLE
    if owner.one_time_until is not None and now >= owner.one_time_until:
        return Refusal.ONE_TIME_EXPIRED
    return owner.role


def judge_token(owner: Owner, role: Role, *, expires_at: datetime, now: datetime) -> Role | Refusal:
    """The role that an API token gives: its own, as far as its owner still has it."""
    if owner.disabled:
        return Refusal.DISABLED
    if now >= expires_at:
        return Refusal.EXPIRED
    return weaker(role, owner.role)


def may_log_in(owner: Owner, now: datetime) -> bool:
    """Whether a right password opens a session."""
    return not owner.disabled and (owner.one_time_until is None or now < owner.one_time_until)


def use_is_worth_noting(used_at: datetime | None, now: datetime, interval: timedelta) -> bool:
    """Whether a use is written down; once in a while is enough, and spares a write on every request."""
    return used_at is None or now - used_at >= interval
