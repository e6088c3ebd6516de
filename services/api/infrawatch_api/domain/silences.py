"""When a silence is in force, and when it may be."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from infrawatch_api.domain.durations import iso_8601


class SilenceState(StrEnum):
    """Whether a silence hides anything."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


class Span(NamedTuple):
    """From ``starts_at`` until before ``ends_at``."""

    starts_at: datetime
    ends_at: datetime

    def state(self, now: datetime) -> SilenceState:
        """What it is now."""
        if self.ends_at <= now:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if self.starts_at <= now else SilenceState.PENDING


class Wish(NamedTuple):
    """When a silence shall be in force: it begins now without ``starts_at``, and has either an end or a length."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    duration: timedelta | None = None


def planned(wish: Wish, now: datetime, longest: timedelta) -> Span | dict[str, str]:
    """When a new silence is in force, or what is wrong with the wish, by field. A start that has passed means now."""
    if (wish.ends_at is None) == (wish.duration is None):
        return {"ends_at": "or duration is needed, and not both: when the silence ends, or how long it lasts"}
    starts_at = max(wish.starts_at or now, now)
    if wish.duration is not None:
        return _judged(Span(starts_at, starts_at + wish.duration), "duration", longest)
    return _judged(Span(starts_at, wish.ends_at or now), "ends_at", longest)


def moved(before: Span, wish: Wish, now: datetime, longest: timedelta) -> Span | dict[str, str]:
    """When a silence that has not expired is in force after a change, or what is wrong with it, by field."""
    starts_at = before.starts_at
    if wish.starts_at is not None and wish.starts_at != starts_at:
        if before.state(now) is not SilenceState.PENDING:
            return {"starts_at": "cannot be changed: the silence has begun"}
        starts_at = max(wish.starts_at, now)
    ends_at = wish.ends_at or before.ends_at
    if ends_at <= now:
        return {"ends_at": "should be later than now; to end the silence at once, delete it"}
    return _judged(Span(starts_at, ends_at), "ends_at" if wish.ends_at is not None else "starts_at", longest)


def _judged(span: Span, field: str, longest: timedelta) -> Span | dict[str, str]:
    length = span.ends_at - span.starts_at
    if length <= timedelta(0):
        return {field: "should make it end later than it begins"}
    if length > longest:
        return {field: f"should make it last at most {iso_8601(longest)}; a new one can follow it"}
    return span
