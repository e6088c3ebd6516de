"""What is to be told of a host now, on which channel; decided anew from what is on and what has been told."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match, Subject


class What(StrEnum):
    """What is told of an event; ``CHANGED`` is all that is ever told of drift."""

    FIRED = "fired"
    STILL_FIRING = "still_firing"
    NO_LONGER_SILENCED = "no_longer_silenced"
    RESOLVED = "resolved"
    CHANGED = "changed"


class Channel(NamedTuple):
    """An enabled channel. ``repeat_interval`` is None if what fires on is told once."""

    id: UUID
    name: str
    routes: Sequence[Match]
    send_resolved: bool
    group_interval: timedelta
    repeat_interval: timedelta | None


class Silence(NamedTuple):
    """What it matches is not told from ``starts_at`` until before ``ends_at``."""

    match: Match
    starts_at: datetime
    ends_at: datetime


class Notice(NamedTuple):
    """An event that is on, or has ended and is not told to everybody yet; ``event`` is as other systems read it.

    Drift has happened, and so has ended when it is found.
    """

    id: UUID
    found_at: datetime
    event: Mapping[str, Any]
    ended: bool
    kind: Kind = Kind.ALERT


class Told(NamedTuple):
    """When a channel was last told of a notice, and whether it knows that it has ended."""

    at: datetime
    ended: bool


class HostNotices(NamedTuple):
    """All that there is to tell of a host.

    ``told`` is by notice and channel; ``messages`` has when the last message about this host went to a channel.
    """

    host_id: str
    tags: Mapping[str, str]
    notices: Sequence[Notice]
    told: Mapping[tuple[UUID, UUID], Told]
    messages: Mapping[UUID, datetime]


class Item(NamedTuple):
    """One event in a message."""

    what: What
    notice: Notice


class Decision(NamedTuple):
    """What each channel is told now, which notices are done with, and when to decide again (None: when told to)."""

    messages: Mapping[UUID, Sequence[Item]]
    settled: Sequence[UUID]
    look_at: datetime | None


def decide(host: HostNotices, channels: Sequence[Channel], silences: Sequence[Silence], now: datetime) -> Decision:
    """Decide for one host; ``silences`` are those that were, are or will be in force since its notices were found.

    What begins to fire is told unless it is silenced, and once the silence is over if it fires then. What was told is
    told to have ended, silenced or not. Drift is told once, unless it is silenced when it is found or would be told.
    Between two messages to a channel about a host lies its group interval.
    """
    messages: dict[UUID, Sequence[Item]] = {}
    waiting: set[UUID] = set()
    looks: list[datetime] = []
    for channel in channels:
        items, later = _untold(host, channel, silences, now)
        looks += later
        last = host.messages.get(channel.id)
        if items and last is not None and last + channel.group_interval > now:
            looks.append(last + channel.group_interval)
            waiting |= {item.notice.id for item in items}
        elif items:
            messages[channel.id] = items
            if channel.repeat_interval is not None and not all(item.notice.ended for item in items):
                looks.append(now + channel.repeat_interval)
    settled = [notice.id for notice in host.notices if notice.ended and notice.id not in waiting]
    return Decision(messages, settled, min(looks, default=None))


def _untold(
    host: HostNotices, channel: Channel, silences: Sequence[Silence], now: datetime
) -> tuple[list[Item], list[datetime]]:
    """What a channel is yet to be told, and when there may be more."""
    items: list[Item] = []
    looks: list[datetime] = []
    for notice in host.notices:
        told = host.told.get((notice.id, channel.id))
        if notice.ended and told is not None:
            if channel.send_resolved and not told.ended:
                items.append(Item(What.RESOLVED, notice))
            continue
        subject = _subject(host, notice)
        if any(route.covers(subject) for route in channel.routes):
            hiding = [silence for silence in silences if silence.match.covers(subject)]
            what, later = _told_now(notice, told, channel.repeat_interval, hiding, now)
            looks += later
            if what is not None:
                items.append(Item(what, notice))
    return items, looks


def _told_now(
    notice: Notice, told: Told | None, repeat: timedelta | None, hiding: Sequence[Silence], now: datetime
) -> tuple[What | None, list[datetime]]:
    """What a channel is told of a notice that it has not been told to have ended, and when else."""
    if notice.kind is Kind.DRIFT:
        moments = (notice.found_at, now)
        is_hidden = any(silence.starts_at <= at < silence.ends_at for silence in hiding for at in moments)
        return (None if is_hidden else What.CHANGED), []
    until = [silence.ends_at for silence in hiding if silence.starts_at <= now < silence.ends_at]
    if until:
        return None, until
    if told is None:
        was_hidden = any(silence.starts_at <= notice.found_at < silence.ends_at for silence in hiding)
        return (What.NO_LONGER_SILENCED if was_hidden and not notice.ended else What.FIRED), []
    if repeat is None:
        return None, []
    return (What.STILL_FIRING, []) if told.at + repeat <= now else (None, [told.at + repeat])


def _subject(host: HostNotices, notice: Notice) -> Subject:
    severity = Severity(notice.event["severity"])
    alert_id = UUID(notice.event["alert_id"]) if notice.kind is Kind.ALERT else None
    return Subject(host.host_id, host.tags, severity, alert_id, notice.kind)
