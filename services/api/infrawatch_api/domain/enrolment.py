"""Whether an enrolment token may give a host its key."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClaimRefusal(StrEnum):
    """Why a claim is refused."""

    TOKEN = "token"  # noqa: S105 - unknown, used or expired: the caller does not learn which
    NO_HOST = "no_host"  # neither the enrolment nor the claim names a host
    OTHER_HOST = "other_host"  # the enrolment was made for another host
    TAKEN = "taken"  # the host is there already, and the enrolment was not made for it


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An enrolment as stored; ``host_id`` None when the agent names the host."""

    host_id: str | None
    expires_at: datetime
    used_at: datetime | None


def claimed_host(enrolment: Enrolment | None, wanted: str | None, now: datetime) -> str | ClaimRefusal:
    """The host that a claim is about, or why it is about none."""
    if enrolment is None or enrolment.used_at is not None or now >= enrolment.expires_at:
        return ClaimRefusal.TOKEN
    if enrolment.host_id is None:
        return wanted or ClaimRefusal.NO_HOST
    if wanted is not None and wanted != enrolment.host_id:
        return ClaimRefusal.OTHER_HOST
    return enrolment.host_id


def refuses_host(enrolment: Enrolment, *, has_keys: bool, has_data: bool) -> ClaimRefusal | None:
    """Whether the host belongs to somebody already: only an enrolment made for it may then add a key."""
    return ClaimRefusal.TAKEN if enrolment.host_id is None and (has_keys or has_data) else None
