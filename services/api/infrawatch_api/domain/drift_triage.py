"""What people say of changes, and what hosts may have: what is wrong with that, before it is written."""

from datetime import datetime
from enum import StrEnum

from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import KERNEL_NAME, OS_NAME

# What there is one of on every host.
_SINGLE = {Category.OS: OS_NAME, Category.KERNEL: KERNEL_NAME}


class TriageVerdict(StrEnum):
    """What is said of a change. ``open``: nothing yet, or nothing any more."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"


def objections(verdict: TriageVerdict, expires_at: datetime | None, now: datetime) -> dict[str, str]:
    """What is wrong with when a verdict is to end, by field; a sentence each."""
    if expires_at is None:
        return {}
    if verdict is not TriageVerdict.ACCEPTED:
        return {"expires_at": "should be absent, as only what is accepted can expire"}
    return later_than_now(expires_at, now)


def later_than_now(expires_at: datetime | None, now: datetime) -> dict[str, str]:
    """What is wrong with an end, by field; a sentence."""
    return {"expires_at": "should be later than now"} if expires_at is not None and expires_at <= now else {}


def in_force(expires_at: datetime | None, ended_at: datetime | None, now: datetime) -> bool:
    """Whether a baseline counts now."""
    return ended_at is None and (expires_at is None or expires_at > now)


def about(category: Category, source: str, name: str) -> Key | dict[str, str]:
    """The one thing that a baseline is for, or what is wrong with its description, by field; a sentence each."""
    if category is Category.SOURCE:
        return {"category": "should not be source: fleets are compared by packages; name those that may be there"}
    wrong = {}
    if category is Category.PACKAGE:
        if not source:
            wrong["source"] = "should say where the package is from, such as dpkg"
    elif source:
        wrong["source"] = f"should be absent, as {category} has no source"
    if category in _SINGLE:
        if name not in {"", _SINGLE[category]}:
            wrong["name"] = f"should be absent, as there is one {category} on a host"
    elif not name:
        wrong["name"] = f"should say which {category} is meant"
    return wrong or Key(category, source, name or _SINGLE.get(category, ""))
