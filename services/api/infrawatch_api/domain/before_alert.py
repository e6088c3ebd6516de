"""What happened before an alert, in words for people who have just been woken."""

from datetime import datetime, timedelta
from typing import NamedTuple

PEER_DAYS = 7


class Peers(NamedTuple):
    """Other hosts that came to the same: how many (at least, if ``more``), how many of them ``earlier`` than this one,
    on how many something fired within the hours after, and on how many the same rule.
    """

    hosts: int
    more: bool
    earlier: int
    with_alerts: int
    with_this_alert: int


NO_PEERS = Peers(0, False, 0, 0, 0)


def length(duration: timedelta) -> str:
    """A length of time, roughly: ``12 minutes``."""
    seconds = abs(int(duration.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size or seconds == size:
            return _plural(seconds // size, unit)
    return _plural(seconds, "second")


def moment(not_before: datetime, at: datetime, since: datetime) -> str:
    """When a change happened, seen from what has fired since ``since``."""
    if at == since:
        return "at the same time"
    if at < since:
        return f"{length(since - at)} before"
    if not_before >= since:
        return f"{length(at - since)} after it began"
    return f"seen {length(at - since)} after it began, but not yet {length(since - not_before)} before it"


def others(peers: Peers, hours: int) -> str:
    """How other hosts fared with the same change."""
    if not peers.hosts:
        return f"no other host came to the same within {PEER_DAYS} days"
    told = ("at least " if peers.more else "") + _plural(peers.hosts, "other host")
    told += f" came to the same, {peers.earlier} of them earlier"
    if not peers.with_alerts:
        return f"{told}; none of them had an alert within {_plural(hours, 'hour')} of it"
    had = f"{told}; {peers.with_alerts} had alerts within {_plural(hours, 'hour')} of it"
    return f"{had}, {peers.with_this_alert} of them this one" if peers.with_this_alert else had


def overview(changes: int, *, more: bool, hours: int, seen_at: datetime | None, since: datetime) -> str:
    """What is known of it all. ``seen_at``: up to when the host's configuration is known, None if not at all."""
    if seen_at is None:
        return "The host had sent no snapshot by then: nothing is known of changes."
    number = ("More than " if more else "") + _plural(changes, "change")
    told = f"{number if changes else 'No change'} from {_plural(hours, 'hour')} before it until it fired."
    if seen_at >= since:
        return told
    return f"{told} The host was last seen {length(since - seen_at)} before it: what changed later is not known."


def _plural(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
