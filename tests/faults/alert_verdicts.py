"""The judges of alerting: what fired and how it ended, against what had to. Pure, each able to say no."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from faults.verdicts import Check


class Firing(NamedTuple):
    """One event: when it began, and when and why it ended, if it did."""

    id: UUID
    alert_id: UUID
    host_id: str
    fired_at: datetime
    resolved_at: datetime | None
    reason: str | None


def as_undisturbed(found: Sequence[Firing], expected: Sequence[Firing]) -> Check:
    """A1: what fired, and how it ended, is what an undisturbed run finds, each exactly once."""
    times = Counter((one.alert_id, one.host_id, one.fired_at) for one in found)
    doubled = sum(count - 1 for count in times.values())
    missing, more = sorted(map(_told, set(expected) - set(found))), sorted(map(_told, set(found) - set(expected)))
    seen = "".join(f"; {kind} {one}" for kind, some in (("missing", missing), ("too many", more)) for one in some[:3])
    return Check(
        "A1",
        bool(expected) and not (missing or more or doubled),
        f"{len(missing)} missing, {len(more)} too many, {doubled} doubled of {len(expected):,} events{seen}",
        "0, 0, 0",
    )


def _told(one: Firing) -> str:
    ended = "fires" if one.resolved_at is None else f"{one.reason} at {one.resolved_at:%H:%M:%S.%f}"
    return f"{one.host_id} at {one.fired_at:%H:%M:%S.%f} by {one.alert_id}, {ended}"


def told(published: Mapping[tuple[str, UUID], int], kept: Sequence[Firing]) -> Check:
    """A1: each beginning and each end that is kept is on the topic at least once, and nothing else is.

    ``published`` counts messages by what they tell and the event's id.
    """
    due = {("fired", one.id) for one in kept} | {("resolved", one.id) for one in kept if one.resolved_at is not None}
    missing, unknown = len(due - published.keys()), len(published.keys() - due)
    again = sum(published.values()) - len(published)
    return Check(
        "A1 told",
        bool(due) and not (missing or unknown),
        f"{missing} missing, {unknown} unknown, {again} repeated of {len(due):,}",
        "0 missing, 0 unknown",
    )


def ended_as(found: Sequence[Firing], expected: Mapping[tuple[UUID, str], Sequence[str | None]]) -> Check:
    """A1: each rule and host has exactly these events, in the order of time: why each ended (None: it fires)."""
    reasons: dict[tuple[UUID, str], list[str | None]] = {}
    for one in sorted(found, key=lambda one: one.fired_at):
        reasons.setdefault((one.alert_id, one.host_id), []).append(one.reason)
    wrong = [
        f"{host}: {reasons.get((alert, host), [])} instead of {list(expected.get((alert, host), []))}"
        for alert, host in expected.keys() | reasons.keys()
        if reasons.get((alert, host), []) != list(expected.get((alert, host), []))
    ]
    return Check(
        "A1",
        bool(expected) and not wrong,
        f"{len(wrong)} wrong of {len(expected):,} {'; '.join(sorted(wrong)[:3])}".strip(),
        "0 wrong",
    )


def no_orphans(states: Collection[tuple[UUID, str]], rules: Collection[UUID], hosts: Collection[str]) -> Check:
    """No state is kept of a rule or a host that is no longer there."""
    orphans = [one for one in states if one[0] not in rules or one[1] not in hosts]
    return Check("orphans", not orphans, f"{len(orphans)} of {len(states)} states", "0")


class Post(NamedTuple):
    """One request of a webhook: its message's key, the events that it says have begun and ended, when it came (Unix
    time), and whether the receiver took it.
    """

    key: str
    fired: frozenset[UUID]
    ended: frozenset[UUID]
    at: float
    accepted: bool


def notified(posts: Sequence[Post], kept: Sequence[Firing], crashes: int) -> Check:
    """N: a receiver learns of each event that it has begun, and of each that has ended that it has.

    Each is told by one message, whatever it takes; and a message that was taken comes again once a crash at most.
    """
    accepted = [post for post in posts if post.accepted]
    begun = {event for post in accepted for event in post.fired}
    over = {event for post in accepted for event in post.ended}
    missing = len({one.id for one in kept} - begun) + len({one.id for one in kept if one.resolved_at} - over)
    keys: dict[UUID, set[str]] = {}
    for post in accepted:
        for event in post.fired:
            keys.setdefault(event, set()).add(post.key)
    twice = sum(len(each) > 1 for each in keys.values())
    most = max(Counter(post.key for post in accepted).values(), default=0)
    return Check(
        "N",
        bool(kept) and not missing and not twice and most <= 1 + crashes,
        f"{missing} missing, {twice} by two messages, a message came {most} times, of {len(kept):,} events",
        f"0, 0, {1 + crashes}",
    )


def ledger_agrees(posts: Sequence[Post], attempts: Mapping[str, int]) -> Check:
    """N: the ledger has as many attempts of each message, by key, as requests came."""
    came = Counter(post.key for post in posts)
    wrong = [key for key in came.keys() | attempts.keys() if came[key] != attempts.get(key, 0)]
    return Check("N ledger", bool(came) and not wrong, f"{len(wrong)} of {len(came):,} messages differ", "0")


def backed_off(posts: Sequence[Post], least: Sequence[float]) -> Check:
    """N: the attempts of each message lie at least so many seconds apart, from the first gap on."""
    times: dict[str, list[float]] = {}
    for post in posts:
        times.setdefault(post.key, []).append(post.at)
    gaps = [
        (gap, bound)
        for each in times.values()
        for gap, bound in zip((later - sooner for sooner, later in pairwise(sorted(each))), least, strict=False)
    ]
    slack = min((gap - bound for gap, bound in gaps), default=float("-inf"))
    return Check("N back-off", slack >= 0, f"{len(gaps)} gaps, shortest {slack:+.2f} s of its bound", "0")
